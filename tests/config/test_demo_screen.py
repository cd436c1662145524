"""The demonstration's lines are indented where they go on, however narrow the terminal is."""

import io

import pytest
from rich.console import Console

from config.demo.screen import Screen

LONG = "cleveland " * 12


@pytest.mark.parametrize("width", [60, 100])
def test_a_line_that_does_not_fit_goes_on_below_where_it_began(width: int) -> None:
    out = io.StringIO()
    screen = Screen(Console(file=out, width=width))
    with screen.stage("first", LONG):
        screen.done(LONG)
    screen.plain(LONG)
    lines = [line.rstrip() for line in out.getvalue().splitlines() if "cleveland" in line]
    title, rest = lines[0], lines[1:]
    assert title.startswith("1. cleveland")
    assert len(rest) > 3
    assert all(line.startswith("   ") for line in rest)
    marked = next(place for place, line in enumerate(rest) if "✓" in line)
    begins = rest[marked].index("cleveland")
    assert rest[marked + 1].index("cleveland") == begins


def test_where_to_look_is_named_indented_and_its_lines_stay_whole() -> None:
    out = io.StringIO()
    Screen(Console(file=out, width=40)).ending({LONG: "python -m ledger.verify " + "x" * 60})
    named = [line for line in out.getvalue().splitlines() if "cleveland" in line]
    assert len(named) > 2
    assert all(line.startswith("   cleveland") for line in named)
    assert "      python -m ledger.verify " + "x" * 60 in out.getvalue().splitlines()
