"""Every roster of officers that ever counted at this node: who passes rosters on cannot take a newer one back again."""

from collections.abc import Container, Iterable
from pathlib import Path

from compute.node.state import transaction
from concordat.enrolment import Roster
from concordat.signatures import peek

_SCHEMA = """
CREATE TABLE IF NOT EXISTS rosters (
    institution TEXT NOT NULL,
    key_id      TEXT NOT NULL,
    version     INTEGER NOT NULL,
    token       TEXT NOT NULL,
    PRIMARY KEY (institution, key_id)
) STRICT
"""


class SeenRosters:
    """The highest roster of each institution in `path`, by the offline key that signed it: a thief's does not stand in
    the way of the successor's. Each was verified before it came here. Safe for several threads."""

    def __init__(self, path: Path) -> None:
        self._path = path
        with transaction(self._path) as database:
            database.execute(_SCHEMA)

    def tokens(self, institutions: Container[str]) -> list[str]:
        """The rosters (JWS) of these, to be verified again: a key may have been found compromised since."""
        with transaction(self._path) as database:
            rows = database.execute("SELECT institution, token FROM rosters ORDER BY institution, key_id").fetchall()
        return [token for institution, token in rows if institution in institutions]

    def remember(self, rosters: Iterable[Roster]) -> None:
        """Keep those that are higher than what is kept."""
        with transaction(self._path) as database:
            for roster in rosters:
                database.execute(
                    "INSERT INTO rosters VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE"
                    " SET version = excluded.version, token = excluded.token WHERE excluded.version > rosters.version",
                    (
                        roster.document["institution"],
                        peek(roster.token)[0]["kid"],
                        roster.document["version"],
                        roster.token,
                    ),
                )
