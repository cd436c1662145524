"""An institution's own record of its votes. What they mean is for it to say, and not for who passes them on.

votes.json         every vote that was signed here; written before it is sent
revoked/<digest>   a definition that the institution revoked; its node refuses it before it looks at any vote
"""

from collections.abc import Sequence
from pathlib import Path

from pydantic import with_config
from typing_extensions import TypedDict

from concordat import canonical
from concordat.canonical import digest_bytes
from concordat.fields import STRICT, Digest, plain, read
from concordat.files import write_private
from concordat.reasons import Reason, Refused
from concordat.votes import Count

FURTHEST = 16
"""How many votes, by other tools or from another folder, this institution may have cast that are not in its record."""


@with_config(STRICT)
class Cast(TypedDict):
    """A vote that was signed here. `received`: the coordinator took it."""

    nonce: Count
    definition: Digest
    approve: bool
    received: bool


class Ballots:
    """The record in an institution's folder."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._file = directory / "votes.json"

    @property
    def cast(self) -> Sequence[Cast]:
        """Every vote signed here, the latest last. Raises Refused if the record cannot be read."""
        if not self._file.exists():
            return []
        return read(canonical.decode(self._file.read_bytes()), list[Cast])

    def next_nonce(self, definition: str, *, approve: bool, hint: int) -> int:
        """The next vote's nonce: the coordinator's `hint`, unless it falls behind what was signed here.

        Votes that the coordinator took are never fallen behind, so that a later one always counts for more; nor does a
        revocation fall behind any approval of its definition. The same vote again may use its nonce again: the contract
        did not take the first, or it was lost on the way.

        Raises Refused(VOTE_INVALID) if the hint is further ahead than any vote that we cannot know of.
        """
        cast = self.cast
        if cast and (cast[-1]["definition"], cast[-1]["approve"], cast[-1]["nonce"]) == (definition, approve, hint):
            return hint
        own = max((each["nonce"] + 1 for each in cast if each["received"]), default=0)
        if hint > own + FURTHEST:
            detail = f"The coordinator says {hint} for the next vote's nonce; by our own record it is {own}."
            raise Refused(Reason.VOTE_INVALID, detail=detail, field="nonce")
        revoked = [each["nonce"] for each in cast if each["definition"] == definition and not approve]
        return max(own, hint, *revoked)

    def add(self, vote: Cast) -> None:
        """Note a vote before it is sent, and again when it was received."""
        kept = [each for each in self.cast if {**each, "received": True} != {**vote, "received": True}]
        write_private(self._file, canonical.encode([plain(each) for each in (*kept, vote)]), replace=True)

    def mark(self, definition: str, *, approve: bool) -> None:
        """Note whether the institution stands by a definition."""
        file = revocation(self._directory, definition)
        if approve:
            file.unlink(missing_ok=True)
        else:
            file.parent.mkdir(mode=0o700, exist_ok=True)
            write_private(file, b"", replace=True)


def revocation(directory: Path, definition: str) -> Path:
    """The file that says that the institution has revoked its approval of the definition with this digest."""
    return directory / "revoked" / digest_bytes(definition).hex()
