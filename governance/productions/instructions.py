"""What whoever receives a production reads first."""

import textwrap
from collections.abc import Sequence

from concordat.verifier.paper import numbered
from governance.productions.plan import Head
from governance.productions.tables import Item

_WIDTH = 96


def text(head: Head, items: Sequence[Item]) -> str:
    """README.txt."""
    first, last = numbered(head.prefix, items[0].first), numbered(head.prefix, items[-1].last)
    bundles = [item.name for item in items if item.form == "bundle"]
    parts = [
        f"PRODUCTION {head.number} OF {head.institution_name}",
        f"In {head.title} ({head.docket}), for {head.party}. Numbers {first} to {last}. Made {head.made}.",
        f"{head.legend}\n{head.protective_order}"
        if head.legend
        else "No protective order is recorded for this matter.",
        "WHAT IS HERE",
        "index.csv: a line for each file, with its numbers and its SHA-256. Each page of a PDF has a number of "
        "its own, "
        "at its foot; every other file has one number, which is its name.",
        "redaction-log.csv: what is closed in the files, and on which ground. privilege-log.csv: what is withheld or "
        "redacted as privileged. A redacted value is not hidden in a file: it is not in it. The log's commitment "
        "to it is, "
        "so that a later disclosure can be checked.",
        "certificate-draft.pdf: a draft, to be completed and signed by a qualified person. Unsigned it certifies "
        "nothing.",
        "CHECK THAT NOTHING WAS CHANGED",
        "1. The files are those that were produced (on Linux or macOS, in the folder with this text):",
        "       sha256sum -c SHA256SUMS",
        "2. The evidence in each bundle holds by itself, without the service that made it. On a computer with "
        "Python 3.11 "
        "and the verifier, which is open source (docs/how-to/verify-a-dossier.md):",
        "\n".join(f"       python -m ledger.verify files/{name}" for name in bundles)
        or "       No bundle is in this production.",
        "The last line says “no check failed”, or names what failed. Compare the keys that it lists with the "
        "institutions "
        "that they belong to. The PDF and the JSON of the same decision repeat what the verifier finds in that "
        "bundle, and "
        "name its digest.",
        "What came out of a computation is not in a bundle: only the requesting institution can open it, and "
        "discloses it "
        "in a file of its own (docs/how-to/reconstruct-a-decision.md).",
    ]
    return "\n\n".join(_wrapped(part) for part in parts) + "\n"


def _wrapped(part: str) -> str:
    if part.startswith("    "):
        return part
    return "\n".join(textwrap.fill(line, _WIDTH) for line in part.splitlines())
