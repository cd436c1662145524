"""System checks: what must hold before the ledger is used."""

from collections.abc import Sequence
from typing import Any

from django.core.checks import CheckMessage, Error, Tags, register
from django.db import connections

from ledger import triggers


@register(Tags.database)
def check_triggers(databases: Sequence[str] | None = None, **_: Any) -> list[CheckMessage]:
    """Every rule of the database is in place, as it should read. Run by `migrate` and by `check --database default`."""
    return [
        Error(
            f"The table {trigger.model._meta.db_table} is not protected: its trigger {trigger.name} is missing or "
            "was changed.",
            hint="Look for changes with `manage.py ledger_fsck`, then run `manage.py migrate --skip-checks`.",
            id="ledger.E001",
        )
        for alias in databases or ()
        for trigger in triggers.missing(connections[alias])
    ]
