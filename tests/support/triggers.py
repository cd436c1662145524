"""What an attacker with the database's own rights does first: the triggers are removed."""

from collections.abc import Iterator
from contextlib import contextmanager

from django.db import connection
from django.db.models import Model

from ledger import triggers


def drop_triggers() -> None:
    """Remove them all. Every `migrate`, and Django when it empties the tables after a test, puts them back."""
    triggers.remove()


@contextmanager
def without_rules(model: type[Model]) -> Iterator[None]:
    """For a test that puts a row of this table into a state to which no service would bring it."""
    connection.check_constraints()  # PostgreSQL alters no table about which it has still to check something
    triggers.remove(model=model)
    yield
    connection.check_constraints()
    triggers.install()
