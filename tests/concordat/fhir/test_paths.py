"""A feature schema may say by FHIRPath where a value stands; what it may say is bounded."""

import copy

import pytest

from concordat.fhir import read_bundle
from concordat.fhir.paths import LONGEST
from concordat.reasons import Reason, Refused
from tests.support.bundles import (
    LOINC,
    NOW,
    SYSTOLIC,
    bundle,
    code,
    feature,
    named,
    observation,
    patient,
    quantity,
    schema,
)

SITE = "http://example.org/body-position"


def read(path, *resources, kind="number", who=None, codes=(), **more):
    extra = {"unit": "mm[Hg]"} if kind == "number" else more
    asked = schema(feature("x", kind, path=path, codes=named(*codes), **extra))
    return read_bundle(bundle(*resources, who=who), asked, now=NOW).values.get("x")


def test_a_component_is_found_by_a_path():
    panel = observation(
        "85354-9",
        valueQuantity=None,
        component=[{"code": code("urn:local", "upper"), "valueQuantity": quantity(16, "kPa")}],
    )
    path = "Observation.component.where(code.coding.exists(system = 'urn:local' and code = 'upper')).value"
    assert read(path, panel) == pytest.approx(120, rel=1e-3)
    assert read(path, panel, codes=[(LOINC, "85354-9")]) == pytest.approx(120, rel=1e-3)
    assert read(path, panel, codes=[(LOINC, "1-1")]) is None


def test_the_newest_one_in_which_the_path_finds_something_is_used():
    resources = [observation(at=f"2026-02-0{day}", valueQuantity=quantity(day)) for day in (3, 1, 2)]
    assert read("Observation.value.ofType(Quantity)", *resources) == 3
    other = observation(at="2026-03-01", valueString="later, and no quantity")
    assert read("Observation.value.ofType(Quantity)", *resources, other) == 3


def test_a_patients_extension_is_found_by_a_path():
    who = patient(extension=[{"url": SITE, "valueBoolean": True}, {"url": "urn:other", "valueBoolean": False}])
    path = f"Patient.extension.where(url = '{SITE}').value"
    assert read(path, who=who, kind="boolean", reference=False) is True
    assert read(path, kind="boolean", reference=False) is None


def test_several_values_are_refused():
    twice = observation(component=[{"code": code(LOINC, "x"), "valueQuantity": quantity(each)} for each in (1, 2)])
    with pytest.raises(Refused) as caught:
        read("Observation.component.value", twice, codes=[(LOINC, SYSTOLIC)])
    assert (caught.value.reason, caught.value.field) == (Reason.FIELD_INVALID, "x")


def test_the_resource_is_not_changed():
    given = bundle(observation(valueQuantity=quantity(1.5)))
    before = copy.deepcopy(given)
    asked = schema(feature("x", path="Observation.value", unit="mm[Hg]"))
    read_bundle(given, asked, now=NOW)
    assert given == before
    assert type(given["entry"][1]["resource"]["valueQuantity"]["value"]) is float


@pytest.mark.parametrize(
    "path",
    [
        "Observation.trace('x')",
        "Observation.repeat(component)",
        "Observation.descendants()",
        "Observation.value.matches('(a+)+$')",
        "Observation.subject.resolve()",
        "Observation.value.where(now() > today())",
        "Observation.component.aggregate($this)",
        "Observation.%resource",
        "Observation.value // comment",
        "Observation." + "value." * (LONGEST // 6) + "x",
        "Observation.value.unknown (1)",
        "Observation.where(",
    ],
)
def test_what_is_not_allowed_is_refused_before_it_runs(path, capsys):
    with pytest.raises(Refused) as caught:
        read(path, observation())
    assert (caught.value.reason, caught.value.field) == (Reason.FIELD_INVALID, "x")
    assert capsys.readouterr().out == ""


def test_an_error_of_the_library_quotes_no_value():
    with pytest.raises(Refused) as caught:
        read("Observation.component[0].value > 3 'kPa'", observation(component=[{"valueQuantity": quantity(4713)}]))
    assert "4713" not in f"{caught.value} {caught.value.detail}"
    assert caught.value.__suppress_context__


@pytest.mark.parametrize(
    "wrong",
    [
        {"path": "value"},
        {"path": "Encounter.status"},
        {"path": "Patient.x", "patient": "gender"},
        {"none_means_no": True},
        {"max_age": "30 days"},
        {"max_age": "P"},
        {"max_age": "PT"},
        {"max_age": "P1M"},
        {"max_age": "P1D", "patient": "birthDate"},
        {"max_age": "P1D", "path": "Patient.extension.value"},
        {"resource": "Condition"},
        {"molar_mass": "0"},
        {"molar_mass": "-5"},
    ],
)
def test_a_schema_that_does_not_make_sense_is_refused(wrong):
    with pytest.raises(Refused):
        schema(feature("x", **wrong))


def test_a_schema_without_the_new_fields_keeps_its_digest():
    given = feature("x")
    assert schema(given).digest != schema({**given, "max_age": "P1D"}).digest
    assert schema({**given, "max_age": "P1DT12H"}).features[0].oldest.total_seconds() == 36 * 3600
