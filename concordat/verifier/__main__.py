"""python -m ledger.verify BUNDLE: verify a dossier, with one line for each check.

The exit status is 0 if no check failed, 1 if one did, 2 for wrong usage or a file that is no dossier, and 75 if the
chain that --rpc names gave no answer: ask again later. What else cannot be checked fails nothing, but is said.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from concordat.files import write_private
from concordat.reasons import Refused
from concordat.verifier import bundle, given
from concordat.verifier.case import Case
from concordat.verifier.evidence import UNREADABLE, Evidence
from concordat.verifier.examine import Result, Status, verify
from concordat.verifier.forms import FORMS

_MARKS = {
    Status.PASSED: "ok",
    Status.FAILED: "FAILED",
    Status.ATTESTED: "attested",
    Status.NOT_CHECKABLE: "not checkable",
}


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
    parser.add_argument("--witnessed", action="store_true", help="too few witnesses of the log are a failure")
    parser.add_argument(
        "--tsa", type=Path, metavar="FILE", help="root certificate (PEM) of the time-stamping authority that you trust"
    )
    parser.add_argument(
        "--replay",
        type=Path,
        metavar="MODEL",
        help="the model, from its owner: compute the disclosed record's result again and compare (needs --disclosure)",
    )
    parser.add_argument(
        "--log", type=Path, metavar="FOLDER", help="a copy of the whole log, as `concordat log fetch` makes it"
    )
    parser.add_argument(
        "--anchor-log", metavar="ADDRESS", help="the consortium's anchor log that you know (needs --rpc)"
    )
    for name, form in FORMS.items():
        if name != "json":
            parser.add_argument(f"--{name}", type=Path, metavar="FILE", help=f"write the answer as {form.title}")
    parser.add_argument("--json", action="store_true", help="print the whole answer as JSON")
    options = parser.parse_args(arguments)
    try:
        data = options.bundle.read_bytes()
        _check_is_dossier(parser, options.bundle, data)
        brought = given.options(
            keys=dict(options.key),
            rpc=options.rpc,
            disclosure=options.disclosure,
            witnessed=options.witnessed,
            replay=options.replay,
            tsa=options.tsa,
            log=options.log,
            anchor_log=options.anchor_log,
        )
    except OSError as error:
        parser.error(f"{error.filename}: {error.strerror}")
    except Refused as refused:
        parser.error(f"--{refused.field.replace('_', '-')}: {refused.detail}")
    for name in dict(options.key).keys() - (_names(data) or dict(options.key).keys()):
        parser.error(f"--key: the dossier has no institution “{name}”")
    result = verify(data, brought)
    answer = result.to_json()
    for name, form in FORMS.items():
        if name != "json" and (file := getattr(options, name)):
            try:
                write_private(file, form.write(answer), replace=True)
            except OSError as error:
                parser.error(f"{file}: {error.strerror}")
    sys.stdout.write(FORMS["json"].write(answer).decode() + "\n" if options.json else _lines(result))
    return given.exit_status(result, brought)


def _check_is_dossier(parser: argparse.ArgumentParser, file: Path, data: bytes) -> None:
    try:
        bundle.check_is_dossier(data)
    except Refused as refused:
        parser.error(f"{file}: {refused.detail} [{refused.reason}]")


def _names(data: bytes) -> set[str]:
    """Whose keys the dossier holds; none if it cannot be read, which the verifier says."""
    try:
        return {"log", *Case(Evidence.load(bundle.unpack(data))).identities}
    except (Refused, *UNREADABLE):
        return set()


def _lines(result: Result) -> str:
    wide = max(len(check.name) for check in result.checks)
    lines = [
        f"{_MARKS[check.status]:<14} {check.name:<{wide}}  {check.sentence}"
        + (f" [{check.reason}]" if check.reason else "")
        for check in result.checks
    ]
    record = f"Decision {result.story['record']}: " if result.story else ""
    lines.append(f"\n{record}{given.verdict(result)}.")
    return "\n".join(lines) + "\n"


def _pair(text: str) -> tuple[str, str]:
    try:
        return given.key_pair(text)
    except Refused as refused:
        raise argparse.ArgumentTypeError(refused.detail) from None


if __name__ == "__main__":
    sys.exit(main())
