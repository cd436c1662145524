"""Observations: which of them says what a feature is, when several do."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from concordat.fhir import left_out
from concordat.fhir.bundle import validate
from concordat.fhir.elements import Element, Key, bad_bundle, invalid, key, keys, modified, parts, text
from concordat.fhir.left_out import Tally
from concordat.fhir.paths import evaluate, root
from concordat.fhir.reading import Item
from concordat.fhir.references import Entry
from concordat.fhir.times import Span, effective
from concordat.fhir.values import has_value, value_of
from concordat.reasons import Reason, Refused
from concordat.schema import Feature

FINAL = ("final", "amended", "corrected")
"""The statuses of Observations that are used."""

STATUSES = (*FINAL, "registered", "preliminary", "cancelled", "entered-in-error", "unknown")

SKEW = timedelta(minutes=10)
"""How far clocks may go wrong before a time lies in the future."""


@dataclass(frozen=True)
class _Candidate:
    entry: Entry
    part: Element
    when: Span | None


def read_observations(
    found: Iterable[Entry], features: Sequence[Feature], *, now: datetime, tally: Tally
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
            tally.leave(entry, left_out.NOT_ASKED)
            continue
        if not _usable(entry, tally):
            continue
        when = effective(entry.resource)
        for feature, part in matched:
            candidates[feature.name].append(_Candidate(entry, part, when))
        for feature in searching:
            part_found = evaluate(feature, entry.resource)
            if part_found is not None:
                candidates[feature.name].append(_Candidate(entry, part_found, when))
        tally.leave(entry, left_out.OLDER if matched else left_out.NOT_ASKED)
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
        tally.leave(entry, left_out.NOT_FINAL)
        return False
    if entry.resource.get("focus"):
        tally.leave(entry, left_out.FOCUS)
        return False
    if modified(entry.resource):
        raise bad_bundle(entry.place, "A modifier changes what the Observation means, in a way that is not known here.")
    return True


def _newest(feature: Feature, candidates: Sequence[_Candidate], tally: Tally) -> _Candidate:
    """The one that is certainly the newest; linear in their number."""
    if len(candidates) == 1:
        return candidates[0]
    with_value = [each for each in candidates if feature.path or has_value(each.part)] or [candidates[0]]
    dated = [(each.when.first, each) for each in with_value if each.when is not None]
    if len(with_value) > 1 and len(dated) < len(with_value):
        raise invalid(feature, "There are several values, and not all say when they were taken. Send the one to use.")
    best = max(dated, key=lambda pair: pair[0])[1] if dated else with_value[0]
    for other in with_value:
        if other is best or (best.when and other.when and best.when.after(other.when)):
            continue
        if other.entry is best.entry or other.entry.resource != best.entry.resource:
            raise invalid(feature, "There are several values, and none is certainly the newest. Send the one to use.")
        tally.leave(other.entry, left_out.AGAIN)
    return best


def _item(feature: Feature, chosen: _Candidate, *, now: datetime, tally: Tally) -> Item:
    entry, when = chosen.entry, chosen.when
    validate(entry)
    if when is not None and when.earliest > now + SKEW:
        raise invalid(feature, "It was taken in the future. Check the record at its source.")
    part: Element | None = chosen.part
    if feature.path and root(feature.path) == "Observation" and feature.codes:
        part = evaluate(feature, entry.resource)
    found = value_of(part or {}, feature)
    tally.use(entry)
    age = None if when is None else max(now - when.earliest, timedelta())
    item = Item(
        feature.name,
        found.value,
        "missing" if found.value is None else "read",
        why="" if found.value is not None else "absent, or without a value",
        taken=when.words if when else "",
        age=age,
        unit=found.unit,
        converted=bool(found.unit) and found.unit != feature.unit,
        resource="Observation",
        reference=entry.reference,
        place=entry.place,
    )
    if feature.oldest is None or found.value is None or (age is not None and age <= feature.oldest):
        return item
    if feature.missing == "refuse":
        detail = f"{feature.label} is used if it is certainly not older than {feature.max_age}."
        raise Refused(Reason.VALUE_TOO_OLD, detail=detail, field=feature.name)
    return _without_value(item, feature)


def _without_value(item: Item, feature: Feature) -> Item:
    why = f"older than {feature.max_age}" if item.age is not None else "undated, where an age is asked for"
    said = {name: getattr(item, name) for name in ("taken", "age", "unit", "resource", "reference", "place")}
    return Item(item.feature, None, "too old", why=why, **said)
