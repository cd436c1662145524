"""What the database refuses to whoever comes past the services, on SQLite and (in the full run) on PostgreSQL."""

from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any

import pytest
from django.db import DatabaseError, connection, models, transaction
from django.db.models import F

from concordat import clock
from concordat.canonical import digest
from governance import models as tables
from governance.models import (
    AgendaItem,
    Attendance,
    Ballot,
    BoardSeat,
    ConditionsCheck,
    Conflict,
    Delegation,
    Determination,
    Draft,
    InstitutionKey,
    Meeting,
    Opinion,
    RelianceAgreement,
    Review,
    Signature,
    Study,
    Submission,
)
from governance.rules import RULES
from governance.services import boards, consent, reliance, reviews
from governance.states import STUDY, SUBMISSION
from ledger import triggers
from tests.governance.conftest import Consortium, Officer
from tests.support.triggers import without_rules

REASONS = {"reasons": "Because."}


def refuses(rule: str) -> Any:
    """The database does, and names the rule."""
    return _Refuses(rule)


class _Refuses:
    def __init__(self, rule: str) -> None:
        self.raises = pytest.raises(DatabaseError, match=f"^{rule}: ")
        self.savepoint = transaction.atomic()

    def __enter__(self) -> None:
        self.raises.__enter__()
        self.savepoint.__enter__()

    def __exit__(self, *raised: Any) -> Any:
        self.savepoint.__exit__(*raised)
        return self.raises.__exit__(*raised)


def update(row: models.Model, **fields: Any) -> None:
    type(row)._default_manager.filter(pk=row.pk).update(**fields)


def force(row: models.Model, **fields: Any) -> None:
    """What no service would do, as the ground on which a rule is tried."""
    with without_rules(type(row)):
        update(row, **fields)


def copy(row: models.Model, **changes: Any) -> models.Model:
    fields = {field.attname: getattr(row, field.attname) for field in row._meta.concrete_fields}
    del fields["id"]
    return type(row)._default_manager.create(**fields | changes)


@pytest.fixture
def submitted(consortium: Consortium) -> Study:
    """Submitted by a person, not yet looked at."""
    return consortium.submitted(by=consortium.member("cleveland", "investigator"))


@pytest.fixture
def meeting(consortium: Consortium, submitted: Study) -> AgendaItem:
    """Zurich's board has met; the item is open, and its chair is present."""
    item = agenda(consortium, submitted)
    seat = boards.give_seat(
        by=consortium.chairs["zurich"].user,
        board=consortium.at["zurich"],
        officer=str(consortium.chairs["zurich"].user.officer.uuid),
        scientist=True,
        affiliated=True,
    )
    Attendance.objects.create(item=item, seat=seat, status="present", marked=clock.now())
    update(item, state="open")
    return item


def agenda(consortium: Consortium, study: Study, board: str = "zurich", **fields: Any) -> AgendaItem:
    at = {"board": consortium.at[board], "at": clock.now(), "kind": "regular", "place": "Room 1"}
    review = consortium.review(study, board)
    return AgendaItem.objects.create(meeting=Meeting.objects.create(**at), review=review, position=1, **fields)


def vote(item: AgendaItem, seat: BoardSeat | None = None) -> Ballot:
    seat = seat or BoardSeat.objects.get()
    return Ballot.objects.create(item=item, seat=seat, choice="for", cast=clock.now())


def conflicted(officer: Officer, study: Study, **fields: Any) -> Conflict:
    return Conflict.objects.create(
        study=study,
        officer=officer.user.officer,
        board=officer.institution,
        ground="A share.",
        declared=clock.now(),
        **fields,
    )


def ties(study: Study, officer: Officer) -> dict[str, Callable[[], Any]]:
    """What ties an officer's hands in a study."""
    user = officer.user
    return {
        "conflict": lambda: conflicted(officer, study),
        "submitted": lambda: force(study.submissions.get(), submitted_by=user),
        "drafted": lambda: force(study.versions.get(), submitted_by=user),
        "investigates": lambda: user.memberships.create(
            institution=study.institution, role="investigator", since=clock.now()
        ),
    }


TIES = ("conflict", "submitted", "drafted", "investigates")


def test_who_is_present_and_independent_votes_once_the_item_is_open(meeting: AgendaItem) -> None:
    assert vote(meeting).choice == "for"


@pytest.mark.parametrize("tie", TIES)
def test_nobody_votes_whose_hands_are_tied(consortium: Consortium, meeting: AgendaItem, tie: str) -> None:
    ties(Study.objects.get(), consortium.chairs["zurich"])[tie]()
    with refuses("no-self-review"):
        vote(meeting)


def test_a_conflict_that_was_withdrawn_ties_nobody(consortium: Consortium, meeting: AgendaItem) -> None:
    conflicted(consortium.chairs["zurich"], Study.objects.get(), withdrawn=clock.now())
    vote(meeting)


@pytest.mark.parametrize("status", ["absent", "recused"])
def test_only_who_is_present_votes(meeting: AgendaItem, status: str) -> None:
    copy(Attendance.objects.get(), status=status)
    with refuses("present"):
        vote(meeting)


@pytest.mark.parametrize("state", ["waiting", "stopped", "decided"])
def test_nobody_votes_while_the_item_is_not_open(meeting: AgendaItem, state: str) -> None:
    force(meeting, state=state, minutes_digest="sha256:", outcome="approved" if state == "decided" else "")
    with refuses("open-item"):
        vote(meeting)


def test_only_seats_of_the_board_attend_its_meeting(consortium: Consortium, meeting: AgendaItem) -> None:
    chair = consortium.chairs["budapest"]
    seat = BoardSeat.objects.create(
        board=chair.institution, officer=chair.user.officer, scientist=True, affiliated=True, since=clock.now()
    )
    with refuses("own-board"):
        Attendance.objects.create(item=meeting, seat=seat, status="present", marked=clock.now())
    with refuses("own-board"):
        BoardSeat.objects.filter(pk=seat.pk).update(alternate_for=Attendance.objects.get().seat)


def test_a_board_takes_up_its_own_reviews_only(consortium: Consortium, meeting: AgendaItem) -> None:
    with refuses("own-board"):
        update(meeting, review=consortium.review(Study.objects.get(), "budapest"))


@pytest.mark.parametrize("tie", TIES)
def test_nobody_gives_an_opinion_whose_hands_are_tied(consortium: Consortium, submitted: Study, tie: str) -> None:
    chair, given = consortium.chairs["zurich"], {"recommendation": "approved", "given": clock.now()}
    ties(submitted, chair)[tie]()
    with refuses("no-self-review"):
        Opinion.objects.create(
            review=consortium.review(submitted, "zurich"), reviewer=chair.user.officer, findings={}, **given
        )


def decide(consortium: Consortium, study: Study, outcome: str = "approved", **document: Any) -> Determination:
    """A determination and its signature, put into the tables."""
    chair, review = consortium.chairs["zurich"], consortium.review(study, "zurich")
    content = {"outcome": outcome, "path": review.path, "minutes": ""} | document
    named = {"officer": chair.user.officer, "institution": chair.institution, "study": study}
    signature = Signature.objects.create(
        printed_name="Chair",
        role="irb-chair",
        meaning=outcome,
        record_kind="determination",
        record=digest(content),
        document=content,
        signed=clock.now(),
        method="totp",
        statement={},
        assertion={},
        **named,
    )
    return Determination.objects.create(
        review=review,
        signature=signature,
        outcome=outcome,
        digest=signature.record,
        document=content,
        made=clock.now(),
    )


@pytest.fixture
def expedited(consortium: Consortium, submitted: Study) -> Study:
    routed = {"path": "expedited", "category": "5", "ground": "Minimal risk."}
    review = consortium.review(submitted, "zurich")
    reviews.route(by=consortium.chairs["zurich"].user, review=str(review.uuid), **routed)
    return submitted


@pytest.mark.parametrize("tie", TIES)
def test_nobody_signs_a_determination_whose_hands_are_tied(consortium: Consortium, expedited: Study, tie: str) -> None:
    ties(expedited, consortium.chairs["zurich"])[tie]()
    with refuses("no-self-review"):
        decide(consortium, expedited)


def test_a_signature_serves_the_record_that_it_is_bound_to(consortium: Consortium, expedited: Study) -> None:
    made = decide(consortium, expedited)
    with refuses("as-signed"):
        copy(made, digest=digest(b"another"), signature_id=copy(made.signature).pk)
    with refuses("as-signed"):
        other = copy(made.signature, institution_id=consortium.at["budapest"].pk, record=digest(b"2"))
        copy(made, digest=digest(b"2"), signature_id=other.pk)


def test_a_determination_says_what_was_signed(consortium: Consortium, expedited: Study) -> None:
    made = decide(consortium, expedited)
    with refuses("as-signed"):
        copy(made, outcome="deferred", digest=digest(b"3"), signature_id=copy(made.signature, record=digest(b"3")).pk)


@pytest.mark.parametrize("path", ["expedited", "exempt"])
def test_who_reviews_alone_only_refers(consortium: Consortium, submitted: Study, path: str) -> None:
    force(consortium.review(submitted, "zurich"), path=path)
    with refuses("only-refers"):
        decide(consortium, submitted, "disapproved")
    assert decide(consortium, submitted, "referred")


def test_a_determination_takes_the_path_of_its_review(consortium: Consortium, submitted: Study) -> None:
    with refuses("path"):
        decide(consortium, submitted, path="expedited")
    with refuses("path"):
        decide(consortium, submitted, path=None)
    assert decide(consortium, submitted, path="paper")


def test_the_full_board_decides_in_a_meeting_and_as_it_was_minuted(consortium: Consortium, submitted: Study) -> None:
    minutes = {"outcome": "approved", "minutes_digest": digest(b"minutes")}
    with refuses("convened"):
        decide(consortium, submitted, minutes=digest(b"minutes"))
    item = agenda(consortium, submitted)
    with refuses("convened"):
        decide(consortium, submitted, minutes=digest(b"minutes"))
    update(item, state="open")
    update(item, state="decided", **minutes)
    with refuses("convened"):
        decide(consortium, submitted, "disapproved", minutes=digest(b"minutes"))
    with refuses("convened"):
        decide(consortium, submitted, minutes=digest(b"other minutes"))
    assert decide(consortium, submitted, minutes=digest(b"minutes"))


def test_a_review_has_no_outcome_without_its_determination(consortium: Consortium, expedited: Study) -> None:
    review = consortium.review(expedited, "zurich")
    with refuses("determined"):
        update(review, outcome="approved", determined=clock.now())
    decide(consortium, expedited, "modifications-required")
    with refuses("determined"):
        update(review, outcome="approved", determined=clock.now())
    update(review, outcome="modifications-required", determined=clock.now())


@pytest.fixture
def conditional(consortium: Consortium) -> Study:
    """Every board has approved, Zurich's with a condition."""
    study = consortium.submitted(by=consortium.member("cleveland", "investigator"))
    consortium.local_context(study)
    for slug, chair in consortium.chairs.items():
        outcome = "approved-with-conditions" if slug == "zurich" else "approved"
        consortium.sign(chair, study, outcome, conditions=["A lock."] if slug == "zurich" else [])
    study.refresh_from_db()
    return study


def test_conditions_are_met_by_a_signature_only(consortium: Consortium, conditional: Study) -> None:
    review = consortium.review(conditional, "zurich")
    assert conditional.state == "approved-with-conditions"
    with refuses("conditions"):
        update(review, conditions_met=True)


@pytest.mark.parametrize("tie", TIES)
def test_nobody_verifies_conditions_whose_hands_are_tied(consortium: Consortium, conditional: Study, tie: str) -> None:
    made = consortium.review(conditional, "zurich").determinations.get()
    ties(conditional, consortium.chairs["zurich"])[tie]()
    with refuses("no-self-review"):
        ConditionsCheck.objects.create(determination=made, signature=made.signature, document={})


def test_a_submission_is_approved_by_every_board(conditional: Study) -> None:
    with refuses("every-board"):
        update(conditional.submissions.get(), state="approved")
    with refuses("every-board"):
        update(conditional, state="approved", in_force=conditional.versions.get(), expires=clock.now())


def test_a_study_is_approved_in_the_version_that_the_boards_let_pass(consortium: Consortium) -> None:
    study = consortium.approved()
    other = copy(study.versions.get(), number=2, digest=digest(b"2"))
    with refuses("every-board"):
        update(study, in_force=other)
    with refuses("every-board"):
        copy(study, slug="another", uuid="00000000-0000-4000-8000-000000000000")


def check_follows(row: Study | Submission, table: Mapping[Any, frozenset[Any]]) -> None:
    """The database lets follow what the table lets follow, and nothing else."""
    for before in table:
        force(row, state=before)
        for after in table.keys() - {before}:
            with transaction.atomic():
                if after in table[before]:
                    update(row, state=after)
                else:
                    with refuses("states"):
                        update(row, state=after)
                transaction.set_rollback(True)


def test_the_state_of_a_study_follows_the_table(consortium: Consortium) -> None:
    check_follows(consortium.approved(), STUDY)


def test_the_state_of_a_submission_follows_the_table(consortium: Consortium) -> None:
    check_follows(consortium.approved().submissions.get(), SUBMISSION)


def test_an_epoch_never_falls(consortium: Consortium) -> None:
    study = consortium.approved()
    update(study, epoch=3)
    with refuses("epoch"):
        update(study, epoch=2)


def test_nothing_is_drafted_for_a_study_that_has_ended(consortium: Consortium) -> None:
    study, chair = consortium.approved(), consortium.chairs["cleveland"]
    draft = {"content": {}, "edited_by": chair.user, "edited": clock.now()}
    kept = Draft.objects.create(study=study, **draft)
    with refuses("no-draft-of-an-ended"):
        update(study, state="closed")
    consortium.act(chair, "terminate", study=str(study.uuid), institution="cleveland", ground="Enough.")
    assert not Draft.objects.exists()
    with refuses("no-draft-of-an-ended"):
        Draft.objects.create(study=study, **draft)
    assert kept.content == {}


def test_what_has_ended_does_not_come_back(consortium: Consortium) -> None:
    study = consortium.approved()
    agreement = reliance.end(agreement=str(RelianceAgreement.objects.get().uuid), by=consortium.signatory.user)
    for field in ("agreed", "ended"):
        with refuses("once"):
            update(agreement, **{field: None})
    conflict = conflicted(consortium.chairs["zurich"], study, withdrawn=clock.now())
    with refuses("once"):
        update(conflict, withdrawn=None)
    key = InstitutionKey.objects.first()
    assert key is not None
    update(key, revoked=clock.now())
    with refuses("once"):
        update(key, revoked=None)


def test_what_was_signed_stays_as_it_was_signed(consortium: Consortium) -> None:
    agreement = RelianceAgreement.objects.get()
    with refuses("as-signed"):
        update(agreement, ends=F("ends") + timedelta(days=1))
    with refuses("as-signed"):
        update(agreement, document={})
    member = consortium.officer("zurich", "irb-member")
    chair = consortium.chairs["zurich"]
    consortium.roster("zurich", [(chair, "irb-chair"), (member, "irb-member")])
    ends = clock.rfc3339(clock.now() + timedelta(days=9))
    named = {"board": "zurich", "delegate": str(member.user.officer.uuid), "scope": "preside", "ends": ends}
    delegation: Delegation = consortium.act(chair, "delegate", **named)
    with refuses("as-signed"):
        update(delegation, scope="verify-conditions")


KEPT = [rule.model for rule in RULES if rule.name == "kept"]


@pytest.mark.parametrize("model", [Study, Submission, Review, RelianceAgreement])
def test_the_rows_that_rules_rest_on_are_neither_removed_nor_replaced(consortium: Consortium, model: Any) -> None:
    assert model in KEPT
    consortium.approved()
    with refuses("kept"):
        model.objects.all()._raw_delete("default")
    if connection.vendor == "sqlite":
        with refuses("kept"), connection.cursor() as cursor:
            cursor.execute(f'REPLACE INTO "{model._meta.db_table}" SELECT * FROM "{model._meta.db_table}"')


@pytest.mark.django_db
def test_a_table_that_others_refer_to_can_be_made_anew() -> None:
    """As Django does when a migration alters a table on SQLite."""
    if connection.vendor != "sqlite":
        pytest.skip("PostgreSQL alters a table in its place.")
    remake = (
        "CREATE TABLE new__draft AS SELECT * FROM governance_draft",
        "DROP TABLE governance_draft",
        "ALTER TABLE new__draft RENAME TO governance_draft",
    )

    def run() -> None:
        with transaction.atomic(), connection.cursor() as cursor:
            for statement in remake:
                cursor.execute(statement)

    with pytest.raises(DatabaseError, match="no such table"):
        run()
    triggers.make_way(plan=["a migration"])
    run()
    assert triggers.missing(connection)
    triggers.install()
    assert not triggers.missing(connection)


@pytest.fixture
def weakened(db: None) -> str:
    """A trigger of the right name that lets everything pass."""
    name, table = "governance_study_epoch_update", "governance_study"
    with connection.cursor() as cursor:
        if connection.vendor == "sqlite":
            cursor.execute(f"DROP TRIGGER {name}")
            cursor.execute(f"CREATE TRIGGER {name} BEFORE UPDATE ON {table} WHEN FALSE BEGIN SELECT 1; END")
        else:
            body = "LANGUAGE plpgsql AS $$BEGIN RETURN NEW; END$$"
            cursor.execute(f"CREATE OR REPLACE FUNCTION {name}() RETURNS trigger {body}")
    return name


def test_a_trigger_that_was_changed_is_found_and_put_right(weakened: str) -> None:
    assert [each.name for each in triggers.missing(connection)] == [weakened]
    triggers.install()
    assert not triggers.missing(connection)


def test_every_rule_names_itself_and_is_one_of_a_kind() -> None:
    names = [(rule.model, rule.name, verb) for rule in RULES for verb in rule.verbs]
    assert len(set(names)) == len(names)
    assert all(rule.sentence.startswith(f"{rule.name}: ") for rule in RULES)
    assert {rule.model for rule in RULES} <= {getattr(tables, name) for name in tables.__all__}
    longest = max(len(f"{model._meta.db_table}_{name}_{verb}") for model, name, verb in names)
    assert longest <= 63, "PostgreSQL cuts longer names off"


def test_consents_stay_withdrawn(consortium: Consortium) -> None:
    consortium.approved()
    given = consent.give(institution=consortium.at["long-beach"], token=consortium.consent())
    consent.withdraw(institution=consortium.at["long-beach"], token=consortium.withdrawal(str(given.uuid)))
    with refuses("once"):
        update(given, withdrawn=None, withdrawal="")
    with refuses("epoch"):
        update(given, epoch=0)
