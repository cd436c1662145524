"""python -m ledger.verify BUNDLE: verify a dossier, with one line for each check.

The exit status is 0 if no check failed, 1 if one did. What cannot be checked fails nothing, but is said.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from concordat import canonical
from concordat.files import write_private
from concordat.verifier.examine import Options, Result, Status, verify
from concordat.verifier.report import html

_MARKS = {Status.PASSED: "ok", Status.FAILED: "FAILED", Status.NOT_CHECKABLE: "not checkable"}


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m ledger.verify", description="Verify a decision's dossier.")
    parser.add_argument("bundle", type=Path, help="the dossier, a zip file")
    parser.add_argument("--rpc", metavar="URL", help="also ask this chain endpoint (JSON-RPC)")
    parser.add_argument("--disclosure", type=Path, metavar="FILE", help="the requester's disclosure of the result")
    parser.add_argument(
        "--key",
        action="append",
        default=[],
        type=_pair,
        metavar="NAME=KEY",
        help="a key id that you trust, of `log` or of an institution; may be repeated",
    )
    parser.add_argument("--html", type=Path, metavar="FILE", help="write the readable dossier, as concluded here")
    parser.add_argument("--json", action="store_true", help="print the whole answer as JSON")
    options = parser.parse_args(arguments)
    try:
        data = options.bundle.read_bytes()
        disclosure = options.disclosure.read_bytes() if options.disclosure else None
    except OSError as error:
        parser.error(f"{error.filename}: {error.strerror}")
    result = verify(data, Options(keys=dict(options.key), rpc=options.rpc, disclosure=disclosure))
    if options.html:
        write_private(options.html, html(result.to_json()).encode(), replace=True)
    sys.stdout.write(canonical.encode(result.to_json()).decode() + "\n" if options.json else _lines(result))
    return 0 if result.holds else 1


def _lines(result: Result) -> str:
    wide = max(len(check.name) for check in result.checks)
    lines = [
        f"{_MARKS[check.status]:<14} {check.name:<{wide}}  {check.sentence}"
        + (f" [{check.reason}]" if check.reason else "")
        for check in result.checks
    ]
    record = f"Decision {result.story['record']}: " if result.story else ""
    lines.append(f"\n{record}{'no check failed' if result.holds else 'THIS DOSSIER DOES NOT HOLD'}.")
    return "\n".join(lines) + "\n"


def _pair(text: str) -> tuple[str, str]:
    name, separator, kid = text.partition("=")
    if not separator:
        raise argparse.ArgumentTypeError("write NAME=KEY")
    return name, kid


if __name__ == "__main__":
    sys.exit(main())
