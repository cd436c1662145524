"""Rules that the database itself holds, on SQLite and PostgreSQL: tables whose rows are written once, and whatever else
an app registers.

Altering a table on SQLite silently drops its triggers, so they are put back after every migrate and a system check
looks for them, and for any that was changed. Whoever may create triggers may also drop them: what shows tampering is
the anchored tree, not this.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, TypeVar

from django.db import DEFAULT_DB_ALIAS, connections, models
from django.db.backends.base.base import BaseDatabaseWrapper

M = TypeVar("M", bound=type[models.Model])

_ONLY_ON = {"truncate": "postgresql", "replace": "sqlite"}
"""PostgreSQL could also truncate a table; SQLite's REPLACE deletes without asking the trigger on DELETE."""


@dataclass(frozen=True)
class Rule:
    """What must not happen to the rows of one table, and the sentence with which the database refuses it.

    Args:
        verbs: of `insert`, `update`, `delete`, `truncate` and `replace`; a database ignores those it does not have.
        forbids: SQL that both databases understand, true of a change of the row OLD to NEW that must not be; empty for
            all changes.
    """

    model: type[models.Model]
    name: str
    verbs: tuple[str, ...]
    sentence: str
    forbids: str = ""


@dataclass(frozen=True)
class Trigger:
    """A rule as one database keeps it. `body` is the part by which a changed trigger is recognised."""

    model: type[models.Model]
    name: str
    body: str
    statements: tuple[str, ...]


_rules: list[Rule] = []


def register(*rules: Rule) -> None:
    """Rules to install from now on. An app registers its own when it is ready."""
    _rules.extend(rules)


def append_only(model: M) -> M:
    """Class decorator: rows of this table are written once."""
    sentence = f"{model._meta.db_table} is append-only"
    register(Rule(model, "no", ("update", "delete", "truncate", "replace"), sentence))
    return model


def install(sender: Any = None, *, using: str = DEFAULT_DB_ALIAS, **_: Any) -> None:
    """Put every trigger in place that is missing or was changed. Runs after each app's migrations; does nothing where
    all is in place."""
    connection = connections[using]
    _execute(connection, [statement for each in missing(connection) for statement in each.statements])


def make_way(sender: Any = None, *, using: str = DEFAULT_DB_ALIAS, plan: Any = (), **_: Any) -> None:
    """Before migrations: SQLite renames no table while a trigger reads another that is just being made anew. Tables
    that are append-only stay protected, as their triggers read nothing else."""
    connection = connections[using]
    if plan and connection.vendor == "sqlite":
        _drop(connection, [rule for rule in _rules if rule.forbids])


def remove(*, using: str = DEFAULT_DB_ALIAS, model: type[models.Model] | None = None) -> None:
    """Drop the triggers of one table, or all."""
    _drop(connections[using], [rule for rule in _rules if model in (None, rule.model)])


def missing(connection: BaseDatabaseWrapper) -> list[Trigger]:
    """The triggers that an existing table lacks, or that differ from what they should be."""
    present = _present(connection)
    return [each for each in _wanted(connection, _rules) if present.get(each.name) != each.body]


def _drop(connection: BaseDatabaseWrapper, rules: list[Rule]) -> None:
    quote, present = connection.ops.quote_name, _present(connection)
    found = [each for each in _wanted(connection, rules) if each.name in present]
    on_table = connection.vendor == "postgresql"
    _execute(
        connection,
        [
            f"DROP TRIGGER {quote(each.name)}" + (f" ON {quote(each.model._meta.db_table)}" if on_table else "")
            for each in found
        ],
    )


def _wanted(connection: BaseDatabaseWrapper, rules: list[Rule]) -> Iterator[Trigger]:
    tables = set(connection.introspection.table_names())
    for rule in rules:
        if rule.model._meta.db_table in tables:
            for verb in rule.verbs:
                if _ONLY_ON.get(verb, connection.vendor) == connection.vendor:
                    yield _trigger(connection, rule, verb)


def _trigger(connection: BaseDatabaseWrapper, rule: Rule, verb: str) -> Trigger:
    quote, table = connection.ops.quote_name, rule.model._meta.db_table
    own = f"{table}_{rule.name}_{verb}".replace("-", "_")
    name, sentence = quote(own), rule.sentence.replace("'", "''")
    if connection.vendor == "sqlite":
        event, forbids = ("INSERT", _is_there(connection, rule.model)) if verb == "replace" else (verb, rule.forbids)
        create = (
            f"CREATE TRIGGER {name} BEFORE {event.upper()} ON {quote(table)} "
            + (f"WHEN {forbids} " if forbids else "")
            + f"BEGIN SELECT RAISE(ABORT, '{sentence}'); END"
        )
        return Trigger(rule.model, own, create, (f"DROP TRIGGER IF EXISTS {name}", create))
    refuse = f"RAISE EXCEPTION '{sentence.replace('%', '%%')}' USING ERRCODE = 'integrity_constraint_violation';"
    row = "OLD" if verb == "delete" else "NEW"
    body = f"BEGIN IF {rule.forbids or 'TRUE'} THEN {refuse} END IF; RETURN {row}; END"
    return Trigger(
        rule.model,
        own,
        body,
        (
            f"CREATE OR REPLACE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS $rule${body}$rule$",
            f"CREATE OR REPLACE TRIGGER {name} BEFORE {verb.upper()} ON {quote(table)} "
            f"FOR EACH {'STATEMENT' if verb == 'truncate' else 'ROW'} EXECUTE FUNCTION {name}()",
            f"ALTER TABLE {quote(table)} ENABLE TRIGGER {name}",
        ),
    )


def _present(connection: BaseDatabaseWrapper) -> dict[str, str]:
    query = {
        "sqlite": "SELECT name, sql FROM sqlite_master WHERE type = 'trigger'",
        "postgresql": "SELECT tgname, prosrc FROM pg_trigger JOIN pg_proc ON pg_proc.oid = tgfoid "
        "WHERE NOT tgisinternal AND tgenabled = 'O'",
    }[connection.vendor]
    with connection.cursor() as cursor:
        cursor.execute(query)
        return dict(cursor.fetchall())


def _execute(connection: BaseDatabaseWrapper, statements: list[str]) -> None:
    with connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)


def _is_there(connection: BaseDatabaseWrapper, model: type[models.Model]) -> str:
    """SQL: there is a row which the new one would replace, as it has the same value where only one row may. (What is
    unique under a condition only is left out: such a row has others that refer to it, or says the same.)"""
    quote, meta = connection.ops.quote_name, model._meta
    once = [[field.name] for field in meta.concrete_fields if field.unique]
    once += [
        list(constraint.fields)
        for constraint in meta.constraints
        if isinstance(constraint, models.UniqueConstraint) and constraint.condition is None
    ]
    columns = [[quote(str(meta.get_field(name).column)) for name in names] for names in once]  # type: ignore[union-attr]
    same = " OR ".join("(" + " AND ".join(f"{each} = NEW.{each}" for each in names) + ")" for names in columns)
    return f"EXISTS (SELECT 1 FROM {quote(meta.db_table)} WHERE {same})"  # noqa: S608  (names of our own models)
