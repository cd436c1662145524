"""The findings that a board must make before it approves, each with the regulation that asks for it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from pydantic import with_config
from typing_extensions import TypedDict

from concordat.fields import STRICT
from concordat.legal_basis import Ground
from concordat.reasons import Reason, Refused


@with_config(STRICT)
class Finding(TypedDict):
    """One answer, with the board's words where it wants to add some."""

    answer: Literal["met", "not-met", "not-applicable"]
    note: str


@dataclass(frozen=True)
class Criterion:
    """A question to the board. `may_not_apply`: “not applicable” is an answer with which it may approve."""

    question: str
    source: str
    may_not_apply: bool = False


APPROVAL: Mapping[str, Criterion] = {
    "risks-minimised": Criterion("Risks to participants are minimised.", "45 CFR 46.111(a)(1)"),
    "risks-reasonable": Criterion(
        "Risks are reasonable in relation to anticipated benefits and the knowledge to be gained.",
        "45 CFR 46.111(a)(2)",
    ),
    "selection-equitable": Criterion("Selection of participants is equitable.", "45 CFR 46.111(a)(3)"),
    "consent-sought": Criterion(
        "Informed consent will be sought, or is waived with the findings below.", "45 CFR 46.111(a)(4)", True
    ),
    "consent-documented": Criterion(
        "Informed consent will be documented, or its documentation is waived.", "45 CFR 46.111(a)(5)", True
    ),
    "data-monitored": Criterion(
        "The plan provides for monitoring the data to ensure safety.", "45 CFR 46.111(a)(6)", True
    ),
    "privacy-protected": Criterion(
        "Privacy of participants and confidentiality of data are protected.", "45 CFR 46.111(a)(7)"
    ),
    "vulnerable-protected": Criterion(
        "Additional safeguards are in place for participants vulnerable to coercion or undue influence.",
        "45 CFR 46.111(b)",
        True,
    ),
}

EXPEDITED: Mapping[str, Criterion] = {
    "minimal-risk": Criterion("The research involves no more than minimal risk.", "45 CFR 46.110(b)(1)(i)"),
}

EXEMPT: Mapping[str, Criterion] = {
    "exempt-category": Criterion("Every activity falls into the named category.", "45 CFR 46.104(d)"),
    "exempt-privacy": Criterion(
        "Where the category asks for it, limited review found privacy and confidentiality protected.",
        "45 CFR 46.111(a)(7)",
        True,
    ),
}

WAIVER: Mapping[str, Criterion] = {
    "waiver-minimal-risk": Criterion("The research involves no more than minimal risk.", "45 CFR 46.116(f)(3)(i)"),
    "waiver-impracticable": Criterion(
        "It could not practicably be carried out without the waiver.", "45 CFR 46.116(f)(3)(ii)"
    ),
    "waiver-identifiable": Criterion(
        "It could not practicably be carried out without identifiable information.", "45 CFR 46.116(f)(3)(iii)", True
    ),
    "waiver-rights": Criterion(
        "The waiver will not adversely affect participants' rights and welfare.", "45 CFR 46.116(f)(3)(iv)"
    ),
    "waiver-informed-after": Criterion(
        "Where appropriate, participants will be informed afterwards.", "45 CFR 46.116(f)(3)(v)", True
    ),
    "hipaa-minimal-risk": Criterion(
        "Use of health information poses no more than a minimal risk to privacy: there are plans to protect and to "
        "destroy identifiers, and written assurances against re-use.",
        "45 CFR 164.512(i)(2)(ii)(A)",
        True,
    ),
    "hipaa-waiver-needed": Criterion(
        "It could not practicably be conducted without the waiver.", "45 CFR 164.512(i)(2)(ii)(B)", True
    ),
    "hipaa-information-needed": Criterion(
        "It could not practicably be conducted without the health information.", "45 CFR 164.512(i)(2)(ii)(C)", True
    ),
}

EXPEDITED_CATEGORIES: Mapping[str, str] = {
    "minor-change": "Minor changes in research approved before, within the approval period (45 CFR 46.110(b)(1)(ii))",
    "5": "Research with data that were or will be collected for non-research purposes (category 5)",
    "7": "Research on behaviour, or with surveys, interviews, quality assurance methods (category 7)",
    "8": "Continuing review: closed to enrolment, interventions completed, or only data analysis (category 8)",
    "9": "Continuing review: minimal risk, found so by a convened board before (category 9)",
}

EXEMPT_CATEGORIES: Mapping[str, str] = {
    "4ii": "Secondary research: recorded so that nobody can be identified (45 CFR 46.104(d)(4)(ii))",
    "4iii": "Secondary research: use of health information regulated under HIPAA (45 CFR 46.104(d)(4)(iii))",
    "5": "Public benefit and service programmes (45 CFR 46.104(d)(5))",
    "8": "Secondary research for which broad consent is required (45 CFR 46.104(d)(8))",
}

CATEGORIES: Mapping[str, Mapping[str, str]] = {"expedited": EXPEDITED_CATEGORIES, "exempt": EXEMPT_CATEGORIES}
"""The categories by the path that needs one."""


def needed(path: str, *, waiver: bool) -> dict[str, Criterion]:
    """The findings that an approval on this path needs, in the order in which they are asked. Exempt research, too,
    uses health information without authorisation only on a waiver (45 CFR 164.512(i))."""
    parts = {"exempt": [EXEMPT], "expedited": [APPROVAL, EXPEDITED]}.get(path, [APPROVAL])
    if waiver:
        parts = [*parts, WAIVER]
    return {name: criterion for part in parts for name, criterion in part.items()}


def check_findings(findings: Mapping[str, Finding], *, path: str, category: str, waiver: bool = False) -> None:
    """Every needed finding is made and allows an approval, and the path has its category.

    Raises:
        Refused: FINDING_MISSING, naming the finding; FIELD_INVALID for a category that the path does not have.
    """
    categories = CATEGORIES.get(path, {})
    if (category in categories) != bool(categories) or (category and not categories):
        names = ", ".join(categories) or "none"
        raise Refused(Reason.FIELD_INVALID, detail=f"Categories on this path: {names}.", field="category")
    _check_made(findings, needed(path, waiver=waiver))


def check_waiver(findings: Mapping[str, Finding]) -> None:
    """The board made every finding with which it may waive consent. Raises Refused(FINDING_MISSING), naming it."""
    _check_made(findings, WAIVER)


def _check_made(findings: Mapping[str, Finding], criteria: Mapping[str, Criterion]) -> None:
    for name, criterion in criteria.items():
        made = findings.get(name)
        allowed = ("met", "not-applicable") if criterion.may_not_apply else ("met",)
        if made is None or made["answer"] not in allowed:
            detail = f"Without this finding the board cannot approve: {criterion.question} ({criterion.source})"
            raise Refused(Reason.FINDING_MISSING, detail=detail, field=f"findings.{name}")


def waives_consent(grounds: Iterable[str]) -> bool:
    """Whether one of a protocol's legal grounds rests on the board's waiver."""
    return Ground.WAIVER in grounds
