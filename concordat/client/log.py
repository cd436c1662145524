"""What this institution has seen of the log: a log that was rewritten since is noticed, whoever was shown what.

checkpoint.txt   the latest signed head that was verified here (a C2SP signed note)

That others see the same log is for its witnesses to say: the cosignatures on a head are verified and counted.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from concordat import checkpoint, cosignature, merkle, mirror, witnesses
from concordat.canonical import unb64
from concordat.checkpoint import Checkpoint
from concordat.client.api import Api
from concordat.client.home import ClientHome
from concordat.events import Event
from concordat.files import write_private
from concordat.reasons import Reason, Refused
from concordat.verifier.evidence import read_leaf
from concordat.witnesses import Witnessed

_FILE = "checkpoint.txt"


@dataclass(frozen=True)
class Followed:
    """The log's head, its note, and how many of the pinned witnesses have cosigned it so far."""

    head: Checkpoint
    note: str
    witnessed: Witnessed


def follow(home: ClientHome, api: Api) -> Followed:
    """The log's head now, which extends the one that was seen here last (RFC 9162), and is kept in its place.

    Raises:
        Refused: CHECKPOINT_INVALID; CONSISTENCY_INVALID for a log that was rewritten, CHECKPOINT_OLDER for one that is
            shorter now; COSIGNATURE_INVALID for a line that claims to be a pinned witness's and is not;
            WITNESSES_TOO_FEW, the head being kept, where the folder's `witnessed` asks for enough of them.
    """
    keys = {home.pins.log_origin: home.pins.coordinator}
    file = home.directory / _FILE
    # Read before the log is asked: another process of ours may keep a later head meanwhile.
    seen = checkpoint.verify(file.read_text(), keys) if file.exists() else None
    note = api.checkpoint()
    head = checkpoint.verify(note, keys)
    if seen is not None:
        if head.size < seen.size:
            detail = f"The log has {head.size} entries; it had {seen.size} when it was last seen from here."
            raise Refused(Reason.CHECKPOINT_OLDER, detail=detail)
        proof = [] if head.size == seen.size else [unb64(each) for each in api.consistency(seen.size, head.size)]
        if seen.size and not merkle.verify_consistency(seen.size, head.size, seen.root, head.root, proof):
            raise Refused(Reason.CONSISTENCY_INVALID)
    known = witnesses.live(home.pins.histories)
    cosigned = cosignature.verify(note, known.keys, origin=head.origin)
    write_private(file, note.encode(), replace=True)
    witnessed = Witnessed(tuple(sorted(cosigned)), known.of)
    if home.config.get("witnessed", False) and not witnessed.enough:
        detail = f"The head of {head.size} entries has the cosignatures of {witnessed}."
        raise Refused(Reason.WITNESSES_TOO_FEW, detail=detail)
    return Followed(head, note, witnessed)


def fetch(
    home: ClientHome, api: Api, folder: Path, *, size: int | None = None, progress: Callable[[int, int], object]
) -> Checkpoint:
    """Copy the log's entries into a folder (`concordat.mirror`), all of them or the first `size`; answers the head.

    Args:
        progress: told how many entries are there, and how many there will be.

    Raises:
        Refused: NOT_FOUND for a size that the log does not have yet; LOG_DIVERGES; as `follow` does.
        OSError: for a folder that cannot be written to.
    """
    followed = follow(home, api)
    head = followed.head
    wanted = head.size if size is None else size
    if not 0 <= wanted <= head.size:
        raise Refused(Reason.NOT_FOUND, detail=f"The log has published {head.size} entries.", field="size")
    mirror.copy(folder, api.tile, head, followed.note, size=wanted, progress=lambda done: progress(done, wanted))
    return head


def check_entry(
    api: Api, head: Checkpoint, index: int, *, event: Event, job: str, documents: Mapping[str, str]
) -> None:
    """The log under `head` has the entry of an event about a job, with these documents (by digest).

    Raises:
        Refused: RESULT_NOT_READY while the log has not published it; INCLUSION_INVALID; ENTRY_ALTERED for an entry that
            says something else; DOCUMENT_ALTERED for one that names another document.
    """
    if index >= head.size:
        raise Refused(Reason.RESULT_NOT_READY, detail="The log has not published this entry yet.")
    leaf = unb64(api.entry(index)["leaf"])
    proof = [unb64(each) for each in api.inclusion(index, head.size)]
    if not merkle.verify_inclusion(merkle.leaf_hash(leaf), index, head.size, proof, head.root):
        raise Refused(Reason.INCLUSION_INVALID, field=str(event))
    content = read_leaf(leaf)
    if content["event"] is not event or content["public"].get("job") != job:
        raise Refused(Reason.ENTRY_ALTERED, detail="The entry records something else.", field=str(event))
    for name, digest in documents.items():
        if content["documents"].get(name) != digest:
            raise Refused(Reason.DOCUMENT_ALTERED, detail=f"The log names other {name}.", field=str(event))
