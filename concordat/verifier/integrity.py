"""That nothing was changed: entries, their place in the log, its signed head, documents, and what was opened."""

from concordat import canonical, checkpoint, commitments, merkle
from concordat.checkpoint import Checkpoint
from concordat.reasons import Reason, Refused
from concordat.verifier.evidence import Evidence, NotCheckable


def signed_head(evidence: Evidence) -> str:
    """The checkpoint is signed by the coordinator, for this log."""
    head = evidence.head
    if head.origin != evidence.about["log"] or head.size != evidence.proofs["size"]:
        raise Refused(Reason.CHECKPOINT_INVALID, detail="The checkpoint is about another log or size than the proofs.")
    return f"The log “{head.origin}” stood at {head.size} entries when its head was signed."


def inclusion(evidence: Evidence) -> str:
    """Every entry is in the log at its place: RFC 9162 inclusion proofs to the one checkpoint."""
    head, paths = evidence.head, evidence.proofs["paths"]
    if set(paths) != {str(entry.index) for entry in evidence.entries}:
        raise Refused(Reason.INCLUSION_INVALID, detail="There is not exactly one proof for each entry.")
    for entry in evidence.entries:
        proof = [canonical.unb64(node) for node in paths[str(entry.index)]]
        if not merkle.verify_inclusion(merkle.leaf_hash(entry.data), entry.index, head.size, proof, head.root):
            raise Refused(Reason.INCLUSION_INVALID, detail=f"Entry {entry.number} is not in the log at its place.")
    return f"{len(evidence.entries)} entries are in the log, each at the place it claims."


def documents(evidence: Evidence) -> str:
    """Every document that an entry names is there with the digest that it names, and no other."""
    named = {digest for entry in evidence.entries for digest in entry.leaf["documents"].values()}
    for digest in sorted(named ^ set(evidence.documents)):
        missing = digest in named
        raise Refused(
            Reason.DOCUMENT_ALTERED,
            detail=f"The document {digest} is {'missing' if missing else 'named by no entry'}.",
        )
    for digest, content in evidence.documents.items():
        if canonical.digest(content) != digest:
            raise Refused(Reason.DOCUMENT_ALTERED, detail=f"The document {digest} has another digest.")
    return f"{len(named)} documents have the digests that stand in the log."


def openings(evidence: Evidence) -> str:
    """Every opened private field is what the log had committed to; every other one says why it is closed."""
    opened, closed = evidence.openings["opened"], evidence.openings["closed"]
    by_index = {str(entry.index): entry for entry in evidence.entries}
    for part in (opened, closed):
        for index in part:
            if index not in by_index:
                raise Refused(Reason.OPENING_MISMATCH, detail=f"There is no entry {index} to open.")
    count = 0
    for index, entry in by_index.items():
        fields, shut = opened.get(index, {}), closed.get(index, {})
        if sorted([*fields, *shut]) != sorted(entry.leaf["commitments"]):
            raise Refused(
                Reason.OPENING_MISMATCH, detail=f"Not every private field of {entry.number} is accounted for."
            )
        for field, opening in fields.items():
            salt, value = canonical.unb64(opening["salt"]), canonical.encode(opening["value"])
            commitment = entry.leaf["commitments"][field]
            if not commitments.open_commitment(commitment, commitments.FIELD, salt, value):
                raise Refused(Reason.OPENING_MISMATCH, detail=f"“{field}” of {entry.number} was something else.")
            count += 1
    total = sum(len(entry.leaf["commitments"]) for entry in evidence.entries)
    return f"{count} of {total} private fields are opened, each as the log had committed to it."


def earlier_head(evidence: Evidence, note: str, consistency: list[str], what: str) -> Checkpoint:
    """A head that the log signed, covers the decision, and is extended by the dossier's own: `what` it is called here.

    Raises Refused: CHECKPOINT_INVALID, CONSISTENCY_INVALID.
    """
    head, path = evidence.head, [canonical.unb64(each) for each in consistency]
    seen = checkpoint.verify(note, {head.origin: evidence.key})
    if seen.origin != head.origin or seen.size <= evidence.decision.index:
        raise Refused(Reason.CHECKPOINT_INVALID, detail=f"The {what} head does not cover the decision.")
    if not merkle.verify_consistency(seen.size, head.size, seen.root, head.root, path):
        raise Refused(Reason.CONSISTENCY_INVALID, detail=f"The dossier's head does not extend the {what} one.")
    return seen


def extends_anchors(evidence: Evidence) -> str:
    """The checkpoint extends the heads that are said to be on the chain: RFC 9162 consistency proofs."""
    head = evidence.head
    for anchor in evidence.anchors:
        root, path = canonical.digest_bytes(anchor["root"]), [canonical.unb64(node) for node in anchor["consistency"]]
        if not merkle.verify_consistency(anchor["size"], head.size, root, head.root, path):
            raise Refused(Reason.CONSISTENCY_INVALID)
    if evidence.anchors and evidence.anchors[0]["size"] <= evidence.decision.index:
        raise Refused(Reason.ANCHOR_MISMATCH, detail="The first anchor named does not cover the decision.")
    if not evidence.anchors:
        raise NotCheckable(Reason.ANCHOR_MISSING, "No head that covers this decision is on a chain yet.")
    sizes = " and ".join(str(anchor["size"]) for anchor in evidence.anchors)
    return f"The head of {head.size} entries extends the anchored ones, of {sizes}."
