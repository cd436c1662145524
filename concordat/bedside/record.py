"""A patient's record as it comes in: values, when each was taken, from where, and who the EHR says it is."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, TextIO

from concordat import clock
from concordat.bedside.item import VALUES
from concordat.bedside.standing import SKEW
from concordat.client import ehr, omop, records
from concordat.client.heard import FILE, Heard
from concordat.client.home import ClientHome
from concordat.fhir import Participant, read_bundle
from concordat.fhir.bundle import entries, one_patient
from concordat.reading import Item, Reading
from concordat.reading.newest import young
from concordat.reading.record import Origins
from concordat.reasons import Reason, Refused
from concordat.schema import FeatureSchema, Value

_PERSONAL = ("Patient", "person")
"""What is said of a person there is not measured, and no older than the reading."""


@dataclass(frozen=True)
class Record:
    """`taken`: when each value was taken (RFC 3339), where that is known. `patient` is empty if the source does not say
    by an id of the EHR whose they are. `source` and `origins` as of an `Item` in the store."""

    values: Mapping[str, Value]
    taken: Mapping[str, str]
    patient: str
    source: str
    origins: Origins | None


def read_fhir(
    file: Path,
    schema: FeatureSchema,
    participant: Participant | None = None,
    *,
    server: str = "",
    heard: Heard | None = None,
) -> Record:
    """The record in a FHIR Bundle of one patient.

    Whose it is, is told by what the file itself carries: the Patient's own id, unless the file says that a server gave
    it which is not the EHR's: there the same id is somebody else's.

    Args:
        participant: as of `read_bundle`.
        server: the address of the EHR's FHIR server, if it is known.
        heard: notes what the file holds, also if it is refused, for whoever keeps an audit.

    Raises:
        Refused: FILE_UNREADABLE, BUNDLE_INVALID, what the mapping refuses, and FIELD_INVALID as `_of`.
    """
    bundle, now = records.read_object(file), clock.now()
    if heard is not None:
        heard.bundle(bundle)
    reading = read_bundle(bundle, schema, now=now, participant=participant)
    return _of(reading, _identity(bundle, server), source=FILE, now=now)


def read_ehr(
    home: ClientHome, patient: str, schema: FeatureSchema, heard: Heard, participant: Participant | None = None
) -> Record:
    """The record at the FHIR server in `ehr.json`. Raises Refused as `ehr.fetch_patient` and `read_fhir`."""
    bundle, now = ehr.fetch_patient(home, patient, schema, heard), clock.now()
    reading = read_bundle(bundle, schema, now=now, participant=participant)
    return _of(reading, patient, source=heard.source, now=now)


def read_omop(home: ClientHome, name: str, person: TextIO, schema: FeatureSchema, heard: Heard) -> Record:
    """The record in OMOP tables, which do not say who it is for the EHR. Raises Refused as `omop.read_person`, and
    FIELD_INVALID as `_of`."""
    now = clock.now()
    reading = omop.read_person(home, name, person, schema, heard, now=now)
    return _of(reading, "", source=heard.source, now=now)


def read_values(file: Path, schema: FeatureSchema, *, taken: datetime) -> Record:
    """The record in a JSON object of values by feature, all of them taken at one time, which somebody states: the
    record has none. What is older than its `max_age` counts as in a Bundle.

    Raises:
        Refused: as `records`; FIELD_INVALID for a time in the future; VALUE_TOO_OLD.
    """
    now = clock.now()
    if taken > now + SKEW:
        raise Refused(Reason.FIELD_INVALID, detail="Values cannot have been taken in the future.", field="taken")
    values = records.read_json(file)
    for each in schema.features:
        if values.get(each.name) is not None:
            values[each.name] = young(Item(each.name, values[each.name], "read", age=now - taken), each).value
    moment = clock.rfc3339(taken)
    known = {each.name: moment for each in schema.features if values.get(each.name) is not None}
    return Record(values, known, "", VALUES, None)


def _of(reading: Reading, patient: str, *, source: str, now: datetime) -> Record:
    """What was read, with the time of each value; a partial date counts as its beginning, so that no value is ever
    taken for younger than it is. That there is none of something holds for the time of the newest value, or for today:
    the same record read again is the same.

    Raises:
        Refused: FIELD_INVALID for a value without a date: how old it is decides whether the result is shown.
    """
    taken, absent = {}, []
    for item in reading.items:
        if item.state != "read" or item.resource in _PERSONAL:
            continue
        if item.age is None and item.place:
            detail = "It has no date with at least a day: how old a value is decides whether it is shown."
            raise Refused(Reason.FIELD_INVALID, detail=detail, field=item.feature)
        if item.age is None:
            absent.append(item.feature)
        else:
            taken[item.feature] = clock.rfc3339(now - item.age)
    today = clock.rfc3339(now.replace(hour=0, minute=0, second=0, microsecond=0))
    taken |= dict.fromkeys(absent, max(taken.values(), default=today))
    return Record(reading.values, taken, patient, source, reading.origins)


def _identity(bundle: Mapping[str, Any], server: str) -> str:
    """The id by which the EHR knows a Bundle's Patient; empty where the Bundle does not say."""
    patient = one_patient(entries(bundle))
    return "" if patient.base and patient.base != server else patient.local.removeprefix("Patient/")
