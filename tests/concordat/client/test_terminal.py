"""What a server, an owner or a file says is printed as it reads, whatever it would have a terminal do."""

import json
from collections.abc import Callable
from io import StringIO
from typing import Any

import click
import pytest
from click.testing import CliRunner
from rich.table import Table

from concordat.client.cli import common, readings
from concordat.client.cli.common import App, Commands, columns
from concordat.client.cli.terminal import Terminal, echo_json, visible
from concordat.reading.record import Item, LeftOut, Reading
from concordat.reasons import Reason, Refused
from tests.support.bundles import FEATURES, schema

HOSTILE = "up\x1b[2K\x1b[1A\x1b]52;c;cm0=\x07 \x9b2J 2\u202e14\u202c \r\ud800 [link=https://x.example]:warning:[/red]"
SHOWN = (
    r"up\u001b[2K\u001b[1A\u001b]52;c;cm0=\u0007 \u009b2J 2\u202e14\u202c \r\ud800 "
    "[link=https://x.example]:warning:[/red]"
)


def test_other_text_is_left_as_it_is() -> None:
    kept = "Zürich, 5\u00a0mg\tβ-blocker ≥ 3 👩\u200d⚕️\nnext"
    assert visible(kept) == kept


def a_table(console: Terminal) -> None:
    table = Table(title=HOSTILE)
    table.add_column(HOSTILE, overflow="fold")
    table.add_row(HOSTILE)
    console.print(table)


def a_reading(console: Terminal) -> None:
    feature = next(each for each in FEATURES if each["name"] == "systolic")
    item = Item("systolic", None, state="missing", why=HOSTILE)
    reading = Reading({}, (item,), (LeftOut(HOSTILE, HOSTILE, 1),), "")
    console.print(readings.table(reading, schema(feature)))


@pytest.mark.parametrize(
    "prints",
    [
        lambda console: console.print(HOSTILE),
        lambda console: columns(console, ("study", HOSTILE), [(HOSTILE, "x")]),
        a_table,
        a_reading,
    ],
)
def test_in_lines_and_tables(prints: Callable[[Terminal], None]) -> None:
    written = StringIO()
    prints(Terminal(file=written, force_terminal=True, color_system=None, width=900))
    said = written.getvalue()
    assert SHOWN in said
    assert not set(said) & set("\x07\x9b\u202e\ud800")


def test_columns_stay_below_one_another() -> None:
    written = StringIO()
    columns(Terminal(file=written, width=900), ("title", "state"), [(HOSTILE, "open"), ("x", "open")])
    assert len({line.index("open") for line in written.getvalue().splitlines()[1:]}) == 1


@pytest.mark.parametrize("output", ["text", "json"])
def test_in_refusals(output: str) -> None:
    @click.group(cls=Commands)
    @click.option("--output")
    def main(output: str) -> None: ...

    @main.command()
    def go() -> None:
        raise Refused(Reason.CONSENT_MISSING, detail=HOSTILE, field=HOSTILE)

    said = CliRunner().invoke(main, ["--output", output, "go"])
    assert said.exit_code == common.REFUSED
    assert visible(said.stderr) == said.stderr
    if output == "json":
        assert json.loads(said.stderr)["error"]["detail"] == HOSTILE
    else:
        assert said.stderr.count(SHOWN) == 2


def test_in_json_it_means_the_same(capsys: pytest.CaptureFixture[str]) -> None:
    value: dict[str, Any] = {"a": [HOSTILE, "ü"]}
    App("nowhere", machine=True).answer(value, lambda console: None)
    echo_json(value, indent=2)
    said = capsys.readouterr().out
    assert visible(said) == said
    assert "ü" in said
    one, two = said.split("\n", 1)
    assert json.loads(one) == json.loads(two) == value


def test_both_consoles_of_a_command_are_such(capsys: pytest.CaptureFixture[str]) -> None:
    app = App("nowhere", machine=False)
    app.answer({}, lambda console: console.print(HOSTILE, soft_wrap=True))
    app.progress.print(HOSTILE, soft_wrap=True)
    out, err = capsys.readouterr()
    assert out == err == SHOWN + "\n"
