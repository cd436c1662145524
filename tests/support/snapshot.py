"""Rows of the database, to be put back as they were: what takes long to make for real is made once a session."""

from dataclasses import dataclass
from typing import Any

from django.apps import apps
from django.contrib.auth.models import User
from django.db import connection

APPS = ("compute", "governance", "ledger")


@dataclass(frozen=True)
class Snapshot:
    """The rows of all apps of ours and of their people, by table."""

    tables: dict[str, tuple[list[str], list[tuple[Any, ...]]]]

    @classmethod
    def take(cls) -> "Snapshot":
        found = {}
        for table in _tables():
            with connection.cursor() as cursor:
                cursor.execute(f'SELECT * FROM "{table}"')
                if rows := cursor.fetchall():
                    found[table] = ([column[0] for column in cursor.description], rows)
        return cls(found)

    def restore(self) -> None:
        """Put the rows into empty tables, inside of a test's transaction, which looks at foreign keys when it ends."""
        for table, (columns, rows) in self.tables.items():
            names, places = ", ".join(f'"{each}"' for each in columns), ", ".join(["%s"] * len(columns))
            with connection.cursor() as cursor:
                cursor.executemany(f'INSERT INTO "{table}" ({names}) VALUES ({places})', rows)


def _tables() -> list[str]:
    models = [User, *(model for app in APPS for model in apps.get_app_config(app).get_models())]
    between = [field.remote_field.through for model in models for field in model._meta.local_many_to_many]
    own = [model for model in [*models, *between] if model._meta.managed and not model._meta.proxy]
    kept = [model for model in own if model._meta.app_label != "auth" or model is User]
    return list(dict.fromkeys(model._meta.db_table for model in kept))
