"""The requester's own disclosure of one decision: the shares behind the commitments, which add up to what was computed.

Only the requester can make it, since only its keys open the shares; and it cannot make another one, since salts and
shares must fit the commitments in the request and in the nodes' receipts. `concordat disclose` writes it. Input shares
may be left out: then the record itself stays private.
"""

from collections.abc import Sequence
from typing import Literal, NotRequired

from pydantic import with_config
from typing_extensions import TypedDict

from concordat import canonical, ring
from concordat.canonical import unb64
from concordat.commitments import INPUT_SHARE, OUTPUT_SHARE, open_commitment
from concordat.definition import Definition
from concordat.design import Design
from concordat.fields import STRICT, Slug, Text, Uuid, read
from concordat.model import Manifest, columns_of
from concordat.outputs import Opened
from concordat.reasons import Reason, Refused
from concordat.receipt import Receipt
from concordat.request import Request
from concordat.ring import Ring

PARTS: tuple[Literal["prediction"], Literal["explanation"]] = ("prediction", "explanation")


@with_config(STRICT)
class Share(TypedDict):
    """A salt and the bytes that were committed to under it, base64url."""

    salt: str
    share: str


@with_config(STRICT)
class OutputShares(TypedDict):
    """One party's share of the prediction and of the explanation."""

    prediction: Share
    explanation: Share


@with_config(STRICT)
class Disclosure(TypedDict):
    """The file. `request` is the signed request (JWS); shares are by party."""

    v: Literal[1]
    record: Text
    job: Uuid
    request: str
    outputs: dict[Slug, OutputShares]
    inputs: NotRequired[dict[Slug, Share]]


def parse(data: bytes) -> Disclosure:
    """Raises Refused naming a malformed field."""
    return read(canonical.decode(data), Disclosure)


def open_result(disclosure: Disclosure, definition: Definition, receipts: dict[str, Receipt], design: Design) -> Opened:
    """What the output shares add up to. Raises Refused(OPENING_MISMATCH) for shares that no party signed for."""
    predictions, explanations = [], []
    _check_parties(definition["parties"], disclosure["outputs"])
    for party in definition["parties"]:
        committed, shares = receipts[party]["outputs"], disclosure["outputs"][party]
        assert committed is not None  # a party's receipt has some
        for part in PARTS:
            if not _fits(committed[part], OUTPUT_SHARE, shares[part], disclosure["job"], party, part):
                raise Refused(Reason.OPENING_MISMATCH, detail=f"{party} committed to another {part}.", field=part)
        predictions.append(_ring(shares["prediction"], 1))
        explanations.append(_ring(shares["explanation"], len(design.groups) + 2))
    prediction, explanation = (ring.decode(ring.combine(shares)) for shares in (predictions, explanations))
    return Opened(float(prediction[0]), explanation[:-2], float(explanation[-2]), float(explanation[-1]))


def check_input(disclosure: Disclosure, request: Request, definition: Definition, model: Manifest) -> None:
    """The input shares, if there are any, are those of the request. Raises Refused(OPENING_MISMATCH)."""
    inputs = disclosure.get("inputs")
    if inputs is None:
        return
    _check_parties(definition["parties"], inputs)
    for place, party in enumerate(definition["parties"]):
        commitment = request["commitments"][party]
        if not _fits(commitment, INPUT_SHARE, inputs[party], request["request"], party, place):
            raise Refused(Reason.OPENING_MISMATCH, detail=f"{party} was sent another input.", field="inputs")
        _ring(inputs[party], columns_of(model))


def _check_parties(parties: Sequence[str], shares: dict[str, Share] | dict[str, OutputShares]) -> None:
    if set(shares) != set(parties):
        raise Refused(Reason.OPENING_MISMATCH, detail="The disclosure has not exactly one share of each party.")


def _fits(commitment: str, label: str, share: Share, *about: str | int) -> bool:
    return open_commitment(commitment, label, unb64(share["salt"]), *about, unb64(share["share"]))


def _ring(share: Share, length: int) -> Ring:
    return ring.from_bytes(unb64(share["share"]), (length,))
