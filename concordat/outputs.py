"""The way back: each party seals its output shares to the requester, who alone can add them up.

`prediction` is the log-odds of the record, one number; `explanation` is the d coefficients, the intercept and the
weighted total sum of squares. Both are ring shares at 16 bits.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pydantic import with_config
from typing_extensions import TypedDict

from concordat import canonical, ring, sealing
from concordat.canonical import Json, b64, unb64
from concordat.commitments import OUTPUT_SHARE, commit, new_salt, open_commitment
from concordat.fields import STRICT, read
from concordat.reasons import Reason, Refused
from concordat.receipt import Outputs, Receipt
from concordat.ring import Ring
from concordat.sealing import SealingKey

LOG_ODDS_BOUND = 2.0**14
"""No standardised record and no sound model come near it; a failed truncation lands far beyond."""


@with_config(STRICT)
class _Part(TypedDict):
    salt: str
    share: str


@with_config(STRICT)
class _Opening(TypedDict):
    prediction: _Part
    explanation: _Part


@dataclass(frozen=True)
class Opened:
    """What the requester learns, and nothing else: log-odds, and the surrogate's numbers in log-odds."""

    prediction: float
    coefficients: NDArray[np.float64]
    intercept: float
    total_sum_of_squares: float


def seal_outputs(*, job: str, node: str, prediction: Ring, explanation: Ring, output_key: str) -> tuple[Outputs, str]:
    """A party's commitments, for its receipt, and its shares sealed to the requester's output key.

    Args:
        prediction: (1,) and explanation: (d + 2,) ring shares.
        output_key: the public sealing key named in the request.
    """
    parts = {"prediction": (new_salt(), prediction), "explanation": (new_salt(), explanation)}
    committed = {
        part: commit(OUTPUT_SHARE, salt, job, node, part, ring.to_bytes(share)) for part, (salt, share) in parts.items()
    }
    opening = {part: {"salt": b64(salt), "share": b64(ring.to_bytes(share))} for part, (salt, share) in parts.items()}
    sealed = sealing.seal(output_key, canonical.encode(opening), context=_context(job, node))
    return read(committed, Outputs), sealed


def open_outputs(sealed: Mapping[str, str], receipts: Mapping[str, Receipt], *, key: SealingKey, groups: int) -> Opened:
    """Unseal every party's shares, check them against the receipts, add them up and decode.

    Args:
        sealed: by party.
        receipts: by node, from `receipt.check_receipts`; the dealer's is passed over.
        key: the output key that the requester kept.
        groups: d, the number of groups of the design.

    Raises:
        Refused: NODE_SILENT if a party's shares are missing, SEAL_BROKEN, COMMITMENT_MISMATCH naming the party,
            MALFORMED, or RESULT_OUT_OF_RANGE if the sum is none that a model can produce.
    """
    predictions, explanations = [], []
    for party, receipt in receipts.items():
        if receipt["outputs"] is None:
            continue
        if party not in sealed:
            raise Refused(Reason.NODE_SILENT, detail=f"There are no output shares of {party}.")
        opening = canonical.decode(sealing.open(key, sealed[party], context=_context(receipt["job"], party)))
        parts = read(opening, _Opening)
        predictions.append(_share(parts["prediction"], receipt, "prediction", 1))
        explanations.append(_share(parts["explanation"], receipt, "explanation", groups + 2))
    return _checked(ring.decode(ring.combine(predictions)), ring.decode(ring.combine(explanations)))


def _share(part: _Part, receipt: Receipt, name: str, length: int) -> Ring:
    assert receipt["outputs"] is not None
    salt, share = unb64(part["salt"]), unb64(part["share"])
    commitment = receipt["outputs"]["prediction" if name == "prediction" else "explanation"]
    if not open_commitment(commitment, OUTPUT_SHARE, salt, receipt["job"], receipt["node"], name, share):
        raise Refused(Reason.COMMITMENT_MISMATCH, field=receipt["node"])
    return ring.from_bytes(share, (length,))


def _checked(prediction: NDArray[np.float64], explanation: NDArray[np.float64]) -> Opened:
    log_odds = np.concatenate([prediction, explanation[:-1]])
    total = float(explanation[-1])
    # Squaring and truncating errs by a unit or so in either direction: a total of nothing may open just below zero.
    if not (np.abs(log_odds).max() <= LOG_ODDS_BOUND and -1 <= total <= LOG_ODDS_BOUND**2):
        raise Refused(Reason.RESULT_OUT_OF_RANGE)
    return Opened(float(prediction[0]), explanation[:-2], float(explanation[-2]), total)


def _context(job: str, node: str) -> dict[str, Json]:
    return {"label": "output", "job": job, "node": node}
