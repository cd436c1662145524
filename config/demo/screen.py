"""What a person sees in the terminal: stages with a spinner, a tick and their time, and what to notice in each."""

import time
from collections.abc import Generator
from contextlib import contextmanager

from rich.console import Console
from rich.markup import escape
from rich.panel import Panel
from rich.status import Status
from rich.table import Table

from concordat.explanation import Explanation
from concordat.reasons import Refused

_BAR = 16


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
        self._console.print(f"\n[bold]{len(self.seconds) + 1}. {escape(title)}[/]")
        with self._console.status("…", spinner="dots") as self._status:
            yield
        self.seconds[key] = round(time.monotonic() - started, 3)
        self._console.print(f"   [dim]{self.seconds[key]:.1f} s[/]")

    def doing(self, text: str) -> None:
        """What is going on right now; replaced by the next."""
        if self._status:
            self._status.update(escape(text))

    def done(self, text: str) -> None:
        self._console.print(f"   [green]✓[/] {escape(text)}")

    def refused(self, what: str, error: Refused) -> None:
        """A refusal that is meant to happen."""
        self._console.print(
            f"   [yellow]✗ {escape(what)}: refused[/] [bold]{escape(error.reason)}[/] — {escape(error.info.sentence)}"
        )

    def explanation(self, explanation: Explanation) -> None:
        """The ranked factors with bars: what raises to the right, what lowers to the left, and in words."""
        table = Table(box=None, padding=(0, 1), show_header=True, header_style="dim")
        for column, justify in (
            ("factor", "left"),
            ("value", "left"),
            ("lowers   raises", "center"),
            ("log-odds", "right"),
        ):
            table.add_column(column, justify=justify)  # type: ignore[arg-type]
        largest = max(abs(factor.coefficient) for factor in explanation.factors) or 1.0
        for factor in explanation.factors:
            length = round(_BAR / 2 * abs(factor.coefficient) / largest)
            left = "█" * length if factor.coefficient < 0 else ""
            right = "█" * length if factor.coefficient > 0 else ""
            value = factor.value + (" (imputed)" if factor.imputed else "")
            bar = f"[cyan]{left:>{_BAR // 2}}[/]│[magenta]{right:<{_BAR // 2}}[/]"
            table.add_row(escape(factor.label), escape(value), bar, f"{factor.coefficient:+.3f}")
        self._console.print(table)

    def plain(self, text: str) -> None:
        self._console.print("   " + escape(text))

    def ending(self, lines: dict[str, str]) -> None:
        """Where to look next."""
        table = Table.grid(padding=(0, 2))
        for name, value in lines.items():
            table.add_row(f"[bold]{escape(name)}[/]", escape(value))
        self._console.print(Panel(table, title="Where to look", border_style="blue"))
