"""A patient's record as it comes in: values, when each was taken, and who the EHR says it is."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from concordat import clock
from concordat.bedside.items import SKEW
from concordat.client import records
from concordat.fhir import read_bundle
from concordat.reasons import Reason, Refused
from concordat.schema import FeatureSchema, Value


@dataclass(frozen=True)
class Record:
    """`taken`: when each value was taken (RFC 3339), where that is known. `patient` is empty if the source does not say
    whose they are."""

    values: Mapping[str, Value]
    taken: Mapping[str, str]
    patient: str


def read_fhir(file: Path, schema: FeatureSchema) -> Record:
    """The record in a FHIR Bundle of one patient; a partial date counts as its beginning, so that no value is ever
    taken for younger than it is.

    Raises:
        Refused: FILE_UNREADABLE, BUNDLE_INVALID, what the mapping refuses, and FIELD_INVALID for a value without a
            date: how old it is decides whether the result is shown.
    """
    now = clock.now()
    reading = read_bundle(records.read_object(file), schema, now=now)
    taken = {}
    for item in reading.items:
        if item.state != "read" or item.resource == "Patient":
            continue
        if item.age is None:
            detail = "It has no date with at least a day: how old a value is decides whether it is shown."
            raise Refused(Reason.FIELD_INVALID, detail=detail, field=item.feature)
        taken[item.feature] = clock.rfc3339(now - item.age)
    return Record(reading.values, taken, reading.patient.removeprefix("Patient/"))


def read_values(file: Path, schema: FeatureSchema, *, taken: datetime) -> Record:
    """The record in a JSON object of values by feature, all of them taken at one time. Raises Refused as `records`."""
    if taken > clock.now() + SKEW:
        raise Refused(Reason.FIELD_INVALID, detail="Values cannot have been taken in the future.", field="taken")
    values = records.read_json(file)
    moment = clock.rfc3339(taken)
    return Record(values, {each.name: moment for each in schema.features if values.get(each.name) is not None}, "")
