"""The admin site's lists, so that they can be read on a narrow screen too."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from django import template
from django.utils.html import escape
from django.utils.safestring import SafeString, mark_safe
from django.utils.text import capfirst

register = template.Library()


@register.filter
def labelled(cells: Iterable[str], headers: Iterable[Mapping[str, Any]]) -> Iterator[SafeString]:
    """The cells of a row (`<td …` or `<th …`), each with the heading of its column as `data-label`."""
    for cell, header in zip(cells, headers, strict=True):
        label = escape(capfirst(header["text"]))
        yield mark_safe(f'{cell[:3]} data-label="{label}"{cell[3:]}')  # noqa: S308  (Django's own cell)
