"""Export and erasure of a person: for the institution whose pseudonym it is, and for no other."""

from collections.abc import Callable
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.db import transaction

from compute.models import ErasureNotice
from concordat import clock
from concordat.events import Event
from governance.models import Institution
from governance.services import people
from ledger import selectors as ledger
from ledger.models import LogEntry, SubjectKey
from ledger.services import subjects
from ledger.services.record import record
from tests.api.conftest import Caller

SUBJECT = UUID("6f1d2f3e-0000-4000-8000-000000000001")


@pytest.fixture
def known(members: dict[str, Institution]) -> LogEntry:
    """long-beach has recorded a consent of this person."""
    with transaction.atomic():
        return record(
            event=Event.CONSENT_GIVEN,
            public={"study": "heart", "institution": "long-beach", "consent": str(uuid4())},
            private={"subject": str(SUBJECT), "statement": "signed"},
            subject=SUBJECT,
        )


def test_the_institution_exports_everything_on_its_own_subject(
    known: LogEntry, signed_in: Callable[..., Caller]
) -> None:
    answer = signed_in("long-beach").get(f"subjects/{SUBJECT}/export")
    assert answer.status_code == 200
    (entry,) = answer.json()["entries"]
    assert entry["record"] == known.record_number
    assert entry["private"] == {"statement": "signed", "subject": str(SUBJECT)}
    exported = ledger.entries(event=Event.SUBJECT_EXPORTED).get()
    assert dict(exported.public) == {"institution": "long-beach"}
    assert str(SUBJECT) not in str(exported.content)


PATHS = [("get", "export"), ("get", "disclosures"), ("post", "erase")]


@pytest.mark.parametrize(("method", "path"), PATHS)
def test_another_institution_finds_nobody_under_that_pseudonym(
    known: LogEntry, signed_in: Callable[..., Caller], method: str, path: str
) -> None:
    caller = signed_in("mayo")
    body: tuple[Any, ...] = ({"ground": "objection"},) if method == "post" else ()
    answer = getattr(caller, method)(f"subjects/{SUBJECT}/{path}", *body)
    assert (answer.status_code, answer.json()["type"]) == (404, "urn:concordat:reason:not-found")
    assert not SubjectKey.objects.filter(holder="mayo").exists()
    assert SubjectKey.objects.get(subject=SUBJECT).wrapped is not None


def test_an_erased_person_is_gone_and_leaves_no_export(known: LogEntry, signed_in: Callable[..., Caller]) -> None:
    caller = signed_in("long-beach")
    answer = caller.post(f"subjects/{SUBJECT}/erase", {"ground": "consent-withdrawn"})
    assert answer.status_code == 200
    destroyed = ledger.entries(event=Event.KEY_DESTROYED).get()
    assert answer.json() == {"record": destroyed.record_number}
    assert dict(destroyed.public) == {"ground": "consent-withdrawn"}
    assert caller.get(f"subjects/{SUBJECT}/export").json()["type"] == "urn:concordat:reason:erased"
    again = caller.post(f"subjects/{SUBJECT}/erase", {"ground": "consent-withdrawn"})
    assert again.json()["type"] == "urn:concordat:reason:erased"


def test_a_legal_hold_is_respected(known: LogEntry, signed_in: Callable[..., Caller]) -> None:
    subjects.hold(institution="long-beach", subject=SUBJECT, ground="claim 4 O 12/26")
    caller = signed_in("long-beach")
    answer = caller.post(f"subjects/{SUBJECT}/erase", {"ground": "objection"})
    assert (answer.status_code, answer.json()["type"]) == (409, "urn:concordat:reason:legal-hold")
    exported = caller.get(f"subjects/{SUBJECT}/export").json()
    assert [each["ground"] for each in exported["holds"]] == ["claim 4 O 12/26"]


def test_no_text_of_ones_own_gets_into_the_log(known: LogEntry, signed_in: Callable[..., Caller]) -> None:
    answer = signed_in("long-beach").post(f"subjects/{SUBJECT}/erase", {"ground": "Mrs Muster asked for it"})
    assert (answer.status_code, answer.json()["field"]) == (422, "ground")
    assert SubjectKey.objects.get(subject=SUBJECT).wrapped is not None


@pytest.mark.parametrize(("method", "path"), PATHS)
def test_neither_an_officer_nor_an_entry_is_a_subject_of_the_institution(
    members: dict[str, Institution], signed_in: Callable[..., Caller], method: str, path: str
) -> None:
    officer = people.add_member(
        email="member@example.org", name="Dr Member", institution=members["long-beach"], role="irb-member"
    ).user.officer.uuid
    about = {"study": "heart", "institution": "long-beach", "submission": str(uuid4())}
    with transaction.atomic():
        record(
            event=Event.OPINION_GIVEN,
            public=about,
            private={"officer": str(officer), "opinion": {"comment": "For the board alone."}},
            subject=officer,
        )
        nobodys = record(event=Event.STUDY_SUBMITTED, public=about, private={"report": "Two incidents."}).uuid
    body: tuple[Any, ...] = ({"ground": "objection"},) if method == "post" else ()
    for subject in (officer, nobodys):
        answer = getattr(signed_in("long-beach"), method)(f"subjects/{subject}/{path}", *body)
        assert (answer.status_code, answer.json()["type"]) == (404, "urn:concordat:reason:not-found")
        assert SubjectKey.objects.get(holder="long-beach", subject=subject).wrapped is not None


def test_what_was_erased_is_read_by_whom_it_concerns(
    members: dict[str, Institution], signed_in: Callable[..., Caller]
) -> None:
    """At its next look: the machine's way, beside the officers' letters."""
    for slug, number in (("zurich", "C-0000007-1"), ("mayo", "C-0000008-9"), ("zurich", "C-0000009-7")):
        ErasureNotice.objects.create(
            notice=uuid4(), institution=members[slug], destroyed=number, records=[number], told=clock.now()
        )
    items = signed_in("zurich").get("erasures").json()["items"]
    assert [each["destroyed"] for each in items] == ["C-0000009-7", "C-0000007-1"]
    after = signed_in("zurich").get(f"erasures?after={items[0]['notice']}").json()["items"]
    assert [each["records"] for each in after] == [["C-0000007-1"]]
    other = ErasureNotice.objects.get(institution=members["mayo"]).notice
    assert signed_in("zurich").get(f"erasures?after={other}").status_code == 404


def test_the_institution_gets_the_account_of_disclosures_of_its_own_subject(
    known: LogEntry, signed_in: Callable[..., Caller]
) -> None:
    caller, today = signed_in("long-beach"), f"{clock.now():%Y-%m-%d}"
    answer = caller.get(f"subjects/{SUBJECT}/disclosures?asked={today}&since={today}&until={today}")
    assert answer.status_code == 200
    document = answer.json()
    assert (document["v"], document["asked"], document["disclosures"]) == (1, today, [])
    assert ledger.entries(event=Event.SUBJECT_ACCOUNTED).count() == 1
    for name in ("asked", "since", "until"):
        wrong = caller.get(f"subjects/{SUBJECT}/disclosures?{name}=yesterday")
        assert (wrong.status_code, wrong.json()["field"]) == (422, name)


def test_the_account_needs_its_scope(known: LogEntry, signed_in: Callable[..., Caller]) -> None:
    caller = signed_in("long-beach", scopes="consents.write")
    assert caller.get(f"subjects/{SUBJECT}/disclosures").status_code == 403
    assert not ledger.entries(event=Event.SUBJECT_ACCOUNTED).exists()
