"""Units are converted as UCUM has them, and only where that says the same of a patient."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from concordat.reading.units import convert
from concordat.reasons import Reason, Refused
from tests.support.bundles import feature, schema


def asked(unit, molar_mass=None):
    more = {} if molar_mass is None else {"molar_mass": molar_mass}
    return schema(feature("x", unit=unit, **more)).features[0]


@pytest.mark.parametrize(
    ("amount", "came", "unit", "expected"),
    [
        (120, "mm[Hg]", "mm[Hg]", 120),
        (16, "kPa", "mm[Hg]", 120.009856),
        (98.6, "[degF]", "Cel", 37),
        (72, "{beats}/min", "/min", 72),
        (1.2, "Hz", "/min", 72),
        (180, "[lb_av]", "kg", 81.6466266),
        (70, "[in_i]", "cm", 177.8),
        (5, "10*9/L", "10*3/uL", 5),
        (135, "g/L", "g/dL", 13.5),
        (18, "mo", "a", 1.5),
        (55, "%", "1", 0.55),
        (88, "umol/L", "mmol/L", 0.088),
        (300, "mg/g{creat}", "g/kg", 300),
        (60, "mL/min/{1.73_m2}", "L/h/{1.73_m2}", 3.6),
        (10, "[iU]/mL", "[iU]/dL", 1000),
        (4, "meq/L", "ueq/L", 4000),
    ],
)
def test_what_converts(amount, came, unit, expected):
    assert convert(amount, came, asked(unit)) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize(
    ("came", "unit", "molar_mass", "expected"),
    [
        ("mg/dL", "mmol/L", "180.156", 5.550745),  # glucose
        ("mmol/L", "mg/dL", "180.156", 1801.56),
        ("mg/dL", "umol/L", "113.12", 8840.17),  # creatinine
        ("umol", "ug", "100", 10_000),
    ],
)
def test_mass_and_amount_convert_by_the_molar_mass(came, unit, molar_mass, expected):
    assert convert(100, came, asked(unit, molar_mass)) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize(
    ("came", "unit", "molar_mass"),
    [
        ("mg/dL", "mmol/L", None),
        ("mmol/mol", "%", None),  # HbA1c: 48 mmol/mol is 6.5 %, not 4.8 %
        ("mmol/mol", "1", "100"),
        ("meq/L", "mmol/L", None),  # of calcium, 2 meq are 1 mmol
        ("meq/L", "mg/dL", "40.08"),
        ("mosm/kg", "mmol/kg", None),
        ("[iU]/L", "10*3/L", None),
        ("[iU]/L", "[CFU]/L", None),
        ("mL/min", "mL/min/{1.73_m2}", None),
        ("kg", "mm[Hg]", "18"),
        ("mg/dL", "mol", "18"),
        ("[pH]", "1", None),
        ("mmHg", "mm[Hg]", None),
        ("MM[HG]", "mm[Hg]", None),
        ("", "1", None),
        ("m999", "m2", None),
        ("10*99999999", "1", None),
        ("(10*999)", "1", None),
        ("9" * 40, "1", None),
        ("((((((((((((((((((((m", "m", None),
        ("µmol/L", "mmol/L", None),
        ("__import__", "m", None),
    ],
)
def test_what_does_not(came, unit, molar_mass):
    with pytest.raises(Refused) as caught:
        convert(1, came, asked(unit, molar_mass))
    assert (caught.value.reason, caught.value.field) == (Reason.UNIT_WRONG, "x")
    assert came == "" or came == "m" or f" {came} " not in caught.value.detail


UNITS = ("kPa", "mm[Hg]", "Pa", "cm[H2O]", "bar")


@given(st.floats(-1e6, 1e6), st.sampled_from(UNITS), st.sampled_from(UNITS))
def test_there_and_back_is_the_same(amount, one, other):
    there = convert(amount, one, asked(other))
    assert convert(there, other, asked(one)) == pytest.approx(amount, rel=1e-9, abs=1e-12)


@example("{}")
@example("{a}")
@given(st.text(st.sampled_from("mgLkPa/.*10()[]{}'_dHzUi%-+ µ"), max_size=60))
def test_any_text_converts_or_is_refused(code):
    try:
        assert isinstance(convert(1.0, code, asked("mg/dL")), float)
    except Refused as refused:
        assert refused.reason is Reason.UNIT_WRONG  # noqa: PT017 - either outcome is right, nothing else is
