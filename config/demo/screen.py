"""What a person sees in the terminal: stages with a spinner, a tick and their time, and what to notice in each."""

import time
from collections.abc import Generator
from contextlib import contextmanager

from rich.console import Console
from rich.markup import escape
from rich.padding import Padding
from rich.panel import Panel
from rich.status import Status
from rich.table import Table

from concordat.reasons import Refused


class Screen:
    """Prints the story and keeps the seconds of each stage."""

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or Console(highlight=False)
        self._status: Status | None = None
        self.seconds: dict[str, float] = {}

    def title(self, text: str, below: str) -> None:
        self._console.print(Panel.fit(f"[bold]{escape(text)}[/]\n{escape(below)}", border_style="blue"))

    @contextmanager
    def stage(self, key: str, title: str) -> Generator[None]:
        """One stage: its title stays, with its time, when the work inside is done."""
        started = time.monotonic()
        self._console.print()
        self._lines(f"[bold]{len(self.seconds) + 1}.[/]", f"[bold]{escape(title)}[/]")
        with self._console.status("…", spinner="dots") as self._status:
            yield
        self.seconds[key] = round(time.monotonic() - started, 3)
        self._console.print(f"   [dim]{self.seconds[key]:.1f} s[/]")

    def doing(self, text: str) -> None:
        """What is going on right now; replaced by the next."""
        if self._status:
            self._status.update(escape(text))

    def done(self, text: str) -> None:
        self._point("[green]✓[/]", escape(text))

    def refused(self, what: str, error: Refused) -> None:
        """A refusal that is meant to happen."""
        sentence = escape(error.info.sentence)
        self._point("[yellow]✗[/]", f"[yellow]{escape(what)}: refused[/], [bold]{escape(error.reason)}[/]. {sentence}")

    def _point(self, mark: str, text: str) -> None:
        self._lines("  ", mark, text)

    def _lines(self, *parts: str) -> None:
        """The parts side by side: what does not fit on a line goes on below where its part began."""
        line = Table.grid(padding=(0, 1))
        line.add_row(*parts)
        self._console.print(line)

    def plain(self, text: str) -> None:
        self._console.print(Padding(escape(text), (0, 0, 0, 3)))

    def ending(self, lines: dict[str, str]) -> None:
        """Where to look next: plain lines, whole whatever the width, so that they can be copied."""
        self._console.print("\n[bold blue]Where to look[/]")
        for name, value in lines.items():
            self._console.print(Padding(f"[dim]{escape(name)}[/]", (0, 0, 0, 3)))
            for line in value.splitlines():
                self._console.print(f"      {escape(line)}", soft_wrap=True)
