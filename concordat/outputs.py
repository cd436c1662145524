"""The way back: each party seals its output shares to the requester, who alone can add them up.

Of each record of the job there are two parts, on one scale: `prediction` is its log-odds or probability, then those of
its what-ifs; `explanation` is the d coefficients, the intercept, the weighted sum of squared differences from the
prediction and, of a mirrored design, twice that of their squared odd parts (`design.odd_weights`). Both are ring shares
at `ring.RESULT_BITS`. A model of several classes has as many such numbers for each of them, one class after the other.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray
from pydantic import with_config
from typing_extensions import TypedDict

from concordat import canonical, ring, sealing
from concordat.canonical import Json
from concordat.commitments import OUTPUT_SHARE, Share, commit, new_salt, open_share, opening
from concordat.fields import STRICT, plain, read
from concordat.kinds.kind import LOG_ODDS, Scale, unit
from concordat.reasons import Reason, Refused
from concordat.receipt import Outputs, Receipt
from concordat.ring import Ring
from concordat.sealing import SealingKey

Part = Literal["prediction", "explanation"]
PARTS: tuple[Part, ...] = get_args(Part)

PROBABILITY_ERROR = 2.0**-14
"""How far below 0 or above 1 a probability may open. The logistic function's series is off by less than 2e-5; each of
its 40 harmonics adds two products with a public factor that is rounded to 2^-20, less than 3e-5 together; a forest's
mean errs by less than a millionth. No model's answer is moved: what lies further out is refused."""

LARGEST: Mapping[Scale, float] = {"log-odds": 2.0**11, "probability": 2.0**3}
"""What coefficients and intercept stay below in size: the engine refuses a design with which they might not
(`Surrogate.check` in `compute.engine.lime`). What failed in the arithmetic is off by far more."""

LARGEST_SQUARES = 2.0**36
"""The same for the sums of squares, for as many rows as any design may have."""


@with_config(STRICT)
class OutputShares(TypedDict):
    """One party's share of a record's prediction and of its explanation."""

    prediction: Share
    explanation: Share


@dataclass(frozen=True)
class Opened:
    """What the requester learns of a record, and nothing else: prediction and the surrogate's numbers, all on the scale
    `target`; of several classes, so much of each, in centred log-odds.

    A `prediction` in probability may lie outside 0 to 1 by `PROBABILITY_ERROR`. `what_ifs` (w,) are the predictions of
    the record's variants. `odd_squares` is None of a design that is not mirrored.
    """

    prediction: float
    coefficients: NDArray[np.float64]
    intercept: float
    sum_of_squares: float
    odd_squares: float | None
    target: Scale
    what_ifs: NDArray[np.float64] = field(default_factory=lambda: np.zeros(0))

    @property
    def numbers(self) -> tuple[float, NDArray[np.float64], float, float, float | None]:
        """What a surrogate is judged by, as `Design.fit` takes it."""
        return self.prediction, self.coefficients, self.intercept, self.sum_of_squares, self.odd_squares


def seal_outputs(
    *, job: str, node: str, records: Sequence[tuple[bytes, bytes]], output_key: str
) -> tuple[list[Outputs], str]:
    """A party's commitments, for its receipt, and its shares sealed to the requester's output key.

    Args:
        records: of each, the shares of prediction and explanation (`sizes`), as `ring.to_bytes` writes them.
        output_key: the public sealing key named in the request.
    """
    committed: list[dict[Part, str]] = []
    openings: list[dict[str, Json]] = []
    for place, shares in enumerate(records):
        parts = {part: (new_salt(), share) for part, share in zip(PARTS, shares, strict=True)}
        committed.append(
            {part: commit(OUTPUT_SHARE, salt, job, node, part, place, share) for part, (salt, share) in parts.items()}
        )
        openings.append({part: plain(opening(salt, share)) for part, (salt, share) in parts.items()})
    sealed = sealing.seal(output_key, canonical.encode(openings), context=_context(job, node))
    return read(committed, list[Outputs]), sealed


def unseal(sealed: str, *, job: str, node: str, key: SealingKey) -> list[OutputShares]:
    """One party's output shares by record, not yet checked against its receipt. `key` is the output key that we kept.

    Raises:
        Refused: SEAL_BROKEN, or MALFORMED and the like for other content.
    """
    return read(canonical.decode(sealing.open(key, sealed, context=_context(job, node))), list[OutputShares])


def add_up(
    shares: Mapping[str, OutputShares],
    receipts: Mapping[str, Receipt],
    *,
    groups: int,
    mirrored: bool,
    target: Scale,
    what_ifs: int = 0,
    place: int = 0,
    answers: int = 1,
) -> tuple[Opened, ...]:
    """Check every party's shares of one record against its receipt, add them up and decode.

    Args:
        shares: by party.
        receipts: by node, from `receipt.check_receipts`; the dealer's is passed over.
        groups: d, the number of groups of the design.
        mirrored: whether the design is.
        target: what the numbers stand for (`definition.scale_of`).
        what_ifs: w, the number of variants of the record.
        place: which of the job's records.
        answers: with how many numbers the model answers (`model.answers_of`).

    Returns:
        What was opened of each answer.

    Raises:
        Refused: NODE_SILENT if a party's shares are missing, OPENING_MISMATCH naming the party, MALFORMED, or
            RESULT_OUT_OF_RANGE if the sum is none that a model can produce.
    """
    lengths = sizes(groups, mirrored=mirrored, what_ifs=what_ifs, answers=answers)
    found: dict[Part, list[Ring]] = {part: [] for part in PARTS}
    for party, receipt in receipts.items():
        if receipt["outputs"] is None:
            continue
        if party not in shares:
            raise Refused(Reason.NODE_SILENT, detail=f"There are no output shares of {party}.")
        for part, length in lengths.items():
            found[part].append(ring.from_bytes(open_output(shares[party], receipt, part, place), (length,)))
    prediction, explanation = (ring.combine(found[part]) for part in PARTS)
    return read_numbers(prediction, explanation, groups=groups, target=target, answers=answers)


def read_numbers(
    prediction: Ring, explanation: Ring, *, groups: int, target: Scale, answers: int = 1
) -> tuple[Opened, ...]:
    """What was opened of each answer, from the ring elements that shares add up to (`sizes`). Raises
    Refused(RESULT_OUT_OF_RANGE)."""
    predictions, explanations = (
        ring.decode(part, ring.RESULT_BITS).reshape(answers, -1) * unit(answers) for part in (prediction, explanation)
    )
    explanations[:, groups + 1 :] *= unit(answers)  # of squares
    return tuple(_checked(*each, groups, target) for each in zip(predictions, explanations, strict=True))


def sizes(groups: int, *, mirrored: bool, what_ifs: int = 0, answers: int = 1) -> dict[Part, int]:
    """How many numbers each part has."""
    return {"prediction": answers * (1 + what_ifs), "explanation": answers * (groups + 2 + mirrored)}


def open_output(shares: OutputShares, receipt: Receipt, part: Part, place: int) -> bytes:
    """A party's share of one part of a record. Raises Refused(OPENING_MISMATCH) naming the party, if it committed to
    another one or to none."""
    node, outputs = receipt["node"], receipt["outputs"] or []
    try:
        if place >= len(outputs):
            raise Refused(Reason.OPENING_MISMATCH)
        return open_share(outputs[place][part], OUTPUT_SHARE, shares[part], receipt["job"], node, part, place)
    except Refused as refused:
        raise Refused(refused.reason, detail=f"{node} committed to another {part}.", field=node) from refused


def _checked(prediction: NDArray[np.float64], explanation: NDArray[np.float64], groups: int, target: Scale) -> Opened:
    surrogate, squares = np.split(explanation, [groups + 1])
    lowest, highest = (-PROBABILITY_ERROR, 1 + PROBABILITY_ERROR) if target == "probability" else (-LOG_ODDS, LOG_ODDS)
    # Squaring and truncating errs by a unit or so in either direction: a total of nothing may open just below zero.
    within = np.abs(surrogate).max() < LARGEST[target] and squares.min() >= -1 and squares.max() < LARGEST_SQUARES
    if not (within and lowest <= prediction.min() and prediction.max() <= highest):
        raise Refused(Reason.RESULT_OUT_OF_RANGE)
    total, odd = float(squares[0]), float(squares[1]) if len(squares) > 1 else None
    return Opened(float(prediction[0]), surrogate[:-1], float(surrogate[-1]), total, odd, target, prediction[1:])


def _context(job: str, node: str) -> dict[str, Json]:
    return {"label": "output", "job": job, "node": node}
