"""The plain words for what documents say in codes. Every table is total over its codes."""

from collections.abc import Mapping
from typing import Any

from concordat.definition import Kind, Target
from concordat.determination import Outcome, Path, SubmissionKind
from concordat.legal_basis import Ground
from concordat.protocol import AttachmentKind

GROUNDS: Mapping[Ground, str] = {
    Ground.CONSENT: "consent of each person",
    Ground.WAIVER: "waiver or alteration of consent by the board (45 CFR 46.116(f), 45 CFR 164.512(i))",
    Ground.EXEMPT: "exempt research (45 CFR 46.104)",
    Ground.CARE: "treatment or operations, not research",
    Ground.PUBLIC_HEALTH_EMERGENCY: "a declared public-health emergency",
}

ARTICLE_6: Mapping[str, str] = {
    "a": "consent",
    "b": "contract with the person",
    "c": "legal obligation",
    "d": "vital interests",
    "e": "task in the public interest",
    "f": "legitimate interests",
}
"""GDPR Article 6(1)."""

ARTICLE_9: Mapping[str, str] = {
    "a": "explicit consent",
    "b": "employment and social protection law",
    "c": "vital interests",
    "d": "members of a not-for-profit body",
    "e": "made public by the person",
    "f": "legal claims",
    "g": "substantial public interest",
    "h": "health care",
    "i": "public health",
    "j": "research, archives or statistics",
}
"""GDPR Article 9(2)."""

KINDS: Mapping[Kind, str] = {
    "explain": "predictions for single persons, with their explanations",
    "audit": "audits: counts of a model's answers over many people's rows",
    "train": "trainings: a model learns from many people's rows",
}

POPULATIONS: Mapping[str, str] = {
    "adults": "adults who decide for themselves",
    "minors": "minors",
    "adults-without-capacity": "adults who cannot decide for themselves",
}

ATTACHMENTS: Mapping[AttachmentKind, str] = {
    AttachmentKind.CHARTER: "charter with liability terms",
    AttachmentKind.DATA_USE_AGREEMENT: "data use agreement",
    AttachmentKind.BUSINESS_ASSOCIATE_AGREEMENT: "business associate agreement",
    AttachmentKind.DATA_PROCESSING_AGREEMENT: "data processing agreement",
    AttachmentKind.DEVICE_RISK_DETERMINATION: "device-risk determination",
    AttachmentKind.CLINICAL_OVERSIGHT: "local clinical oversight",
    AttachmentKind.STAFF_TRAINING: "staff training",
    AttachmentKind.EMERGENCY_DECLARATION: "declaration of the emergency",
    AttachmentKind.PAPER_APPROVAL: "paper approval",
}

TARGETS: Mapping[Target, str] = {
    "log-odds": "in log-odds: what each factor adds to the logarithm of the odds",
    "probability": "in probability: by how many percentage points each factor changes it",
    "none": "",
}
"""What prediction and explanation of a definition are in."""

OUTCOMES: Mapping[Outcome, tuple[str, str]] = {
    Outcome.APPROVED: ("Approve", "The study may run as this version says, once every board has approved it."),
    Outcome.APPROVED_WITH_CONDITIONS: (
        "Approve with conditions",
        "Nothing runs until someone of the board has verified each condition.",
    ),
    Outcome.MODIFICATIONS_REQUIRED: (
        "Require modifications",
        "It goes back to its investigators, who submit another version.",
    ),
    Outcome.DEFERRED: ("Defer", "The board takes it up again when it knows more."),
    Outcome.DISAPPROVED: ("Disapprove", "It may not run. One board is enough."),
    Outcome.REFERRED: ("Refer to the full board", "A reviewer alone cannot disapprove (45 CFR 46.110(b))."),
}
"""What the officer chooses, and what it does."""

PATHS: Mapping[Path, str] = {
    Path.EXEMPT: "exempt",
    Path.EXPEDITED: "expedited review",
    Path.FULL_BOARD: "full board",
    Path.PAPER: "on paper, attested here",
}

SUBMISSIONS: Mapping[SubmissionKind, str] = {
    SubmissionKind.INITIAL: "First submission",
    SubmissionKind.AMENDMENT: "Amendment",
    SubmissionKind.CONTINUING_REVIEW: "Continuing review",
    SubmissionKind.REINSTATEMENT: "Reinstatement after a stop",
}

FIELDS: Mapping[str, str] = {
    "v": "Form of the protocol",
    "study": "Short name",
    "title": "Title",
    "institution": "Leading institution",
    "contact": "Contact",
    "summary": "Summary",
    "computed": "What is computed",
    "opened": "What is opened",
    "risks": "Risks",
    "data_use": "Data use",
    "population": "Population",
    "sections": "Section",
    "requesters": "Who may ask",
    "purposes": "Purposes",
    "bases": "Legal grounds",
    "attachments": "Documents needed",
    "sites": "Sites",
    "review_months": "Months between reviews",
    "valid_until": "End of the study",
    "kinds": "Which computations",
}
"""The protocol's fields."""

FINDINGS = {"met": "Met", "not-met": "Not met", "not-applicable": "Does not apply"}


def field(path: str) -> str:
    """A field of a protocol, as a difference names it."""
    name, _, rest = path.partition(".")
    return f"{FIELDS.get(name, name)}: {rest}" if rest else FIELDS.get(name, name)


def value(anything: Any) -> list[str]:
    """Any value of a document, as lines of text."""
    if anything is None:
        return []
    if isinstance(anything, bool):
        return ["yes" if anything else "no"]
    if isinstance(anything, dict):
        return ["; ".join(f"{name}: {', '.join(value(part)) or 'none'}" for name, part in anything.items())]
    if isinstance(anything, list):
        return [line for part in anything for line in value(part)]
    return str(anything).splitlines()
