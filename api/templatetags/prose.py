"""The texts of the API's schema as they read on a page."""

import re

from django import template
from django.utils.html import escape
from django.utils.safestring import SafeString, mark_safe

register = template.Library()

SECTIONS = {
    "reasons": "Reasons",
    "events": "Events",
    "states": "States of a job",
    "study-states": "States of a study",
}
"""Pages of the reference that the page of the API says itself, by their names."""

_MARKED = re.compile(rf"`([^`]+)`|docs/reference/({'|'.join(SECTIONS)})\.md")


@register.filter
def prose(text: str) -> SafeString:
    """What stands in backticks is code, and a page of the reference is a link to the section that says the same."""
    return mark_safe(_MARKED.sub(_html, escape(text)))  # noqa: S308  (it is escaped first)


def _html(found: re.Match[str]) -> str:
    code, section = found.groups()
    return f"<code>{code}</code>" if code else f'<a href="#{section}">{SECTIONS[section]}</a>'
