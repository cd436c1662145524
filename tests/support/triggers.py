"""What an attacker with the database's own rights does first: the append-only triggers are removed."""

from django.db import connection

from ledger import triggers


def drop_triggers() -> None:
    """Remove them all. Every `migrate`, and Django when it empties the tables after a test, puts them back."""
    on_table = ' ON "{table}"' if connection.vendor == "postgresql" else ""
    with connection.cursor() as cursor:
        for table in connection.introspection.table_names(cursor):
            for name in triggers.names(table, connection.vendor):
                cursor.execute(f'DROP TRIGGER IF EXISTS "{name}"' + on_table.format(table=table))
