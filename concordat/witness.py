"""What a witness is asked, and when it may cosign: the `add-checkpoint` call of https://c2sp.org/tlog-witness.

    old <size>\\n<base64 hash>\\n…\\n\\n<checkpoint note>

Pure: the caller holds the lock on what it cosigned last, keeps the new head durably, and only then signs.
"""

import base64
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from concordat import checkpoint, merkle, note
from concordat.checkpoint import Checkpoint
from concordat.merkle import EMPTY_ROOT, HASH_BYTES
from concordat.reasons import Reason, Refused
from concordat.signatures import VerifyKey

MOST_PROOF_LINES = 63

_OLD = re.compile(r"old (0|[1-9][0-9]{0,18})")


@dataclass(frozen=True)
class Seen:
    """The head that a witness cosigned last; of a log that it never saw, the empty one."""

    size: int = 0
    root: bytes = EMPTY_ROOT


@dataclass(frozen=True)
class AddCheckpoint:
    """The call's body: the size that the proof starts from, RFC 9162 hashes, and the log's signed note."""

    old: int
    proof: tuple[bytes, ...]
    note: str


def write(old: int, proof: Sequence[bytes], note: str) -> str:
    """The body of the call."""
    hashes = "".join(base64.b64encode(each).decode() + "\n" for each in proof)
    return f"old {old}\n{hashes}\n{note}"


def read(text: str) -> AddCheckpoint:
    """The call in this body. Raises Refused(MALFORMED); the note is not looked at yet."""
    if len(text) > 2 * note.LARGEST:
        raise _malformed("The call is too large.")
    head, separator, checkpointed = text.partition("\n\n")
    first, *lines = head.split("\n")
    old = _OLD.fullmatch(first)
    if not separator or old is None or len(lines) > MOST_PROOF_LINES:
        raise _malformed("The call is `old` and a size, at most 63 hashes, an empty line and a checkpoint.")
    try:
        proof = tuple(note.unb64(line) for line in lines)
    except Refused as refused:
        raise _malformed("A hash of the proof is not standard base64.") from refused
    if any(len(each) != HASH_BYTES for each in proof):
        raise _malformed("A hash of the proof has 32 bytes.")
    return AddCheckpoint(int(old[1]), proof, checkpointed)


def check(call: AddCheckpoint, seen: Seen, *, origin: str, keys: Mapping[str, VerifyKey]) -> Checkpoint:
    """The head that the witness may cosign, after the one that it cosigned last.

    Args:
        keys: the log's keys by key name.

    Raises:
        Refused: CHECKPOINT_INVALID unless a key of the log signed the note, and for another log's (403 and 404 in the
            specification); WITNESS_ELSEWHERE if the proof starts from another size than `seen` (409);
            CHECKPOINT_OLDER for a shorter head (400), which a log that lags behind may show, too; MALFORMED for a proof
            where there is nothing to prove; CONSISTENCY_INVALID for a log that was rewritten (422).
    """
    head = checkpoint.verify(call.note, keys)
    if head.origin != origin:
        raise note.invalid("The checkpoint is another log's.")
    if call.old != seen.size:
        raise Refused(Reason.WITNESS_ELSEWHERE, detail=f"This witness stands at {seen.size} entries.", field="old")
    if head.size < seen.size:
        detail = f"The log has {head.size} entries; this witness cosigned {seen.size}."
        raise Refused(Reason.CHECKPOINT_OLDER, detail=detail, field="size")
    if call.proof and seen.size in (0, head.size):
        raise _malformed("Between the empty log and any other, and between equal sizes, there is no proof.")
    if not _extends(seen, head, call.proof):
        raise Refused(Reason.CONSISTENCY_INVALID)
    return head


def _extends(seen: Seen, head: Checkpoint, proof: tuple[bytes, ...]) -> bool:
    if seen.size == 0:  # everything extends the empty tree
        return head.size > 0 or head.root == EMPTY_ROOT
    return merkle.verify_consistency(seen.size, head.size, seen.root, head.root, proof)


def _malformed(detail: str) -> Refused:
    return Refused(Reason.MALFORMED, detail=detail)
