"""The display receipt: what was shown to whom, or kept back from whom, and what the person made of it.

Version 2 says more than the first one, which has no field `v`: that a result was suppressed, and below which threshold;
that it was retracted; and for which coded reason it was overridden or retracted. Both verify.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Literal, get_args

from pydantic import with_config
from typing_extensions import TypedDict

from concordat import clock, signatures
from concordat.canonical import digest
from concordat.documents import sign
from concordat.fields import STRICT, Digest, MaybeDecimal, MaybeSlug, Slug, Text, Time, Uuid, read
from concordat.reasons import Reason, Refused
from concordat.signatures import SigningKey, VerifyKey

Decision = Literal["accepted", "overridden", "shown", "suppressed", "retracted"]
DECISIONS: tuple[Decision, ...] = get_args(Decision)

OVERRIDES: Mapping[str, str] = {
    "patient-differs": "This patient differs from those whom the model was made for",
    "inputs-wrong": "A value that the model read is wrong or out of date",
    "findings-contradict": "Other findings contradict it",
    "explanation-implausible": "The explanation is not plausible",
    "known-already": "It was known and acted on already",
    "changes-nothing": "It would change nothing for this patient",
    "patient-declines": "The patient declines what would follow",
    "other": "Another reason",
}
"""Why a result is overridden, by code. A list, and no free text: what is typed about a patient stays in the record."""

RETRACTIONS: Mapping[str, str] = {
    "wrong-patient": "It was computed from another patient's values",
    "merged": "The patient's record was merged into another one",
    "entered-in-error": "A value that it was computed from was entered in error",
}
"""Why a hospital takes a result back, by code."""

ENDINGS: Mapping[str, str] = {
    "consent-withdrawn": "The person has withdrawn the consent on which it was computed",
    "consent-lapsed": "The person for whom another consented decides for themself now",
    "consent-expired": "The period of the consent on which it was computed is over",
    "study-suspended": "The study under which it was computed is suspended",
    "study-expired": "The approval of the study under which it was computed has lapsed",
    "study-ended": "The study under which it was computed has ended, or is not approved any more",
    "definition-revoked": "An institution has revoked its approval of the computation",
    "definition-expired": "The time for which the computation was approved is over",
    "model-recalled": "The model with which it was computed was recalled by its owner",
}
"""What has ended since a result was computed, so that it is not used any more, by code."""

BY_HAND: Mapping[str, str] = {**RETRACTIONS, "model-recalled": ENDINGS["model-recalled"]}
"""Why somebody takes a result back by a command. What else ends, ends from then on: a result that was used while its
consent held was rightly used."""

TAKEN_BACK: Mapping[str, str] = {**RETRACTIONS, **ENDINGS}
"""Every reason for which a result is not shown any more."""

VIEWERS = (
    *(
        "clinician",
        "physician",
        "surgeon",
        "anaesthetist",
        "cardiologist",
        "emergency-physician",
        "general-practitioner",
    ),
    *("intensivist", "oncologist", "radiologist", "nurse", "midwife", "paramedic", "pharmacist", "therapist"),
    *("psychologist", "dietitian", "student", "researcher", "patient", "representative"),
)
"""The roles to which a result is shown. A list, and no free text: the log keeps it for ever."""

_REASONS: Mapping[Decision, Mapping[str, str]] = {"overridden": OVERRIDES, "retracted": TAKEN_BACK}


@with_config(STRICT)
class _First(TypedDict):
    """The first version, which old receipts have."""

    request: Uuid
    job: Uuid
    template: Slug
    language: Text
    rendered: Digest
    viewer: Text
    decision: Literal["accepted", "overridden", "shown"]
    time: Time


@with_config(STRICT)
class Display(TypedDict):
    """`rendered` is the digest of exactly the text that was shown, or would have been; `viewer` is a role and no name.

    `reason` is a code of `OVERRIDES` or `TAKEN_BACK`, and empty for other decisions; an override may have none.
    `threshold` is the probability below which results are not shown unasked, where this one was suppressed for it;
    else empty.
    """

    v: Literal[1, 2]
    request: Uuid
    job: Uuid
    template: Slug
    language: Text
    rendered: Digest
    viewer: Text
    decision: Decision
    reason: MaybeSlug
    threshold: MaybeDecimal
    time: Time


def show(
    *,
    request: str,
    job: str,
    template: str,
    language: str,
    rendered: str,
    viewer: str,
    decision: Decision,
    time: datetime,
    key: SigningKey,
    reason: str = "",
    threshold: str = "",
) -> str:
    """The requester's signed receipt for a text shown. `rendered` is the text itself; only its digest is signed.

    Raises:
        Refused: FIELD_INVALID naming `decision`, or a `reason` or `threshold` that does not go with it; what
            :func:`check_viewer` refuses.
    """
    payload = {
        "v": 2,
        "request": request,
        "job": job,
        "template": template,
        "language": language,
        "rendered": digest(rendered.encode()),
        "viewer": viewer,
        "decision": decision,
        "reason": reason,
        "threshold": threshold,
        "time": clock.rfc3339(time),
    }
    check_viewer(_check(read(payload, Display))["viewer"])
    return sign(payload, Display, kind="display", key=key)


def check_viewer(viewer: str) -> str:
    """The role, if it is one of `VIEWERS`; receipts of before that list was made say others, and are still read.

    Raises Refused(FIELD_INVALID) naming `viewer`, and not what was said instead: it may be a person's name.
    """
    if viewer not in VIEWERS:
        detail = f"Whoever a result is shown to is said by role: {', '.join(VIEWERS)}."
        raise Refused(Reason.FIELD_INVALID, detail=detail, field="viewer")
    return viewer


def read_display(token: str, keys: Mapping[str, VerifyKey]) -> Display:
    """The receipt in a JWS signed by the requesting institution, whose identity keys `keys` are; of the first version,
    with what that does not say left empty.

    Raises:
        Refused: SIGNATURE_INVALID, KEY_UNKNOWN, and what :func:`show` refuses.
    """
    payload = signatures.verify(token, kind="display", keys=keys)
    if "v" not in payload:
        return Display(v=1, **read(payload, _First), reason="", threshold="")
    statement = read(payload, Display)
    if statement["v"] != 2:
        raise Refused(Reason.FIELD_INVALID, detail="A receipt of the first version has no field v.", field="v")
    return _check(statement)


def say(decision: str, viewer: str, reason: str = "", threshold: str = "") -> str:
    """A receipt in words, such as `overridden by a clinician (other findings contradict it)`."""
    who = f"{'an' if viewer[0] in 'aeiou' else 'a'} {viewer}"
    if decision == "suppressed":
        return f"kept back from {who}, because it is below the threshold of {threshold}"
    if decision == "retracted":
        return f"retracted for every {viewer} ({_lower(TAKEN_BACK[reason])})"
    why = f" ({_lower(OVERRIDES[reason])})" if reason else ""
    return f"{decision} {'to' if decision == 'shown' else 'by'} {who}{why}"


def _lower(sentence: str) -> str:
    return sentence[0].lower() + sentence[1:]


def _check(statement: Display) -> Display:
    decision, reason, known = statement["decision"], statement["reason"], _REASONS.get(statement["decision"], {})
    if (reason and reason not in known) or (decision == "retracted" and not reason):
        detail = f"A reason of a result that is {decision} is one of: {', '.join(known)}." if known else "It has none."
        raise Refused(Reason.FIELD_INVALID, detail=detail, field="reason")
    if bool(statement["threshold"]) != (decision == "suppressed"):
        detail = "What was suppressed says below which threshold; nothing else does."
        raise Refused(Reason.FIELD_INVALID, detail=detail, field="threshold")
    return statement
