"""What is attached to a study: whose it is, what it may be, until when it counts, and who reads it."""

import re
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from concordat import clock
from concordat.canonical import digest
from concordat.events import Event
from concordat.protocol import AttachmentKind
from concordat.reasons import Reason, Refused
from governance.models import Attachment, Notification, Study
from governance.notices import Notice
from governance.services import attachments, studies
from ledger import selectors as ledger
from ledger.models import LogEntry
from tests.governance.conftest import Consortium
from tests.support.officers import signed_in

PDF = b"%PDF-1.7 charter"
DUA = "data-use-agreement"
NEEDED = [{"kind": "charter", "institution": ""}, {"kind": DUA, "institution": "zurich"}]


def later(days: float = 90) -> datetime:
    return clock.now() + timedelta(days=days)


def attach(c: Consortium, study: Study, **changes: Any) -> Attachment:
    """An agreement of zurich's, attached by its institution administrator, unless told otherwise."""
    given: dict[str, Any] = {
        "study": study,
        "kind": DUA,
        "institution": "zurich",
        "name": "agreement.pdf",
        "media_type": "application/pdf",
        "content": PDF,
        "expires": later(),
    }
    if "by" not in changes and "system" not in changes:
        changes["by"] = c.member(changes.get("institution", "zurich") or "cleveland", "institution-admin")
    return attachments.add(**given | changes)


def refusal(c: Consortium, study: Study, **changes: Any) -> tuple[Reason, str]:
    before = (Attachment.objects.count(), LogEntry.objects.filter(event=Event.ATTACHMENT_ADDED).count())
    with pytest.raises(Refused) as caught:
        attach(c, study, **changes)
    after = (Attachment.objects.count(), LogEntry.objects.filter(event=Event.ATTACHMENT_ADDED).count())
    assert after == before
    return caught.value.reason, caught.value.field


def test_an_attachment_is_named_by_its_digest_and_recorded(consortium: Consortium) -> None:
    attached = attach(consortium, consortium.submitted())
    entry = ledger.entries(event=Event.ATTACHMENT_ADDED).get()
    assert attached.digest == digest(PDF) == entry.public["attachment"]
    assert (entry.public["kind"], entry.public["institution"]) == (DUA, "zurich")
    assert ledger.private_fields(entry) == {"officer": str(attached.added_by.uuid)}
    assert "agreement.pdf" not in str(entry.content)
    assert attached.added_by.name not in str(entry.content)


def test_the_log_does_not_name_a_draft_to_which_something_is_attached(consortium: Consortium) -> None:
    by = consortium.member("cleveland", "investigator")
    content = consortium.protocol(study="nobody-elses")
    draft = studies.save_draft(institution=consortium.at["cleveland"], content=content, by=by).study
    charter = attach(consortium, draft, by=by, institution="", kind="charter", expires=None)
    attachments.read(by=by, study=str(draft.uuid), attachment=str(charter.uuid))
    logged = LogEntry.objects.filter(event__in=[Event.ATTACHMENT_ADDED, Event.RECORD_READ])
    assert [entry.public["study"] for entry in logged] == ["", ""]
    assert "nobody-elses" not in str([entry.content for entry in logged])


def test_the_newest_again_is_no_harm_and_another_takes_its_place(consortium: Consortium) -> None:
    study, by, ends = consortium.submitted(), consortium.member("zurich", "data-steward"), later()
    first = attach(consortium, study, by=by, expires=ends)
    assert attach(consortium, study, by=by, expires=ends) == first
    assert attach(consortium, study, by=by, expires=later(91)) != first
    assert LogEntry.objects.filter(event=Event.ATTACHMENT_ADDED).count() == 2


def test_who_may_attach_what(consortium: Consortium) -> None:
    study = consortium.submitted()
    outsider = consortium.member("notary", "institution-admin")
    elsewhere = consortium.member("budapest", "institution-admin")
    assert refusal(consortium, study, by=outsider)[0] is Reason.NOT_FOUND
    assert refusal(consortium, study, by=elsewhere)[0] is Reason.WRONG_INSTITUTION
    assert refusal(consortium, study, by=elsewhere, institution="")[0] is Reason.WRONG_INSTITUTION
    assert refusal(consortium, study, by=consortium.member("zurich", "auditor"))[0] is Reason.ROLE_MISSING
    both = consortium.member("budapest", "institution-admin")
    both.memberships.create(institution=consortium.at["notary"], role="institution-admin", since=clock.now())
    assert refusal(consortium, study, by=both, institution="notary")[0] is Reason.WRONG_INSTITUTION
    charter = attach(consortium, study, institution="", kind="charter", expires=None)
    assert (charter.institution, charter.expires) == (None, None)


def test_an_institutions_system_attaches_what_is_its_own(consortium: Consortium) -> None:
    study = consortium.submitted()
    zurich, cleveland, notary = (consortium.at[slug] for slug in ("zurich", "cleveland", "notary"))
    assert attach(consortium, study, system=zurich).added_by is None
    assert refusal(consortium, study, system=cleveland) == (Reason.WRONG_INSTITUTION, "institution")
    assert refusal(consortium, study, system=zurich, institution="") == (Reason.WRONG_INSTITUTION, "institution")
    assert refusal(consortium, study, system=notary, institution="notary")[0] is Reason.NOT_FOUND
    assert attach(consortium, study, system=cleveland, institution="", kind="charter", expires=None)


def test_nothing_is_attached_to_a_study_that_has_ended(consortium: Consortium) -> None:
    study = consortium.submitted()
    Study.objects.update(state="closed")
    assert refusal(consortium, study) == (Reason.WRONG_STATE, "state")


@pytest.mark.parametrize("kind", AttachmentKind)
def test_the_kinds_that_hold_for_a_time_say_until_when(consortium: Consortium, kind: AttachmentKind) -> None:
    study, by = consortium.submitted(), consortium.member("zurich", "institution-admin")
    if kind in attachments.NEEDS_END:
        assert refusal(consortium, study, by=by, kind=kind, expires=None) == (Reason.FIELD_MISSING, "expires")
    else:
        assert attach(consortium, study, by=by, kind=kind, expires=None).expires is None
    if kind is AttachmentKind.PAPER_APPROVAL:
        assert refusal(consortium, study, by=by, kind=kind) == (Reason.FIELD_INVALID, "expires")
    assert refusal(consortium, study, by=by, kind=kind, expires=later(-1)) == (Reason.FIELD_INVALID, "expires")


def test_what_is_wrong_with_a_file_is_said_by_field(consortium: Consortium, settings: Any) -> None:
    study, by = consortium.submitted(), consortium.member("zurich", "institution-admin")
    settings.ATTACHMENT_BYTES = 100
    spoofed = {"content": b"\x7fELF\x02\x01\x01", "name": "agreement.pdf"}
    for changes, expected in [
        (spoofed, (Reason.FIELD_INVALID, "content")),
        ({"content": b"<html>", "name": "a.pdf"}, (Reason.FIELD_INVALID, "media_type")),
        ({"media_type": "text/html", "content": b"<html>"}, (Reason.FIELD_INVALID, "media_type")),
        ({"content": b""}, (Reason.FIELD_MISSING, "content")),
        ({"content": PDF.ljust(101)}, (Reason.TOO_LARGE, "content")),
        ({"kind": "recipe"}, (Reason.FIELD_INVALID, "kind")),
        ({"name": " "}, (Reason.FIELD_INVALID, "name")),
        ({"name": "a\r\nSet-Cookie: b"}, (Reason.FIELD_INVALID, "name")),
        ({"institution": "atlantis"}, (Reason.NOT_FOUND, "institution")),
    ]:
        assert refusal(consortium, study, by=by, **changes) == expected
    nobodys = {"kind": "paper-approval", "institution": "", "expires": None}
    assert refusal(consortium, study, **nobodys) == (Reason.FIELD_MISSING, "institution")
    assert attach(consortium, study, by=by, content=PDF.ljust(100))


def test_what_the_protocol_asks_for_is_lacking_by_name_until_it_is_in_force(consortium: Consortium) -> None:
    study, now = consortium.submitted(attachments=NEEDED), clock.now()
    version = study.versions.get()
    assert attachments.missing(study, now) == []  # nothing is in force yet
    Study.objects.update(in_force=version)
    study.refresh_from_db()
    charter, agreement = attachments.missing(study, now)
    assert (charter.kind, charter.institution, charter.reason) == ("charter", "", Reason.ATTACHMENT_MISSING)
    assert str(agreement) == "data-use-agreement of zurich"
    with pytest.raises(Refused) as caught:
        attachments.check(study, version.content, now)
    assert caught.value.reason is Reason.ATTACHMENT_MISSING
    assert "charter of the study, data-use-agreement of zurich" in caught.value.detail
    attach(consortium, study, institution="", kind="charter", expires=None)
    attach(consortium, study, institution="cleveland")  # another's agreement is not zurich's
    attach(consortium, study, expires=later(10))
    assert attachments.check(study, version.content, now) == "2 attached and in force."
    assert attachments.lapsed_attachments(study, version.content, now) == 0
    assert attachments.lapsed_attachments(study, version.content, later(10)) == 1
    with pytest.raises(Refused) as caught:
        attachments.check(study, version.content, later(10))
    assert (caught.value.reason, caught.value.field) == (Reason.ATTACHMENT_EXPIRED, "attachments")
    assert "data-use-agreement of zurich" in caught.value.detail
    attach(consortium, study, expires=later(30))
    assert attachments.lacks(study, version.content, later(10)) == []


def test_whatever_is_asked_for_is_looked_up_in_one_query(consortium: Consortium) -> None:
    study = consortium.submitted(attachments=NEEDED)
    content = study.versions.get().content
    for _ in range(3):
        attach(consortium, study)
    with CaptureQueriesContext(
        connection,
    ) as queries:
        attachments.lacks(study, content, clock.now())
    assert len(queries) == 1
    assert '"content"' not in queries[0]["sql"]  # a verdict does not read files
    with CaptureQueriesContext(connection) as queries:
        attachments.lacks(study, content | {"attachments": []}, clock.now())
    assert len(queries) == 0


def test_reminders_come_sixty_thirty_and_seven_days_ahead_once_each(consortium: Consortium) -> None:
    study, steward = consortium.submitted(), consortium.member("zurich", "data-steward")
    elsewhere = consortium.member("budapest", "data-steward")
    attach(consortium, study, expires=later(5))
    attach(consortium, study, expires=later(100))  # takes the place of the one that ends sooner
    for day in (0, 39, 41, 42, 71, 94, 99.5, 101):
        attachments.remind(later(day))
    told = Notification.objects.filter(notice=Notice.ATTACHMENT_ENDS, user=steward)
    assert sorted(int(each.key.split()[-1]) for each in told) == [7, 30, 60]
    assert not Notification.objects.filter(notice=Notice.ATTACHMENT_ENDS, user=elsewhere).exists()


def test_nobody_is_reminded_for_a_study_that_has_ended(consortium: Consortium) -> None:
    study = consortium.submitted()
    attach(consortium, study, expires=later(20))
    Study.objects.update(state="closed")
    attachments.remind(clock.now())
    assert not Notification.objects.filter(notice=Notice.ATTACHMENT_ENDS).exists()


# --- on the officers' site


def post(consortium: Consortium, study: Study, file: SimpleUploadedFile, by: Any, **changes: str) -> Any:
    client = signed_in(by)
    client.get(reverse("admin:governance_passkey_changelist"))
    form = {"kind": DUA, "institution": "zurich", "expires": f"{later():%Y-%m-%d}", "file": file} | changes
    form["csrfmiddlewaretoken"] = client.cookies["csrftoken"].value
    return client.post(reverse("admin:governance_attach", args=[study.uuid]), form)


def test_an_officer_attaches_a_file_and_another_takes_it_along(consortium: Consortium) -> None:
    study = consortium.submitted()
    file = SimpleUploadedFile("für Zürich.pdf", PDF, "application/pdf")
    answer = post(consortium, study, file, consortium.member("zurich", "institution-admin"))
    assert answer.url == reverse("admin:governance_study_change", args=[study.pk]) + "#attachments"
    attached = Attachment.objects.get()
    assert (attached.expires.hour, attached.expires.minute) == (23, 59)
    reader = consortium.member("budapest", "irb-member")
    client = signed_in(reader)
    address = reverse("admin:governance_attachment", args=[study.uuid, attached.uuid])
    answer = client.get(address)
    assert (answer.content, answer["Content-Type"]) == (PDF, "application/pdf")
    assert re.match(r"attachment; filename\*=utf-8''f%C3%BCr", answer["Content-Disposition"])
    assert answer["Content-Security-Policy"] == "sandbox; default-src 'none'"
    assert answer["X-Content-Type-Options"] == "nosniff"
    entry = ledger.entries(event=Event.RECORD_READ).get()
    assert dict(entry.public) == {"page": "attachment", "study": study.slug, "institution": "budapest"}
    assert ledger.private_fields(entry) == {"reader": str(reader.officer.uuid)}


def test_a_spoofed_file_is_refused_with_a_message(consortium: Consortium) -> None:
    study = consortium.submitted()
    spoofed = SimpleUploadedFile("agreement.pdf", b"<script>", "application/pdf")
    post(consortium, study, spoofed, consortium.member("zurich", "institution-admin"))
    assert not Attachment.objects.exists()


def test_who_does_not_see_the_study_gets_no_file_and_nothing_is_recorded(consortium: Consortium) -> None:
    study = consortium.submitted()
    attached = attach(consortium, study)
    client = signed_in(consortium.member("notary", "auditor"))
    for uuid in (attached.uuid, uuid4()):
        answer = client.get(reverse("admin:governance_attachment", args=[study.uuid, uuid]))
        assert answer.url == reverse("admin:governance_study_changelist")
    assert not ledger.entries(event=Event.RECORD_READ).exists()
    mine = signed_in(consortium.member("zurich", "auditor"))
    answer = mine.get(reverse("admin:governance_attachment", args=[study.uuid, uuid4()]))
    assert answer.status_code == 302
