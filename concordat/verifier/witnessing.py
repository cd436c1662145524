"""Whether institutions' nodes saw the same log: their cosignatures on a head that covers the decision.

A coordinator that shows one history here and another one there cannot get enough of them on both. How many are enough
follows from all enrolments, so the dossier has to show that it left none out; where it cannot, for want of the whole
log, only the reader can say whose cosignatures count.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from concordat import cosignature, witnesses
from concordat.checkpoint import Checkpoint
from concordat.reasons import Reason, Refused
from concordat.verifier import integrity
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
    witnessed = case.evidence.witnessed
    if witnessed is None:
        return None
    seen = integrity.earlier_head(case.evidence, witnessed["note"], witnessed["consistency"], "witnessed")
    found = among or witnesses.at(case.histories, seen.size)
    cosigned = cosignature.verify(witnessed["note"], found.keys, origin=seen.origin)
    return Covering(tuple(sorted(cosigned)), found.of, seen, all_shown=case.whole.entries is not None)


def _lacking(reason: Reason, detail: str, required: bool) -> str:
    raise Refused(reason, detail=detail) if required else NotCheckable(reason, detail)
