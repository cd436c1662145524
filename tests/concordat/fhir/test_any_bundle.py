"""Whatever a Bundle holds, it is read in the same way or refused by name; the order of its entries says nothing."""

import copy
import json

from hypothesis import given, settings
from hypothesis import strategies as st

from concordat.fhir import Participant, Reading, read_bundle
from concordat.reasons import Refused
from tests.support.bundles import (
    CREATININE,
    FEATURES,
    GLUCOSE,
    LOINC,
    METFORMIN,
    NOW,
    PANEL,
    RXNORM,
    SMOKER,
    SNOMED,
    STUDY,
    SYSTOLIC,
    TEMPERATURE,
    bundle,
    code,
    condition,
    feature,
    medication,
    observation,
    quantity,
    research_study,
    research_subject,
    schema,
)

SCHEMA = schema(
    *FEATURES,
    feature("wide", path="Observation.component.where(code.text = 'wide').value", unit="mm[Hg]"),
    feature("told", "boolean", path="Patient.extension.where(url = 'urn:told').value", reference=False),
)
PARTICIPANT = Participant(STUDY, "6f1d1f7e-2c0b-4c3e-9d56-0b7a3a9f5a11")
DAYS = [f"2026-{month:02}-{day:02}" for month in (1, 2) for day in range(1, 28)]


def whole():
    """A Bundle in which every reader finds something."""
    drug = {"resourceType": "Medication", "code": code(RXNORM, METFORMIN)}
    parts = [
        {"code": code(LOINC, SYSTOLIC), "valueQuantity": quantity(118)},
        {"code": {"text": "wide"}, "valueQuantity": quantity(40)},
    ]
    return bundle(
        observation(PANEL, component=parts, valueQuantity=None),
        observation(GLUCOSE, valueQuantity=quantity(90, "mg/dL")),
        observation(CREATININE, valueQuantity=quantity(88, "umol/L"), effectivePeriod={"start": "2026-01-01"}, at=None),
        observation(TEMPERATURE, valueQuantity=quantity(98.6, "[degF]")),
        observation(SMOKER, valueCodeableConcept=code(SNOMED, "449868002")),
        condition(recordedDate="2020"),
        medication(medicationReference={"reference": "Medication/r7"}, effectivePeriod={"start": "2020"}),
        drug,
        {"resourceType": "Encounter", "status": "finished"},
        research_subject("off-study", "2024", "2025-06"),
        research_subject("on-study", "2025-07", study={"reference": "ResearchStudy/r11"}),
        research_study(),
    )


def places(value, path=()):
    """Where every part of a JSON value stands."""
    yield path
    if isinstance(value, dict | list):
        for name, each in value.items() if isinstance(value, dict) else enumerate(value):
            yield from places(each, (*path, name))


PLACES = list(places(whole()))[1:]
ANYTHING = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**400), 10**400)
    | st.floats()
    | st.text(max_size=5)
    | st.sampled_from(
        ["2026", "2026-02-30", "final", "Patient/p1", "#x", "urn:uuid:1", "mg/dL", "10*999", "Observation"]
    ),
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(
            st.sampled_from(["coding", "code", "system", "value", "reference", "start", "id"]), inner, max_size=3
        )
    ),
    max_leaves=5,
)


def test_the_whole_bundle_is_read():
    reading = read_bundle(whole(), SCHEMA, now=NOW, participant=PARTICIPANT)
    assert [item.feature for item in reading.items if item.state != "read"] == ["told"]
    assert reading.participation == ("ResearchSubject/r9", "ResearchSubject/r10")
    assert not [each for each in reading.left_out if each.resource.startswith("Research")]


@settings(max_examples=600)
@given(st.data())
def test_with_anything_anywhere_it_is_read_or_refused(data):
    given_bundle = whole()
    for path in data.draw(st.lists(st.sampled_from(PLACES), min_size=1, max_size=3)):
        inner, whole_path = given_bundle, True
        for name in path[:-1]:
            try:
                inner = inner[name]
            except (LookupError, TypeError):
                whole_path = False
                break
        if whole_path and isinstance(inner, dict | list) and (isinstance(inner, dict) or path[-1] in range(len(inner))):
            inner[path[-1]] = data.draw(ANYTHING)
    try:
        assert isinstance(read_bundle(given_bundle, SCHEMA, now=NOW, participant=PARTICIPANT), Reading)
    except Refused as refused:
        assert refused.field  # noqa: PT017 - read or refused by name: nothing else may come


@given(st.permutations(range(12)))
def test_the_order_of_entries_says_nothing(order):
    before = whole()
    after = copy.deepcopy(before)
    after["entry"][1:] = [before["entry"][1:][place] for place in order]
    one, other = (read_bundle(each, SCHEMA, now=NOW, participant=PARTICIPANT) for each in (before, after))
    assert one.values == other.values
    assert one.left_out == other.left_out


@given(st.lists(st.sampled_from(DAYS), min_size=1, max_size=12, unique=True), st.randoms())
def test_of_any_values_on_different_days_the_newest_is_used(days, random):
    resources = [observation(at=day, valueQuantity=quantity(number)) for number, day in enumerate(sorted(days))]
    random.shuffle(resources)
    reading = read_bundle(bundle(*resources), SCHEMA, now=NOW)
    assert reading.values["systolic"] == len(days) - 1
    assert sum(each.count for each in reading.left_out) == len(days) - 1


@given(st.lists(st.sampled_from(["Encounter", "Claim", "Practitioner", "Observation"]), max_size=20))
def test_what_is_not_asked_for_changes_nothing_and_is_counted(kinds):
    noise = [observation("1-1") if kind == "Observation" else {"resourceType": kind} for kind in kinds]
    quiet = read_bundle(bundle(observation()), SCHEMA, now=NOW)
    loud = read_bundle(bundle(*noise, observation()), SCHEMA, now=NOW)
    assert quiet.values == loud.values
    assert sum(each.count for each in loud.left_out) == len(kinds)


def test_origins_hold_no_value():
    said = json.dumps(read_bundle(whole(), SCHEMA, now=NOW).origins)
    for value in ("118", "88.0", "daily", "true", "4.99"):
        assert value not in said.replace('"converted": true', "")
