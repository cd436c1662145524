"""Whether a ResearchSubject of the Bundle says that its patient does not take part in the study.

Looked at are those of this study, by our own identifier of it, and of this patient. One that ends or denies their part
refuses the record, unless a part began certainly after that; where there is none, nothing is said: consents and
protocols decide then. R4 knows no ResearchSubject that was entered in error: such a one is deleted, or carries a
modifier, which is refused here.

https://hl7.org/fhir/R4/researchsubject.html, https://hl7.org/fhir/R4/valueset-research-subject-status.html
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from concordat.fhir.bundle import validate
from concordat.fhir.elements import Element, bad_bundle, element, modified, text
from concordat.fhir.names import system, uuid_identifier
from concordat.fhir.references import Entry, Index, identifiers, is_about
from concordat.reading.tally import Tally
from concordat.reading.times import Span, span
from concordat.reasons import Reason, Refused

Says = Literal["part", "none", "nothing"]
"""That the person takes part, that they do not, or neither."""

SAYS: Mapping[str, Says] = {
    "on-study": "part",
    "on-study-intervention": "part",
    "on-study-observation": "part",
    "potential-candidate": "nothing",
    "candidate": "nothing",
    "screening": "nothing",
    "eligible": "nothing",
    "pending-on-study": "nothing",
    "follow-up": "none",
    "ineligible": "none",
    "not-registered": "none",
    "off-study": "none",
    "withdrawn": "none",
}
"""What each status of R4's value set says. In `follow-up` nothing of the study's procedures is done any more."""


@dataclass(frozen=True)
class Participant:
    """Whose part in which study is looked at: the study's short name, and the person's pseudonym (UUID), by which a
    ResearchSubject of ours names them."""

    study: str
    subject: str


@dataclass(frozen=True)
class _Part:
    entry: Entry
    says: Says
    start: Span | None
    end: Span | None


def check_participation(
    found: Sequence[Entry], patient: Entry, participant: Participant, *, now: datetime, tally: Tally
) -> tuple[str, ...]:
    """The references (or places) of the ResearchSubjects that were looked at; none of them refuses the record.

    Raises:
        Refused: NOT_IN_STUDY; BUNDLE_INVALID for one that is not of R4, is modified, is about somebody else, is of a
            study that cannot be told and ends somebody's part, or for some that contradict each other.
    """
    studies = Index(entry for entry in found if entry.kind == "ResearchStudy")
    parts = []
    for entry in found:
        if entry.kind == "ResearchStudy" and _named(entry.resource) == {participant.study}:
            tally.use(entry.place)
        if entry.kind == "ResearchSubject" and _is_of(entry, participant.study, studies):
            _check_whose(entry, patient, participant)
            parts.append(_read(entry, now))
            tally.use(entry.place)
    _decide([each for each in parts if each.says == "none"], [each for each in parts if each.says == "part"])
    return tuple(each.entry.reference or each.entry.place for each in parts)


def _named(resource: Element) -> set[str]:
    """The studies of ours that identifiers name."""
    return {value for where, value in identifiers(resource) if where == system("study")}


def _is_of(entry: Entry, study: str, studies: Index) -> bool:
    """Whether it is of this study. Raises Refused(BUNDLE_INVALID) where that cannot be told and matters."""
    reference = element(entry.resource.get("study"))
    named = _named({"identifier": [reference.get("identifier")]})
    name = text(reference.get("reference"))
    found = studies.find(reference, seen_from=entry) if name else None
    if found is not None and found.get("resourceType") == "ResearchStudy":
        named |= _named(found)
        if modified(found) and study in named:
            detail = "A modifier changes what its ResearchStudy means, in a way that is not known here."
            raise bad_bundle(f"{entry.place}.resource.study", detail)
    elif not named and (name or not reference.get("identifier")) and _ends(entry):
        detail = "It ends somebody's part in a study, and which study cannot be told: its ResearchStudy is not here."
        raise bad_bundle(f"{entry.place}.resource.study", detail)
    if study in named and len(named) > 1:
        raise bad_bundle(f"{entry.place}.resource.study", "It is of several studies.")
    return study in named


def _ends(entry: Entry) -> bool:
    return SAYS.get(text(entry.resource.get("status"))) not in ("part", "nothing")


def _check_whose(entry: Entry, patient: Entry, participant: Participant) -> None:
    individual = element(entry.resource.get("individual"))
    pseudonym = uuid_identifier(participant.subject)
    ours = (pseudonym["system"], pseudonym["value"]) in identifiers({"identifier": [individual.get("identifier")]})
    if ours and not individual.get("reference"):
        return
    about = is_about(patient, entry, by="individual")
    if not about:
        detail = "It does not say whom it is about." if about is None else "It is about another patient."
        raise bad_bundle(f"{entry.place}.resource.individual", detail)


def _read(entry: Entry, now: datetime) -> _Part:
    if modified(entry.resource):
        detail = "A modifier changes what the ResearchSubject means, in a way that is not known here."
        raise bad_bundle(entry.place, detail)
    validate(entry)
    says = SAYS.get(text(entry.resource.get("status")))
    if says is None:
        known = ", ".join(SAYS)
        raise bad_bundle(f"{entry.place}.resource.status", f"The status of a ResearchSubject is one of: {known}.")
    period = element(entry.resource.get("period"))
    start, end = span(period.get("start")), span(period.get("end"))
    unread = [name for name, when in (("start", start), ("end", end)) if name in period and when is None]
    if unread:
        raise bad_bundle(f"{entry.place}.resource.period.{unread[0]}", "This is no date of FHIR.")
    if start is not None and end is not None and start.after(end):
        raise bad_bundle(f"{entry.place}.resource.period", "The period ends before it begins.")
    if says == "part" and end is not None and end.latest < now:
        says = "none"
    elif says == "part" and start is not None and start.earliest > now:
        says = "nothing"
    return _Part(entry, says, start, end)


def _decide(ended: Sequence[_Part], going_on: Sequence[_Part]) -> None:
    """Raise Refused, unless nothing ended, or a part began certainly after all others had ended."""
    if not ended or any(all(_later(part.start, other.end) for other in ended) for part in going_on):
        return
    newest = [each for each in ended if all(_later(each.start, part.start) for part in going_on)]
    if newest:
        detail = "A ResearchSubject in the record has a status that says so, or its period is over."
        raise Refused(Reason.NOT_IN_STUDY, detail=detail, field=f"{newest[0].entry.place}.resource.status")
    detail = "Another ResearchSubject of the same study says the opposite, and by their periods neither is newer."
    raise bad_bundle(f"{ended[0].entry.place}.resource.status", detail)


def _later(one: Span | None, other: Span | None) -> bool:
    return one is not None and other is not None and one.after(other)
