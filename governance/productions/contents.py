"""All files of a production, and the zip that they are handed out as. Equal bundles and plans give equal bytes."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from concordat import canonical
from concordat.matters import FIELDS, GROUNDS
from concordat.verifier import bundle, paper, verify
from concordat.verifier.paper import Stamp, numbered
from governance.productions import certificate, instructions, tables
from governance.productions.plan import Head, Planned
from governance.productions.tables import Item, Line, redaction_number

_SUFFIXES = {"pdf": ".pdf", "json": ".json", "bundle": ".zip"}


@dataclass(frozen=True)
class Contents:
    """The zip file, and what is in it."""

    data: bytes
    items: tuple[Item, ...]
    lines: tuple[Line, ...]

    @property
    def digest(self) -> str:
        return canonical.digest(self.data)


def assemble(head: Head, planned: Sequence[Planned], build: Callable[[Planned], bytes]) -> Contents:
    """Everything, in the order of the decisions: a PDF, whose pages have a number each, and the other files, which have
    one number each; then the tables, the instructions, the draft of a certificate, and the digests of all.

    Args:
        build: makes the bundle of a decision, with what the plan opens.
    """
    files: dict[str, bytes] = {}
    items: list[Item] = []
    lines: list[Line] = []
    for each in planned:
        if not each.files:
            continue
        own = [
            Line(len(lines) + place, each.record, each.index, closed.field, closed.ground, closed.mark)
            for place, closed in enumerate(each.closed, 1)
        ]
        lines += own
        data = build(each)
        answer = verify(data).to_json()
        for form in each.files:
            first = items[-1].last + 1 if items else head.first
            stamp = Stamp(head.legend, head.prefix, first, [(FIELDS[line.field], _why(line)) for line in own])
            content, pages = _file(form, data, answer, stamp)
            name = numbered(head.prefix, first) + _SUFFIXES[form]
            files[f"files/{name}"] = content
            last = first + pages - 1
            items.append(Item(each.record, each.index, form, name, first, last, canonical.digest(content)))
    files["index.csv"] = tables.index(head, items, lines)
    files["redaction-log.csv"] = tables.redactions(head, lines, items)
    files["privilege-log.csv"] = tables.privileges(head, planned, items)
    files["README.txt"] = instructions.text(head, items).encode()
    digests = {name: canonical.digest(files[name]) for name in ("index.csv", "redaction-log.csv", "privilege-log.csv")}
    files["certificate-draft.pdf"] = certificate.pdf(head, items, digests)
    sums = "".join(f"{hashlib.sha256(files[name]).hexdigest()}  {name}\n" for name in sorted(files))
    return Contents(bundle.write({**files, "SHA256SUMS": sums.encode()}), tuple(items), tuple(lines))


def _file(form: str, data: bytes, answer: dict[str, canonical.Json], stamp: Stamp) -> tuple[bytes, int]:
    """A file, and how many numbers it takes."""
    if form == "pdf":
        return paper.produced(answer, stamp)
    return (data if form == "bundle" else canonical.encode(answer)), 1


def _why(line: Line) -> str:
    return f"redacted ({GROUNDS[line.ground]}), see redaction log {redaction_number(line.number)}"
