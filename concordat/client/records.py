"""Where a record comes from: a FHIR Bundle, a row of a table, or a JSON object of values."""

import csv
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from concordat import canonical, clock
from concordat.client.heard import Heard
from concordat.fhir import Participant, Reading, read_bundle
from concordat.reasons import Reason, Refused
from concordat.schema import FeatureSchema, Value


def read_fhir(
    path: Path, schema: FeatureSchema, participant: Participant | None = None, *, heard: Heard | None = None
) -> Reading:
    """What a FHIR Bundle of one patient says, now. Raises Refused as `read_object` and `read_bundle` do. What the file
    holds is noted in `heard`, for whoever keeps an audit, also if it is refused."""
    bundle = read_object(path)
    if heard is not None:
        heard.bundle(bundle)
    return read_bundle(bundle, schema, now=clock.now(), participant=participant)


def read_object(path: Path) -> dict[str, Any]:
    """A FHIR resource as it stands. Raises Refused: FILE_UNREADABLE, BUNDLE_INVALID for what is no object."""
    bundle = _json(path)
    if not isinstance(bundle, dict):
        raise Refused(Reason.BUNDLE_INVALID, detail=f"{path.name} is no FHIR Bundle.")
    return bundle


def read_csv(path: Path, row: int, schema: FeatureSchema) -> dict[str, Value]:
    """Values from row `row` (the first below the heading is 1) of a table with a column for each feature.

    Raises:
        Refused: FILE_UNREADABLE, NOT_FOUND if there is no such row, and what the schema refuses.
    """
    cells = next(islice(_cells(path), row - 1, None), None)
    if cells is not None:
        return schema.from_row(cells)
    raise Refused(Reason.NOT_FOUND, detail="The table has no such row.", field="row")


def read_table(path: Path, schema: FeatureSchema) -> list[dict[str, Value]]:
    """Values from every row of a table. Raises Refused: FILE_UNREADABLE, and what the schema refuses."""
    return [schema.from_row(cells) for cells in _cells(path)]


def read_json(path: Path) -> dict[str, Value]:
    """Values by feature name, from a JSON object. Raises Refused(FILE_UNREADABLE)."""
    values = _json(path)
    if not isinstance(values, dict):
        detail = f"{path.name} is no record: a JSON object with a value for each feature."
        raise Refused(Reason.FILE_UNREADABLE, detail=detail)
    return values


def _cells(path: Path) -> Iterator[dict[str, str]]:
    try:
        with path.open(newline="", encoding="utf-8") as file:
            for cells in csv.DictReader(file):
                yield {name: cell for name, cell in cells.items() if isinstance(cell, str)}
    except (UnicodeDecodeError, csv.Error) as error:
        detail = f"{path.name} is not a table in UTF-8, with a line for each row."
        raise Refused(Reason.FILE_UNREADABLE, detail=detail) from error


def _json(path: Path) -> object:
    try:
        return canonical.decode_decimals(path.read_bytes())
    except Refused as refused:
        raise Refused(Reason.FILE_UNREADABLE, detail=f"{path.name}: {refused.detail}", field=refused.field) from refused
