"""Which patient a command is about. No command takes a patient's id as an argument: everybody on the machine can read
those."""

import sys
from typing import IO

import click

TEXT = click.File("r", encoding="utf-8")

PATIENT = click.option(
    "--patient-file", type=TEXT, help="Holds the patient's FHIR id in the health record; - is standard input."
)


def named(file: IO[str] | None) -> str:
    """A patient's id: the next line of a file, or what is typed when there is none. Raises click.UsageError."""
    if file is None:
        if not sys.stdin.isatty():
            raise click.UsageError("Give the patient's id in a file: --patient-file FILE, or - for standard input.")
        return str(click.prompt("The patient's id in the health record", err=True)).strip()
    name = file.readline().strip()
    if not name:
        raise click.UsageError("The file does not hold a patient's id: one line is expected.")
    return name
