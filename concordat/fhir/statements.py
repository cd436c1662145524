"""Conditions and MedicationStatements: whether a patient has, or takes, something.

Of a Condition counts what is *active* and *confirmed*; of a MedicationStatement what is *active*. Refuted, resolved and
stopped ones say no. What is provisional, on hold, intended or silent about it says nothing, and then the value is
missing even where `none_means_no`: somebody suspects it.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime

from concordat.fhir.bundle import validate
from concordat.fhir.elements import bad_bundle, coded, element, keys, modified, text
from concordat.fhir.references import Entry, Index
from concordat.fhir.times import effective
from concordat.reading import tally as left_out
from concordat.reading.record import Item
from concordat.reading.said import Says, counts
from concordat.reading.tally import Tally
from concordat.reading.times import Span, span
from concordat.reading.values import Key, key
from concordat.schema import Feature

CLINICAL = "http://terminology.hl7.org/CodeSystem/condition-clinical"
VERIFICATION = "http://terminology.hl7.org/CodeSystem/condition-ver-status"

CLINICAL_SAYS: dict[str, Says] = {
    "active": "yes",
    "recurrence": "yes",
    "relapse": "yes",
    "inactive": "no",
    "remission": "no",
    "resolved": "no",
}
VERIFICATION_SAYS: dict[str, Says] = {
    "confirmed": "yes",
    "refuted": "refuted",
    "entered-in-error": "error",
    "unconfirmed": "uncertain",
    "provisional": "uncertain",
    "differential": "uncertain",
}
MEDICATION_SAYS: dict[str, Says] = {
    "active": "yes",
    "completed": "no",
    "not-taken": "no",
    "stopped": "no",
    "entered-in-error": "error",
    "intended": "uncertain",
    "on-hold": "uncertain",
    "unknown": "uncertain",
}


def read_statements(
    kind: str, found: Iterable[Entry], features: Sequence[Feature], medications: Index, *, now: datetime, tally: Tally
) -> dict[str, Item]:
    """What resources of one type, `Condition` or `MedicationStatement`, say about the features that are read from it.

    Raises:
        Refused: FIELD_INVALID, naming the feature, if they contradict themselves; BUNDLE_INVALID.
    """
    by_code: dict[Key, list[Feature]] = {}
    for feature in features:
        for code in feature.codes:
            by_code.setdefault(key(code), []).append(feature)
    told: dict[str, dict[Says, Entry]] = {feature.name: {} for feature in features}
    for entry in found:
        codes = _codes(entry, medications)
        named = {feature.name: feature for code in codes for feature in by_code.get(code, [])}
        if not codes and kind == "MedicationStatement" and _medication(entry, now) not in ("error", "no"):
            for feature in features:  # what is taken cannot be told: it may be any of them
                told[feature.name].setdefault("uncertain", entry)
            tally.leave(kind, entry.place, left_out.UNCERTAIN)
            continue
        if not named:
            tally.leave(kind, entry.place, left_out.NOT_ASKED)
            continue
        if modified(entry.resource):
            raise bad_bundle(entry.place, f"A modifier changes what the {kind} means, in a way that is not known here.")
        says = _condition(entry) if kind == "Condition" else _medication(entry, now)
        tally.leave(
            kind, entry.place, {"error": left_out.NOT_FINAL, "uncertain": left_out.UNCERTAIN}.get(says, left_out.OLDER)
        )
        if says != "error":
            for name in named:
                told[name].setdefault(says, entry)
    return {feature.name: _item(kind, feature, told[feature.name], now, tally) for feature in features}


def _codes(entry: Entry, medications: Index) -> list[Key]:
    resource = entry.resource
    if entry.kind == "Condition":
        return keys(resource.get("code"))
    reference = element(resource.get("medicationReference"))
    medication = medications.find(reference, seen_from=entry) if reference else None
    return keys(resource.get("medicationCodeableConcept")) + keys((medication or {}).get("code"))


def _condition(entry: Entry) -> Says:
    resource = entry.resource
    verified = {VERIFICATION_SAYS.get(code) for code in coded(resource.get("verificationStatus"), VERIFICATION)}
    current = {CLINICAL_SAYS.get(code) for code in coded(resource.get("clinicalStatus"), CLINICAL)}
    if verified in ({"error"}, {"refuted"}):
        return "error" if verified == {"error"} else "refuted"
    abated = any(name.startswith("abatement") for name in resource)
    if verified != {"yes"} or len(current) != 1 or (current == {"yes"} and abated):
        return "uncertain"
    return current.pop() or "uncertain"


def _medication(entry: Entry, now: datetime) -> Says:
    says = MEDICATION_SAYS.get(text(entry.resource.get("status")))
    if says is None:
        raise bad_bundle(f"{entry.place}.resource.status", "A MedicationStatement has a status.")
    when = effective(entry.resource)
    over = when is not None and "effectivePeriod" in entry.resource and when.latest < now
    ahead = when is not None and when.earliest > now
    return "uncertain" if says == "yes" and (over or ahead) else says


def _item(kind: str, feature: Feature, told: dict[Says, Entry], now: datetime, tally: Tally) -> Item:
    says = counts(kind, feature, told)
    if says == "uncertain":
        return Item(feature.name, None, "missing", why=left_out.UNCERTAIN, resource=kind)
    if says is not None:
        entry = told[says]
        validate(entry)
        tally.use(entry.place)
        when = _recorded(entry)
        age = now - when.earliest if when is not None and when.earliest <= now else None
        return Item(
            feature.name,
            says == "yes",
            "read",
            taken=when.words if when else "",
            age=age,
            resource=kind,
            reference=entry.reference,
            place=entry.place,
        )
    if feature.none_means_no:
        return Item(feature.name, False, "read", why=f"no {kind} in the Bundle", resource=kind)
    return Item(feature.name, None, "missing", why=f"no {kind} in the Bundle", resource=kind)


def _recorded(entry: Entry) -> Span | None:
    if entry.kind == "Condition":
        return span(entry.resource.get("recordedDate")) or span(entry.resource.get("onsetDateTime"))
    return effective(entry.resource) or span(entry.resource.get("dateAsserted"))
