"""What all commands share: the institution's folder, a session, output for people or machines, and errors for both."""

import signal
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from concordat import canonical, clock
from concordat.canonical import digest_bytes
from concordat.client.answers import JobStatus
from concordat.client.api import Api, signed_in
from concordat.client.cli.terminal import Terminal, echo_json, visible
from concordat.client.follow import PUBLICATION
from concordat.client.home import ClientHome
from concordat.files import about, write_private
from concordat.model_card import ATTRIBUTES
from concordat.reasons import Reason, Refused
from concordat.schema import FeatureSchema

REFUSED, WRONG_USAGE, TRY_AGAIN, INTERRUPTED = 1, 2, 75, 128 + signal.SIGINT
"""Exit codes besides 0; 2 is click's own, 75 the EX_TEMPFAIL of sysexits.h, and 130 what shells give."""

_A_DAY = 24 * 60 * 60
_TEMPORARY = frozenset(
    {
        Reason.COORDINATOR_UNAVAILABLE,
        Reason.EHR_UNAVAILABLE,
        Reason.OMOP_UNAVAILABLE,
        Reason.RESULT_NOT_READY,
        Reason.WITNESSES_TOO_FEW,
        Reason.NODE_BUSY,
        Reason.NODE_SILENT,
        Reason.PEER_LOST,
        Reason.PEER_ABSENT,
        Reason.RATE_LIMITED,
        Reason.BROKER_UNAVAILABLE,
        Reason.CHAIN_UNAVAILABLE,
        Reason.VOTE_PENDING,
    }
)


_EXITS = dict.fromkeys(_TEMPORARY, TRY_AGAIN) | {Reason.NO_DOSSIER: WRONG_USAGE}
"""By reason. A file that is no dossier must not look like a dossier that does not hold."""


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
        return Terminal()

    @cached_property
    def progress(self) -> Console:
        return Terminal(stderr=True, quiet=self.machine)

    @contextmanager
    def api(self, scopes: str) -> Iterator[Api]:
        """The coordinator, signed in with these scopes."""
        with signed_in(self.home, scopes) as api:
            yield api

    def answer(self, value: Mapping[str, Any], people: Callable[[Console], None]) -> None:
        """Print the answer: `value` as one line of JSON for machines, or what `people` prints."""
        if self.machine:
            echo_json(value, sort_keys=True)
        else:
            people(self.console)


class Commands(click.Group):
    """A group whose commands turn a refusal into its sentence, its remedy and its exit code.

    Ctrl-C too has an exit code of its own: by click it would end as a refusal does.
    """

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except Refused as refused:
            _tell(refused, machine=ctx.params["output"] == "json")
            ctx.exit(_EXITS.get(refused.reason, REFUSED))
        except KeyboardInterrupt:
            click.echo("\nStopped. What was handed in before stays handed in.", err=True)
            ctx.exit(INTERRUPTED)


class Day(click.DateTime):
    """A day, such as 2026-01-31, as a time without a zone; `ahead`: or so long from today as an ISO 8601 duration says,
    such as P1Y."""

    def __init__(self, *, ahead: bool = False) -> None:
        super().__init__(["%Y-%m-%d"])
        self._ahead = ahead

    def get_metavar(self, param: click.Parameter, ctx: click.Context) -> str:
        return "[YYYY-MM-DD|P1Y]" if self._ahead else "[YYYY-MM-DD]"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        if not (self._ahead and isinstance(value, str) and value.startswith("P")):
            try:
                found: datetime = super().convert(value, param, ctx)
            except click.BadParameter:
                after = ", nor a time from today such as P1Y (ISO 8601)" if self._ahead else ""
                self.fail(f"“{value}” is no day such as 2026-01-31{after}.", param, ctx)
            return found
        try:
            return clock.after(value, clock.now()).replace(hour=0, minute=0, second=0, tzinfo=None)
        except Refused as refused:
            self.fail(refused.detail, param, ctx)


class _Digest(click.ParamType[str]):
    """The name of a model, a definition or any other document."""

    name = "digest"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        try:
            digest_bytes(value)
        except Refused as refused:
            self.fail(f"“{value}” is no digest. {refused.detail}", param, ctx)
        return str(value)


DIGEST = _Digest()
FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


def seconds_option(default: int, help: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """The option `--seconds`, whole ones: so that there is an end."""
    return click.option("--seconds", default=default, show_default=True, type=click.IntRange(0, _A_DAY), help=help)


SECONDS = seconds_option(180, "How long to wait for the result.")
PUBLISHED = seconds_option(PUBLICATION, "How long to wait until the log shows the result as well.")

URGENCY = click.option(
    "--urgency",
    type=click.Choice(["routine", "emergent"]),
    default="routine",
    show_default=True,
    help="Emergent use is refused unless the definition allows it: a secure job is no emergency service.",
)
OMOP = click.option(
    "--omop", "warehouse", metavar="SOURCE", help="The record from OMOP tables: a source of omop.json, or a URL."
)
OMOP_PERSON = click.option(
    "--omop-person",
    "whose",
    type=click.File(encoding="utf-8"),
    help="A file, or - for standard input, that names the person: person_id=NUMBER or person_source_value=TEXT.",
)


def person_option(help: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """The option `--person`, of who stands behind a command: a handle, and no name."""
    return click.option("--person", required=True, type=click.UUID, metavar="UUID", help=help)


def wait_or_not(what: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """The option `--wait`. A command that does not wait answers what there is and then has `check_not_ended` speak."""
    text = f"Wait until {what}. A request that is refused at once ends the command with 1 or 75 as well."
    return click.option("--wait/--no-wait", default=True, show_default=True, help=text)


@contextmanager
def following(app: App) -> Iterator[Callable[[JobStatus], None]]:
    """What says how far a job is: its states, one a line, and in a terminal a bar while it is computed."""
    states: list[str] = []
    with Progress(
        TextColumn("  {task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        console=app.progress,
        transient=True,
        disable=not app.progress.is_terminal,
    ) as bar:
        task = bar.add_task("rounds", total=None, visible=False)

        def told(status: JobStatus) -> None:
            if status["state"] not in states[-1:]:
                states.append(status["state"])
                app.progress.print(f"  {status['state']}")
            progress = status.get("progress")
            done, total = (progress["done"], progress["rounds"]) if progress else (0, None)
            bar.update(task, visible=progress is not None, completed=done, total=total, refresh=True)

        yield told


def columns(console: Console, headings: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a list for people: a line for each row, however long, so that a digest can be copied from it."""
    lines = [tuple(map(visible, row)) for row in (headings, *rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for row in lines:
        line = "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        console.print(line.rstrip(), soft_wrap=True)


_TOLD_BY: Mapping[str, frozenset[str]] = {
    "feature schema": frozenset({"features", "left_out"}),
    "protocol": frozenset({"contact", "summary", "risks", "sections", "sites", "review_months"}),
    "computation definition": frozenset({"parties", "dealer", "quorum", "budgets"}),
    "audit plan": frozenset({"thresholds"}),
    "training plan": frozenset({"steps"}),
    "design or plan": frozenset({"method"}),
    "model card": frozenset(ATTRIBUTES),
    "public JWK or set of them": frozenset({"kty", "keys"}),
}
"""By what somebody is asked for in a file: fields of which each such document has one, a draft as well, and
hardly another document."""


def document(file: Path, field: str, kind: str) -> dict[str, Any]:
    """A document of that kind, or what is meant to be one: its shape is for others to check.

    Raises:
        Refused: MALFORMED for what is no JSON object, FILE_UNREADABLE for a document of another kind; naming the field
            by which the file was given.
    """
    found = _object(file, field)
    if found and not _TOLD_BY[kind] & found.keys():
        like = [other for other, told in _TOLD_BY.items() if told & found.keys()]
        why = f"looks like another document: {like[0]}" if like else f"has none of: {', '.join(sorted(_TOLD_BY[kind]))}"
        raise Refused(Reason.FILE_UNREADABLE, detail=f"{file.name} is no {kind}. It {why}.", field=field)
    return found


def feature_schema(file: Path, field: str) -> FeatureSchema:
    """The feature schema in a file. Raises Refused as `document` does, and naming what is wrong in it."""
    found = document(file, field, "feature schema")
    with about(file.name):
        return FeatureSchema.from_json(found)


def _object(file: Path, field: str) -> dict[str, Any]:
    try:
        found = canonical.decode(file.read_bytes())
    except Refused as refused:
        detail = f"{file.name} is no JSON document. {refused.detail}".strip()
        raise Refused(Reason.MALFORMED, detail=detail, field=field) from None
    if not isinstance(found, dict):
        raise Refused(Reason.MALFORMED, detail=f"{file.name} is no JSON object.", field=field)
    return found


def resource(file: Path, kind: str) -> dict[str, Any]:
    """A FHIR resource as it stands, or a Bundle of some. Raises Refused(FILE_UNREADABLE)."""
    try:
        found = canonical.decode_decimals(file.read_bytes())
    except Refused as refused:
        raise Refused(Reason.FILE_UNREADABLE, detail=f"{file.name}: {refused.detail}", field=refused.field) from refused
    if not isinstance(found, dict):
        raise Refused(Reason.FILE_UNREADABLE, detail=f"{file.name} is no FHIR {kind}.")
    return found


def write_new(file: Path, content: bytes) -> None:
    """Write a file that is the owner's alone (0600). Raises click.UsageError rather than replace one."""
    try:
        write_private(file, content, replace=False)
    except FileExistsError as error:
        raise click.UsageError(f"{file} is there already: name another file, or move that one away.") from error
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
        echo_json({"error": error}, sort_keys=True, err=True)
        return
    detail = f" {refused.detail}" if refused.detail != info.sentence else ""
    field = f"\nField:  {refused.field}" if refused.field else ""
    said = f"Refused: {info.sentence}{detail}{field}\nRemedy: {info.remedy}  [{refused.reason}]"
    click.echo(visible(said), err=True)
