"""System checks: what must hold before the ledger is used."""

from collections.abc import Sequence
from typing import Any

from django.core.checks import CheckMessage, Error, Tags, register
from django.db import connections

from ledger import triggers


@register(Tags.database)
def check_triggers(databases: Sequence[str] | None = None, **_: Any) -> list[CheckMessage]:
    """Every append-only table is protected. Run by `migrate` and by `check --database default`."""
    return [
        Error(
            f"The table {model._meta.db_table} can be changed: its trigger {name} is missing.",
            hint="Look for changes with `manage.py ledger_fsck`, then run `manage.py migrate --skip-checks`.",
            id="ledger.E001",
        )
        for alias in databases or ()
        for model, name in triggers.missing(connections[alias])
    ]
