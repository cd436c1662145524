"""Every recall of a model that ever reached this node: who passes recalls on cannot keep one back again."""

from pathlib import Path

from compute.node.state import transaction

_SCHEMA = "CREATE TABLE IF NOT EXISTS recalls (model TEXT PRIMARY KEY, token TEXT NOT NULL) STRICT"


class SeenRecalls:
    """The first recall (JWS) of each model in `path`, by the model's digest. Each was verified before it came here.
    Safe for several threads."""

    def __init__(self, path: Path) -> None:
        self._path = path
        with transaction(self._path) as database:
            database.execute(_SCHEMA)

    def of(self, model: str) -> str | None:
        """The recall of this model, if one was ever seen."""
        with transaction(self._path) as database:
            row = database.execute("SELECT token FROM recalls WHERE model = ?", (model,)).fetchone()
        return None if row is None else str(row[0])

    def remember(self, model: str, token: str) -> None:
        """Keep it; a model is recalled once."""
        with transaction(self._path) as database:
            database.execute("INSERT OR IGNORE INTO recalls VALUES (?, ?)", (model, token))
