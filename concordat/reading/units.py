"""Units: UCUM, converted by Pint as `ucumvert` reads UCUM for it; what is not certain is not converted.

Beyond equal dimensions, two units are only converted where that says the same of a patient:

- what stands in brackets, such as `[iU]` or `[CFU]`, is mostly a unit of one substance, and equivalents (`eq`) and
  osmoles depend on one: both units have the same of them, or none (UCUM § 24). Of those in brackets that are plain
  measures there is a list;
- fractions keep what they are fractions of: `mmol/mol` of HbA1c is no `%`, whose scale is another one;
- an annotation with a number in it, such as `{1.73_m2}`, is on both sides or on neither; others mean nothing (§ 12);
- mass and amount of substance are converted with the molar mass that the schema states, and not without.

https://ucum.org/ucum
"""

import re
from functools import cache, lru_cache
from typing import Any

from concordat.reasons import Reason, Refused
from concordat.schema import Feature

UCUM = "http://unitsofmeasure.org"

_LONGEST = 48
_ANNOTATION = re.compile(r"\{[^{}]*\}")
_LONG_NUMBER = re.compile(r"[0-9]{4,}")
_BRACKETS = re.compile(r"\[[^\[\]]*\]")
_BY_CHARGE = re.compile(r"(?<![A-Za-z])[munpk]?(eq|osm)(?![A-Za-z])")
MEASURES = frozenset({"[Hg]", "[H2O]", "[degF]", "[in_i]", "[ft_i]", "[lb_av]", "[oz_av]", "[stone_av]", "[Cal]"})


def convert(amount: float, code: str, feature: Feature) -> float:
    """`amount`, in the UCUM unit `code`, in the feature's unit.

    Raises:
        Refused: UNIT_WRONG, naming the feature; never the amount or the unit that came.
    """
    if code == feature.unit:
        return amount
    try:
        return _converted(amount, code, feature.unit, feature.molar_mass)
    except _errors():
        hint = "" if feature.molar_mass else " Between mass and amount of substance it needs a molar_mass."
        raise Refused(
            Reason.UNIT_WRONG,
            detail=f"{feature.label} is read in {feature.unit} (UCUM), or a unit that converts to it.{hint}",
            field=feature.name,
        ) from None


@lru_cache(20_000)
def _converted(amount: float, code: str, unit: str, molar_mass: float | None) -> float:
    if _marks(code) != _marks(unit):
        raise ValueError("arbitrary units, or a normalised one")
    registry = _registry()
    given, asked = _read(code), _read(unit)
    if given.dimensionality == asked.dimensionality:
        if not given.dimensionality and _fraction(code) != _fraction(unit):
            raise ValueError("fractions of different things")
        return float(registry.Quantity(amount * given.m, given.units).m_as(asked.units) / asked.m)
    if molar_mass is None:
        raise ValueError("different dimensions")
    mass = registry.Quantity(molar_mass, "gram / mole")
    quantity = registry.Quantity(amount * given.m, given.units)
    for changed in (quantity / mass, quantity * mass):
        if changed.dimensionality == asked.dimensionality:
            return float(changed.m_as(asked.units) / asked.m)
    raise ValueError("different dimensions")


@lru_cache(1000)
def _read(code: str) -> Any:
    """A unit as Pint's quantity. Bounded: a text from outside must not become a very large power."""
    if len(code) > _LONGEST or not code.isascii() or _LONG_NUMBER.search(_ANNOTATION.sub("", code)):
        raise ValueError("no unit of medicine")
    found = _registry().from_ucum(code)
    if not hasattr(found, "dimensionality"):  # what it makes of an annotation alone
        raise ValueError("no unit")
    return found


def _marks(code: str) -> list[str]:
    """What a unit holds that has to be the same on both sides."""
    bare = _ANNOTATION.sub("", code)
    annotations = [each for each in _ANNOTATION.findall(code) if any(map(str.isdigit, each))]
    brackets = [each for each in _BRACKETS.findall(bare) if each not in MEASURES]
    return sorted([*annotations, *brackets, *_BY_CHARGE.findall(bare)])


def _fraction(code: str) -> str:
    """Of what and what a dimensionless unit is the quotient; empty for a plain number or per cent."""
    above, _, below = _ANNOTATION.sub("", code).partition("/")
    if not below:
        return ""
    return f"{_read(above or '1').dimensionality}/{_read(below).dimensionality}"


@cache
def _registry() -> Any:
    from ucumvert import PintUcumRegistry  # half a second, for whoever has to convert

    return PintUcumRegistry()


def _errors() -> tuple[type[Exception], ...]:
    from lark.exceptions import LarkError
    from pint.errors import PintError

    return ValueError, ArithmeticError, LarkError, PintError
