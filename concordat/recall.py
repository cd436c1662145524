"""A model version's recall: its owner's word that nothing is computed with it any more, why, and what to do.

It is to a model what a recall is to a medical device (21 CFR 7.3(g), begun by the firm: 21 CFR 7.46), and tells its
users what a field safety notice tells them (EU MDR 2017/745, Articles 2(69) and 89(8)): which device, why, how grave it
is, and what they have to do. It cannot be taken back, and a version is recalled once: a corrected model is another
version.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Literal

from pydantic import AfterValidator, with_config
from pydantic_core import PydanticCustomError
from typing_extensions import TypedDict

from concordat import clock
from concordat.documents import Keyring, sign, verify_from
from concordat.fields import STRICT, Digest, Slug, Time, read
from concordat.owners_word import check_owner
from concordat.signatures import SigningKey, peek

Why = Literal["wrong-results", "bias-found", "data-error", "security", "superseded"]
"""Why a model is recalled. `superseded` alone finds nothing wrong: a market withdrawal (21 CFR 7.3(j))."""

Classification = Literal["I", "II", "III"]
"""How grave it is, by the owner's own evaluation of the hazard (21 CFR 7.41); an authority may come to another."""

WHY: Mapping[Why, str] = {
    "wrong-results": "it gives wrong results",
    "bias-found": "it was found to disadvantage a group of people",
    "data-error": "the data that it was made from were in error",
    "security": "it, or what computes it, is not secure",
    "superseded": "a later version takes its place",
}
"""By code, how a sentence that begins with “The model was recalled:” goes on."""

CLASSES: Mapping[Classification, str] = {
    "I": "use could reasonably be expected to cause serious harm or death",
    "II": "use may cause temporary or reversible harm, or serious harm with a remote probability",
    "III": "use is not likely to cause harm",
}
"""What each class says of the hazard (21 CFR 7.3(m))."""

LONGEST_ADVICE = 300
"""In characters: it is read beside a patient."""


def _advice(text: str) -> str:
    if text != text.strip() or not text.isprintable() or not 1 <= len(text) <= LONGEST_ADVICE:
        raise PydanticCustomError("advice", "an advice is one line of 1 to 300 printable characters")
    return text


Advice = Annotated[str, AfterValidator(_advice)]
"""What users have to do, in plain words. It stands in the log for ever and for everybody: nothing about a person."""


@with_config(STRICT)
class Recall(TypedDict):
    """From `time` on, nothing is computed or released with this model."""

    v: Literal[1]
    model: Digest
    institution: Slug
    reason: Why
    classification: Classification
    advice: Advice
    time: Time


def recall(
    *,
    model: str,
    institution: str,
    reason: Why,
    classification: Classification,
    advice: str,
    time: datetime,
    key: SigningKey,
) -> str:
    """The owner's signed statement (JWS). Raises Refused(FIELD_INVALID), naming the field."""
    statement = {
        "v": 1,
        "model": model,
        "institution": institution,
        "reason": reason,
        "classification": classification,
        "advice": advice,
        "time": clock.rfc3339(time),
    }
    return sign(statement, Recall, kind="recall", key=key)


def read_recall(token: str, keyring: Keyring) -> Recall:
    """The statement in a JWS signed by the institution that it names: any institution's, about any model."""
    return verify_from(token, Recall, kind="recall", signer="institution", keyring=keyring)


def peek_recall(token: str) -> Recall:
    """The statement in a JWS whose signature was verified before. Raises Refused for its shape."""
    return read(peek(token)[1], Recall)


def check_recall(token: str, keyring: Keyring, *, model: str, owner: str) -> Recall:
    """The statement in a JWS, if it is the owner's about this model. Raises Refused as :func:`read_recall` and
    :func:`concordat.owners_word.check_owner` do."""
    return check_owner(read_recall(token, keyring), name="recall", model=model, owner=owner)


def sentence(statement: Recall) -> str:
    """For people: why it was recalled, and how grave that is. The advice stands apart, in the owner's words."""
    why, grave = WHY[statement["reason"]], statement["classification"]
    return f"The model was recalled by its owner: {why} (class {grave}: {CLASSES[grave]})."
