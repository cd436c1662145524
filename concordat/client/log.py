"""What this institution has seen of the log: a log that was rewritten since is noticed, whoever was shown what.

checkpoint.txt   the latest signed head that was verified here (a C2SP signed note)
"""

from concordat import checkpoint, merkle
from concordat.canonical import unb64
from concordat.checkpoint import Checkpoint
from concordat.client.api import Api
from concordat.client.home import ClientHome
from concordat.files import write_private
from concordat.reasons import Reason, Refused

_FILE = "checkpoint.txt"


def follow(home: ClientHome, api: Api) -> Checkpoint:
    """The log's head now, which extends the one that was seen here last (RFC 9162), and is kept in its place.

    Raises:
        Refused: CHECKPOINT_INVALID; CONSISTENCY_INVALID for a log that was rewritten or became shorter.
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
            raise Refused(Reason.CONSISTENCY_INVALID, detail=detail)
        proof = [] if head.size == seen.size else [unb64(each) for each in api.consistency(seen.size, head.size)]
        if seen.size and not merkle.verify_consistency(seen.size, head.size, seen.root, head.root, proof):
            raise Refused(Reason.CONSISTENCY_INVALID)
    write_private(file, note.encode(), replace=True)
    return head
