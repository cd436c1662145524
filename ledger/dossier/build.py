"""Build a decision's bundle: the files that `concordat.verifier` reads, and the dossier that it concludes from them."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import cast

from django.conf import settings

from concordat import canonical
from concordat.canonical import Json, b64, digest_text
from concordat.events import MATTER_TOLD
from concordat.keystore import Keystore
from concordat.reasons import Reason, Refused
from concordat.verifier import bundle
from concordat.verifier.completeness import LARGEST_LOG
from concordat.verifier.examine import summary
from ledger import selectors, vault, witnesses
from ledger.dossier import collect
from ledger.models import Anchor, ChainTransaction, LogEntry, Payload, SignedCheckpoint, TimeStamp
from ledger.tree import Tree


@dataclass(frozen=True)
class Moment:
    """What of a dossier is another a moment later: the head of the log that it stands under, by its size, what chain
    and witnesses had said by then, and the head with the time stamp, by its size, if there was one."""

    size: int
    anchors: Json
    witnesses: Json
    stamped: int | None

    @classmethod
    def of(cls, data: bytes) -> "Moment":
        """The moment in which a bundle was built."""
        files = bundle.unpack(data)
        proofs, anchors, witnessed = (
            canonical.decode(files[path]) for path in ("proofs.json", "anchors.json", "witnesses.json")
        )
        stamped = files.get("timestamp.txt")
        # The second line of a head is its size (C2SP tlog-checkpoint).
        return cls(proofs["size"], anchors, witnessed, int(stamped.split(b"\n")[1]) if stamped else None)


def build(
    index: int, *, disclose: Collection[str] = (), moment: Moment | None = None, under: collect.Under | None = None
) -> bytes:
    """The signed bundle of the decision recorded at `index`. Equal state of the log gives equal bytes.

    Args:
        moment: in which it was built before, for the same bytes; else this one.
        disclose: names of private fields that this reader may see (`request_statement`, `display` …). Only their single
            salts and values enter the bundle, never a key.
        under: the matter in which it is read: then it holds, and opens, what says so.

    Raises:
        Refused: NOT_FOUND if the record is no decision or not published yet; DOCUMENT_ALTERED.
    """
    decided = collect.decision(index)
    head = selectors.checkpoint(moment.size if moment else None)
    if head is None or head.size <= index:
        raise Refused(Reason.NOT_FOUND, detail="The decision is not published yet; try again shortly.", field="record")
    entries = [entry for entry in collect.entries(decided, under) if entry.index < head.size]
    disclose = {*disclose, *((*MATTER_TOLD, "record") if under else ())}
    key = Keystore(settings.KEYS_DIR).identity
    tree = Tree()
    tree.read_around(head.size, *(entry.index for entry in entries))
    moment = moment or _now(index, head, tree)
    values: dict[str, Json] = {
        "about.json": _about(decided, key.public.b64),
        "proofs.json": {
            "size": head.size,
            "paths": {
                str(entry.index): [b64(node) for node in tree.inclusion(entry.index, head.size)] for entry in entries
            },
        },
        "anchors.json": moment.anchors,
        "witnesses.json": moment.witnesses,
        "openings.json": _openings(entries, disclose),
    }
    files = {path: canonical.encode(value) for path, value in values.items()}
    files["checkpoint.txt"] = head.note.encode()
    if head.size <= LARGEST_LOG:
        files["log.jsonl"] = b"".join(leaf + b"\n" for leaf in collect.leaves(head.size))
    if moment.stamped is not None:
        stamp = TimeStamp.objects.select_related("checkpoint").get(checkpoint=moment.stamped)
        stamped = stamp.checkpoint
        proof: list[Json] = [b64(node) for node in tree.consistency(stamped.size, head.size)]
        files["timestamp.txt"], files["timestamp.tsr"] = stamped.note.encode(), bytes(stamp.answer)
        files["timestamp.json"] = canonical.encode({"consistency": proof})
    for entry in entries:
        files[f"entries/{entry.index:07d}.json"] = bytes(entry.leaf)
    named = {digest for entry in entries for digest in entry.documents.values()}
    for digest, content in selectors.documents(named).items():
        files[f"documents/{digest.removeprefix('sha256:')}"] = content
    return bundle.sealed({**files, **summary(files)}, key)


def _now(index: int, head: SignedCheckpoint, tree: Tree) -> Moment:
    anchors = [_anchor(anchor, head, tree) for anchor in _anchors(index, head)]
    stamp = selectors.stamp_of(index, head.size)
    return Moment(head.size, anchors, _witnessed(index, head, tree), stamp.checkpoint_id if stamp else None)


def _about(decided: LogEntry, key: str) -> Json:
    return {
        "v": 1,
        "record": decided.record_number,
        "log": settings.LOG_ORIGIN,
        "key": key,
        "site": settings.BASE_URL,
        "chain": {
            "id": settings.CHAIN_ID,
            "anchor_log": settings.ANCHOR_ADDRESS or None,
            "registry": settings.REGISTRY_ADDRESS or None,
            "self_hosted": settings.CHAIN_SELF_HOSTED,
        },
    }


def _anchors(index: int, head: SignedCheckpoint) -> Iterable[Anchor]:
    """The first anchor in a block that covers the entry, and the last; one if they are the same. None is later than the
    head: a block may come at any moment."""
    on_chain = Anchor.objects.select_related("checkpoint", "transaction").filter(
        checkpoint_id__gt=index,
        checkpoint_id__lte=head.size,
        transaction__state__in=ChainTransaction.IN_A_BLOCK,
    )
    # Sizes grow with sequences: by size, no anchor of before the decision is looked at.
    first, last = on_chain.order_by("checkpoint_id").first(), on_chain.order_by("-checkpoint_id").first()
    return [anchor for anchor in dict.fromkeys((first, last)) if anchor is not None]


def _anchor(anchor: Anchor, head: SignedCheckpoint, tree: Tree) -> Json:
    sent, anchored = anchor.transaction, anchor.checkpoint
    return {
        "sequence": anchor.sequence,
        "size": anchored.size,
        "root": digest_text(bytes(anchored.root)),
        "transaction": sent.hash or None,
        "block": sent.block,
        "block_hash": sent.block_hash or None,
        "state": sent.state,
        "consistency": [b64(node) for node in tree.consistency(anchored.size, head.size)],
    }


def _witnessed(index: int, head: SignedCheckpoint, tree: Tree) -> Json:
    found = witnesses.best(index, head.size)
    if found is None:
        return {"head": None}
    proof: list[Json] = [b64(node) for node in tree.consistency(found.size, head.size)]
    return {"head": {"note": witnesses.note(found), "consistency": proof}}


def _openings(entries: Iterable[LogEntry], disclose: Collection[str]) -> Json:
    opened: dict[str, dict[str, Json]] = {}
    closed: dict[str, dict[str, Json]] = {}
    indexes = [entry.index for entry in entries if set(entry.commitments) & set(disclose)]
    payloads = Payload.objects.select_related("key").in_bulk(indexes)
    for entry in entries:
        shown = [field for field in entry.commitments if field in disclose]
        try:
            key, fields = vault.unseal(entry, payloads.get(entry.index)) if shown else (b"", {})
            erased = False
        except Refused as refused:
            if refused.reason is not Reason.ERASED:
                raise
            fields, erased = {}, True
        for field in entry.commitments:
            if field in shown and not erased:
                opening = {"salt": b64(vault.salt(key, field)), "value": fields[field]}
                opened.setdefault(str(entry.index), {})[field] = opening
            else:
                closed.setdefault(str(entry.index), {})[field] = "erased" if erased else "not-disclosed"
    return cast(Json, {"opened": opened, "closed": closed})
