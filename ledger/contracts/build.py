"""Compiles the contracts: `python -m ledger.contracts.build [--check]`.

With `--check` nothing is written; the exit status is 1 if an artefact differs from what its source compiles to.
"""

import argparse
import hashlib
import json
import sys
from pathlib import Path

import vyper
from vyper.compiler import compile_code

from ledger.contracts import CONTRACTS

HERE = Path(__file__).parent


def compiled(name: str, directory: Path = HERE) -> str:
    """The artefact of `<directory>/<name>.vy` as the text of its JSON file; equal on every machine."""
    source = (directory / f"{name}.vy").read_text(encoding="utf-8")
    output = compile_code(source, output_formats=["abi", "bytecode", "bytecode_runtime"])
    document = {
        "contract": name,
        "compiler": f"vyper {vyper.__version__}",
        "source_sha256": hashlib.sha256(source.encode()).hexdigest(),
        "abi": output["abi"],
        "bytecode": output["bytecode"],
        "runtime": output["bytecode_runtime"],
    }
    return json.dumps(document, indent=1) + "\n"


def stale(directory: Path = HERE) -> list[str]:
    """Names of the contracts whose committed artefact is missing or differs from a fresh compilation."""
    return [name for name in CONTRACTS if _committed(directory / f"{name}.json") != compiled(name, directory)]


def _committed(path: Path) -> str | None:
    return path.read_text(encoding="utf-8") if path.exists() else None


def main(arguments: list[str] | None = None) -> int:
    """Entry point; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m ledger.contracts.build", description=__doc__)
    parser.add_argument("--check", action="store_true", help="compare only, write nothing")
    if not parser.parse_args(arguments).check:
        for name in CONTRACTS:
            (HERE / f"{name}.json").write_text(compiled(name), encoding="utf-8")
        return 0
    if outdated := stale():
        sys.stderr.write(f"not what the source compiles to: {', '.join(outdated)}; run {parser.prog}\n")
    return 1 if outdated else 0


if __name__ == "__main__":
    sys.exit(main())
