"""A record that is exported as FHIR and as OMOP reads to the same features, or is refused for the same feature."""

from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from concordat.fhir import read_bundle
from concordat.omop import Index, Person, Reader
from concordat.reading import Reading
from concordat.reasons import Refused
from tests.support import bundles
from tests.support.bundles import CREATININE, GLUCOSE, NOW, SMOKER, SNOMED, SYSTOLIC, TEMPERATURE, code, quantity
from tests.support.omop import (
    C_CREATININE,
    C_DAILY,
    C_GLUCOSE,
    C_METFORMIN,
    C_NEVER,
    C_SMOKER,
    C_SYSTOLIC,
    C_TEMPERATURE,
    CELSIUS,
    CONFIRMED,
    FAHRENHEIT,
    KPA,
    LESS,
    MG_DL,
    MM_HG,
    MMOL_L,
    PERSON,
    PRELIMINARY,
    RESOLVED,
    UMOL_L,
    UNKNOWN,
    Warehouse,
)

SCHEMA = bundles.schema()
MEASURED = {
    (SYSTOLIC, C_SYSTOLIC): (("mm[Hg]", MM_HG), ("kPa", KPA)),
    (GLUCOSE, C_GLUCOSE): (("mmol/L", MMOL_L), ("mg/dL", MG_DL)),
    (CREATININE, C_CREATININE): (("umol/L", UMOL_L), ("mg/dL", MG_DL)),
    (TEMPERATURE, C_TEMPERATURE): (("Cel", CELSIUS), ("[degF]", FAHRENHEIT)),
}
SMOKES = (("266919005", C_NEVER), ("449868002", C_DAILY), ("261665006", UNKNOWN))
STATUSES = (
    (("active", "confirmed"), CONFIRMED),
    (("active", "provisional"), PRELIMINARY),
    (("resolved", "confirmed"), RESOLVED),
)

Fact = Callable[[Warehouse], dict[str, Any]]
"""Writes a row, and gives the resource that says the same."""


@st.composite
def days(draw: st.DrawFn) -> tuple[str, str, str | None]:
    """A day, and a time of FHIR and one of OMOP (UTC) on it, or none."""
    day = f"2026-{draw(st.sampled_from(['02-27', '02-28', '03-01', '03-02', '03-04']))}"
    if draw(st.booleans()):
        return day, day, None
    clock = draw(st.sampled_from(["00:00:01", "08:30:00", "08:59:00", "23:59:59"]))
    return day, f"{day}T{clock}Z", f"{day} {clock}"


@st.composite
def measured(draw: st.DrawFn) -> Fact:
    (loinc, concept), units = draw(st.sampled_from(list(MEASURED.items())))
    unit, unit_concept = draw(st.sampled_from([*units, ("", None)]))
    amount, less, absent = draw(st.integers(1, 40)), draw(st.integers(0, 9)) == 0, draw(st.integers(0, 9)) == 0
    day, fhir, omop = draw(days())

    def write(warehouse: Warehouse) -> dict[str, Any]:
        warehouse.measure(
            concept,
            None if absent else amount,
            None if absent else unit_concept,  # FHIR has no place for it: two such rows would be the same there alone
            measurement_date=day,
            measurement_datetime=omop,
            operator_concept_id=LESS if less and not absent else None,
            value_as_concept_id=UNKNOWN if absent else None,
        )
        if absent:
            return bundles.observation(loinc, fhir, valueQuantity=None, dataAbsentReason={"text": "unknown"})
        said = quantity(amount, unit) if unit else {"value": amount}
        return bundles.observation(loinc, fhir, valueQuantity=said | ({"comparator": "<"} if less else {}))

    return write


@st.composite
def smoked(draw: st.DrawFn) -> Fact:
    answer, concept = draw(st.sampled_from(SMOKES))
    day, fhir, omop = draw(days())

    def write(warehouse: Warehouse) -> dict[str, Any]:
        warehouse.observe(C_SMOKER, concept, observation_date=day, observation_datetime=omop)
        if concept == UNKNOWN:
            return bundles.observation(SMOKER, fhir, valueQuantity=None, dataAbsentReason={"text": "unknown"})
        return bundles.observation(SMOKER, fhir, valueCodeableConcept=code(SNOMED, answer))

    return write


@st.composite
def diagnosed(draw: st.DrawFn) -> Fact:
    (clinical, verified), status = draw(st.sampled_from(STATUSES))

    def write(warehouse: Warehouse) -> dict[str, Any]:
        warehouse.diagnose(condition_status_concept_id=status)
        return bundles.condition(clinical, verified, recordedDate="2020-05-01")

    return write


@st.composite
def taken(draw: st.DrawFn) -> Fact:
    start, end, status = draw(
        st.sampled_from(
            [
                ("2026-01-01", "2026-06-30", "active"),
                ("2025-01-01", "2025-06-30", "completed"),
                ("2026-05-01", "2026-06-30", "active"),
            ]
        )
    )

    def write(warehouse: Warehouse) -> dict[str, Any]:
        warehouse.give(C_METFORMIN, drug_exposure_start_date=start, drug_exposure_end_date=end)
        return bundles.medication(status, effectivePeriod={"start": start, "end": end})

    return write


def told(read: Callable[[], Reading]) -> object:
    """Values, states and reasons of a reading, or what it was refused for."""
    try:
        reading = read()
    except Refused as refused:
        return refused.reason, refused.field
    return {
        each.feature: (each.value, each.state, each.taken[:10], each.age, each.unit, each.converted)
        for each in reading.items
    }


@settings(max_examples=60)
@given(
    st.lists(st.one_of(measured(), measured(), smoked(), diagnosed(), taken()), max_size=6),
    st.sampled_from([(1961, 10, 14), (1961, 3, None), (1961, 4, None), (1961, None, None)]),
)
def test_reads_to_the_same_whichever_way_it_came(facts: list[Fact], born: tuple[int, int | None, int | None]) -> None:
    year, month, day = born
    written = f"{year}" + (f"-{month:02}" if month else "") + (f"-{day:02}" if day else "")
    with TemporaryDirectory() as folder:
        warehouse = Warehouse(Path(folder) / "cdm.sqlite3")
        warehouse.add("person", year_of_birth=year, month_of_birth=month, day_of_birth=day)
        resources = [fact(warehouse) for fact in facts]
        bundle = bundles.bundle(*resources, who=bundles.patient(birthDate=written))
        with warehouse.open(zone="UTC") as database:
            rows = told(lambda: Reader(database, SCHEMA).person(Person(PERSON), Index.at(NOW)))
        warehouse.close()
    assert rows == told(lambda: read_bundle(bundle, SCHEMA, now=NOW))
