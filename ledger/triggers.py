"""Append-only tables: the database itself refuses to change or remove their rows, on SQLite and PostgreSQL.

Altering a table on SQLite silently drops its triggers, so they are put back after every migrate and a system check
looks for them. Whoever may create triggers may also drop them: what shows tampering is the anchored tree, not this.
"""

from typing import Any, TypeVar

from django.db import DEFAULT_DB_ALIAS, connections, models
from django.db.backends.base.base import BaseDatabaseWrapper

M = TypeVar("M", bound=type[models.Model])

_models: list[type[models.Model]] = []

_POSTGRES_FUNCTION = """
CREATE OR REPLACE FUNCTION concordat_append_only() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN RAISE EXCEPTION '% is append-only', TG_TABLE_NAME USING ERRCODE = 'integrity_constraint_violation'; END $$
"""


def append_only(model: M) -> M:
    """Class decorator: rows of this table are written once."""
    _models.append(model)
    return model


def names(table: str, vendor: str) -> tuple[str, ...]:
    """The triggers that protect `table`. PostgreSQL could also truncate it; SQLite's REPLACE deletes without asking the
    trigger on DELETE."""
    verbs = ("update", "delete", "truncate" if vendor == "postgresql" else "replace")
    return tuple(f"{table}_no_{verb}" for verb in verbs)


def install(sender: Any = None, *, using: str = DEFAULT_DB_ALIAS, **_: Any) -> None:
    """Put every missing trigger in place. Runs after each app's migrations; does nothing where all is in place."""
    connection = connections[using]
    if not missing(connection):
        return
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute(_POSTGRES_FUNCTION)
        for model, name in missing(connection):
            cursor.execute(_statement(connection, model, name))


def missing(connection: BaseDatabaseWrapper) -> list[tuple[type[models.Model], str]]:
    """(model, trigger) of every protection that an existing append-only table lacks."""
    present = _present(connection)
    tables = set(connection.introspection.table_names())
    return [
        (model, name)
        for model in _models
        if model._meta.db_table in tables
        for name in names(model._meta.db_table, connection.vendor)
        if name not in present
    ]


def _present(connection: BaseDatabaseWrapper) -> set[str]:
    query = {
        "sqlite": "SELECT name FROM sqlite_master WHERE type = 'trigger'",
        "postgresql": "SELECT tgname FROM pg_trigger WHERE NOT tgisinternal AND tgenabled = 'O'",
    }[connection.vendor]
    with connection.cursor() as cursor:
        cursor.execute(query)
        return {row[0] for row in cursor.fetchall()}


def _statement(connection: BaseDatabaseWrapper, model: type[models.Model], name: str) -> str:
    quote, table = connection.ops.quote_name, model._meta.db_table
    verb = name.rpartition("_")[2].upper()
    if connection.vendor == "sqlite":
        event, when = (verb, "") if verb != "REPLACE" else ("INSERT", f"WHEN {_is_there(connection, model)} ")
        return (
            f"CREATE TRIGGER {quote(name)} BEFORE {event} ON {quote(table)} {when}"
            f"BEGIN SELECT RAISE(ABORT, '{table} is append-only'); END"
        )
    each = "STATEMENT" if verb == "TRUNCATE" else "ROW"
    return (
        f"CREATE TRIGGER {quote(name)} BEFORE {verb} ON {quote(table)} "
        f"FOR EACH {each} EXECUTE FUNCTION concordat_append_only()"
    )


def _is_there(connection: BaseDatabaseWrapper, model: type[models.Model]) -> str:
    """SQL: there is a row which the new one would replace, as it has the same value where only one row may."""
    quote, meta = connection.ops.quote_name, model._meta
    once = [[field.name] for field in meta.concrete_fields if field.unique]
    once += [
        list(constraint.fields) for constraint in meta.constraints if isinstance(constraint, models.UniqueConstraint)
    ]
    columns = [[quote(str(meta.get_field(name).column)) for name in names] for names in once]  # type: ignore[union-attr]
    same = " OR ".join("(" + " AND ".join(f"{each} = NEW.{each}" for each in names) + ")" for names in columns)
    return f"EXISTS (SELECT 1 FROM {quote(meta.db_table)} WHERE {same})"  # noqa: S608  (names of our own models)
