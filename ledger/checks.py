"""System checks: what must hold before the ledger is used."""

from collections.abc import Sequence
from itertools import islice
from typing import Any

from django.core.checks import CheckMessage, Error, Tags, Warning, register
from django.db import DEFAULT_DB_ALIAS, connections

from concordat import clock
from concordat.reasons import Refused
from ledger import masters, triggers, vault
from ledger.models import SubjectKey

_NAMED = 5
"""How many rows a check names."""


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


@register(Tags.database)
def check_erased(databases: Sequence[str] | None = None, **_: Any) -> list[CheckMessage]:
    """No subject's key is in the database that was destroyed: a restored backup brings them back."""
    if DEFAULT_DB_ALIAS not in (databases or ()) or not _is_up_to_date():
        return []
    try:
        back = [row.pk for row in islice(vault.resurrected(), _NAMED)]
    except Refused:
        return []  # a key folder that is not in order says so wherever it is used
    if not back:
        return []
    named = ", ".join(str(each) for each in back) + (" and more" if len(back) == _NAMED else "")
    return [
        Error(
            f"Keys of subjects that were destroyed are in the database again (rows {named}). They do not open.",
            hint="A backup was restored: run `manage.py migrate --skip-checks`, then `manage.py reapply_erasures`.",
            id="ledger.E002",
        )
    ]


@register(Tags.security)
def check_replaced(**_: Any) -> list[CheckMessage]:
    """Master keys that were replaced are destroyed when their time is over."""
    overdue = [kept.path.name for kept in masters.replaced() if kept.until <= clock.now()]
    return [
        Warning(
            f"The time of a replaced master key is over: {name}.",
            hint="Run `manage.py rotate_master_key --only-destroy`, and destroy its copies.",
            id="ledger.W001",
        )
        for name in overdue
    ]


def _is_up_to_date() -> bool:
    """The table of subjects' keys has the columns that it should have; an older one is migrated first."""
    connection = connections[DEFAULT_DB_ALIAS]
    with connection.cursor() as cursor:
        if SubjectKey._meta.db_table not in connection.introspection.table_names(cursor):
            return False
        columns = connection.introspection.get_table_description(cursor, SubjectKey._meta.db_table)
    return {field.column for field in SubjectKey._meta.concrete_fields} <= {column.name for column in columns}
