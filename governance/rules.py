"""What the database refuses, whoever asks it: separation of duties, scopes, states, and what must not be undone.

The services refuse all of it first, with a remedy; these rules hold for whatever comes past them. `ledger.triggers`
installs them on SQLite and PostgreSQL. Each is refused under its name.
"""

from collections.abc import Mapping
from enum import StrEnum
from string import Template
from typing import Any

from django.db import models

from governance.models import (
    AgendaItem,
    Attendance,
    Ballot,
    BoardSeat,
    ConditionsCheck,
    Conflict,
    Consent,
    Definition,
    Delegation,
    Determination,
    Draft,
    Grant,
    Incident,
    InstitutionKey,
    Matter,
    Meeting,
    Opinion,
    PrivilegeMark,
    Production,
    RelianceAgreement,
    Review,
    Study,
    Submission,
)
from governance.states import INCIDENT, ITEM, MATTER, MEETING, STUDY, SUBMISSION
from ledger.triggers import Rule

WRITTEN = ("insert", "update")

_TIED = Template("""(
EXISTS (SELECT 1 FROM governance_conflict c WHERE c.study_id = ($study) AND c.officer_id = ($officer)
  AND c.withdrawn IS NULL)
OR EXISTS (SELECT 1 FROM governance_officerprofile o WHERE o.id = ($officer) AND (
  EXISTS (SELECT 1 FROM governance_protocolversion v WHERE v.study_id = ($study) AND v.submitted_by_id = o.user_id)
  OR EXISTS (SELECT 1 FROM governance_submission s WHERE s.study_id = ($study) AND s.submitted_by_id = o.user_id)
  OR EXISTS (SELECT 1 FROM governance_membership m JOIN governance_study t ON t.institution_id = m.institution_id
    WHERE t.id = ($study) AND m.user_id = o.user_id AND m.role = 'investigator'))))""")
"""True of an officer whose hands are tied in a study: a conflict of interest, or a study of their own."""

_STUDY_OF_REVIEW = Template("""SELECT s.study_id FROM governance_review r
JOIN governance_submission s ON s.id = r.submission_id WHERE r.id = $review""")

_STANDS_IN_THE_WAY = Template("""NOT EXISTS (SELECT 1 FROM governance_review r WHERE r.submission_id = $submission)
OR EXISTS (SELECT 1 FROM governance_review r WHERE r.submission_id = $submission AND NOT (r.outcome = 'approved'
  OR (r.outcome = 'approved-with-conditions' AND r.conditions_met)))""")
"""True of a submission without reviews, or with one that does not let it pass."""

_NOT_APPROVED = Template("""NEW.state = 'approved' AND NOT EXISTS (SELECT 1 FROM governance_submission s WHERE s.id =
  (SELECT max(l.id) FROM governance_submission l WHERE l.study_id = NEW.id AND l.state = 'approved')
  AND s.version_id = NEW.in_force_id AND NOT ($stands_in_the_way))""")
"""True of an approved study whose version in force is not that of its last approved submission."""


def _of_review(review: str) -> str:
    return _STUDY_OF_REVIEW.substitute(review=review)


def _no_self_review(model: type[models.Model], *, study: str, officer: str) -> Rule:
    sentence = "no-self-review: nobody decides on a study of their own, or with a declared conflict (45 CFR 46.107(d))"
    return Rule(model, "no-self-review", ("insert",), sentence, _TIED.substitute(study=study, officer=officer))


def _states(model: type[models.Model], table: Mapping[Any, frozenset[Any]]) -> Rule:
    """The state changes as the table says, and not otherwise."""
    allowed = " OR ".join(_follows(before, after) for before, after in table.items() if after)
    name = model._meta.verbose_name
    sentence = f"states: no {name} changes its state like that"
    return Rule(model, "states", ("update",), sentence, f"OLD.state <> NEW.state AND NOT ({allowed})")


def _follows(before: StrEnum, after: frozenset[StrEnum]) -> str:
    names = ", ".join(f"'{state}'" for state in sorted(after))
    return f"(OLD.state = '{before}' AND NEW.state IN ({names}))"


def _grows(model: type[models.Model]) -> Rule:
    sentence = "epoch: an epoch counts the ends of an authority; it never falls"
    return Rule(model, "epoch", ("update",), sentence, "NEW.epoch < OLD.epoch")


def _once(model: type[models.Model], *fields: str) -> Rule:
    """What has been ended, agreed, revoked or withdrawn stays so."""
    undone = " OR ".join(f"(OLD.{field} IS NOT NULL AND NEW.{field} IS NULL)" for field in fields)
    return Rule(model, "once", ("update",), f"once: {' and '.join(fields)} cannot be taken back", undone)


def _as_signed(model: type[models.Model], *columns: str) -> Rule:
    return Rule(model, "as-signed", ("update",), "as-signed: what was signed stays as it was signed", _changed(columns))


def _as_recorded(model: type[models.Model], *columns: str) -> Rule:
    sentence = "as-recorded: what the log has committed to stays as it was recorded"
    return Rule(model, "as-recorded", ("update",), sentence, _changed(columns))


def _changed(columns: tuple[str, ...]) -> str:
    return " OR ".join(f"(OLD.{column} <> NEW.{column})" for column in columns)


def _kept(model: type[models.Model]) -> Rule:
    sentence = f"kept: {model._meta.verbose_name_plural} are neither removed nor replaced"
    return Rule(model, "kept", ("delete", "truncate", "replace"), sentence)


RULES: tuple[Rule, ...] = (
    _no_self_review(
        Ballot,
        study=_of_review("(SELECT i.review_id FROM governance_agendaitem i WHERE i.id = NEW.item_id)"),
        officer="SELECT b.officer_id FROM governance_boardseat b WHERE b.id = NEW.seat_id",
    ),
    Rule(
        Ballot,
        "present",
        ("insert",),
        "present: only a seat that is marked present at the item votes on it",
        "NOT EXISTS (SELECT 1 FROM governance_attendance a WHERE a.id = (SELECT max(l.id) FROM governance_attendance l "
        "WHERE l.item_id = NEW.item_id AND l.seat_id = NEW.seat_id) AND a.status = 'present')",
    ),
    Rule(
        Ballot,
        "open-item",
        ("insert",),
        "open-item: a vote is cast while the item is open",
        "NOT EXISTS (SELECT 1 FROM governance_agendaitem i WHERE i.id = NEW.item_id AND i.state = 'open')",
    ),
    Rule(
        Attendance,
        "own-board",
        ("insert",),
        "own-board: only seats of the board that meets take part",
        "NOT EXISTS (SELECT 1 FROM governance_agendaitem i JOIN governance_meeting m ON m.id = i.meeting_id "
        "JOIN governance_boardseat b ON b.board_id = m.board_id WHERE i.id = NEW.item_id AND b.id = NEW.seat_id)",
    ),
    Rule(
        AgendaItem,
        "own-board",
        WRITTEN,
        "own-board: a board takes up its own reviews only",
        "NOT EXISTS (SELECT 1 FROM governance_meeting m JOIN governance_review r ON r.board_id = m.board_id "
        "WHERE m.id = NEW.meeting_id AND r.id = NEW.review_id)",
    ),
    Rule(
        BoardSeat,
        "own-board",
        WRITTEN,
        "own-board: an alternate sits in for a seat of the same board, not for another alternate",
        "NEW.alternate_for_id IS NOT NULL AND NOT EXISTS (SELECT 1 FROM governance_boardseat b "
        "WHERE b.id = NEW.alternate_for_id AND b.board_id = NEW.board_id AND b.alternate_for_id IS NULL)",
    ),
    _no_self_review(Opinion, study=_of_review("NEW.review_id"), officer="NEW.reviewer_id"),
    _no_self_review(
        Determination,
        study=_of_review("NEW.review_id"),
        officer="SELECT g.officer_id FROM governance_signature g WHERE g.id = NEW.signature_id",
    ),
    Rule(
        Determination,
        "as-signed",
        ("insert",),
        "as-signed: a determination is the record that its signature is bound to, for this board and study",
        "NEW.outcome <> NEW.document ->> 'outcome' OR NOT EXISTS (SELECT 1 FROM governance_signature g "
        "JOIN governance_review r ON r.id = NEW.review_id JOIN governance_submission s ON s.id = r.submission_id "
        "WHERE g.id = NEW.signature_id AND g.record = NEW.digest AND g.institution_id = r.board_id "
        "AND g.study_id = s.study_id)",
    ),
    Rule(
        Determination,
        "path",
        ("insert",),
        "path: a determination takes the path of its review, or attests to a paper approval",
        "coalesce(NEW.document ->> 'path', '') NOT IN ('paper', (SELECT r.path FROM governance_review r "
        "WHERE r.id = NEW.review_id))",
    ),
    Rule(
        Determination,
        "only-refers",
        ("insert",),
        "only-refers: whoever reviews alone may not disapprove, only refer (45 CFR 46.110(b))",
        "NEW.outcome = 'disapproved' AND NEW.document ->> 'path' IN ('expedited', 'exempt')",
    ),
    Rule(
        Determination,
        "convened",
        ("insert",),
        "convened: the full board decides in a minuted meeting (45 CFR 46.108(b))",
        "NEW.document ->> 'path' = 'full-board' AND NOT EXISTS (SELECT 1 FROM governance_agendaitem i "
        "WHERE i.review_id = NEW.review_id AND i.state = 'decided' AND i.outcome = NEW.outcome "
        "AND i.minutes_digest = NEW.document ->> 'minutes')",
    ),
    _no_self_review(
        ConditionsCheck,
        study=_of_review(
            "(SELECT d.review_id FROM governance_determination d WHERE d.id = NEW.determination_id)",
        ),
        officer="SELECT g.officer_id FROM governance_signature g WHERE g.id = NEW.signature_id",
    ),
    Rule(
        Review,
        "determined",
        WRITTEN,
        "determined: the outcome of a review is that of its last signed determination",
        "NEW.outcome <> '' AND NOT EXISTS (SELECT 1 FROM governance_determination d "
        "WHERE d.id = (SELECT max(l.id) FROM governance_determination l WHERE l.review_id = NEW.id) "
        "AND d.outcome = NEW.outcome)",
    ),
    Rule(
        Review,
        "conditions",
        WRITTEN,
        "conditions: an officer verifies by signature that the conditions of an approval are met",
        "NEW.conditions_met AND NOT EXISTS (SELECT 1 FROM governance_conditionscheck k "
        "WHERE k.determination_id = (SELECT max(l.id) FROM governance_determination l WHERE l.review_id = NEW.id))",
    ),
    _states(Submission, SUBMISSION),
    Rule(
        Submission,
        "every-board",
        WRITTEN,
        "every-board: a submission is approved when each of its reviews lets it pass",
        f"NEW.state = 'approved' AND ({_STANDS_IN_THE_WAY.substitute(submission='NEW.id')})",
    ),
    _states(Study, STUDY),
    _grows(Study),
    Rule(
        Study,
        "every-board",
        WRITTEN,
        "every-board: a study is approved when every board lets the version in force pass",
        _NOT_APPROVED.substitute(stands_in_the_way=_STANDS_IN_THE_WAY.substitute(submission="s.id")),
    ),
    Rule(
        Study,
        "no-draft-of-an-ended",
        ("update",),
        "no-draft-of-an-ended: nothing is drafted for a study that has ended",
        "NEW.state IN ('closed', 'terminated') AND EXISTS (SELECT 1 FROM governance_draft d WHERE d.study_id = NEW.id)",
    ),
    Rule(
        Draft,
        "no-draft-of-an-ended",
        WRITTEN,
        "no-draft-of-an-ended: nothing is drafted for a study that has ended",
        "EXISTS (SELECT 1 FROM governance_study s WHERE s.id = NEW.study_id AND s.state IN ('closed', 'terminated'))",
    ),
    _states(Meeting, MEETING),
    _states(AgendaItem, ITEM),
    _states(Incident, INCIDENT),
    _states(Matter, MATTER),
    Rule(
        Grant,
        "own-reviewer",
        ("insert",),
        "own-reviewer: an institution lets its own legal reviewers into its own open matters, until these end at most",
        "NOT EXISTS (SELECT 1 FROM governance_matter m JOIN governance_membership s ON s.institution_id = "
        "m.institution_id JOIN governance_officerprofile o ON o.user_id = s.user_id WHERE m.id = NEW.matter_id "
        "AND m.state = 'open' AND NEW.until <= m.ends AND o.id = NEW.officer_id AND s.role = 'legal-reviewer')",
    ),
    Rule(
        PrivilegeMark,
        "own-decision",
        ("insert",),
        "own-decision: a mark is on a decision that the same matter names",
        "NOT EXISTS (SELECT 1 FROM governance_matterdecision d WHERE d.id = NEW.decision_id "
        "AND d.matter_id = NEW.matter_id)",
    ),
    Rule(
        Production,
        "gapless",
        ("insert",),
        "gapless: productions and their pages are numbered on without a gap",
        "NEW.number <> 1 + (SELECT coalesce(max(p.number), 0) FROM governance_production p "
        "WHERE p.matter_id = NEW.matter_id) OR NEW.first <> 1 + (SELECT coalesce(max(p.last), 0) "
        "FROM governance_production p WHERE p.matter_id = NEW.matter_id)",
    ),
    _grows(Definition),
    _grows(Consent),
    _once(BoardSeat, "until"),
    _once(Conflict, "withdrawn"),
    _once(Consent, "withdrawn"),
    _once(Delegation, "ended"),
    _once(InstitutionKey, "revoked"),
    _once(RelianceAgreement, "agreed", "ended"),
    _once(Matter, "closed"),
    _once(Grant, "ended"),
    _once(PrivilegeMark, "withdrawn"),
    _as_recorded(
        Matter,
        *("uuid", "institution_id", "title", "docket", "kind", "authority", "dated", "paper", "assurance", "party"),
        *("purpose", "protective_order", "prefix", "opened_by_id", "opened"),
    ),
    _as_recorded(Grant, "uuid", "matter_id", "officer_id", "starts", "until", "given_by_id"),
    _as_recorded(PrivilegeMark, "uuid", "matter_id", "decision_id", "part", "ground", "basis", "by_id", "marked"),
    _as_signed(Delegation, "document", "digest", "board_id", "delegate_id", "scope", "starts", "ends", "signature_id"),
    _as_signed(RelianceAgreement, "document", "digest", "relying_id", "reviewing_id", "study", "starts", "ends"),
    *map(_kept, (AgendaItem, BoardSeat, Conflict, Delegation, Meeting, RelianceAgreement, Review, Study, Submission)),
    *map(_kept, (Matter, Grant, PrivilegeMark)),
)
