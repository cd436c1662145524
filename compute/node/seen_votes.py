"""The highest vote of each institution that ever reached this node: who passes votes on cannot take one back again."""

from collections.abc import Mapping
from pathlib import Path

from compute.node.state import transaction
from concordat.reasons import Reason, Refused
from concordat.votes import VoteDocument, precedence

_SCHEMA = """
CREATE TABLE IF NOT EXISTS votes (
    definition  TEXT NOT NULL,
    institution TEXT NOT NULL,
    nonce       INTEGER NOT NULL,
    revoked     INTEGER NOT NULL,
    address     TEXT NOT NULL DEFAULT '',
    PRIMARY KEY (definition, institution)
) STRICT
"""


class SeenVotes:
    """The votes in `path`, each verified before it comes here. Safe for several threads."""

    def __init__(self, path: Path) -> None:
        self._path = path
        with transaction(self._path) as database:
            database.execute(_SCHEMA)
            columns = [row[1] for row in database.execute("PRAGMA table_info(votes)")]
            if "address" not in columns:  # a file from before chain keys could change: the address is the live one
                database.execute("ALTER TABLE votes ADD COLUMN address TEXT NOT NULL DEFAULT ''")

    def check(self, definition: str, last: Mapping[str, VoteDocument], *, addresses: Mapping[str, str]) -> None:
        """Remember each institution's last vote on a definition, by its digest.

        What was remembered of an address that is no longer the institution's, by `addresses`, does not count.

        Raises:
            Refused: VOTE_INVALID, naming the institution, if a vote that counts for more was seen here before.
        """
        with transaction(self._path) as database:
            rows = database.execute(
                "SELECT institution, nonce, revoked, address FROM votes WHERE definition = ?", (definition,)
            ).fetchall()
            seen = {
                institution: (nonce, bool(revoked))
                for institution, nonce, revoked, address in rows
                if address in ("", addresses.get(institution))
            }
            for institution, vote in last.items():
                if institution not in seen or precedence(vote) > seen[institution]:
                    database.execute(
                        "INSERT OR REPLACE INTO votes VALUES (?, ?, ?, ?, ?)",
                        (definition, institution, *precedence(vote), vote["address"]),
                    )
        for institution, remembered in seen.items():
            if institution not in last or precedence(last[institution]) < remembered:
                raise Refused(
                    Reason.VOTE_INVALID,
                    detail=f"A later vote of {institution} was seen here before, and is left out now.",
                    field=institution,
                )
