#!/usr/bin/env python
"""Django's command line for the coordinator."""

import os
import sys
from collections.abc import Sequence
from pathlib import Path

from django.conf import settings
from django.core.management import execute_from_command_line
from django.db import DatabaseError, connection

OWN = {file.stem for file in Path(__file__).parent.glob("*/management/commands/[a-z]*.py")} - {"create_keys"}
"""The commands that work on a coordinator's data."""

_SETTINGS = (
    "This command works on a coordinator's data: give it the coordinator's settings, CONCORDAT_STATE and "
    "CONCORDAT_DATABASE_URL above all (docs/reference/settings.md), or make the tables with `manage.py migrate`."
)


def main(arguments: Sequence[str]) -> None:
    """Run one command. Without a database, one of ours ends with a sentence, and makes none."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    own = len(arguments) > 1 and arguments[1] in OWN and not {"-h", "--help"}.intersection(arguments)
    database = settings.DATABASES["default"]
    if own and "sqlite" in database["ENGINE"] and not Path(database["NAME"]).exists():
        sys.exit(f"There is no database {database['NAME']}. {_SETTINGS}")
    try:
        execute_from_command_line(list(arguments))
    except DatabaseError:
        if not own or _has_tables():
            raise
        sys.exit(f"The database cannot be reached, or has no tables. {_SETTINGS}")


def _has_tables() -> bool:
    try:
        return "ledger_logentry" in connection.introspection.table_names()
    except DatabaseError:
        return False


if __name__ == "__main__":
    main(sys.argv)
