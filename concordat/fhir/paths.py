"""FHIRPath: where in a resource a feature's value stands, as the schema says (`Feature.path`).

An expression comes from a schema that boards have approved, and is bounded all the same: it begins with `Observation.`
or `Patient.`, is short, and calls nothing but the functions below. None of these loops over more than the one resource
that it is asked about, prints (`trace`), matches patterns, follows references or knows the time. Evaluated by
`fhirpathpy`; its errors may quote a value and go no further.

https://hl7.org/fhirpath/N1/
"""

import re
from collections.abc import Mapping
from decimal import Decimal
from functools import lru_cache
from typing import Any

from concordat.fhir.elements import Element
from concordat.reading.values import invalid
from concordat.schema import Feature

FUNCTIONS = frozenset(
    {"all", "as", "count", "empty", "exists", "extension", "first", "iif", "is", "last", "not", "ofType", "select"}
    | {"single", "skip", "tail", "take", "where"}
)
"""Which functions an expression may call."""

LONGEST = 300
_TEXT = re.compile(r"'[^'\\]*'")
_CALL = re.compile(r"([A-Za-z_]\w*)\s*\(")
_ALLOWED = re.compile(r"[A-Za-z0-9_.,()\[\]=!<>&|'\s~-]*", re.ASCII)


def evaluate(feature: Feature, resource: Element) -> Element | None:
    """What the feature's path finds in a resource, as an element with a `value[x]`; None if it finds nothing.

    Raises:
        Refused: FIELD_INVALID, naming the feature, if the expression is not allowed, fails, or finds several values.
    """
    found = _run(feature, resource)
    if len(found) > 1:
        raise invalid(feature, "Its path finds several values in one resource.")
    return _as_element(feature, found[0]) if found else None


def root(path: str) -> str:
    """The type of resource at which a path begins."""
    return path.partition(".")[0]


def _run(feature: Feature, resource: Element) -> list[Any]:
    assert feature.path is not None
    bare = _TEXT.sub("''", feature.path)
    unknown = sorted(set(_CALL.findall(bare)) - FUNCTIONS)
    if len(feature.path) > LONGEST or not _ALLOWED.fullmatch(bare) or unknown:
        allowed = ", ".join(sorted(FUNCTIONS))
        raise invalid(feature, f"Its path in the feature schema is not allowed; the functions are: {allowed}.")
    try:
        found: list[Any] = _compiled(feature.path)(resource)
    except Exception:  # noqa: BLE001 - the library raises plain Exceptions, which may quote a value
        raise invalid(feature, "Its path in the feature schema cannot be evaluated here.") from None
    return found


def _as_element(feature: Feature, found: Any) -> Element:
    if isinstance(found, bool):
        return {"valueBoolean": found}
    if isinstance(found, int | float | Decimal):
        return {"valueDecimal": _plain(found)}
    if isinstance(found, str):
        return {"valueCode": found}
    if isinstance(found, Mapping):
        if "coding" in found:
            return {"valueCodeableConcept": found}
        if "value" in found and not isinstance(found["value"], Mapping):
            return {"valueQuantity": {**found, "value": _plain(found["value"])}}
        if "code" in found:
            return {"valueCodeableConcept": {"coding": [found]}}
    raise invalid(feature, "Its path finds no number, code or truth value.")


def _plain(number: object) -> object:
    """Without the Decimals that the library makes of numbers."""
    return float(number) if isinstance(number, Decimal) else number


@lru_cache(500)
def _compiled(path: str) -> Any:
    from fhirpathpy import compile as compile_path  # parser and models, for whoever has paths
    from fhirpathpy.models import models

    return compile_path(path, model=models["r4"])
