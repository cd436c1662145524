"""A legal reviewer reads in a matter: who opens one, whom it lets in, until when, and what others learn of it."""

from collections.abc import Callable
from datetime import date, timedelta
from typing import Any
from unittest.mock import patch
from uuid import UUID

import pytest
from django.contrib.auth.models import User
from django.db import DatabaseError, transaction

from compute.services import holders
from concordat import canonical, clock, record_number
from concordat.events import MATTER_TOLD, Event
from concordat.reasons import Reason, Refused
from concordat.verifier import bundle, report, verify
from governance import matters as rights
from governance.models import (
    Grant,
    Institution,
    Matter,
    MatterDecision,
    Membership,
    Notification,
    PrivilegeMark,
)
from governance.permissions import HOLDERS, Verb
from governance.services import dossiers, grants, matters, privilege
from governance.states import MatterState
from ledger import selectors as ledger
from ledger.models import LogEntry
from ledger.services.subjects import destroy
from tests.support.decided import Decided
from tests.support.matters import SAID, SECRETS, let_in, open_matter
from tests.support.triggers import without_rules

pytestmark = pytest.mark.django_db

OF_MATTERS = [event for event in Event if event.split(".")[0] in ("matter", "grant", "privilege", "production")]


@pytest.fixture
def administrator(decided: Decided) -> User:
    return decided.member("long-beach", "institution-admin")


@pytest.fixture
def reviewer(decided: Decided) -> User:
    return decided.member("long-beach", "legal-reviewer")


@pytest.fixture
def home(decided: Decided) -> Institution:
    return decided.at["long-beach"]


@pytest.fixture
def matter(decided: Decided, administrator: User, home: Institution) -> Matter:
    return open_matter(administrator, home, decided.number)


def refused(act: Callable[[], object]) -> Refused:
    """It is, and nothing is recorded."""
    before = LogEntry.objects.count()
    with pytest.raises(Refused) as caught:
        act()
    assert LogEntry.objects.count() == before
    assert not any(secret in str(caught.value) for secret in SECRETS)
    return caught.value


def later(monkeypatch: pytest.MonkeyPatch, **ahead: int) -> None:
    then = clock.now() + timedelta(**ahead)
    monkeypatch.setattr(clock, "now", lambda: then)


def read(decided: Decided, by: User, **more: str) -> dossiers.Dossier:
    return dossiers.hand_out(by=by, number=decided.number, **more)


# --- opening


def test_a_matter_is_recorded_under_a_key_of_its_own_and_in_the_open_there_is_its_identifier_alone(
    decided: Decided, matter: Matter, administrator: User
) -> None:
    entry, named = LogEntry.objects.filter(event__startswith="matter.").order_by("index")
    assert entry.public == named.public == {"matter": str(matter.uuid)}
    said = ledger.private_fields(entry)
    assert {name: said[name] for name in ("title", "docket", "party", "purpose", "protective_order")} == {
        name: SAID[name] for name in ("title", "docket", "party", "purpose", "protective_order")
    }
    assert said["authority"]["text"] == SAID["authority"]
    assert said["authority"]["kind"] == "court-order"
    assert said["officer"] == str(administrator.officer.uuid)
    assert ledger.private_fields(named)["record"] == decided.number
    assert set(ledger.about("long-beach", matter.uuid)) == {entry, named}


def test_no_other_role_opens_one(decided: Decided, home: Institution) -> None:
    for role in sorted(set(Membership.Role.values) - HOLDERS[Verb.OPEN_MATTER]):
        by = decided.member("long-beach", role)
        error = refused(lambda by=by: open_matter(by, home, decided.number))  # type: ignore[misc]
        assert error.reason is Reason.ROLE_MISSING, role


def test_nobody_opens_another_institutions_matter_nor_one_about_what_is_no_decision_of_theirs(
    decided: Decided, home: Institution, administrator: User
) -> None:
    other = decided.member("zurich", "institution-admin")
    assert refused(lambda: open_matter(other, home, decided.number)).reason is Reason.WRONG_INSTITUTION
    for number, reason in (
        (record_number.format(0), Reason.NOT_FOUND),
        (record_number.format(10**7), Reason.NOT_FOUND),
        ("C-0000042-4", Reason.RECORD_NUMBER_INVALID),
    ):
        assert refused(lambda number=number: open_matter(administrator, home, number)).reason is reason  # type: ignore[misc]
    decided.world.study.sites.remove(home)
    assert refused(lambda: open_matter(administrator, home, decided.number)).field == "record"
    assert not Matter.objects.exists()


WRONG: list[tuple[dict[str, Any], str, Reason]] = [
    ({"title": " "}, "title", Reason.FIELD_INVALID),
    ({"docket": "x" * 201}, "docket", Reason.FIELD_INVALID),
    ({"kind": "rumour"}, "kind", Reason.FIELD_INVALID),
    ({"kind": "subpoena"}, "assurance", Reason.FIELD_MISSING),
    ({"assurance": "protective-order", "protective_order": ""}, "protective_order", Reason.FIELD_MISSING),
    ({"authority": ""}, "authority", Reason.FIELD_INVALID),
    ({"paper": "sha256:00"}, "paper", Reason.FIELD_INVALID),
    ({"party": ""}, "party", Reason.FIELD_INVALID),
    ({"purpose": ""}, "purpose", Reason.FIELD_INVALID),
    ({"dated": date(2999, 1, 1)}, "dated", Reason.FIELD_INVALID),
    ({"prefix": "lb-1"}, "prefix", Reason.FIELD_INVALID),
    ({"ends": clock.now() - timedelta(days=1)}, "ends", Reason.FIELD_INVALID),
    ({"records": []}, "records", Reason.FIELD_MISSING),
]


def test_what_is_wrong_with_a_matter_is_said_by_field(decided: Decided, home: Institution, administrator: User) -> None:
    for changes, field, reason in WRONG:
        act = lambda changes=changes: open_matter(administrator, home, decided.number, **changes)  # noqa: E731
        error = refused(act)
        assert (error.reason, error.field) == (reason, field), changes


def test_two_matters_never_number_their_pages_alike(
    decided: Decided, matter: Matter, home: Institution, administrator: User
) -> None:
    error = refused(lambda: open_matter(administrator, home, decided.number))
    assert (error.reason, error.field) == (Reason.CONFLICT, "prefix")
    assert open_matter(administrator, home, decided.number, prefix="OTHER")


def test_a_decision_is_named_once(decided: Decided, matter: Matter, administrator: User) -> None:
    error = refused(lambda: matters.name_decision(by=administrator, matter=matter, number=decided.number))
    assert error.reason is Reason.CONFLICT


# --- letting in


def test_a_reviewer_without_a_grant_reads_nothing_and_is_told_what_to_do(
    decided: Decided, matter: Matter, reviewer: User
) -> None:
    error = refused(lambda: read(decided, reviewer))
    assert error.reason is Reason.GRANT_MISSING
    assert "administrator" in error.info.remedy


def test_a_grant_lets_in_and_is_told(decided: Decided, matter: Matter, administrator: User, reviewer: User) -> None:
    grant = let_in(administrator, matter, reviewer)
    assert verify(read(decided, reviewer).data).holds
    entry = LogEntry.objects.get(event=Event.GRANT_GIVEN)
    assert entry.public == {"matter": str(matter.uuid)}
    assert ledger.private_fields(entry)["reviewer"] == str(reviewer.officer.uuid)
    told = Notification.objects.get(user=reviewer)
    assert not any(secret in told.sentence for secret in SECRETS)
    assert str(grant.matter.uuid) in told.path


def test_nobody_lets_themself_in(decided: Decided, matter: Matter, administrator: User, home: Institution) -> None:
    Membership.objects.create(user=administrator, institution=home, role="legal-reviewer", since=clock.now())
    by = User.objects.get(pk=administrator.pk)
    assert refused(lambda: let_in(by, matter, by)).reason is Reason.SELF_GRANT
    assert refused(lambda: read(decided, by)).reason is Reason.GRANT_MISSING


def test_only_a_legal_reviewer_of_the_same_institution_is_let_in(
    decided: Decided, matter: Matter, administrator: User
) -> None:
    for slug, role in (("long-beach", "auditor"), ("zurich", "legal-reviewer")):
        other = decided.member(slug, role)
        error = refused(lambda other=other: let_in(administrator, matter, other))  # type: ignore[misc]
        assert (error.reason, error.field) == (Reason.NOT_FOUND, "reviewer")


def test_no_other_role_and_no_other_institution_gives_or_ends_a_grant(
    decided: Decided, matter: Matter, administrator: User, reviewer: User
) -> None:
    grant = let_in(administrator, matter, reviewer)
    for slug, role, reason in (
        ("zurich", "institution-admin", Reason.NOT_FOUND),
        ("long-beach", "irb-chair", Reason.NOT_FOUND),
    ):
        by = decided.member(slug, role)
        assert refused(lambda by=by: let_in(by, matter, reviewer)).reason is reason  # type: ignore[misc]
        assert refused(lambda by=by: grants.end(by=by, grant=str(grant.uuid))).reason is reason  # type: ignore[misc]
    assert refused(lambda: let_in(reviewer, matter, reviewer)).reason is Reason.ROLE_MISSING


@pytest.mark.parametrize("days", [-1, 91])
def test_a_grant_ends_in_the_future_and_with_the_matter_at_the_latest(
    matter: Matter, administrator: User, reviewer: User, days: int
) -> None:
    error = refused(lambda: let_in(administrator, matter, reviewer, until=clock.now() + timedelta(days=days)))
    assert (error.reason, error.field) == (Reason.FIELD_INVALID, "until")


# --- what ends


def test_a_grant_that_has_run_out_lets_nobody_in(
    decided: Decided, matter: Matter, administrator: User, reviewer: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    let_in(administrator, matter, reviewer)
    later(monkeypatch, days=31)
    error = refused(lambda: read(decided, reviewer))
    assert error.reason is Reason.GRANT_MISSING
    assert "ended at" in error.detail
    assert refused(lambda: rights.seen(reviewer, matter.uuid, clock.now())).reason is Reason.NOT_FOUND


def test_a_grant_ends_early_at_once(decided: Decided, matter: Matter, administrator: User, reviewer: User) -> None:
    grant = let_in(administrator, matter, reviewer)
    seen = read(decided, reviewer).seen
    grants.end(by=administrator, grant=str(grant.uuid))
    assert refused(lambda: read(decided, reviewer, form="pdf", seen=seen)).reason is Reason.GRANT_MISSING
    assert refused(lambda: grants.end(by=administrator, grant=str(grant.uuid))).reason is Reason.WRONG_STATE


def test_whoever_loses_the_role_is_let_in_no_more(
    decided: Decided, matter: Matter, administrator: User, reviewer: User
) -> None:
    let_in(administrator, matter, reviewer)
    Membership.objects.filter(user=reviewer).update(role="auditor")
    assert refused(lambda: read(decided, User.objects.get(pk=reviewer.pk))).reason is Reason.ROLE_MISSING


def test_an_expired_matter_lets_nobody_in_until_its_end_is_moved_and_a_grant_given(
    decided: Decided, matter: Matter, administrator: User, reviewer: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    let_in(administrator, matter, reviewer, until=matter.ends)
    later(monkeypatch, days=91)
    assert matter.state_at(clock.now()) is MatterState.EXPIRED
    assert refused(lambda: read(decided, reviewer)).reason is Reason.GRANT_MISSING
    assert refused(lambda: let_in(administrator, matter, reviewer)).reason is Reason.WRONG_STATE
    matter = matters.prolong(by=administrator, matter=matter, ends=clock.now() + timedelta(days=40))
    assert refused(lambda: read(decided, reviewer)).reason is Reason.GRANT_MISSING
    let_in(administrator, matter, reviewer)
    assert read(decided, reviewer)


def test_a_closed_matter_stays_closed(decided: Decided, matter: Matter, administrator: User, reviewer: User) -> None:
    let_in(administrator, matter, reviewer)
    matter = matters.close(by=administrator, matter=matter)
    assert refused(lambda: read(decided, reviewer)).reason is Reason.GRANT_MISSING
    for act in (
        lambda: matters.close(by=administrator, matter=matter),
        lambda: matters.prolong(by=administrator, matter=matter, ends=clock.now() + timedelta(days=400)),
        lambda: matters.name_decision(by=administrator, matter=matter, number=decided.number),
        lambda: let_in(administrator, matter, reviewer),
    ):
        assert refused(act).reason is Reason.WRONG_STATE


def test_an_end_is_not_moved_before_that_of_a_grant(matter: Matter, administrator: User, reviewer: User) -> None:
    let_in(administrator, matter, reviewer)
    for ends in (clock.now(), clock.now() + timedelta(days=1)):
        error = refused(lambda ends=ends: matters.prolong(by=administrator, matter=matter, ends=ends))  # type: ignore[misc]
        assert (error.reason, error.field) == (Reason.FIELD_INVALID, "ends")


def test_a_decision_that_the_matter_does_not_name_is_not_read_in_it(
    decided: Decided, matter: Matter, administrator: User, reviewer: User
) -> None:
    let_in(administrator, matter, reviewer)
    with without_rules(MatterDecision):
        MatterDecision.objects.update(index=decided.entry.index - 1)
    assert refused(lambda: read(decided, reviewer)).reason is Reason.GRANT_MISSING
    assert refused(lambda: read(decided, reviewer, matter=str(matter.uuid))).reason is Reason.GRANT_MISSING


def test_who_works_in_two_matters_says_in_which(
    decided: Decided, matter: Matter, administrator: User, home: Institution, reviewer: User
) -> None:
    second = open_matter(administrator, home, decided.number, prefix="SECOND", title="Another")
    for each in (matter, second):
        let_in(administrator, each, reviewer)
    error = refused(lambda: read(decided, reviewer))
    assert (error.reason, error.field) == (Reason.FIELD_MISSING, "matter")
    for each in (matter, second):
        story = verify(read(decided, reviewer, matter=str(each.uuid)).data).story
        assert story is not None
        assert story["matter"]["title"] == each.title  # type: ignore[index, call-overload]


# --- what a dossier says of the matter, and what it does not


def test_the_dossier_says_under_which_authority_it_was_read_and_verifies(
    decided: Decided, matter: Matter, administrator: User, reviewer: User
) -> None:
    let_in(administrator, matter, reviewer)
    answer = read(decided, reviewer).answer
    (check,) = [each for each in answer["checks"] if each["name"] == "matter"]
    assert check["status"] == "passed"
    told = answer["story"]["matter"]
    assert {name: told[name] for name in MATTER_TOLD if name != "authority"} == {
        name: SAID[name] for name in MATTER_TOLD if name != "authority"
    }
    assert told["authority"]["holder"] == "long-beach"
    page = report.body(answer)
    assert "Under which authority this was read" in page
    assert "45 CFR" not in page.partition("Under which authority")[2].partition("<h2>")[0]
    assert SAID["party"] in page


def test_a_dossier_that_was_read_in_no_matter_says_nothing_of_one(decided: Decided, matter: Matter) -> None:
    answer = read(decided, decided.member("zurich", "regulator")).answer
    assert "matter" not in answer["story"]
    assert "matter" not in {check["name"] for check in answer["checks"]}


def test_a_matter_that_names_another_decision_is_noticed(
    decided: Decided, matter: Matter, administrator: User, reviewer: User
) -> None:
    let_in(administrator, matter, reviewer)
    data = read(decided, reviewer).data
    with patch("concordat.verifier.evidence.Evidence.opened", lambda *_: "C-0000001-0"):
        checks = {check.name: check for check in verify(data).checks}
    assert checks["matter"].reason is Reason.MATTER_MISMATCH


def test_readings_in_a_matter_are_part_of_no_dossier(
    decided: Decided, matter: Matter, administrator: User, reviewer: User, home: Institution
) -> None:
    let_in(administrator, matter, reviewer)
    second = open_matter(administrator, home, decided.number, prefix="SECOND")
    other = decided.member("long-beach", "legal-reviewer")
    let_in(administrator, second, other)
    read(decided, reviewer)
    for by in (reviewer, other, decided.member("zurich", "regulator")):
        files = bundle.unpack(read(decided, by).data)
        events = [canonical.decode(data)["event"] for path, data in files.items() if path.startswith("entries/")]
        assert "matter.dossier-read" not in events
        assert events.count("matter.opened") == events.count("matter.decision-named") <= 1
        opened = canonical.decode(files["openings.json"])["opened"]
        assert str(reviewer.officer.uuid) not in str(opened)


def test_what_anybody_can_read_of_the_log_leads_to_no_request_no_reader_and_no_party(
    decided: Decided, matter: Matter, administrator: User, reviewer: User
) -> None:
    let_in(administrator, matter, reviewer)
    read(decided, reviewer)
    privilege.mark(
        by=reviewer, matter=matter, number=decided.number, part="display", ground="work-product", basis="Counsel's own."
    )
    hidden = [*SECRETS, "Counsel's own.", "work-product", "court-order", str(decided.job.request_uuid), decided.number]
    hidden += [str(each.officer.uuid) for each in (administrator, reviewer)] + ["long-beach"]
    found = LogEntry.objects.filter(event__in=OF_MATTERS)
    assert found.count() == 5
    for entry in found:
        assert set(entry.public) == {"matter"}
        assert not entry.documents
        assert not any(each in bytes(entry.leaf).decode() for each in hidden)


# --- privilege


def test_what_is_marked_is_closed_from_then_on_and_opens_again_when_the_mark_is_withdrawn(
    decided: Decided, matter: Matter, administrator: User, reviewer: User
) -> None:
    let_in(administrator, matter, reviewer)
    index = str(decided.entry.index)

    def opened() -> set[str]:
        files = bundle.unpack(read(decided, reviewer).data)
        return set(canonical.decode(files["openings.json"])["opened"].get(index, ()))

    seen = read(decided, reviewer).seen
    assert "request_statement" in opened()
    given = {"number": decided.number, "part": "request_statement", "ground": "attorney-client"}
    mark = privilege.mark(by=reviewer, matter=matter, basis="Advice.", **given)
    assert "request_statement" not in opened()
    assert verify(read(decided, reviewer).data).holds
    error = refused_reading(lambda: read(decided, reviewer, form="bundle", seen=seen))
    assert error.reason is Reason.CONFLICT
    assert refused(lambda: privilege.mark(by=reviewer, matter=matter, basis="x", **given)).reason is Reason.CONFLICT
    privilege.withdraw(by=reviewer, matter=matter, mark=str(mark.uuid))
    assert "request_statement" in opened()
    again = refused(lambda: privilege.withdraw(by=reviewer, matter=matter, mark=str(mark.uuid)))
    assert again.reason is Reason.WRONG_STATE


def refused_reading(act: Callable[[], object]) -> Refused:
    with pytest.raises(Refused) as caught:
        act()
    return caught.value


def test_who_may_mark_and_what(decided: Decided, matter: Matter, administrator: User, reviewer: User) -> None:
    given = {"number": decided.number, "part": "display", "ground": "work-product", "basis": "Counsel's own."}
    stranger = decided.member("zurich", "legal-reviewer")
    for by, reason in (
        (administrator, Reason.ROLE_MISSING),
        (reviewer, Reason.NOT_FOUND),
        (stranger, Reason.NOT_FOUND),
    ):
        assert refused(lambda by=by: privilege.mark(by=by, matter=matter, **given)).reason is reason  # type: ignore[misc]
    let_in(administrator, matter, reviewer)
    for changes, field in (
        ({"part": "model"}, "part"),
        ({"ground": "shame"}, "ground"),
        ({"basis": " "}, "basis"),
        ({"number": record_number.format(0)}, "record"),
    ):
        act = lambda changes=changes: privilege.mark(by=reviewer, matter=matter, **given | changes)  # noqa: E731
        assert refused(act).field == field


# --- who sees its page and its access log


def test_a_matter_is_seen_by_its_administrators_and_those_let_in(
    decided: Decided, matter: Matter, administrator: User, reviewer: User
) -> None:
    let_in(administrator, matter, reviewer)
    now = clock.now()
    assert matter in rights.visible(administrator, now)
    assert matter in rights.visible(reviewer, now)
    for slug, role in (
        ("long-beach", "legal-reviewer"),
        ("long-beach", "regulator"),
        ("long-beach", "irb-chair"),
        ("zurich", "institution-admin"),
        ("zurich", "legal-reviewer"),
    ):
        assert not rights.visible(decided.member(slug, role), now).exists(), (slug, role)


def test_the_access_log_names_who_read_what(
    decided: Decided, matter: Matter, administrator: User, reviewer: User
) -> None:
    let_in(administrator, matter, reviewer)
    seen = read(decided, reviewer).seen
    read(decided, reviewer, form="pdf", seen=seen)
    lines = [(each.who, each.record, each.what) for each in rights.access_log(matter)]
    assert lines == [(reviewer.officer.name, decided.number, form) for form in ("pdf", "page")]


def test_once_the_matters_key_is_destroyed_nobody_reads_what_it_was_about(
    decided: Decided, matter: Matter, administrator: User, reviewer: User
) -> None:
    let_in(administrator, matter, reviewer)
    read(decided, reviewer)
    destroy(institution="long-beach", subject=matter.uuid, ground="the case has ended")
    assert {each.who for each in rights.access_log(matter)} == {"erased"}
    assert refused_reading(lambda: read(decided, reviewer)).reason is Reason.ERASED


def test_an_institution_that_read_in_a_matter_is_told_of_an_erasure(
    decided: Decided, home: Institution, administrator: User
) -> None:
    subject = UUID(decided.consortium.subject)
    zurich = decided.at["zurich"]
    assert zurich not in holders.of_subject("long-beach", subject)
    by, reviewer = decided.member("zurich", "institution-admin"), decided.member("zurich", "legal-reviewer")
    let_in(by, open_matter(by, zurich, decided.number), reviewer)
    assert zurich not in holders.of_subject("long-beach", subject)
    read(decided, reviewer)
    assert holders.of_subject("long-beach", subject)[zurich] == [decided.number]


# --- the database's own rules


@pytest.mark.parametrize("verb", ["change", "delete"])
def test_what_the_log_has_committed_to_is_not_changed_behind_its_back(
    decided: Decided, matter: Matter, administrator: User, reviewer: User, verb: str
) -> None:
    grant = let_in(administrator, matter, reviewer)
    mark = privilege.mark(
        by=reviewer, matter=matter, number=decided.number, part="display", ground="work-product", basis="Counsel's own."
    )
    changes: list[tuple[Any, dict[str, Any]]] = [
        (matter, {"party": "Somebody else"}),
        (matter, {"docket": "another"}),
        (matter.decisions.get(), {"index": 7}),
        (grant, {"until": clock.now() + timedelta(days=80)}),
        (mark, {"ground": "peer-review"}),
    ]
    for row, change in changes:
        rows = type(row).objects.filter(pk=row.pk)
        with pytest.raises(DatabaseError), transaction.atomic():
            rows.update(**change) if verb == "change" else rows._raw_delete(using="default")


def test_what_has_ended_is_not_taken_back(matter: Matter, administrator: User, reviewer: User) -> None:
    grant = let_in(administrator, matter, reviewer)
    grants.end(by=administrator, grant=str(grant.uuid))
    matters.close(by=administrator, matter=matter)
    for row, change in ((Grant, {"ended": None}), (Matter, {"closed": None}), (Matter, {"state": "open"})):
        with pytest.raises(DatabaseError), transaction.atomic():
            row.objects.update(**change)


def test_the_database_lets_no_stranger_in_and_nobody_themself(
    decided: Decided, matter: Matter, administrator: User, reviewer: User
) -> None:
    now = clock.now()
    fair = {"starts": now, "until": now + timedelta(days=1), "given_by": administrator.officer, "matter": matter}
    stranger = decided.member("zurich", "legal-reviewer")
    for officer, changes in (
        (stranger.officer, {}),
        (administrator.officer, {}),
        (reviewer.officer, {"given_by": reviewer.officer}),
        (reviewer.officer, {"until": matter.ends + timedelta(days=1)}),
    ):
        with pytest.raises(DatabaseError), transaction.atomic():
            Grant.objects.create(officer=officer, **fair | changes)
    assert Grant.objects.create(officer=reviewer.officer, **fair)


# --- nothing without its record


class Broken(Exception):
    """The ledger is down."""


@pytest.mark.parametrize("verb", ["open", "name", "prolong", "close", "give", "end", "mark", "withdraw"])
def test_where_the_log_cannot_be_written_nothing_happened(
    decided: Decided, matter: Matter, administrator: User, home: Institution, reviewer: User, verb: str
) -> None:
    grant = let_in(administrator, matter, reviewer)
    given = {"number": decided.number, "ground": "work-product", "basis": "Counsel's own."}
    mark = privilege.mark(by=reviewer, matter=matter, part="display", **given)
    if verb == "name":
        with without_rules(MatterDecision), without_rules(PrivilegeMark):
            PrivilegeMark.objects.all().delete()
            MatterDecision.objects.all().delete()
    deeds: dict[str, Callable[[], object]] = {
        "open": lambda: open_matter(administrator, home, decided.number, prefix="SECOND"),
        "name": lambda: matters.name_decision(by=administrator, matter=matter, number=decided.number),
        "prolong": lambda: matters.prolong(by=administrator, matter=matter, ends=clock.now() + timedelta(days=99)),
        "close": lambda: matters.close(by=administrator, matter=matter),
        "give": lambda: let_in(administrator, matter, reviewer),
        "end": lambda: grants.end(by=administrator, grant=str(grant.uuid)),
        "mark": lambda: privilege.mark(by=reviewer, matter=matter, part="pdf", **given),
        "withdraw": lambda: privilege.withdraw(by=reviewer, matter=matter, mark=str(mark.uuid)),
    }

    def rows() -> list[Any]:
        tables = (Matter, MatterDecision, Grant, PrivilegeMark, Notification, LogEntry)
        return [list(table._default_manager.order_by("pk").values()) for table in tables]

    before = rows()
    with patch("governance.services.matters.record", side_effect=Broken), pytest.raises(Broken):
        deeds[verb]()
    assert rows() == before
