"""Whether institutions' nodes saw the same log: their cosignatures on a head that covers the decision.

A coordinator that shows one history here and another one there cannot get enough of them on both.
"""

from dataclasses import dataclass

from concordat import cosignature, witnesses
from concordat.checkpoint import Checkpoint
from concordat.reasons import Reason, Refused
from concordat.verifier import integrity
from concordat.verifier.case import Case
from concordat.verifier.evidence import NotCheckable


@dataclass(frozen=True)
class Witnessed:
    """A head, all of its witnesses, and those that have cosigned it, in order."""

    head: Checkpoint
    of: tuple[str, ...]
    cosigned: tuple[str, ...]

    @property
    def needed(self) -> int:
        return witnesses.needed(len(self.of))


def witnessed(case: Case, *, required: bool) -> str:
    """As many witnesses as it takes have cosigned a head that covers the decision, and the dossier's head extends it.

    Too few of them prove nothing either way, unless the reader says that they are `required`.
    """
    found = read(case)
    if found is None or not found.cosigned:
        return _lacking(Reason.WITNESSES_MISSING, "No witness has cosigned a head that covers this.", required)
    said = (
        f"{len(found.cosigned)} of {len(found.of)} witnesses ({', '.join(found.cosigned)}) cosigned the head of "
        f"{found.head.size} entries, which covers the decision; {found.needed} are needed."
    )
    return said if len(found.cosigned) >= found.needed else _lacking(Reason.WITNESSES_TOO_FEW, said, required)


def read(case: Case) -> Witnessed | None:
    """The witnessed head; None where the dossier has none.

    Raises Refused: CHECKPOINT_INVALID, CONSISTENCY_INVALID, COSIGNATURE_INVALID.
    """
    witnessed = case.evidence.witnessed
    if witnessed is None:
        return None
    seen = integrity.earlier_head(case.evidence, witnessed["note"], witnessed["consistency"], "witnessed")
    keys = witnesses.at(case.histories, seen.size)
    cosigned = cosignature.verify(witnessed["note"], keys, origin=seen.origin)
    return Witnessed(seen, tuple(sorted(keys)), tuple(sorted(cosigned)))


def _lacking(reason: Reason, detail: str, required: bool) -> str:
    raise Refused(reason, detail=detail) if required else NotCheckable(reason, detail)
