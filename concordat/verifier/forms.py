"""The forms in which a dossier's answer is handed on, besides the bundle itself."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from concordat import canonical
from concordat.verifier import prov, report


@dataclass(frozen=True)
class Form:
    """`write` makes the file of `Result.to_json()`; equal answers give equal bytes."""

    title: str
    suffix: str
    media_type: str
    write: Callable[[Mapping[str, Any]], bytes]


def _pdf(answer: Mapping[str, Any]) -> bytes:
    from concordat.verifier import paper  # whoever only verifies needs no reportlab

    return paper.pdf(answer)


FORMS: Mapping[str, Form] = {
    "pdf": Form("PDF, to print", ".pdf", "application/pdf", _pdf),
    "html": Form("Web page, to keep", ".html", "text/html", lambda answer: report.html(answer).encode()),
    "json": Form("JSON, for programs", ".json", "application/json", lambda answer: canonical.encode(dict(answer))),
    "prov": Form("W3C PROV, for programs", ".prov.json", "application/json", prov.encode),
}
