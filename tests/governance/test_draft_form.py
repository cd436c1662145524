"""The form in which a protocol is written: what it makes, what it says of what is missing, and who may use it."""

import json
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import reverse
from hypothesis import given
from hypothesis import strategies as st

from concordat import protocol
from concordat.reasons import Reason, Refused
from governance.admin.draft_form import Editor, join, split
from governance.models import Draft, Institution, Study
from governance.services import studies
from governance.states import StudyState
from tests.governance.conftest import Consortium
from tests.support.officers import signed_in


def editor(consortium: Consortium, content: dict[str, Any], data: Any = None) -> Editor:
    return Editor(content, [consortium.at["cleveland"]], list(Institution.objects.all()), data)


def filled(consortium: Consortium, content: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """What a browser sends when the form is shown with this content and nothing but `changes` is typed in."""
    shown = editor(consortium, content)
    sent: dict[str, Any] = {}
    for form in (shown.form, *shown.bases, *shown.terms, *shown.needed):
        for field in form:
            value = field.value()
            if value not in (None, "", False, []):
                sent[field.html_name] = value
    for rows in (shown.bases, shown.terms, shown.needed):
        for field in rows.management_form:
            sent[field.html_name] = field.value()
    return {name: value for name, value in (sent | changes).items() if value is not None}


def full(consortium: Consortium, **changes: Any) -> dict[str, Any]:
    """A protocol that uses every row of the form."""
    rows: dict[str, Any] = {
        "data_use": {"study": ["DUO:0000006"], "datasets": [{"institution": "cleveland", "terms": ["DUO:0000042"]}]},
        "valid_until": "2099-01-31T00:00:00Z",
        "attachments": [{"kind": "charter", "institution": ""}, {"kind": "staff-training", "institution": "zurich"}],
        "bases": [
            {
                "institution": "long-beach",
                "purpose": "decision-support",
                "ground": "consent",
                "gdpr": {"article6": "a", "article9": "a"},
                "note": "45 CFR 46.116",
            }
        ],
    }
    return consortium.protocol(**rows | changes)


def send(user: User, name: str, *arguments: Any, **form: Any) -> Any:
    client: Client = signed_in(user)
    client.get(reverse("admin:governance_passkey_changelist"))
    form["csrfmiddlewaretoken"] = client.cookies["csrftoken"].value
    return client.post(reverse(f"admin:{name}", args=arguments), form, follow=True)


def said(answer: Any) -> str:
    return " ".join(str(message) for message in answer.context["messages"])


@pytest.fixture
def lead(consortium: Consortium) -> User:
    return consortium.member("cleveland", "investigator")


# --- the document


def test_a_protocol_comes_out_of_the_form_as_it_went_in(consortium: Consortium) -> None:
    document = full(consortium, valid_until="2099-01-31T12:30:00Z")
    again = editor(consortium, document, _query(filled(consortium, document)))
    assert again.valid(), again.form.errors
    assert again.content() == document
    assert protocol.check(again.content())


def test_what_is_chosen_keeps_its_order_so_that_nothing_changes_unseen(consortium: Consortium) -> None:
    document = full(
        consortium, sites=["zurich", "long-beach", "cleveland", "budapest"], population=["minors", "adults"]
    )
    again = editor(consortium, document, _query(filled(consortium, document, title="Another title")))
    assert again.valid()
    assert [change.field for change in protocol.changes(document, again.content())] == ["title"]


def test_a_title_is_enough_for_a_draft_and_too_little_for_a_protocol(consortium: Consortium) -> None:
    sent = filled(consortium, {}, study="new-study", title="A new study", institution="cleveland")
    made = editor(consortium, {}, _query(sent))
    assert made.valid()
    with pytest.raises(Refused) as refused:
        protocol.check(made.content())
    assert refused.value.reason is Reason.FIELD_INVALID


@pytest.mark.parametrize(
    ("field", "place"),
    [
        ("computed", "computed"),
        ("risks.misuse", "misuse"),
        ("data_use.study", "data_use"),
        ("sections.0.text", "sections"),
        ("valid_until", "valid_until"),
        ("study", "study"),
    ],
)
def test_a_refusal_stands_beside_its_field(consortium: Consortium, field: str, place: str) -> None:
    document = full(consortium)
    shown = editor(consortium, document, _query(filled(consortium, document)))
    assert shown.valid()
    shown.refuse(Refused(Reason.FIELD_INVALID, field=field), "Not so.")
    assert shown.form.errors == {place: ["Not so."]}


@pytest.mark.parametrize(
    ("field", "rows"),
    [
        ("bases", "bases"),
        ("bases.0.gdpr", "bases"),
        ("data_use.datasets.1", "terms"),
        ("attachments.0.institution", "needed"),
    ],
)
def test_a_refusal_stands_beside_its_rows(consortium: Consortium, field: str, rows: str) -> None:
    shown = editor(consortium, full(consortium))
    shown.refuse(Refused(Reason.FIELD_INVALID, field=field), "Not so.")
    assert shown.problems == {rows: "Not so."}


HEADINGS = st.text("aZé1-. ", min_size=1, max_size=20).map(str.strip).filter(bool)
TEXTS = st.text("aZé1-. \n", max_size=60).map(str.strip)


@given(st.lists(st.fixed_dictionaries({"heading": HEADINGS, "text": TEXTS})))
def test_sections_survive_being_written_as_one_text(sections: list[dict[str, str]]) -> None:
    assert split(join(sections)) == sections


# --- the page


def test_a_draft_is_saved_checked_and_submitted(consortium: Consortium, lead: User) -> None:
    document = full(consortium)
    sent = filled(consortium, document)
    assert "The draft is saved." in said(send(lead, "governance_draft_new", **sent, save="yes"))
    study = Study.objects.get(slug=document["study"])
    assert (study.state, study.draft.content) == (StudyState.DRAFT, document)
    checked = send(lead, "governance_draft", study.uuid, **sent, preview="yes")
    assert "could be submitted as it is" in said(checked)
    assert "told" in said(send(lead, "governance_draft", study.uuid, **sent, submit="yes", report="First."))
    study.refresh_from_db()
    assert study.state == StudyState.SUBMITTED
    assert (study.versions.get().content, study.submissions.get().report) == (document, "First.")
    assert not Draft.objects.exists()


def test_what_is_refused_is_said_beside_the_field_and_nothing_typed_is_lost(consortium: Consortium, lead: User) -> None:
    sent = filled(consortium, full(consortium), computed=None, opened="One number.")
    answer = send(lead, "governance_draft_new", **sent, submit="yes")
    shown = answer.content.decode()
    assert "Not submitted" in said(answer)
    assert "errorlist" in shown[: shown.index('name="computed"')]
    assert "One number." in shown
    assert Study.objects.get().state == StudyState.DRAFT
    assert Draft.objects.get().content["opened"] == "One number."


def test_a_missing_ground_is_said_beside_the_grounds(consortium: Consortium, lead: User) -> None:
    sent = filled(consortium, full(consortium, bases=[]))
    shown = send(lead, "governance_draft_new", **sent, submit="yes").content.decode()
    assert (
        "On which legal ground long-beach uses records" in shown[shown.index('id="bases"') : shown.index('id="terms"')]
    )


def test_the_next_version_starts_from_the_one_in_force_and_shows_what_it_changes(
    consortium: Consortium, lead: User
) -> None:
    study = consortium.approved()
    document = study.versions.get().content
    sent = filled(consortium, document, opened="One number.")
    answer = send(lead, "governance_draft", study.uuid, **sent, preview="yes")
    shown = answer.content.decode()
    assert "What changes against version 1" in shown
    assert "<ins>One number." in shown
    send(lead, "governance_draft", study.uuid, **sent, submit="yes")
    assert study.submissions.first().kind == "amendment"
    assert study.submissions.first().version.content == document | {"opened": "One number."}


def test_a_protocol_is_brought_as_a_file(consortium: Consortium, lead: User) -> None:
    document = full(consortium)
    file = SimpleUploadedFile("protocol.json", json.dumps(document).encode(), "application/json")
    assert "saved as a draft" in said(send(lead, "governance_draft_upload", protocol=file))
    assert Draft.objects.get().content == document


@pytest.mark.parametrize("content", [b"", b"[]", b"{", b'{"institution": "nowhere"}', b'{"institution": "cleveland"}'])
def test_a_file_that_is_no_protocol_changes_nothing(consortium: Consortium, lead: User, content: bytes) -> None:
    file = SimpleUploadedFile("protocol.json", content, "application/json")
    answer = send(lead, "governance_draft_upload", protocol=file)
    assert said(answer)
    assert "saved" not in said(answer)
    assert not Draft.objects.exists()


# --- who may not


@pytest.mark.parametrize(("slug", "role"), [("zurich", "investigator"), ("cleveland", "irb-chair")])
def test_nobody_else_edits_or_submits(consortium: Consortium, lead: User, slug: str, role: str) -> None:
    study = studies.save_draft(institution=consortium.at["cleveland"], content=full(consortium), by=lead).study
    other = consortium.member(slug, role)
    sent = filled(consortium, full(consortium), title="Another title")
    for button in ("save", "submit"):
        assert said(send(other, "governance_draft", study.uuid, **sent, **{button: "yes"}))
    file = SimpleUploadedFile("protocol.json", json.dumps(full(consortium, title="Another")).encode())
    assert "saved" not in said(send(other, "governance_draft_upload", protocol=file))
    study.refresh_from_db()
    assert study.state == StudyState.DRAFT
    assert study.draft.content["title"] == full(consortium)["title"]


def test_nobody_drafts_for_another_institution(consortium: Consortium) -> None:
    sent = filled(consortium, full(consortium))
    send(consortium.member("zurich", "investigator"), "governance_draft_new", **sent, save="yes")
    assert not Study.objects.exists()


def test_what_has_ended_is_not_edited(consortium: Consortium, lead: User) -> None:
    study = consortium.approved()
    sent = filled(consortium, study.versions.get().content, opened="One number.")
    consortium.act(
        consortium.chairs["cleveland"], "terminate", study=str(study.uuid), institution="cleveland", ground="An end."
    )
    shown = send(lead, "governance_draft", study.uuid, **sent, save="yes").content.decode()
    assert "The study is terminated" in shown
    assert not Draft.objects.exists()


def _query(sent: dict[str, Any]) -> Any:
    from django.http import QueryDict

    query = QueryDict(mutable=True)
    for name, value in sent.items():
        query.setlist(name, value if isinstance(value, list) else [value])
    return query
