"""What data may be used for, in the codes of the GA4GH Data Use Ontology (DUO), and whether a study keeps to it.

The codes are DUO's (github.com/EBISPOT/DUO, duo.csv): a permission says for which research data may be used, modifiers
narrow it, and investigations say what a study does. The match has three values, as in REMS (its decision record 019)
and the algorithm of DUOS (github.com/DataBiosphere/consent-ontology, docs/Algorithms.md): a code that carries a value
which nobody wrote down here, such as *which* disease, is for a person to decide.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Literal

from pydantic import Field, with_config
from typing_extensions import TypedDict

from concordat.fields import STRICT, Slug
from concordat.reasons import Reason, Refused

DuoCode = Literal[
    "DUO:0000004", "DUO:0000006", "DUO:0000007", "DUO:0000011", "DUO:0000012", "DUO:0000015", "DUO:0000016",
    "DUO:0000018", "DUO:0000019", "DUO:0000020", "DUO:0000021", "DUO:0000022", "DUO:0000024", "DUO:0000025",
    "DUO:0000026", "DUO:0000027", "DUO:0000028", "DUO:0000029", "DUO:0000031", "DUO:0000032", "DUO:0000033",
    "DUO:0000042", "DUO:0000043", "DUO:0000044", "DUO:0000045", "DUO:0000046",
]  # fmt: skip

LABELS: Mapping[str, str] = {
    "DUO:0000004": "no restriction",
    "DUO:0000006": "health or medical or biomedical research",
    "DUO:0000007": "disease specific research",
    "DUO:0000011": "population origins or ancestry research only",
    "DUO:0000012": "research specific restrictions",
    "DUO:0000015": "no general methods research",
    "DUO:0000016": "genetic studies only",
    "DUO:0000018": "not for profit, non commercial use only",
    "DUO:0000019": "publication required",
    "DUO:0000020": "collaboration required",
    "DUO:0000021": "ethics approval required",
    "DUO:0000022": "geographical restriction",
    "DUO:0000024": "publication moratorium",
    "DUO:0000025": "time limit on use",
    "DUO:0000026": "user specific restriction",
    "DUO:0000027": "project specific restriction",
    "DUO:0000028": "institution specific restriction",
    "DUO:0000029": "return to database or resource",
    "DUO:0000031": "method development",
    "DUO:0000032": "population research",
    "DUO:0000033": "ancestry research",
    "DUO:0000042": "general research use",
    "DUO:0000043": "clinical care use",
    "DUO:0000044": "population origins or ancestry research prohibited",
    "DUO:0000045": "not for profit organisation use only",
    "DUO:0000046": "non-commercial use only",
}

_NRES, _GRU, _HMB, _DS, _POA = "DUO:0000004", "DUO:0000042", "DUO:0000006", "DUO:0000007", "DUO:0000011"
_CC, _IRB, _NMDS, _NPOA = "DUO:0000043", "DUO:0000021", "DUO:0000015", "DUO:0000044"
_METHODS, _POPULATION, _ANCESTRY = "DUO:0000031", "DUO:0000032", "DUO:0000033"
_PERMISSIONS = frozenset({_NRES, _GRU, _HMB, _DS, _POA})
_ORIGINS = frozenset({_POA, _POPULATION, _ANCESTRY})

_COVERS: Mapping[str, frozenset[str]] = {
    _NRES: _PERMISSIONS,
    _GRU: frozenset({_GRU, _HMB, _DS, _POA}),
    _HMB: frozenset({_HMB, _DS}),
    _DS: frozenset({_DS}),
    _POA: frozenset({_POA}),
}
"""Which research a permission of the data covers, by the study's own permission codes."""

_PROMISES: Mapping[str, frozenset[str]] = {
    "DUO:0000018": frozenset({"DUO:0000018"}),
    "DUO:0000045": frozenset({"DUO:0000045", "DUO:0000018"}),
    "DUO:0000046": frozenset({"DUO:0000046", "DUO:0000018"}),
    "DUO:0000016": frozenset({"DUO:0000016"}),
    "DUO:0000019": frozenset({"DUO:0000019"}),
    "DUO:0000020": frozenset({"DUO:0000020"}),
    "DUO:0000029": frozenset({"DUO:0000029"}),
}
"""Modifiers that a study can promise to keep by declaring one of these; without that a person asks. DUO has no term for
a study that is commercial, only for one that is not."""


@with_config(STRICT)
class DatasetTerms(TypedDict):
    """What one institution's data allow."""

    institution: Slug
    terms: Annotated[list[DuoCode], Field(min_length=1)]


class Answer(StrEnum):
    """Whether terms allow a use. Ordered by weight: one denial outweighs any doubt, a doubt any permission."""

    ALLOWED = "allowed"
    NEEDS_HUMAN = "needs-human"
    DENIED = "denied"


@dataclass(frozen=True)
class Match:
    """The answer, and for each code of the data that does not simply allow the use why, in words."""

    answer: Answer
    reasons: Mapping[str, str]


def match(study: Collection[str], dataset: Collection[str]) -> Match:
    """Whether data under these terms may be used by a study that declares these codes.

    Args:
        study: the research that the study is (a permission code), what it does (investigation codes), and the modifiers
            that it promises to keep.
        dataset: the data's terms. That the boards' approval satisfies "ethics approval required" goes without saying:
            nothing is computed without it.
    """
    answers = {code: _modifier(code, study) for code in dataset if code not in _PERMISSIONS}
    answers |= _permissions(study, dataset)
    worst = max((answer for answer, _ in answers.values()), key=list(Answer).index, default=Answer.ALLOWED)
    return Match(worst, {code: why for code, (answer, why) in answers.items() if answer is not Answer.ALLOWED})


def check_codes(study: Sequence[str], datasets: Sequence[DatasetTerms], *, sites: Sequence[str]) -> None:
    """Terms are those of sites, once each. Raises Refused(FIELD_INVALID), naming the field."""
    owners = [dataset["institution"] for dataset in datasets]
    for place, owner in enumerate(owners):
        if owner not in sites or owners.count(owner) > 1:
            detail = "Terms are stated once for a site of the study."
            raise Refused(Reason.FIELD_INVALID, detail=detail, field=f"data_use.datasets.{place}")
    if len(set(study)) != len(study):
        raise Refused(Reason.FIELD_INVALID, detail="One code is named twice.", field="data_use.study")


_Answered = tuple[Answer, str]
_YES: _Answered = (Answer.ALLOWED, "")


def _permissions(study: Collection[str], dataset: Collection[str]) -> dict[str, _Answered]:
    """The answer of the data's permission; of several, the most generous one counts, for each was given."""
    given = [code for code in dataset if code in _PERMISSIONS]
    if not given:
        return {"": (Answer.NEEDS_HUMAN, "The terms name no permission, only modifiers.")}
    answers = {code: _permission(code, study) for code in given}
    best = min(answers, key=lambda code: list(Answer).index(answers[code][0]))
    found = {best: answers[best]}
    if _CC in study and not {_CC, _NRES} & set(dataset):
        found[_CC] = (Answer.DENIED, "The data may not be used in clinical care.")
    return found


def _permission(code: str, study: Collection[str]) -> _Answered:
    wanted = _research(study)
    if code == _NRES:
        return _YES
    if not wanted and not (_CC in study or _ORIGINS & set(study)):
        return Answer.NEEDS_HUMAN, "The study does not declare which research it is."
    if not _COVERS[code].issuperset(wanted) or (code in (_HMB, _DS) and _ORIGINS & set(study)):
        return Answer.DENIED, f"The data are for “{LABELS[code]}”; the study is not only that."
    if code == _POA and not _ORIGINS & set(study):
        return Answer.DENIED, f"The data are for “{LABELS[code]}”; the study is not."
    if code == _DS:
        return Answer.NEEDS_HUMAN, "Whether the study is about the disease that the data are for, a person decides."
    return _YES


def _research(study: Collection[str]) -> frozenset[str]:
    """Which research the study is; of codes that stand inside one another the narrowest."""
    declared = _PERMISSIONS.intersection(study)
    return declared - {code for code in declared if declared & _COVERS[code] - {code}}


def _modifier(code: str, study: Collection[str]) -> _Answered:
    if code in (_IRB, _CC) or _PROMISES.get(code, frozenset()) & set(study):
        return _YES
    if code == _NMDS:
        return (Answer.DENIED, "The data are not for method development.") if _METHODS in study else _YES
    if code == _NPOA:
        denied = Answer.DENIED, "The data are not for research on population origins or ancestry."
        return denied if _ORIGINS & set(study) else _YES
    if code in _PROMISES:
        return Answer.NEEDS_HUMAN, f"The study does not declare that it keeps to “{LABELS[code]}”."
    return Answer.NEEDS_HUMAN, f"Whether the study keeps to “{LABELS[code]}”, a person decides."
