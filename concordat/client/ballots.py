"""An institution's own record of its votes. What they mean is for it to say, and not for who passes them on.

votes.json         every vote that was signed here; written before it is sent
revoked/<digest>   a definition that the institution revoked; its node refuses it before it looks at any vote
"""

from collections.abc import Sequence
from pathlib import Path
from typing import NotRequired

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
    """A vote that was signed here, whatever became of it. `deadline`, in Unix seconds, is when it is void at the
    latest."""

    nonce: Count
    definition: Digest
    approve: bool
    deadline: NotRequired[Count]


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
        """The next vote's nonce: the coordinator's `hint`, unless what was signed here would then count for more.

        Votes count by definition (:func:`concordat.votes.precedence`), so only those on the same one set a floor: a
        revocation may share the nonce of an approval, which it beats; an approval exceeds every revocation. A vote that
        the contract refused, or that was lost on the way, is cast again in its place.

        Raises Refused(VOTE_INVALID) if the hint is further ahead than any vote that we cannot know of.
        """
        self._check_hint(hint)
        own = [each for each in self.cast if each["definition"] == definition]
        return max([hint, *(each["nonce"] + (approve and not each["approve"]) for each in own)])

    def after_outstanding(self, chain: int, *, now: int) -> int:
        """The next nonce for a vote that travels as a file: the registry's own, `chain`, or the one after every vote
        that was signed here and may still be relayed before it, at the Unix time `now`.

        Raises Refused(VOTE_INVALID) as `next_nonce` does.
        """
        self._check_hint(chain)
        outstanding = [each["nonce"] for each in self.cast if chain <= each["nonce"] and each.get("deadline", 0) > now]
        return max([chain, *(nonce + 1 for nonce in outstanding)])

    def _check_hint(self, hint: int) -> None:
        furthest = max((each["nonce"] + 1 for each in self.cast), default=0) + FURTHEST
        if hint > furthest:
            detail = f"{hint} is named for the next vote's nonce; by our own record it is at most {furthest}."
            raise Refused(Reason.VOTE_INVALID, detail=detail, field="nonce")

    def add(self, vote: Cast) -> None:
        """Note a vote before it is sent."""
        kept = [each for each in self.cast if each != vote]
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
