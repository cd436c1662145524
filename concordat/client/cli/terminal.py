"""What others wrote, as a terminal may have it: it erases, hides and reorders nothing, and none of it is markup."""

import json
import re
from typing import Any

import click
from rich.console import Console
from rich.text import Text

_CONTROL = re.compile(
    r"[\x00-\x08\x0b-\x1f\x7f-\x9f"  # all but tab and newline
    r"\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069"  # line separators; what writes from right to left
    r"\ud800-\udfff]"
)


def visible(text: str) -> str:
    r"""The text with its control characters as JSON escapes them, such as `\u001b`. JSON says the same as before."""
    return _CONTROL.sub(lambda found: json.dumps(found[0])[1:-1], text)


def echo_json(value: Any, *, err: bool = False, **options: Any) -> None:
    """One JSON document, with the `options` of `json.dumps`."""
    click.echo(visible(json.dumps(value, ensure_ascii=False, **options)), err=err)


class Terminal(Console):
    """Prints strings, in tables too, as they read: `visible`, and with brackets and colons that stand for nothing else.
    A `rich.text.Text` is printed as it is."""

    def __init__(self, **options: Any) -> None:
        super().__init__(highlight=False, markup=False, emoji=False, **options)

    def render_str(self, text: str, **options: Any) -> Text:
        return super().render_str(visible(text), **options)
