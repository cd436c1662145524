"""Canaries: records whose results are known beforehand, mixed in with a person's to catch a node that cheats.

The protocols keep a secret from a node that follows them; that it follows them, they do not enforce. A node that added
3 to its share of a prediction would pass every other check. So the model's owner computes the results of some made-up
records, in plaintext, and seals them to the requesters. A requester sends as many as the definition says with a
person's record, in random order. Shares of one look like shares of the other, so a node that changes one record's
result, and does not want to change them all, meets a canary c times in c + 1; one that changes all meets one for sure.
That is so for changes that do not depend on the record's values. One that strikes only some records, as a threshold
that is moved a little does, strikes a canary as seldom as any other: if it strikes one record in 1/p, it is noticed
with probability 1 - (1 - p)^c where it has struck. And it is so for nodes that do not know the canaries: the owner's
own node does, if it computes too.
(Cut and choose, with known answers in place of opened ones: covert security in the sense of Aumann and Lindell, TCC
2007: cheating is noticed with a stated probability.)

What a sheet gives away: its predictions and coefficients are functions of the secret model, known to the requesters
before the first job.
"""

import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

import numpy as np
from annotated_types import Len
from numpy.typing import NDArray
from pydantic import with_config
from typing_extensions import TypedDict

from concordat import clock, ring, sealing
from concordat.canonical import Json
from concordat.definition import MOST_RECORDS, Definition
from concordat.design import Design, Fit, Plan
from concordat.documents import Keyring, sign, verify
from concordat.fields import STRICT, Digest, Slug, Time, Whole, plain
from concordat.kinds import KINDS
from concordat.kinds.kind import Scale, Tensors
from concordat.outputs import Opened, OutputShares, add_up
from concordat.reasons import Reason, Refused
from concordat.receipt import Receipt
from concordat.schema import FeatureSchema
from concordat.sealing import SealingKey
from concordat.signatures import SigningKey

TOLERANCE: Mapping[Scale, float] = {"log-odds": 2.0**-10, "probability": 2.0**-15}
"""How far a prediction, a coefficient or an end of an interval may be from the known one: what fixed-point arithmetic
errs by, with much to spare. A change that is smaller passes. Sums of squares: `Design.squares_error`."""

R_SQUARED_TOLERANCE = 2.0**-9
"""The same for adjusted R²."""


@with_config(STRICT)
class Canary(TypedDict):
    """An encoded record at 2^16, and what comes out for it at 2^24, for each of the model's answers: the prediction; d
    coefficients, intercept, sum of squares and, of a mirrored design, that of odd parts."""

    record: list[Whole]
    prediction: list[Whole]
    explanation: list[list[Whole]]


@with_config(STRICT)
class Sheet(TypedDict):
    """The model owner's signed canaries for one model (by digest), one design and one target, for one requester."""

    v: Literal[1]
    owner: Slug
    requester: Slug
    model: Digest
    design: Digest
    target: Literal["log-odds", "probability"]
    canaries: Annotated[list[Canary], Len(1, MOST_RECORDS)]
    issued: Time


def known_result(
    kind: str, tensors: Tensors, design: Plan, record: NDArray[np.float64], target: Scale
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """In plaintext, what the secure engine computes of one encoded record (columns,) with weights as they are encoded.

    Returns:
        (K,) predictions, one for each of the model's answers, and for each (K, d + 2) coefficients, intercept and sum
        of squares, (K, d + 3) with that of odd parts.
    """
    whole = KINDS[kind].whole
    encoded = {
        name: ring.decode(ring.encode(tensor, bits), bits)
        for name, tensor in tensors.items()
        for bits in [0 if name in whole else ring.BITS]
    }
    outputs = KINDS[kind].forward(encoded, np.vstack([record, design.perturbed(record)]))
    if target != KINDS[kind].scale:
        outputs = 1 / (1 + np.exp(-outputs))
    outputs, local = outputs.reshape(len(outputs), -1).T, design.at(record)
    prediction, differences = outputs[:, 0], outputs[:, 1:] - outputs[:, :1]
    fitted = differences @ (local.operator / (1 << local.operator_bits)).T
    fitted[:, -1] += prediction
    return prediction, np.column_stack([fitted, [local.squares(each) for each in differences]])


def invent(
    count: int, *, kind: str, tensors: Tensors, schema: FeatureSchema, design: Plan, target: Scale
) -> list[Canary]:
    """Made-up records within the schema's ranges, and their results. Only the model's owner can compute them."""
    chance = np.random.default_rng(secrets.randbits(128))
    lowest, highest = schema.bounds
    found: list[Canary] = []
    for _ in range(count):
        # Near the reference, as people are, and never at it, where nothing differs; categories may mix.
        drawn = np.clip(chance.normal(size=len(lowest)), lowest, highest)
        record = ring.encode(np.where(np.isin(highest, 1.0) & np.isin(lowest, 0.0), drawn > 0.5, drawn))
        prediction, explanation = known_result(kind, tensors, design, ring.decode(record), target)
        found.append(
            {
                "record": record.tolist(),
                "prediction": _whole(prediction),
                "explanation": [_whole(each) for each in explanation],
            }
        )
    return found


def _whole(numbers: NDArray[np.float64]) -> list[int]:
    return [round(number * (1 << ring.RESULT_BITS)) for number in numbers]


def sign_sheet(
    canaries: Sequence[Canary],
    *,
    owner: str,
    requester: str,
    model: str,
    design: str,
    target: Scale,
    key: SigningKey,
) -> str:
    """The signed sheet (JWS)."""
    sheet: dict[str, Json] = {
        "v": 1,
        "owner": owner,
        "requester": requester,
        "model": model,
        "design": design,
        "target": target,
        "canaries": [plain(canary) for canary in canaries],
        "issued": clock.rfc3339(clock.now()),
    }
    return sign(sheet, Sheet, kind="canaries", key=key)


def seal_sheet(sheet: str, *, model: str, requester: str, public: str) -> str:
    """The same, sealed to its requester, whose public sealing key `public` is."""
    return sealing.seal(public, sheet.encode(), context=_context(model, requester))


def read_sheet(token: str, *, owner: str, keyring: Keyring) -> Sheet:
    """The sheet in a JWS signed by the model's owner. Raises Refused: KEY_UNKNOWN; what `documents.verify` refuses."""
    if owner not in keyring:
        raise Refused(Reason.KEY_UNKNOWN, detail="No key of the model's owner is known.")
    return verify(token, Sheet, kind="canaries", keys=keyring[owner])


def open_sheet(
    sealed: str, *, requester: str, definition: Definition, owner: str, keyring: Keyring, key: SealingKey
) -> tuple[str, list[Canary]]:
    """The signed sheet (JWS) for a definition's jobs, and its canaries, enough of them.

    Raises:
        Refused: SEAL_BROKEN; what `documents.verify` refuses; CANARIES_MISSING for those of another model, design or
            target, or if there are too few.
    """
    token = sealing.open(key, sealed, context=_context(definition["model"], requester)).decode()
    sheet = read_sheet(token, owner=owner, keyring=keyring)
    said = (sheet["owner"], sheet["requester"], sheet["model"], sheet["design"], sheet["target"])
    if said != (owner, requester, definition["model"], definition["design"], definition["target"]):
        raise Refused(Reason.CANARIES_MISSING, detail="Those that are here are for something else.")
    if len(sheet["canaries"]) < definition["canaries"]:
        raise Refused(Reason.CANARIES_MISSING, detail="There are fewer than the definition asks for.")
    return token, sheet["canaries"]


def agrees(opened: Sequence[Opened], canary: Canary, what_ifs: Sequence[Canary], design: Plan) -> bool:
    """Whether what was opened of a canary, whose what-ifs other canaries were, is what was known before, and so is what
    is said of it: adjusted R² and the ends of intervals."""
    predictions, explanation = [each["prediction"] for each in (canary, *what_ifs)], canary["explanation"]
    if {len(explanation), *map(len, predictions)} != {len(opened)} or len(set(map(len, explanation))) != 1:
        return False
    local = design.at(ring.decode(np.array(canary["record"], dtype=np.int64)))
    one = float(1 << ring.RESULT_BITS)
    found = distance(opened, np.column_stack([*predictions, explanation]) / one, local)
    if found is None or not found.within(local, opened[0].target):
        return False
    known = zip(predictions[0], explanation, strict=True)
    return all(
        _says_alike(each, prediction / one, np.array(numbers) / one, local)
        for each, (prediction, numbers) in zip(opened, known, strict=True)
    )


@dataclass(frozen=True)
class Distance:
    """How far numbers are off what is known of them, (K, m) for K answers, the last of which are the sums of squares
    known as `squares` (K, s)."""

    off: NDArray[np.float64]
    squares: NDArray[np.float64]

    @property
    def most(self) -> float:
        """Of predictions, coefficients and intercept."""
        return float(self.off[:, : -self.squares.shape[1]].max())

    @property
    def most_squares(self) -> float:
        """Of the sums of squares."""
        return float(self.off[:, -self.squares.shape[1] :].max())

    def within(self, local: Design, target: Scale) -> bool:
        """Whether fixed-point arithmetic explains it. `local` is the design at the record."""
        slack = np.full(self.off.shape, TOLERANCE[target])
        slack[:, -self.squares.shape[1] :] = [local.squares_error(sums, target) for sums in self.squares]
        return bool((self.off <= slack).all())


def distance(opened: Sequence[Opened], known: NDArray[np.float64], local: Design) -> Distance | None:
    """From what is known (K, m) of each of the model's answers: predictions of the record and its what-ifs, then what
    `known_result` answers for the record. None if there are not as many numbers as the design has opened."""
    squares = [[each.sum_of_squares, *([] if each.odd_squares is None else [each.odd_squares])] for each in opened]
    found = np.array(
        [
            [each.prediction, *each.what_ifs, *each.coefficients, each.intercept, *sums]
            for each, sums in zip(opened, squares, strict=True)
        ]
    )
    if known.shape != found.shape or len(squares[0]) != 1 + local.mirrored:
        return None
    return Distance(np.abs(found - known), known[:, -len(squares[0]) :])


def _says_alike(opened: Opened, prediction: float, explanation: NDArray[np.float64], local: Design) -> bool:
    """Whether adjusted R² and intervals of an answer are what follows from the known numbers.

    Numbers that are all within their tolerance may still say something else together of a record of which the surrogate
    leaves little. Where half of what its sums of squares may be off could say it, it passes.
    """
    surrogate, squares = np.split(explanation, [len(local.groups) + 1])
    slack = local.squares_error(squares, opened.target) / 2
    sums = [squares, squares - slack, squares + slack]
    known = [(prediction, surrogate[:-1], surrogate[-1], *map(float, each)) for each in sums]
    found, right, less, more = (local.fit(*numbers, target=opened.target) for numbers in (opened.numbers, *known))

    def near(of: Callable[[Fit], NDArray[np.float64] | float], tolerance: float) -> bool:
        allowed = np.maximum(np.abs(of(less) - of(right)), np.abs(of(more) - of(right))) + tolerance
        return bool((np.abs(of(found) - of(right)) <= allowed).all())

    return near(lambda fit: fit.adjusted_r_squared, R_SQUARED_TOLERANCE) and (
        not local.mirrored or near(lambda fit: np.asarray(fit.intervals), TOLERANCE[opened.target] / local.step)
    )


def came_back_right(
    shares: Mapping[str, OutputShares],
    receipts: Mapping[str, Receipt],
    known: Sequence[Canary],
    *,
    design: Plan,
    target: Scale,
    place: int,
    answers: int,
) -> bool:
    """Whether the parties' output shares of the record at `place` add up to what is known of a canary, the first of
    `known`, and of its what-ifs, the others. Raises Refused as `outputs.add_up` does for shares that are not theirs."""
    canary, *what_ifs = known
    try:
        opened = add_up(
            shares,
            receipts,
            groups=len(design.groups),
            mirrored=design.mirrored,
            target=target,
            what_ifs=len(what_ifs),
            place=place,
            answers=answers,
        )
    except Refused as refused:
        if refused.reason not in (Reason.RESULT_OUT_OF_RANGE, Reason.MALFORMED):  # a share of another length
            raise
        return False
    return agrees(opened, canary, what_ifs, design)


def _context(model: str, requester: str) -> dict[str, Json]:
    return {"label": "canaries", "model": model, "requester": requester}


def rows(canary: Canary, what_ifs: Sequence[Canary]) -> NDArray[np.float64]:
    """(1 + w, columns) the encoded record of a canary, and those of its what-ifs."""
    return ring.decode(np.array([each["record"] for each in (canary, *what_ifs)], dtype=np.int64))
