"""The words of a legal matter: by what right, on which ground something is withheld, and what can be withheld.

Codes stand in the log for good, so they never change their meaning.
"""

from collections.abc import Iterable, Mapping
from typing import Annotated, Literal

from pydantic import StringConstraints, with_config
from typing_extensions import TypedDict

from concordat.fields import STRICT, MaybeDigest, Slug, Text

Kind = Literal["subpoena", "court-order", "authorisation", "regulator", "own-counsel"]
Assurance = Literal["", "person-notified", "protective-order", "other-law"]
Day = Annotated[str, StringConstraints(pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$")]
Words = Annotated[str, StringConstraints(max_length=2000)]


@with_config(STRICT)
class Authority(TypedDict):
    """By what right a matter was opened by the institution `holder`. `text` is in the words of the paper, of the day
    `dated`, whose digest is `paper` or empty; `assurance` is what a subpoena without an order needs."""

    holder: Slug
    kind: Kind
    text: Text
    dated: Day
    paper: MaybeDigest
    assurance: Assurance


@with_config(STRICT)
class Told(TypedDict):
    """What is told of a matter in its dossiers: `concordat.events.MATTER_TOLD`."""

    title: Text
    docket: Text
    authority: Authority
    party: Text
    purpose: Text
    protective_order: Words


AUTHORITIES: Mapping[str, str] = {
    "subpoena": "Subpoena",
    "court-order": "Court order",
    "authorisation": "The person's own authorization (45 CFR 164.508)",
    "regulator": "A regulator's demand",
    "own-counsel": "Own counsel, litigation hold",
}

ASSURANCES: Mapping[str, str] = {
    "person-notified": "The person was given notice, and the time to object is over (45 CFR 164.512(e)(1)(ii)(A))",
    "protective-order": "A qualified protective order is in place or sought (45 CFR 164.512(e)(1)(ii)(B))",
    "other-law": "Not asked for: another law applies, or an order comes with the subpoena",
}
"""What a covered entity needs before it answers a subpoena that no order of a court comes with."""

PRIVILEGES: Mapping[str, str] = {
    "attorney-client": "Attorney–client privilege",
    "work-product": "Work product (Fed. R. Civ. P. 26(b)(3))",
    "common-interest": "Common interest",
    "peer-review": "Peer review, patient safety work product (42 U.S.C. 299b-22)",
    "physician-patient": "Physician–patient privilege",
}

REDACTIONS: Mapping[str, str] = {
    "minimum-necessary": "Not needed for the purpose (45 CFR 164.502(b), GDPR Article 5(1)(c))",
    "not-responsive": "Outside what was asked for",
    "confidential": "Trade secret or other confidential information (Fed. R. Civ. P. 26(c)(1)(G))",
    "other-holder": "Personal data that another institution holds, and has not disclosed",
}
"""Grounds besides privilege."""

CHOSEN: Mapping[str, str] = {code: text for code, text in REDACTIONS.items() if code != "other-holder"}
"""Those that a person chooses; the other one follows from who holds the data."""

GROUNDS: Mapping[str, str] = {**PRIVILEGES, **REDACTIONS}

FIELDS: Mapping[str, str] = {
    "subject": "The person's pseudonym",
    "request_statement": "The signed request",
    "consent": "The consent that it names",
    "statement": "The person's signed statement of consent",
    "display": "What was shown, to which role, and what they decided",
}
"""Private fields of a decision's entries that an institution can have been given."""

_CONSENTS = ("consent", "statement", "request_statement")

HELD_BY: Mapping[str, tuple[str, ...]] = {
    "subject": _CONSENTS,
    "consent": _CONSENTS,
    "statement": _CONSENTS,
    "request_statement": (),
    "display": (),
}
"""Which fields hold another one: the signed request holds the consent, and both the pseudonym. Whoever closes a field
and opens one of these has closed nothing."""


def closing(fields: Iterable[str]) -> frozenset[str]:
    """These fields and all that hold them."""
    closed = [field for field in fields if field in FIELDS]
    return frozenset(closed).union(*(HELD_BY[field] for field in closed))


FILES: Mapping[str, str] = {"pdf": "The dossier as PDF", "json": "The dossier as JSON", "bundle": "The bundle"}
"""The files of a decision in a production, in their order."""

WHOLE = "decision"

PARTS: Mapping[str, str] = {WHOLE: "The whole decision, with all its files", **FIELDS, **FILES}
"""What a mark of privilege can be on."""
