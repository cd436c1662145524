"""The feature schema: which clinical facts a model reads, in which unit and range, and how each becomes a number.

The encoding is chosen so that the public *reference* record is the zero vector: a number is (x - centre) / scale, a
boolean is 1 where it differs from the reference, a category has one 0/1 column for each level but the reference
level. A record in which some groups of columns are replaced by the reference is therefore `mask * x`.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property
from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, BeforeValidator, model_validator

from concordat.canonical import Json, digest
from concordat.fields import STRICT, Digest, Slug, Text, read
from concordat.reasons import Reason, Refused
from concordat.rules import Rule

NUMBER_MARGIN = 1.5
"""How far a design may move a number out of its range, in standard deviations: models are proven for that much more."""

Value = bool | int | float | str | None
_DECIMAL = re.compile(r"[+-]?[0-9]+(\.[0-9]+)?")
_DURATION = re.compile(r"P(?:(?P<days>[0-9]{1,5})D)?(?:T(?P<hours>[0-9]{1,5})H)?", re.ASCII)


def _number(value: object) -> object:
    return float(value) if isinstance(value, str) and _DECIMAL.fullmatch(value) else value


Number = Annotated[float, BeforeValidator(_number)]


class Code(BaseModel, frozen=True):
    """A code by which clinical systems name a feature or a level: `system` is a URI such as http://loinc.org."""

    model_config = STRICT
    system: Text
    code: Text
    display: Text


class Level(BaseModel, frozen=True):
    """One value of a category; `aliases` are spellings found in exported tables."""

    model_config = STRICT
    value: Text
    label: Text
    codes: list[Code] = []
    aliases: list[str] = []


class Feature(BaseModel, frozen=True):
    """One clinical fact.

    `unit` is UCUM ("1" for none), `unit_label` how people write it. `centre` and `scale` standardise a number;
    `reference` is the level of a category, or the value of a boolean, at which the reference record stands. `absent`
    lists recorded numbers that mean "not measured". `relevance`: whether a clinician can change what the feature
    says, act on it, or neither. A missing value is refused, or imputed as the reference and
    marked so.

    How it is found in a FHIR Bundle (`concordat.fhir`), all of it optional: `resource` is the type of resource that has
    one of the `codes`, an Observation unless it says otherwise; `path` a FHIRPath expression to the value
    (`concordat.fhir.paths` says which are allowed); `none_means_no`: of a boolean from a Condition or a
    MedicationStatement, that a Bundle without one says no, where else the value is missing; `max_age`, such as `P30D`
    or `PT12H`: an older Observation counts as missing, and what was computed from one is out of date at the bedside
    once it is older; `molar_mass`, in g/mol: mass and amount of substance of a number are converted by it, and not at
    all without it.
    """

    model_config = STRICT
    name: Slug
    label: Text
    words: Text
    kind: Literal["number", "boolean", "category"]
    codes: list[Code]
    missing: Literal["impute", "refuse"]
    group: Slug
    patient: Literal["birthDate", "gender"] | None = None
    relevance: Literal["modifiable", "actionable", "context"] | None = None
    unit: Text = "1"
    unit_label: Text | None = None
    range: list[Number] = []
    centre: Number | None = None
    scale: Number | None = None
    absent: list[Number] = []
    levels: list[Level] = []
    reference: bool | str | None = None
    resource: Literal["Observation", "Condition", "MedicationStatement"] | None = None
    path: Text | None = None
    none_means_no: bool = False
    max_age: Text | None = None
    molar_mass: Number | None = None

    @model_validator(mode="after")
    def _found(self) -> "Feature":
        listed = self.resource in ("Condition", "MedicationStatement")
        if listed and (self.kind != "boolean" or not self.codes or self.path or self.patient):
            raise ValueError(f"{self.name}: a {self.resource} says by its codes whether a boolean is true")
        if self.none_means_no and not listed:
            raise ValueError(f"{self.name}: none_means_no is for a Condition or a MedicationStatement")
        patients = bool(self.patient) or (self.path or "").startswith("Patient.")
        if self.max_age is not None and (listed or patients or self.oldest is None):
            raise ValueError(f"{self.name}: max_age is for an Observation, and reads like P30D, PT12H or P1DT12H")
        if self.path is not None and (self.patient or not self.path.startswith(("Observation.", "Patient."))):
            raise ValueError(f"{self.name}: a path begins with Observation. or Patient.")
        if self.molar_mass is not None and (self.kind != "number" or self.molar_mass <= 0):
            raise ValueError(f"{self.name}: a molar mass is that of a number, and positive")
        return self

    @model_validator(mode="after")
    def _kinds(self) -> "Feature":
        if self.kind == "number":
            fine = len(self.range) == 2 and self.centre is not None and (self.scale or 0) > 0
            fine = fine and self.range[0] <= (self.centre or 0) <= self.range[1]
            fine = fine and self.reference is None and not self.levels
        elif self.kind == "boolean":
            fine = isinstance(self.reference, bool) and self.centre is None and not self.levels
        else:
            fine = self.reference in [level.value for level in self.levels] and len(self.levels) > 1
        if not fine:
            raise ValueError(f"{self.name}: a {self.kind} needs exactly the fields of its kind")
        return self

    @property
    def oldest(self) -> timedelta | None:
        """`max_age`; None for no limit."""
        found = _DURATION.fullmatch(self.max_age or "")
        if found is None or not any(found.groups()):
            return None
        return timedelta(days=int(found["days"] or 0), hours=int(found["hours"] or 0))

    @property
    def columns(self) -> list[str]:
        if self.kind == "category":
            return [f"{self.name}={level.value}" for level in self.levels if level.value != self.reference]
        return [self.name]

    @property
    def bounds(self) -> tuple[float, float]:
        """What each of its columns may be: the ends of a number's range, encoded; 0 and 1 for everything else."""
        if self.kind == "number" and self.centre is not None and self.scale is not None:
            return (self.range[0] - self.centre) / self.scale, (self.range[1] - self.centre) / self.scale
        return 0.0, 1.0

    @property
    def reference_value(self) -> Value:
        return self.centre if self.kind == "number" else self.reference

    def check(self, value: Value) -> Value:
        """The value, if it is possible for this feature.

        Raises:
            Refused: FIELD_INVALID (wrong type), VALUE_OUT_OF_RANGE or CODE_UNKNOWN (no such level).
        """
        if self.kind == "number":
            return self._check_number(value)
        if self.kind == "boolean":
            if not isinstance(value, bool):
                raise Refused(Reason.FIELD_INVALID, detail=f"{self.label} is true or false.", field=self.name)
            return value
        if value not in [level.value for level in self.levels]:
            allowed = ", ".join(level.value for level in self.levels)
            raise Refused(Reason.CODE_UNKNOWN, detail=f"{self.label} is one of: {allowed}.", field=self.name)
        return value

    def _check_number(self, value: Value) -> float:
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise Refused(
                Reason.FIELD_INVALID, detail=f"{self.label} is a number, not a text or a truth value.", field=self.name
            )
        low, high = self.range
        if not low <= value <= high:  # NaN compares false
            raise Refused(
                Reason.VALUE_OUT_OF_RANGE,
                detail=f"{self.label} lies between {low:g} and {high:g} {self.unit}. Check the record at its source.",
                field=self.name,
            )
        return float(value)

    def encode(self, value: Value) -> list[float]:
        """One number for each of `columns`, all zero at the reference."""
        if self.kind == "number":
            assert self.centre is not None
            assert self.scale is not None
            assert isinstance(value, int | float)
            return [(value - self.centre) / self.scale]
        if self.kind == "boolean":
            return [float(value != self.reference)]
        return [float(value == level.value) for level in self.levels if level.value != self.reference]

    def say(self, value: Value) -> str:
        """A checked value in words: with its unit, or by its label."""
        if self.kind == "number":
            unit = "" if self.unit == "1" else f" {self.unit_label or self.unit}"
            return f"{value:g}{unit}"
        if self.kind == "boolean":
            return "yes" if value else "no"
        return next(level.label for level in self.levels if level.value == value)

    def decode(self, column: NDArray[np.float64]) -> NDArray[np.float64]:
        """The values, in its unit, that a number's encoded ones stand for."""
        assert self.centre is not None
        assert self.scale is not None
        return self.centre + self.scale * column

    def parse(self, text: str) -> Value:
        """A cell of a table as a value; the empty cell is None.

        Raises:
            Refused: FIELD_INVALID or CODE_UNKNOWN, naming the feature.
        """
        text = text.strip()
        if not text:
            return None
        if self.kind == "number":
            if not _DECIMAL.fullmatch(text):
                raise Refused(Reason.FIELD_INVALID, detail=f"{self.label} is a plain number.", field=self.name)
            return float(text)
        if self.kind == "boolean":
            if text.lower() not in ("true", "false"):
                raise Refused(Reason.FIELD_INVALID, detail=f"{self.label} is TRUE or FALSE.", field=self.name)
            return text.lower() == "true"
        for level in self.levels:
            if text in (level.value, *level.aliases):
                return level.value
        return text


class _Document(BaseModel, frozen=True):
    model_config = STRICT
    v: Literal[1]
    name: Slug
    version: Text
    title: Text
    source: Text
    standardisation: Text
    left_out: dict[str, Text]
    features: list[Feature]
    rules: list[Rule] = []


@dataclass(frozen=True)
class EncodedRecord:
    """`vector` (columns,) float64; `values` by feature name, imputed ones included; `imputed` names those."""

    vector: NDArray[np.float64]
    imputed: tuple[str, ...]
    values: Mapping[str, Value]


@dataclass(frozen=True)
class FeatureSchema:
    """A checked schema document and its digest."""

    name: str
    version: str
    features: tuple[Feature, ...]
    digest: Digest
    rules: tuple[Rule, ...] = ()

    @classmethod
    def from_json(cls, document: Json) -> "FeatureSchema":
        """Read a schema document; decimals are strings, as in every digested document.

        Raises:
            Refused: FIELD_MISSING, FIELD_UNKNOWN or FIELD_INVALID, naming the field.
        """
        read_document = read(document, _Document)
        features = tuple(read_document.features)
        names = [feature.name for feature in features]
        if not names or len(set(names)) != len(names):
            raise Refused(Reason.FIELD_INVALID, detail="Features have different names.", field="features")
        numbers = {each.name: (each.unit, each.centre) for each in features if each.kind == "number"}
        for rule in read_document.rules:
            rule.check(numbers)
        rules = tuple(read_document.rules)
        return cls(read_document.name, read_document.version, features, digest(document), rules)

    @cached_property
    def columns(self) -> tuple[str, ...]:
        """Names of the model's input columns, in order."""
        return tuple(column for feature in self.features for column in feature.columns)

    @cached_property
    def groups(self) -> tuple[str, ...]:
        """Groups of features that are replaced by the reference together, in order of first appearance."""
        return tuple(dict.fromkeys(feature.group for feature in self.features))

    @cached_property
    def column_groups(self) -> tuple[int, ...]:
        """For each column, the index of its group."""
        return tuple(self.groups.index(feature.group) for feature in self.features for _ in feature.columns)

    @cached_property
    def bounds(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """For each column, the lowest and the highest number that an allowed value is encoded as."""
        ends = [feature.bounds for feature in self.features for _ in feature.columns]
        lowest, highest = np.array(ends, dtype=np.float64).T
        return lowest, highest

    @cached_property
    def reach(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """For each column, the lowest and the highest number that any design may make of an allowed record."""
        lowest, highest = self.bounds
        owners = (feature for feature in self.features for _ in feature.columns)
        margin = np.array([NUMBER_MARGIN * (feature.kind == "number") for feature in owners])
        return np.minimum(lowest, 0) - margin, np.maximum(highest, 0) + margin

    def from_row(self, row: Mapping[str, str]) -> dict[str, Value]:
        """Values from a row of a table; columns that the schema does not name are left out.

        Raises:
            Refused: FEATURE_MISSING if the table lacks a column, or what :meth:`Feature.parse` refuses.
        """
        for feature in self.features:
            if row.get(feature.name) is None:
                detail = f"The table has no column {feature.name}."
                raise Refused(Reason.FEATURE_MISSING, detail=detail, field=feature.name)
        return {feature.name: feature.parse(row[feature.name]) for feature in self.features}

    def encode_row(self, values: Mapping[str, Value]) -> EncodedRecord:
        """Check, impute and encode one record; every source of records ends here.

        Raises:
            Refused: FIELD_UNKNOWN, FEATURE_MISSING, FIELD_INVALID, CODE_UNKNOWN or VALUE_OUT_OF_RANGE, naming the
                feature; never the value. The last one also where two measured values break a rule.
        """
        unknown = sorted(set(values) - {feature.name for feature in self.features})
        if unknown:
            raise Refused(
                Reason.FIELD_UNKNOWN,
                detail="The feature schema does not ask for this; leave it out. It asks for: "
                f"{', '.join(feature.name for feature in self.features)}.",
                field=unknown[0],
            )
        checked: dict[str, Value] = {}
        imputed: list[str] = []
        for feature in self.features:
            value = values.get(feature.name)
            if value is None or (not isinstance(value, bool) and value in feature.absent):
                if feature.missing == "refuse":
                    detail = f"{feature.label} is required and may not be imputed."
                    raise Refused(Reason.FEATURE_MISSING, detail=detail, field=feature.name)
                imputed.append(feature.name)
                value = feature.reference_value
            checked[feature.name] = feature.check(value)
        for rule in self.rules:
            if not {rule.left, rule.right} & set(imputed) and not rule.holds(checked):
                detail = f"For every patient, {rule}. Check the record at its source."
                raise Refused(Reason.VALUE_OUT_OF_RANGE, detail=detail, field=rule.left)
        vector = [number for feature in self.features for number in feature.encode(checked[feature.name])]
        return EncodedRecord(np.array(vector, dtype=np.float64), tuple(imputed), checked)
