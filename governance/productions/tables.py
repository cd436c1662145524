"""The tables of a production, as comma-separated values (RFC 4180) that litigation software and spreadsheets read."""

import csv
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from concordat.matters import FILES, GROUNDS, PARTS
from concordat.verifier.paper import numbered
from governance.productions.plan import Head, Planned

_MEDIA = {"pdf": "application/pdf", "json": "application/json", "bundle": "application/zip"}


@dataclass(frozen=True)
class Item:
    """One produced file, and the numbers that it bears."""

    record: str
    index: int
    form: str
    name: str
    first: int
    last: int
    digest: str


@dataclass(frozen=True)
class Line:
    """One redaction, by its number in the production."""

    number: int
    record: str
    index: int
    field: str
    ground: str
    mark: int | None


def redaction_number(number: int) -> str:
    """`RED-0001`."""
    return f"RED-{number:04d}"


def index(head: Head, items: Sequence[Item], lines: Sequence[Line]) -> bytes:
    """The load file: a line for each produced file."""
    redacted = {line.record for line in lines}
    rows = (
        (
            numbered(head.prefix, item.first),
            numbered(head.prefix, item.last),
            item.last - item.first + 1,
            item.record,
            FILES[item.form],
            f"files/{item.name}",
            _MEDIA[item.form],
            item.digest.removeprefix("sha256:"),
            head.legend,
            "yes" if item.record in redacted else "no",
        )
        for item in items
    )
    names = ("BEGNO", "ENDNO", "COUNT", "RECORD", "TITLE", "FILE", "MEDIATYPE", "SHA256", "CONFIDENTIALITY", "REDACTED")
    return _csv(names, rows)


def redactions(head: Head, lines: Iterable[Line], items: Sequence[Item]) -> bytes:
    """What is closed, where, and on which ground."""
    rows = (
        (
            redaction_number(line.number),
            line.record,
            _numbers(head, line.record, items),
            PARTS[line.field],
            GROUNDS[line.ground],
        )
        for line in lines
    )
    return _csv(("NUMBER", "RECORD", "NUMBERS", "WHAT", "GROUND"), rows)


def privileges(head: Head, planned: Iterable[Planned], items: Sequence[Item]) -> bytes:
    """What is withheld as privileged, with what Fed. R. Civ. P. 26(b)(5)(A) asks to be said of it."""
    rows = []
    for each in planned:
        marked = [(closed.field, closed.ground, closed.mark) for closed in each.closed if closed.mark is not None]
        marked += [(held.part, held.ground, held.mark) for held in each.withheld]
        for part, ground, mark in marked:
            basis, day = head.bases[mark]
            treatment = "redacted" if part not in (*FILES, "decision") else "withheld"
            numbers = _numbers(head, each.record, items) if treatment == "redacted" else ""
            rows.append(
                (
                    len(rows) + 1,
                    each.record,
                    each.time,
                    each.requester,
                    PARTS[part],
                    GROUNDS[ground],
                    basis,
                    treatment,
                    numbers,
                    day,
                )
            )
    names = ("NUMBER", "RECORD", "DATE", "AUTHOR", "WHAT", "PRIVILEGE", "BASIS", "TREATMENT", "NUMBERS", "MARKED")
    return _csv(names, rows)


def _numbers(head: Head, record: str, items: Sequence[Item]) -> str:
    of = [item for item in items if item.record == record]
    return f"{numbered(head.prefix, of[0].first)} to {numbered(head.prefix, of[-1].last)}" if of else ""


def _csv(names: Sequence[str], rows: Iterable[Sequence[object]]) -> bytes:
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow(names)
    writer.writerows([_cell(value) for value in row] for row in rows)
    return out.getvalue().encode()


def _cell(value: object) -> str:
    """Text that a spreadsheet would take for a formula is marked as text."""
    text = str(value)
    return f"'{text}" if text.startswith(("=", "+", "-", "@", "\t", "\r")) else text
