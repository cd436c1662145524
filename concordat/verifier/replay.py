"""Computing a decision again, in plaintext: the disclosed record, the owner's model, and what was recorded.

A check that only a reader with both can make. It shows that prediction and explanation are those of this model for this
record, whatever any node did; it needs neither the nodes nor the coordinator.
"""

import numpy as np

from concordat import canaries, model_file, ring
from concordat.canaries import TOLERANCE, known_result
from concordat.canonical import unb64
from concordat.definition import scale_of
from concordat.model import columns_of
from concordat.reasons import Reason, Refused
from concordat.verifier.case import Case
from concordat.verifier.evidence import NotCheckable


def recomputed(case: Case, given: bytes) -> str:
    """The model computes what was recorded, within what fixed-point arithmetic errs by (`canaries.TOLERANCE`, and
    `Design.squares_error`).

    Raises:
        Refused: REPLAY_DIFFERS, and what `model_file.load` refuses.
        NotCheckable: NOT_DISCLOSED without the record; ATTESTED_ONLY where it agrees, and only the owner's word binds
            the tensors to the manifest.
    """
    try:
        opened = case.result
    except Refused as refused:
        raise NotCheckable(refused.reason, "The disclosure does not fit: there is nothing to compare with.") from None
    inputs = case.disclosure.get("inputs") if case.disclosure else None
    if inputs is None:
        detail = "The disclosure does not open the record: ask the requester for one with the record."
        raise NotCheckable(Reason.NOT_DISCLOSED, detail)
    tensors, bound = model_file.load(given, case.model)
    target, rows, columns = scale_of(case.definition), 1 + case.request["what_ifs"], columns_of(case.model)
    length = rows * columns + case.design.secrets
    shared = ring.combine([ring.from_bytes(unb64(share["share"]), (length,)) for share in inputs.values()])
    records = ring.decode(shared[: rows * columns]).reshape(rows, columns)
    known = [known_result(case.model["kind"], tensors, case.design, record, target) for record in records]
    predictions, (explanation, *_) = zip(*known, strict=True)
    local = case.design.at(records[0])
    found = canaries.distance(opened, np.column_stack([*predictions, explanation]), local)
    assert found is not None  # `open_result` has seen to it that there are as many numbers
    allowed = f"{TOLERANCE[target]:.1e} in {target}"
    if not found.within(local, target):
        squares = f"a sum of squares by up to {found.most_squares:.1e}"
        raise Refused(
            Reason.REPLAY_DIFFERS, detail=f"It is off by up to {found.most:.1e}, {squares}; allowed is {allowed}."
        )
    said = (
        f"Prediction and explanation, computed again in plaintext, are those recorded: off by {found.most:.1e} "
        f"at most, where {allowed} is allowed."
    )
    if not bound:
        raise NotCheckable(Reason.ATTESTED_ONLY, f"{said} That these tensors are the model's is its owner's word.")
    return f"{said} The weights fit the manifest's commitments."
