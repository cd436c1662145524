"""Observations: which of them says what a feature is, when several do."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from concordat.fhir.bundle import validate
from concordat.fhir.elements import Element, bad_bundle, keys, modified, parts, text
from concordat.fhir.paths import evaluate, root
from concordat.fhir.references import Entry
from concordat.fhir.times import effective
from concordat.fhir.values import has_value, value_of
from concordat.reading import tally as left_out
from concordat.reading.newest import check_taken, newest, young
from concordat.reading.record import Item
from concordat.reading.tally import Tally
from concordat.reading.times import Span
from concordat.reading.values import Key, key
from concordat.schema import Feature

FINAL = ("final", "amended", "corrected")
"""The statuses of Observations that are used."""

STATUSES = (*FINAL, "registered", "preliminary", "cancelled", "entered-in-error", "unknown")


@dataclass(frozen=True)
class _Candidate:
    entry: Entry
    part: Element
    when: Span | None
    speaks: bool

    def same(self, other: "_Candidate") -> bool:
        """Whether the other stands in another entry of the same content."""
        return other.entry is not self.entry and other.entry.resource == self.entry.resource


def read_observations(
    found: Iterable[Entry], features: Sequence[Feature], *, now: Span, tally: Tally
) -> dict[str, Item]:
    """The newest final value of each feature that an Observation speaks of, by the feature's name.

    Raises:
        Refused: FIELD_INVALID, UNIT_WRONG, CODE_UNKNOWN or VALUE_TOO_OLD, naming the feature; BUNDLE_INVALID.
    """
    by_code: dict[Key, list[Feature]] = {}
    for feature in features:
        for code in feature.codes:
            by_code.setdefault(key(code), []).append(feature)
    searching = [feature for feature in features if feature.path and not feature.codes]
    candidates: dict[str, list[_Candidate]] = {feature.name: [] for feature in features}
    for entry in found:
        matched = _matched(entry, by_code)
        if not matched and not searching:
            tally.leave(entry.kind, entry.place, left_out.NOT_ASKED)
            continue
        if not _usable(entry, tally):
            continue
        when = effective(entry.resource)
        for feature, part in matched:
            speaks = bool(feature.path) or has_value(part)
            candidates[feature.name].append(_Candidate(entry, part, when, speaks))
        for feature in searching:
            part_found = evaluate(feature, entry.resource)
            if part_found is not None:
                candidates[feature.name].append(_Candidate(entry, part_found, when, speaks=True))
        tally.leave(entry.kind, entry.place, left_out.OLDER if matched else left_out.NOT_ASKED)
    return {
        feature.name: _item(feature, _newest(feature, candidates[feature.name], tally), now=now, tally=tally)
        for feature in features
        if candidates[feature.name]
    }


def _matched(entry: Entry, by_code: Mapping[Key, list[Feature]]) -> list[tuple[Feature, Element]]:
    """Features and the part of the Observation that has one of their codes, once each."""
    matched: list[tuple[Feature, Element]] = []
    for part in parts(entry.resource):
        seen: set[str] = set()
        for code in keys(part.get("code")):
            for feature in by_code.get(code, []):
                if feature.name not in seen:
                    seen.add(feature.name)
                    whole = entry.resource if feature.path else part
                    if not any(each is feature and other is whole for each, other in matched):
                        matched.append((feature, whole))
    return matched


def _usable(entry: Entry, tally: Tally) -> bool:
    status = text(entry.resource.get("status"))
    if status not in STATUSES:
        raise bad_bundle(f"{entry.place}.resource.status", "An Observation has a status.")
    if status not in FINAL:
        tally.leave(entry.kind, entry.place, left_out.NOT_FINAL)
        return False
    if entry.resource.get("focus"):
        tally.leave(entry.kind, entry.place, left_out.FOCUS)
        return False
    if modified(entry.resource):
        raise bad_bundle(entry.place, "A modifier changes what the Observation means, in a way that is not known here.")
    return True


def _newest(feature: Feature, candidates: Sequence[_Candidate], tally: Tally) -> _Candidate:
    best, again = newest(feature, candidates)
    for other in again:
        tally.leave(other.entry.kind, other.entry.place, left_out.AGAIN)
    return best


def _item(feature: Feature, chosen: _Candidate, *, now: Span, tally: Tally) -> Item:
    entry, when = chosen.entry, chosen.when
    validate(entry)
    check_taken(feature, when, now=now)
    part: Element | None = chosen.part
    if feature.path and root(feature.path) == "Observation" and feature.codes:
        part = evaluate(feature, entry.resource)
    found = value_of(part or {}, feature)
    tally.use(entry.place)
    item = Item(
        feature.name,
        found.value,
        "missing" if found.value is None else "read",
        why="" if found.value is not None else "absent, or without a value",
        taken=when.words if when else "",
        age=None if when is None else when.age(now),
        unit=found.unit,
        converted=bool(found.unit) and found.unit != feature.unit,
        resource="Observation",
        reference=entry.reference,
        place=entry.place,
    )
    return young(item, feature)
