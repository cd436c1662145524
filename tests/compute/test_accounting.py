"""The account of disclosures: what is listed, what is left out, and what an agency has had suspended."""

import json
from datetime import timedelta
from io import StringIO
from uuid import UUID, uuid4

import pytest
from django.core.management import CommandError, call_command

from compute import disclosures
from compute.disclosures import NOTHING_LEAVES, WAYS, Passed, To
from compute.models import AccountingSuspension
from compute.services import accounting as service
from compute.services import suspensions
from compute.services.accounting import account
from compute.services.erasure import erase_subject
from compute.services.export import export_subject
from concordat import accounting, canonical, clock
from concordat.accounting import Accounting
from concordat.events import EVENTS, Event, EventInfo
from concordat.fields import plain, read
from concordat.reasons import Reason, Refused
from governance.services import people, productions
from governance.services.dossiers import hand_out
from ledger import selectors as ledger
from ledger import vault
from ledger.models import LogEntry
from ledger.services import dossiers
from ledger.services.record import record
from tests.support.consortium import REQUESTER
from tests.support.matters import SAID, let_in, open_matter


@pytest.fixture(autouse=True)
def no_checkpoint(monkeypatch):
    """Tests run inside a transaction, where there is no checkpoint to be had."""
    monkeypatch.setattr(vault, "checkpoint_wal", lambda: None)


def member(world, slug, role="legal-reviewer"):
    email = f"{role}@{slug}.example"
    return people.add_member(email=email, name="Member", institution=world.bodies[slug], role=role).user


def accounted(world, **days) -> Accounting:
    found = account(institution=world.bodies[REQUESTER], subject=UUID(world.consortium.subject), **days)
    return read(json.loads(canonical.encode(plain(found))), Accounting)


def packages_handed_out(job, role, ground):
    public = {"job": str(job.uuid), "request": str(job.request_uuid), "institution": REQUESTER}
    return record(event=Event.RECORD_HANDED_OUT, public={**public, "role": role, "ground": ground})


def test_every_event_about_a_person_is_read_or_said_to_disclose_nothing():
    concerning = {
        event for event, info in EVENTS.items() if {"subject", "request", "opened"} & {*info.public, *info.private}
    }
    assert concerning <= {*WAYS, *NOTHING_LEAVES}
    assert not set(WAYS) & NOTHING_LEAVES


def test_a_dossier_that_was_read_is_listed_with_who_what_when_and_why(world):
    job = world.recorded()
    hand_out(by=member(world, "zurich", "regulator"), number=job.record)
    (read_,) = ledger.entries(event=Event.DOSSIER_READ)
    (found,) = accounted(world)["disclosures"]
    assert found["recipient"]["institution"] == "zurich"
    assert found["recipient"]["name"] == world.bodies["zurich"].name
    assert found["recipient"]["jurisdiction"] == world.bodies["zurich"].jurisdiction
    assert found["decision"] == job.record
    assert found["opened"] == ledger.private_fields(read_)["opened"]
    assert {"subject", "request_statement", "consent"} <= set(found["opened"])
    assert "pseudonym" in found["what"]
    assert "oversight" in found["purpose"]
    assert found["first"] == found["last"] == clock.rfc3339(read_.time)
    assert found["entries"] == [read_.record_number]


def test_a_package_handed_out_on_an_order_is_listed_with_its_ground(world):
    job = world.recorded()
    entry = packages_handed_out(job, "operator", "order 4 O 12/26")
    packages_handed_out(job, "requester", "own-decision")
    document = accounted(world)
    (found,) = document["disclosures"]
    assert found["purpose"] == "order 4 O 12/26"
    assert found["opened"] == ["package"]
    assert found["entries"] == [entry.record_number]
    assert [each["times"] for each in document["left_out"]] == [1]


def test_the_institution_s_own_use_and_what_the_person_was_given_are_counted_and_not_listed(world):
    job = world.recorded()
    dossiers.hand_out(
        number=job.record, role="requester", reader=REQUESTER, institution=REQUESTER, disclose=["subject"]
    )
    export_subject(institution=REQUESTER, subject=UUID(world.consortium.subject))
    document = accounted(world)
    assert document["disclosures"] == []
    assert {each["why"]: each["times"] for each in document["left_out"]} == {
        disclosures.Kept.TO_THE_PERSON: 1,
        disclosures.Kept.WITHIN: 1,
    }


def test_a_supervisor_whom_the_institution_let_in_is_listed(world):
    job = world.recorded()
    hand_out(by=member(world, REQUESTER, "regulator"), number=job.record)
    (found,) = accounted(world)["disclosures"]
    assert "gave the role regulator" in found["recipient"]["name"]


def test_a_dossier_that_opens_nothing_of_the_person_is_no_disclosure(world):
    job = world.recorded()
    dossiers.hand_out(number=job.record, role="regulator", reader=str(uuid4()), institution="mayo")
    document = accounted(world)
    assert document["disclosures"] == []
    assert document["left_out"] == [{"why": disclosures.Kept.NOTHING_READABLE, "times": 1}]


def test_several_to_one_recipient_for_one_purpose_stand_together(world):
    job = world.recorded()
    reviewer = member(world, "zurich", "regulator")
    for form in ("page", "pdf", "bundle"):
        hand_out(by=reviewer, number=job.record, form=form)
    hand_out(by=member(world, "budapest", "regulator"), number=job.record)
    found = {each["recipient"]["institution"]: each for each in accounted(world)["disclosures"]}
    assert {slug: each["times"] for slug, each in found.items()} == {"zurich": 3, "budapest": 1}
    assert len(found["zurich"]["entries"]) == 3


def test_what_was_read_and_produced_in_a_matter_is_listed_with_its_party_and_authority(world):
    job = world.recorded()
    matter, reviewer = let_into_a_matter(world, job)
    hand_out(by=reviewer, number=job.record, matter=str(matter.uuid))
    productions.make(by=reviewer, matter=matter, choices={job.record: {"display": "not-responsive"}})
    found = {each["recipient"]["name"]: each for each in accounted(world)["disclosures"]}
    produced = found[SAID["party"]]
    assert SAID["purpose"] in produced["purpose"]
    assert "Court order" in produced["purpose"]
    assert {"subject", "request_statement"} <= set(produced["opened"])
    assert "display" not in produced["opened"]
    (reading,) = [each for name, each in found.items() if "legal reviewer" in name]
    assert reading["decision"] == produced["decision"] == job.record


def test_under_the_persons_own_authorisation_it_is_counted_and_not_listed(world):
    job = world.recorded()
    matter, reviewer = let_into_a_matter(world, job, kind="authorisation")
    hand_out(by=reviewer, number=job.record, matter=str(matter.uuid))
    document = accounted(world)
    assert document["disclosures"] == []
    assert ["authorization" in each["why"] for each in document["left_out"]] == [True]


def let_into_a_matter(world, job, **changes):
    administrator, reviewer = member(world, REQUESTER, "institution-admin"), member(world, REQUESTER)
    matter = open_matter(administrator, world.bodies[REQUESTER], job.record, **changes)
    let_in(administrator, matter, reviewer)
    return matter, reviewer


def test_what_was_read_before_it_was_recorded_what_was_opened_is_listed_all_the_same(world):
    job = world.recorded()
    reader = member(world, "zurich")
    record(
        event=Event.DOSSIER_READ,
        public={"request": str(job.request_uuid), "role": "legal-reviewer", "form": "page"},
        private={"reader": str(reader.officer.uuid)},
    )
    record(
        event=Event.DOSSIER_READ,
        public={"request": str(job.request_uuid), "role": "node", "form": "bundle"},
        private={"reader": "budapest"},
    )
    zurich, budapest = accounted(world)["disclosures"]
    assert (zurich["recipient"]["institution"], budapest["recipient"]["institution"]) == ("zurich", "budapest")
    assert zurich["what"] == accounting.UNKNOWN


def test_another_person_s_decision_is_not_in_it(world):
    job = world.recorded()
    public = {"job": str(uuid4()), "request": str(uuid4()), "institution": REQUESTER}
    record(event=Event.RECORD_HANDED_OUT, public={**public, "role": "operator", "ground": "order 5"})
    packages_handed_out(job, "operator", "order 4")
    assert [each["purpose"] for each in accounted(world)["disclosures"]] == ["order 4"]


@pytest.mark.parametrize("by", ["request", "records"])
def test_an_event_that_names_the_person_s_decision_in_private_alone_is_found(world, monkeypatch, by):
    """Whoever adds an event by which something leaves adds its way to the table, and nothing else."""
    job = world.recorded()
    event = Event.HOLDER_TOLD
    monkeypatch.setitem(EVENTS, event, EventInfo("Another way.", (), (by, "opened")))
    passed = Passed(To("court", "District court"), ("display",), "what was shown", "order 7")
    monkeypatch.setattr(disclosures, "WAYS", {**WAYS, event: lambda told: [passed]})
    own, other = (str(job.request_uuid), str(uuid4())) if by == "request" else ([job.record, "C-0000000-1"], ["x"])
    for named in (own, other):
        record(event=event, public={}, private={by: named, "opened": ["display"]}, subject=uuid4(), holder="matter")
    (found,) = accounted(world)["disclosures"]
    assert (found["recipient"]["name"], found["decision"], found["times"]) == ("District court", job.record, 1)


# --- period, deadlines, fees


def test_it_covers_six_years_or_a_shorter_period(world, monkeypatch):
    job, now = world.recorded(), clock.now()
    packages_handed_out(job, "operator", "order 4")
    document = accounted(world)
    assert document["since"] == f"{now.year - 6}{now:-%m-%dT00:00:00Z}"
    today = now.date()
    assert accounted(world, since=today, until=today)["disclosures"] != []
    assert accounted(world, until=today - timedelta(days=1))["disclosures"] == []
    monkeypatch.setattr(clock, "now", lambda: now + timedelta(days=365 * 6 + 3))
    assert accounted(world)["disclosures"] == []
    assert accounted(world, asked=today + timedelta(days=1))["disclosures"] != []


def test_deadlines_run_from_the_day_on_which_the_person_asked(world):
    world.recorded()
    asked = clock.now().date() - timedelta(days=10)
    document = accounted(world, asked=asked)
    assert document["due"] == (asked + timedelta(days=60)).isoformat()
    assert document["extended"] == (asked + timedelta(days=90)).isoformat()
    assert any(document["due"] in each and document["extended"] in each for each in document["statements"])


def test_the_first_in_twelve_months_is_free_and_later_ones_say_when_it_was(world):
    world.recorded()
    assert accounted(world)["earlier"] == []
    (first,) = ledger.entries(event=Event.SUBJECT_ACCOUNTED)
    second = accounted(world)
    assert second["earlier"] == [clock.rfc3339(first.time)]
    assert "free of charge" not in accounting.body(second).partition("<h2>")[0]


@pytest.mark.parametrize(
    ("days", "field"),
    [
        ({"asked": 1}, "asked"),
        ({"since": 1}, "since"),
        ({"until": 1}, "until"),
        ({"since": -365 * 7}, "since"),
        ({"since": -1, "until": -2}, "until"),
        ({"asked": -3, "since": -1}, "until"),
    ],
)
def test_a_period_that_is_none_is_refused_by_its_field(world, days, field):
    world.recorded()
    today = clock.now().date()
    with pytest.raises(Refused) as caught:
        accounted(world, **{name: today + timedelta(days=number) for name, number in days.items()})
    assert (caught.value.reason, caught.value.field) == (Reason.FIELD_INVALID, field)


# --- recorded, refused, erased


def test_that_it_was_handed_out_is_recorded_with_its_digest(world):
    world.recorded()
    document = accounted(world)
    (entry,) = ledger.entries(event=Event.SUBJECT_ACCOUNTED)
    assert dict(entry.public) == {"institution": REQUESTER}
    assert world.consortium.subject not in str(entry.content)
    private = ledger.private_fields(entry)
    assert private["document"] == canonical.digest(canonical.encode(plain(document)))
    assert private["subject"] == world.consortium.subject


def test_what_cannot_be_recorded_is_not_handed_out(world, monkeypatch):
    world.recorded()

    def broken(**_):
        raise RuntimeError

    monkeypatch.setattr(service, "record", broken)
    with pytest.raises(RuntimeError):
        accounted(world)


@pytest.mark.parametrize("slug", [REQUESTER, "zurich"])
def test_nobody_who_is_unknown_or_another_institution_s_is_accounted_for(world, slug):
    world.recorded()
    subject = uuid4() if slug == REQUESTER else UUID(world.consortium.subject)
    before = LogEntry.objects.count()
    with pytest.raises(Refused) as caught:
        account(institution=world.bodies[slug], subject=subject)
    assert (caught.value.reason, caught.value.field) == (Reason.NOT_FOUND, "subject")
    assert LogEntry.objects.count() == before


def test_after_an_erasure_it_says_that_the_key_was_destroyed_and_no_more(world):
    job = world.recorded()
    hand_out(by=member(world, "zurich", "regulator"), number=job.record)
    subject = UUID(world.consortium.subject)
    with world.commit():
        erase_subject(institution=REQUESTER, subject=subject, ground="objection")
    document = accounted(world)
    assert document["disclosures"] == document["left_out"] == []
    assert document["erased"] is not None
    assert document["erased"]["ground"] == "objection"
    assert "was destroyed on" in document["statements"][0]
    (entry,) = ledger.entries(event=Event.SUBJECT_ACCOUNTED)
    assert set(ledger.private_fields(entry)) == {"since", "until", "document"}


def test_who_read_outlives_the_person_s_erasure(world):
    """It is under a key of its own, so that the institutions can be told, and answer for it."""
    job = world.recorded()
    reader = member(world, "zurich", "regulator")
    hand_out(by=reader, number=job.record)
    with world.commit():
        erase_subject(institution=REQUESTER, subject=UUID(world.consortium.subject), ground="objection")
    (entry,) = ledger.entries(event=Event.DOSSIER_READ)
    assert ledger.private_fields(entry)["reader"] == str(reader.officer.uuid)


# --- suspensions


def suspend(world, recipient="zurich", days=90, **changes):
    fields = {"ground": "statement of the supervisor, 3 March", "until": clock.now() + timedelta(days=days)}
    return suspensions.suspend(
        institution=REQUESTER, subject=UUID(world.consortium.subject), recipient=recipient, **fields | changes
    )


def test_a_suspended_recipient_is_left_out_until_the_suspension_ends(world, monkeypatch):
    job = world.recorded()
    for slug in ("zurich", "budapest"):
        hand_out(by=member(world, slug, "regulator"), number=job.record)

    def listed():
        return [each["recipient"]["institution"] for each in accounted(world)["disclosures"]]

    made = suspend(world)
    assert listed() == ["budapest"]
    suspensions.resume(suspension=made.pk)
    assert listed() == ["zurich", "budapest"]
    suspend(world, days=1)
    assert listed() == ["budapest"]
    now = clock.now()
    monkeypatch.setattr(clock, "now", lambda: now + timedelta(days=1))
    assert listed() == ["zurich", "budapest"]


def test_a_hand_out_on_an_order_and_a_guest_can_be_suspended(world):
    job = world.recorded()
    packages_handed_out(job, "operator", "order 4")
    hand_out(by=member(world, REQUESTER, "regulator"), number=job.record)
    suspend(world, recipient="order 4")
    suspend(world, recipient=f"{REQUESTER}/regulator")
    assert accounted(world)["disclosures"] == []


def test_nothing_that_the_person_gets_tells_of_a_suspension(world):
    world.recorded()
    suspend(world)
    exported = export_subject(institution=REQUESTER, subject=UUID(world.consortium.subject))
    for document in (exported, accounted(world)):
        assert "3 March" not in str(document)
        assert "accounting.suspended" not in str(document)
    (entry,) = ledger.entries(event=Event.ACCOUNTING_SUSPENDED)
    assert ledger.private_fields(entry)["ground"] == "statement of the supervisor, 3 March"
    assert world.consortium.subject not in str(ledger.private_fields(entry))


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"days": -1}, "until"),
        ({"days": 31, "oral": True}, "until"),
        ({"ground": " "}, "ground"),
        ({"ground": "x" * 201}, "ground"),
        ({"recipient": "two\nlines"}, "recipient"),
    ],
)
def test_a_suspension_has_an_end_and_a_ground(world, changes, field):
    world.recorded()
    with pytest.raises(Refused) as caught:
        suspend(world, **changes)
    assert (caught.value.reason, caught.value.field) == (Reason.FIELD_INVALID, field)
    assert not AccountingSuspension.objects.exists()


def test_a_suspension_ends_once_and_goes_with_the_person(world):
    world.recorded()
    made = suspend(world, days=30, oral=True)
    suspensions.resume(suspension=made.pk)
    for number, reason in ((made.pk, Reason.WRONG_STATE), (made.pk + 1, Reason.NOT_FOUND)):
        with pytest.raises(Refused) as caught:
            suspensions.resume(suspension=number)
        assert caught.value.reason is reason
    subject = UUID(world.consortium.subject)
    with world.commit():
        erase_subject(institution=REQUESTER, subject=subject, ground="objection")
    assert not AccountingSuspension.objects.exists()
    with pytest.raises(Refused) as caught:
        suspend(world)
    assert caught.value.reason is Reason.ERASED


def test_the_command_sets_and_ends_a_suspension(world):
    world.recorded()
    out, until = StringIO(), clock.rfc3339(clock.now() + timedelta(days=20))
    call_command(
        "suspend_accounting", "set", REQUESTER, world.consortium.subject, "zurich", "said", until, "--oral", stdout=out
    )
    (made,) = AccountingSuspension.objects.all()
    assert out.getvalue() == f"Suspension {made.pk} lasts until {until}.\n"
    call_command("suspend_accounting", "end", str(made.pk), stdout=out)
    with pytest.raises(CommandError, match="ended before"):
        call_command("suspend_accounting", "end", str(made.pk))
