"""A patient's record as it comes in: values, when each was taken, and who the EHR says it is."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from concordat import clock
from concordat.client import records
from concordat.fhir import features_from_bundle
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
    """The record in a FHIR Bundle of one patient.

    Raises:
        Refused: FILE_UNREADABLE, BUNDLE_INVALID, and what the mapping refuses.
    """
    bundle = records.read_object(file)
    values = features_from_bundle(bundle, schema)
    resources = [entry["resource"] for entry in bundle["entry"]]
    (patient,) = (str(each.get("id", "")) for each in resources if each["resourceType"] == "Patient")
    return Record(values, dict(_taken(resources, schema)), patient)


def read_values(file: Path, schema: FeatureSchema, *, taken: datetime) -> Record:
    """The record in a JSON object of values by feature, all of them taken at one time. Raises Refused as `records`."""
    values = records.read_json(file)
    moment = clock.rfc3339(taken)
    return Record(values, {each.name: moment for each in schema.features if values.get(each.name) is not None}, "")


def _taken(resources: list[dict[str, Any]], schema: FeatureSchema) -> list[tuple[str, str]]:
    names = {(code.system, code.code): feature.name for feature in schema.features for code in feature.codes}
    found = []
    for each in resources:
        codings = each.get("code", {}).get("coding", []) if each["resourceType"] == "Observation" else []
        of = [names[key] for coding in codings if (key := (coding.get("system"), coding.get("code"))) in names]
        if of:
            found.append((of[0], _moment(each, of[0])))
    return found


def _moment(observation: Mapping[str, Any], feature: str) -> str:
    """When an Observation was made; the beginning of a day that has no time, so that it is never taken for younger."""
    text = str(observation.get("effectiveDateTime") or observation.get("effectiveInstant") or "")
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        detail = "An effectiveDateTime with at least a day is expected: how old a value is decides whether it is shown."
        raise Refused(Reason.FIELD_INVALID, detail=detail, field=feature) from None
    return clock.rfc3339(moment if moment.tzinfo else moment.replace(tzinfo=UTC))
