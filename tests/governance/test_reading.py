"""Who has opened a sensitive page is in the log: once an hour, committed to and never in the open."""

from datetime import timedelta

import pytest
import time_machine
from django.contrib.auth.models import User
from django.urls import reverse

from concordat import clock
from concordat.events import Event
from concordat.reasons import Reason, Refused
from governance.models import Consent, Roster, Signature
from governance.services import consent as consents
from governance.services import reading, studies
from ledger.models import LogEntry
from ledger.selectors import entries, private_fields
from tests.governance.conftest import Consortium
from tests.support.officers import signed_in


def reads() -> list[LogEntry]:
    return list(entries(event=Event.RECORD_READ))


def test_a_read_names_page_study_and_institution_and_commits_to_the_reader(consortium: Consortium) -> None:
    study, reader = consortium.submitted(), consortium.chairs["zurich"].user
    reading.note(reader=reader, page="minutes", study=study)
    [entry] = reads()
    assert entry.public == {"page": "minutes", "study": study.slug, "institution": "zurich"}
    assert private_fields(entry) == {"reader": str(reader.officer.uuid)}
    assert reader.officer.name.encode() not in bytes(entry.leaf)
    assert str(reader.officer.uuid).encode() not in bytes(entry.leaf)


def test_a_reader_a_page_and_an_hour_leave_one_entry(consortium: Consortium) -> None:
    study, now = consortium.submitted(), clock.now()
    first, second = (consortium.member("zurich", "irb-member") for _ in range(2))
    for minutes in (0, 1, 59):
        with time_machine.travel(now + timedelta(minutes=minutes), tick=False):
            reading.note(reader=first, page="minutes", study=study)
    assert len(reads()) == 1
    with time_machine.travel(now + timedelta(minutes=59), tick=False):
        reading.note(reader=second, page="minutes", study=study)
        reading.note(reader=first, page="letter", study=study)
        reading.note(reader=first, page="minutes")
    assert len(reads()) == 4
    with time_machine.travel(now + timedelta(minutes=60), tick=False):
        reading.note(reader=first, page="minutes", study=study)
    assert len(reads()) == 5


def test_a_draft_leaves_no_entry_that_would_tell_others_its_name(consortium: Consortium) -> None:
    author = consortium.member("cleveland", "investigator")
    draft = studies.save_draft(institution=consortium.at["cleveland"], content=consortium.protocol(), by=author)
    reading.note(reader=author, page="study", study=draft.study)
    assert reads() == []


def test_who_is_no_officer_reads_nothing(consortium: Consortium) -> None:
    with pytest.raises(Refused) as refused:
        reading.note(reader=User.objects.create_user("nobody"), page="minutes")
    assert refused.value.reason is Reason.ROLE_MISSING


def test_the_pages_of_signatures_consents_and_rosters_record_their_readers(consortium: Consortium) -> None:
    study = consortium.approved()
    consents.give(institution=consortium.at["long-beach"], token=consortium.consent())
    client = signed_in(consortium.signatory.user)
    rows = {
        "signature": Signature.objects.filter(study=study).first(),
        "consent": Consent.objects.get(),
        "roster": Roster.objects.get(institution__slug="long-beach"),
    }
    for name, row in rows.items():
        assert row is not None
        assert client.get(reverse(f"admin:governance_{name}_changelist")).status_code == 200
        assert client.get(reverse(f"admin:governance_{name}_change", args=[row.pk])).status_code == 200
    said = [(entry.public["page"], entry.public["study"], entry.public["institution"]) for entry in reads()]
    assert said == [
        ("signature-list", "", "long-beach"),
        ("signature", study.slug, "long-beach"),
        ("consent-list", "", "long-beach"),
        ("consent", study.slug, "long-beach"),
        ("roster-list", "", "long-beach"),
        ("roster", "", "long-beach"),
    ]


def test_what_somebody_may_not_see_leaves_no_entry_that_they_saw_it(consortium: Consortium) -> None:
    client = signed_in(consortium.chairs["zurich"].user)
    foreign = Roster.objects.get(institution__slug="cleveland")
    assert client.get(reverse("admin:governance_roster_change", args=[foreign.pk])).status_code == 302
    assert reads() == []
