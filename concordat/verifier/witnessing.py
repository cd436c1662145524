"""Whether institutions' nodes saw the same log: their cosignatures on a head that covers the decision.

A coordinator that shows one history here and another one there cannot get enough of them on both. How many are enough
follows from all enrolments, so the dossier has to show that it left none out; where it cannot, for want of the whole
log, only the reader can say whose cosignatures count.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from concordat import canonical, checkpoint, cosignature, merkle, witnesses
from concordat.checkpoint import Checkpoint
from concordat.reasons import Reason, Refused
from concordat.verifier.case import Case
from concordat.verifier.evidence import NotCheckable
from concordat.witnesses import Witnessed, Witnesses


@dataclass(frozen=True)
class Covering(Witnessed):
    """A head that covers the decision, who has cosigned it, and whether its witnesses are shown to be all."""

    head: Checkpoint
    all_shown: bool


def witnessed(case: Case, kids: Mapping[str, str], *, required: bool) -> str:
    """As many witnesses as it takes have cosigned a head that covers the decision, and the dossier's head extends it.

    Too few of them prove nothing either way, unless the reader says that they are `required`.

    Args:
        kids: ids of the keys that the reader trusts, by name. They say who the witnesses are where the dossier does not
            carry the log.
    """
    found = read(case)
    if found is None or not found.cosigned:
        return _lacking(Reason.WITNESSES_MISSING, "No witness has cosigned a head that covers this.", required)
    whose = "witnesses"
    if not found.all_shown:
        found, whose = read(case, witnesses.trusted(case.histories, kids)) or found, "witnesses that you named"
        if not found.of:
            detail = "The dossier does not carry the log, so it may leave witnesses out: name those that you trust."
            return _lacking(Reason.INCOMPLETE, detail, required)
    said = (
        f"{len(found.cosigned)} of {len(found.of)} {whose} ({', '.join(found.cosigned)}) cosigned the head of "
        f"{found.head.size} entries, which covers the decision; {found.needed} are needed."
    )
    return said if found.enough else _lacking(Reason.WITNESSES_TOO_FEW, said, required)


def read(case: Case, among: Witnesses | None = None) -> Covering | None:
    """The witnessed head; None where the dossier has none. Its witnesses are those of the dossier's enrolments, or
    `among` those that the reader has chosen.

    Raises Refused: CHECKPOINT_INVALID, CONSISTENCY_INVALID, COSIGNATURE_INVALID, CONFLICT.
    """
    evidence, head = case.evidence, case.evidence.head
    if evidence.witnessed is None:
        return None
    note, path = evidence.witnessed["note"], [canonical.unb64(each) for each in evidence.witnessed["consistency"]]
    seen = checkpoint.verify(note, {head.origin: evidence.key})
    if seen.origin != head.origin or seen.size <= case.decision.index:
        raise Refused(Reason.CHECKPOINT_INVALID, detail="The witnessed head does not cover the decision.")
    if not merkle.verify_consistency(seen.size, head.size, seen.root, head.root, path):
        raise Refused(Reason.CONSISTENCY_INVALID, detail="The dossier's head does not extend the witnessed one.")
    found = among or witnesses.at(case.histories, seen.size)
    cosigned = cosignature.verify(note, found.keys, origin=head.origin)
    return Covering(tuple(sorted(cosigned)), found.of, seen, all_shown=evidence.whole is not None)


def _lacking(reason: Reason, detail: str, required: bool) -> str:
    raise Refused(reason, detail=detail) if required else NotCheckable(reason, detail)
