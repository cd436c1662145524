"""What all commands share: the institution's folder, a session, output for people or machines, and errors for both."""

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import click
from rich.console import Console

from concordat.client.api import Api, signed_in
from concordat.client.home import ClientHome
from concordat.files import write_private
from concordat.reasons import Reason, Refused

REFUSED, TRY_AGAIN = 1, 75
"""Exit codes besides 0 and click's 2 for wrong usage; 75 is the EX_TEMPFAIL of sysexits.h."""

_TEMPORARY = frozenset(
    {
        Reason.COORDINATOR_UNAVAILABLE,
        Reason.EHR_UNAVAILABLE,
        Reason.RESULT_NOT_READY,
        Reason.WITNESSES_TOO_FEW,
        Reason.NODE_BUSY,
        Reason.NODE_SILENT,
        Reason.PEER_LOST,
        Reason.PEER_ABSENT,
        Reason.RATE_LIMITED,
        Reason.BROKER_UNAVAILABLE,
        Reason.CHAIN_UNAVAILABLE,
    }
)


@dataclass
class App:
    """One run of the command."""

    folder: str
    machine: bool
    passphrase: str | None = None

    @cached_property
    def home(self) -> ClientHome:
        return ClientHome(self.folder, self.passphrase)

    @cached_property
    def console(self) -> Console:
        """For people. Progress and errors go to standard error, so that standard output stays clean."""
        return Console(highlight=False)

    @cached_property
    def progress(self) -> Console:
        return Console(stderr=True, highlight=False, quiet=self.machine)

    @contextmanager
    def api(self, scopes: str) -> Iterator[Api]:
        """The coordinator, signed in with these scopes."""
        with signed_in(self.home, scopes) as api:
            yield api

    def answer(self, value: Mapping[str, Any], people: Callable[[Console], None]) -> None:
        """Print the answer: `value` as one line of JSON for machines, or what `people` prints."""
        if self.machine:
            click.echo(json.dumps(value, ensure_ascii=False, sort_keys=True))
        else:
            people(self.console)


class Commands(click.Group):
    """A group whose commands turn a refusal into its sentence, its remedy and its exit code."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except Refused as refused:
            _tell(refused, machine=ctx.params["output"] == "json")
            ctx.exit(TRY_AGAIN if refused.reason in _TEMPORARY else REFUSED)


def write_new(file: Path, content: bytes) -> None:
    """Write a file that is the owner's alone (0600). Raises click.UsageError rather than replace one."""
    try:
        write_private(file, content, replace=False)
    except OSError as error:
        raise click.UsageError(f"{file}: {error.strerror}") from error


def _tell(refused: Refused, *, machine: bool) -> None:
    info = refused.info
    if machine:
        error = {
            "reason": str(refused.reason),
            "sentence": info.sentence,
            "detail": refused.detail,
            "field": refused.field,
            "remedy": info.remedy,
        }
        click.echo(json.dumps({"error": error}, ensure_ascii=False, sort_keys=True), err=True)
        return
    detail = f" {refused.detail}" if refused.detail != info.sentence else ""
    field = f"\nField:  {refused.field}" if refused.field else ""
    click.echo(f"Refused: {info.sentence}{detail}{field}\nRemedy: {info.remedy}  [{refused.reason}]", err=True)
