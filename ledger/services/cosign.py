"""Take what witnesses sign under the log's heads, and tell them what they need for it."""

from django.conf import settings
from django.db import transaction

from concordat import clock, cosignature, note, witness
from concordat.documents import CLOCK_SKEW
from concordat.reasons import Reason, Refused
from ledger import selectors, witnesses
from ledger.models import Cosignature, SignedCheckpoint
from ledger.tree import Tree


def call(old: int) -> str:
    """The body of an `add-checkpoint` call (C2SP tlog-witness) for a witness that stands at `old` entries: the latest
    head, and the proof that it extends that one; without a proof where there can be none, which is for the witness to
    judge. Raises Refused(NOT_FOUND) while no head is published."""
    latest = selectors.published_head()
    proof = Tree().consistency(old, latest.size) if 0 < old <= latest.size else []
    return witness.write(old, proof, latest.note)


@transaction.atomic
def take(*, size: int, lines: str, by: str) -> Cosignature:
    """Keep a witness's cosignature of a head. The same witness's later ones are no harm, and not kept.

    Args:
        lines: signature lines, as the `add-checkpoint` call answers them.
        by: the institution that hands them in.

    Raises:
        Refused: NOT_FOUND without such a head; CHECKPOINT_INVALID for what are no signature lines; COSIGNATURE_INVALID
            for a false one; KEY_UNKNOWN if none is by the key that the log shows as this witness's; FIELD_INVALID for
            one from the future.
    """
    head = SignedCheckpoint.objects.filter(size=size).first()
    if head is None:
        raise Refused(Reason.NOT_FOUND, detail="The log has no published head of that size.", field="size")
    keys = {slug: key for slug, key in witnesses.of(size).keys.items() if slug == by}
    found = cosignature.check(head.body, note.parse_lines(lines), keys, origin=settings.LOG_ORIGIN).get(by)
    if found is None:
        detail = "No line is by the identity key that the log shows as this institution's at that head."
        raise Refused(Reason.KEY_UNKNOWN, detail=detail, field="cosignature")
    now = clock.now()
    if found.time > now + CLOCK_SKEW:
        raise Refused(Reason.FIELD_INVALID, detail="The cosignature comes from the future.", field="cosignature")
    kept, _ = Cosignature.objects.get_or_create(
        checkpoint=head,
        witness=by,
        key_id=found.signature.key_id,
        defaults={"line": found.line, "time": found.time, "received": now},
    )
    return kept
