"""How many numbers this node has helped to open: functions of a secret model, enough of which are the model.

The coordinator counts too (`governance.services.budgets`), but a node believes its own count: this file is the node's,
and no restart and no coordinator makes it forget. It may count too many, never too few: a job in which this node handed
in its share and another one did not has opened nothing, and counts here.
"""

from pathlib import Path

from compute.node.state import transaction
from concordat.reasons import Reason, Refused

_SCHEMA = """
CREATE TABLE IF NOT EXISTS opened (
    ticket     TEXT PRIMARY KEY,
    definition TEXT NOT NULL,
    model      TEXT NOT NULL,
    requester  TEXT NOT NULL,
    scalars    INTEGER NOT NULL
) STRICT
"""


class OpenedNumbers:
    """The counts in `path`, by ticket. Safe for several threads; each call is a transaction of its own."""

    def __init__(self, path: Path) -> None:
        self._path = path
        with transaction(self._path) as database:
            database.execute(_SCHEMA)

    def spend(self, ticket: str, *, definition: str, model: str, requester: str, scalars: int, budget: int) -> None:
        """Count what a ticket's job will open, before it is computed.

        Args:
            definition: the digest of the definition, whose `budget` it is, and `model` the model's digest.

        Raises:
            Refused: BUDGET_SPENT.
        """
        with transaction(self._path) as database:
            (spent,) = database.execute(
                "SELECT coalesce(sum(scalars), 0) FROM opened WHERE definition = ?", (definition,)
            ).fetchone()
            if spent + scalars > budget:
                detail = f"This node has helped to open {spent} of the {budget} numbers that the definition allows."
                raise Refused(Reason.BUDGET_SPENT, detail=detail, field="budgets.scalars")
            database.execute(
                "INSERT INTO opened VALUES (?, ?, ?, ?, ?)",
                (ticket, definition, model, requester, scalars),
            )

    def give_back(self, ticket: str) -> None:
        """Nothing will be opened: this node keeps its share of the result, and without every share there is none."""
        with transaction(self._path) as database:
            database.execute("DELETE FROM opened WHERE ticket = ?", (ticket,))

    def counts(self, ticket: str) -> bool:
        """Whether something may have been opened by this ticket."""
        with transaction(self._path) as database:
            found = database.execute("SELECT 1 FROM opened WHERE ticket = ?", (ticket,)).fetchone()
        return found is not None

    def totals(self) -> list[tuple[str, str, int]]:
        """Model, requester, and the numbers opened for it over all definitions; the largest first."""
        with transaction(self._path) as database:
            return database.execute(
                "SELECT model, requester, sum(scalars) AS opened FROM opened GROUP BY model, requester "
                "ORDER BY opened DESC, model, requester"
            ).fetchall()
