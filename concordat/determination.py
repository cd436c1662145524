"""What a board decided, as the document that its officer signs."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import Field, with_config
from typing_extensions import TypedDict

from concordat import clock
from concordat.canonical import digest_bytes
from concordat.delegation import Scope
from concordat.fields import STRICT, Digest, Slug, Text, Uuid, checked, read
from concordat.findings import Finding, check_findings
from concordat.reasons import Reason, Refused


class SubmissionKind(StrEnum):
    """What is put before the boards."""

    INITIAL = "initial"
    AMENDMENT = "amendment"
    CONTINUING_REVIEW = "continuing-review"
    REINSTATEMENT = "reinstatement"


class Path(StrEnum):
    """How a board reviews. `paper`: it decided outside this service; its letter is attested here, not verified."""

    EXEMPT = "exempt"
    EXPEDITED = "expedited"
    FULL_BOARD = "full-board"
    PAPER = "paper"


class Outcome(StrEnum):
    """What a board can decide. `referred`: an expedited reviewer asks for the full board."""

    APPROVED = "approved"
    APPROVED_WITH_CONDITIONS = "approved-with-conditions"
    MODIFICATIONS_REQUIRED = "modifications-required"
    DEFERRED = "deferred"
    DISAPPROVED = "disapproved"
    REFERRED = "referred"


LETS_PASS = frozenset({Outcome.APPROVED, Outcome.APPROVED_WITH_CONDITIONS})

OUTCOMES: dict[Path, frozenset[Outcome]] = {
    Path.EXEMPT: frozenset({Outcome.APPROVED, Outcome.REFERRED}),
    Path.EXPEDITED: frozenset(
        {Outcome.APPROVED, Outcome.APPROVED_WITH_CONDITIONS, Outcome.MODIFICATIONS_REQUIRED, Outcome.REFERRED}
    ),
    Path.FULL_BOARD: frozenset(Outcome) - {Outcome.REFERRED},
    Path.PAPER: frozenset(Outcome) - {Outcome.REFERRED},
}
"""Who reviews alone may not disapprove, only refer (45 CFR 46.110(b))."""

MaybeTime = Annotated[str, checked(lambda text: text and clock.parse(text), "time", "a time, or empty")]
MaybeDigest = Annotated[str, checked(lambda text: text and digest_bytes(text), "digest", "a digest, or empty")]

ALONE: Mapping[Path, frozenset[str]] = {
    Path.EXEMPT: frozenset({"irb-chair", "irb-administrator"}),
    Path.EXPEDITED: frozenset({"irb-chair"}),
    Path.FULL_BOARD: frozenset({"irb-chair"}),
    Path.PAPER: frozenset({"irb-chair", "irb-administrator"}),
}
"""The roles that sign a determination in their own right."""

DELEGATED: Mapping[Path, Scope] = {Path.EXPEDITED: "expedited-review", Path.FULL_BOARD: "preside"}
"""The scope of the chair's delegation with which a member signs instead."""

VERIFIERS = frozenset({"irb-chair", "irb-administrator"})
"""The roles that verify conditions in their own right; a member does by a delegation."""


@with_config(STRICT)
class Determination(TypedDict):
    """The document. `base` is the last version before which only minor amendments came: a definition rests on it.
    `sites` are those for which this board decides, `reliance` the agreement's digest for each that is not its own.
    `expires` ends the approval and is empty where nothing is approved; `delegation` names the chair's, if a member
    signs by one; `minutes` stands with the full board, `scan` with a paper approval."""

    v: Literal[1]
    study: Slug
    board: Slug
    sites: list[Slug]
    submission: Uuid
    kind: Annotated[SubmissionKind, Field(strict=False)]
    protocol: Digest
    base: Digest
    path: Annotated[Path, Field(strict=False)]
    category: str
    outcome: Annotated[Outcome, Field(strict=False)]
    findings: dict[Slug, Finding]
    conditions: list[Text]
    reasons: str
    expires: MaybeTime
    reliance: dict[Slug, Digest]
    delegation: MaybeDigest
    minutes: MaybeDigest
    scan: MaybeDigest


@with_config(STRICT)
class Motion(TypedDict):
    """What a convened board votes on; if it carries, the determination says the same."""

    outcome: Annotated[Outcome, Field(strict=False)]
    findings: dict[Slug, Finding]
    conditions: list[Text]
    reasons: str


@with_config(STRICT)
class ConditionsMet(TypedDict):
    """An officer's word that each condition of a determination has been verified."""

    v: Literal[1]
    study: Slug
    board: Slug
    determination: Digest
    conditions: list[Text]
    note: Text


def check(document: Mapping[str, Any], *, waiver: bool = False) -> Determination:
    """A determination whose parts fit one another: outcome and path, findings, conditions, reasons, period.

    Args:
        waiver: the protocol rests on a waiver of consent, so that an approval needs the findings for one.

    Raises:
        Refused: FIELD_MISSING, FIELD_UNKNOWN or FIELD_INVALID, naming the field; OUTCOME_NOT_ALLOWED; FINDING_MISSING.
    """
    found = read(document, Determination)
    _check_sites(found)
    outcome, path = found["outcome"], found["path"]
    decided = Motion(
        outcome=outcome, findings=found["findings"], conditions=found["conditions"], reasons=found["reasons"]
    )
    _check_decision(decided, path=path, category=found["category"], waiver=waiver)
    if (outcome in LETS_PASS) != bool(found["expires"]):
        raise Refused(Reason.FIELD_INVALID, detail="An approval, and no other outcome, has an end.", field="expires")
    if bool(found["minutes"]) != (path is Path.FULL_BOARD):
        raise Refused(Reason.FIELD_INVALID, detail="The full board decides in minuted meetings.", field="minutes")
    if bool(found["scan"]) != (path is Path.PAPER):
        raise Refused(Reason.FIELD_INVALID, detail="A paper approval comes with its scan.", field="scan")
    if found["delegation"] and path not in DELEGATED:
        raise Refused(Reason.FIELD_INVALID, detail="Nobody reviews by delegation on this path.", field="delegation")
    if found["kind"] is SubmissionKind.INITIAL and found["base"] != found["protocol"]:
        raise Refused(Reason.FIELD_INVALID, detail="The first version is its own base.", field="base")
    return found


def check_motion(document: Mapping[str, Any], *, waiver: bool = False) -> Motion:
    """A motion before the convened board, checked as its determination will be. Raises Refused as :func:`check`."""
    found = read(document, Motion)
    _check_decision(found, path=Path.FULL_BOARD, category="", waiver=waiver)
    return found


def _check_decision(decided: Motion, *, path: Path, category: str, waiver: bool) -> None:
    outcome = decided["outcome"]
    if outcome not in OUTCOMES[path]:
        raise Refused(Reason.OUTCOME_NOT_ALLOWED, detail=f"A review on the path “{path}” cannot end as {outcome}.")
    if (outcome is Outcome.APPROVED_WITH_CONDITIONS) != bool(decided["conditions"]):
        raise Refused(Reason.FIELD_INVALID, detail="Conditions stand with a conditional approval.", field="conditions")
    if outcome not in LETS_PASS and not decided["reasons"].strip():
        detail = "The investigator is told why (45 CFR 46.109(d))."
        raise Refused(Reason.FIELD_MISSING, detail=detail, field="reasons")
    if outcome in LETS_PASS and path is not Path.PAPER:
        check_findings(decided["findings"], path=path, category=category, waiver=waiver)


def _check_sites(found: Determination) -> None:
    if len(set(found["sites"])) != len(found["sites"]):
        raise Refused(Reason.FIELD_INVALID, detail="One is named twice.", field="sites")
    others = {site for site in found["sites"] if site != found["board"]}
    if set(found["reliance"]) != others:
        detail = "An agreement is named for each site that is not the board's own, and for no other."
        raise Refused(Reason.FIELD_INVALID, detail=detail, field="reliance")
