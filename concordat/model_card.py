"""A model version's card: what its owner states of it, in plain words, for those who use it or decide whether to.

The attributes are the source attributes of predictive decision support interventions (45 CFR 170.315(b)(11)(iv)(B), in
force since the HTI-1 final rule, 89 FR 1192), but for those that institutions sign elsewhere: who developed the model,
what it is for and for whom, what it answers and which variables it reads stand in the manifest, the protocol, the
definition and the schema. The form is that of model cards (Mitchell et al. 2019, doi:10.1145/3287560.3287596).

A card is replaced by one with a higher `sequence`; every one stays in the log. Whether what it states is true, nobody
checks: it is its owner's signed word.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Literal, NotRequired, cast

from annotated_types import Ge, Le, Len
from pydantic import AfterValidator, with_config
from pydantic_core import PydanticCustomError
from typing_extensions import TypedDict

from concordat import clock
from concordat.documents import Keyring, sign, verify_from
from concordat.fields import STRICT, Digest, Slug, Time, read
from concordat.owners_word import check_owner
from concordat.reasons import Refused
from concordat.signatures import SigningKey, peek

LONGEST_PARAGRAPH, MOST_PARAGRAPHS = 600, 4
"""In characters, and of one attribute: it is read at the bedside."""

_MARKUP = re.compile(r"<[A-Za-z/!?]|&[A-Za-z#][A-Za-z0-9]*;")


def _paragraph(text: str) -> str:
    if text != text.strip() or not text.isprintable() or not 1 <= len(text) <= LONGEST_PARAGRAPH:
        raise PydanticCustomError("paragraph", "a paragraph is one line of 1 to 600 printable characters")
    if _MARKUP.search(text):
        raise PydanticCustomError("markup", "a paragraph is plain text, without tags or character entities")
    return text


Paragraph = Annotated[str, AfterValidator(_paragraph)]
Statement = Annotated[list[Paragraph], Len(1, MOST_PARAGRAPHS)]


@with_config(STRICT)
class _Attributes(TypedDict):
    funding: NotRequired[Statement]
    intended_users: NotRequired[Statement]
    out_of_scope: NotRequired[Statement]
    known_risks: NotRequired[Statement]
    training_criteria: NotRequired[Statement]
    training_representativeness: NotRequired[Statement]
    training_relevance: NotRequired[Statement]
    fairness_approach: NotRequired[Statement]
    bias_handling: NotRequired[Statement]
    external_data: NotRequired[Statement]
    external_party: NotRequired[Statement]
    external_representativeness: NotRequired[Statement]
    external_process: NotRequired[Statement]
    validity_test: NotRequired[Statement]
    fairness_test: NotRequired[Statement]
    validity_external: NotRequired[Statement]
    fairness_external: NotRequired[Statement]
    outcomes: NotRequired[Statement]
    validity_monitoring: NotRequired[Statement]
    validity_local: NotRequired[Statement]
    fairness_monitoring: NotRequired[Statement]
    fairness_local: NotRequired[Statement]
    updates: NotRequired[Statement]
    corrections: NotRequired[Statement]


def _something(attributes: _Attributes) -> _Attributes:
    if not attributes:
        names = ", ".join(_Attributes.__annotations__)
        raise PydanticCustomError("missing", "a card states at least one of: {names}", {"names": names})
    return attributes


Attributes = Annotated[_Attributes, AfterValidator(_something)]
"""By name, each in paragraphs. What is left out is not stated."""


@dataclass(frozen=True)
class Attribute:
    """`title` as pages call it, `asks` what it should say, `paragraph` below 45 CFR 170.315(b)(11)(iv)(B)."""

    title: str
    asks: str
    paragraph: str


ATTRIBUTES: Mapping[str, Attribute] = {
    "funding": Attribute("Funding", "who paid for the technical development", "(1)(ii)"),
    "intended_users": Attribute("Intended users", "who was meant to use it", "(2)(iii)"),
    "out_of_scope": Attribute("Out of scope", "tasks, situations or people for which one should not use it", "(3)(i)"),
    "known_risks": Attribute("Known risks", "known risks, limits, and settings and uses that do not fit", "(3)(ii)"),
    "training_criteria": Attribute(
        "Who was included and excluded", "by which criteria people came into the training data, or not", "(4)(i)"
    ),
    "training_representativeness": Attribute(
        "Representativeness of the training data",
        "who the people in it are: sex, age, race, ethnicity, language and the like, as far as known",
        "(4)(iii)",
    ),
    "training_relevance": Attribute(
        "Relevance of the training data", "how the training data bear on where the model is to be used", "(4)(iv)"
    ),
    "fairness_approach": Attribute("How fairness was ensured", "what was done so that its output is fair", "(5)(i)"),
    "bias_handling": Attribute("What was done about bias", "how bias was managed, reduced or removed", "(5)(ii)"),
    "external_data": Attribute(
        "External validation: data", "on which data, of which setting and when, other than its own source", "(6)(i)"
    ),
    "external_party": Attribute("External validation: by whom", "who tested it there", "(6)(ii)"),
    "external_representativeness": Attribute(
        "External validation: people", "who the people in those data are", "(6)(iii)"
    ),
    "external_process": Attribute("External validation: process", "how it was tested there", "(6)(iv)"),
    "validity_test": Attribute(
        "Validity in test data", "measures, in test data of the same source as the training data", "(7)(i)"
    ),
    "fairness_test": Attribute("Fairness in test data", "the same by groups of people", "(7)(ii)"),
    "validity_external": Attribute("Validity in external data", "measures, in data of another source", "(7)(iii)"),
    "fairness_external": Attribute("Fairness in external data", "the same by groups of people", "(7)(iv)"),
    "outcomes": Attribute("Outcomes of use", "evaluations of what its use did for patients, with references", "(7)(v)"),
    "validity_monitoring": Attribute(
        "Monitoring of validity", "how and how often the owner looks at its validity over time", "(8)(i)"
    ),
    "validity_local": Attribute("Validity in local data", "measures where it is used: on whose data, when", "(8)(ii)"),
    "fairness_monitoring": Attribute(
        "Monitoring of fairness", "how and how often the owner looks at its fairness over time", "(8)(iii)"
    ),
    "fairness_local": Attribute("Fairness in local data", "the same by groups of people", "(8)(iv)"),
    "updates": Attribute("Updates", "how and how often it is updated", "(9)(i)"),
    "corrections": Attribute(
        "Corrections", "how often it is corrected when its validity or fairness is found at risk", "(9)(ii)"
    ),
}
"""Those of the rule's 31 that a card can state, in the rule's order; the other seven are signed elsewhere."""


LONGEST_STEP = 1000
"""By how much a card's number is higher than the last one's at most: whoever had the key once takes not all numbers."""


@with_config(STRICT)
class ModelCard(TypedDict):
    """What the owner states of the model of this digest since `time`. The card of the highest `sequence` counts."""

    v: Literal[1]
    model: Digest
    institution: Slug
    sequence: Annotated[int, Ge(1), Le(2**31 - 1)]
    attributes: Attributes
    time: Time


def describe(
    *, model: str, institution: str, sequence: int, attributes: Mapping[str, object], time: datetime, key: SigningKey
) -> str:
    """The owner's signed card (JWS). Raises Refused: FIELD_INVALID, FIELD_UNKNOWN, naming the field."""
    card = {
        "v": 1,
        "model": model,
        "institution": institution,
        "sequence": sequence,
        "attributes": attributes,
        "time": clock.rfc3339(time),
    }
    return sign(card, ModelCard, kind="model-card", key=key)


def read_attributes(content: object) -> _Attributes:
    """What somebody wrote into a file, with what is empty left out.

    Raises Refused: FIELD_INVALID, FIELD_UNKNOWN, and FIELD_MISSING where nothing is left.
    """
    if isinstance(content, Mapping):
        content = {name: paragraphs for name, paragraphs in content.items() if paragraphs != []}
    try:
        return read(content, Attributes)
    except Refused as refused:  # the file as a whole has no name in itself
        raise Refused(refused.reason, detail=refused.detail, field=refused.field or "attributes") from None


def read_card(token: str, keyring: Keyring) -> ModelCard:
    """The card in a JWS signed by the institution that it names: any institution's, about any model."""
    return verify_from(token, ModelCard, kind="model-card", signer="institution", keyring=keyring)


def peek_card(token: str) -> ModelCard:
    """The card in a JWS whose signature was verified before. Raises Refused for its shape."""
    return read(peek(token)[1], ModelCard)


def check_card(token: str, keyring: Keyring, *, model: str, owner: str) -> ModelCard:
    """The card in a JWS, if it is the owner's about this model. Raises Refused as :func:`read_card` and
    :func:`concordat.owners_word.check_owner` do."""
    return check_owner(read_card(token, keyring), name="card", model=model, owner=owner)


def stated(attributes: Attributes) -> dict[Attribute, list[str]]:
    """The paragraphs of each attribute that there is, in the rule's order."""
    said = cast(Mapping[str, list[str]], attributes)
    return {each: said[name] for name, each in ATTRIBUTES.items() if name in said}


def not_stated(attributes: Attributes) -> list[Attribute]:
    """Those that are left out."""
    return [each for name, each in ATTRIBUTES.items() if name not in attributes]


def template() -> dict[str, list[str]]:
    """A card with nothing in it yet, to be filled in: a list of paragraphs for each attribute."""
    return {name: [] for name in ATTRIBUTES}
