"""The way back: each party seals its output shares to the requester, who alone can add them up.

`prediction` is the log-odds of the record, one number; `explanation` is the d coefficients, the intercept and the
weighted sum of squared differences from the prediction. Both are ring shares at `ring.RESULT_BITS`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import with_config
from typing_extensions import TypedDict

from concordat import canonical, ring, sealing
from concordat.canonical import Json
from concordat.commitments import OUTPUT_SHARE, Share, commit, new_salt, open_share, opening
from concordat.fields import STRICT, plain, read
from concordat.reasons import Reason, Refused
from concordat.receipt import Outputs, Receipt
from concordat.ring import Ring
from concordat.sealing import SealingKey

LOG_ODDS_BOUND = 2.0**14
"""No standardised record and no sound model come near it; a failed truncation lands far beyond."""


@with_config(STRICT)
class OutputShares(TypedDict):
    """One party's share of the prediction and of the explanation."""

    prediction: Share
    explanation: Share


@dataclass(frozen=True)
class Opened:
    """What the requester learns, and nothing else: log-odds, and the surrogate's numbers in log-odds."""

    prediction: float
    coefficients: NDArray[np.float64]
    intercept: float
    sum_of_squares: float


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
    openings = {part: plain(opening(salt, ring.to_bytes(share))) for part, (salt, share) in parts.items()}
    sealed = sealing.seal(output_key, canonical.encode(openings), context=_context(job, node))
    return read(committed, Outputs), sealed


def unseal(sealed: str, *, job: str, node: str, key: SealingKey) -> OutputShares:
    """One party's output shares, not yet checked against its receipt. `key` is the output key that we kept.

    Raises:
        Refused: SEAL_BROKEN, or MALFORMED and the like for other content.
    """
    return read(canonical.decode(sealing.open(key, sealed, context=_context(job, node))), OutputShares)


def add_up(shares: Mapping[str, OutputShares], receipts: Mapping[str, Receipt], *, groups: int) -> Opened:
    """Check every party's shares against its receipt, add them up and decode.

    Args:
        shares: by party.
        receipts: by node, from `receipt.check_receipts`; the dealer's is passed over.
        groups: d, the number of groups of the design.

    Raises:
        Refused: NODE_SILENT if a party's shares are missing, OPENING_MISMATCH naming the party, MALFORMED, or
            RESULT_OUT_OF_RANGE if the sum is none that a model can produce.
    """
    predictions, explanations = [], []
    for party, receipt in receipts.items():
        if receipt["outputs"] is None:
            continue
        if party not in shares:
            raise Refused(Reason.NODE_SILENT, detail=f"There are no output shares of {party}.")
        predictions.append(_share(shares[party], receipt, "prediction", 1))
        explanations.append(_share(shares[party], receipt, "explanation", groups + 2))
    opened = (ring.decode(ring.combine(shares), ring.RESULT_BITS) for shares in (predictions, explanations))
    return _checked(*opened)


def _share(shares: OutputShares, receipt: Receipt, part: Literal["prediction", "explanation"], length: int) -> Ring:
    assert receipt["outputs"] is not None
    node = receipt["node"]
    try:
        data = open_share(receipt["outputs"][part], OUTPUT_SHARE, shares[part], receipt["job"], node, part)
    except Refused as refused:
        raise Refused(refused.reason, detail=f"{node} committed to another {part}.", field=node) from refused
    return ring.from_bytes(data, (length,))


def _checked(prediction: NDArray[np.float64], explanation: NDArray[np.float64]) -> Opened:
    log_odds = np.concatenate([prediction, explanation[:-1]])
    total = float(explanation[-1])
    # Squaring and truncating errs by a unit or so in either direction: a total of nothing may open just below zero.
    if not (np.abs(log_odds).max() <= LOG_ODDS_BOUND and -1 <= total <= LOG_ODDS_BOUND**2):
        raise Refused(Reason.RESULT_OUT_OF_RANGE)
    return Opened(float(prediction[0]), explanation[:-2], float(explanation[-2]), total)


def _context(job: str, node: str) -> dict[str, Json]:
    return {"label": "output", "job": job, "node": node}
