"""The requester's own disclosure of one decision: the shares behind the commitments, which add up to what was computed.

Only the requester can make it, since only its keys open the shares; and it cannot make another one, since salts and shares
must fit the commitments in the request and in the nodes' receipts. Input shares may be left out: then the record itself
stays private.
"""

from collections.abc import Mapping, Sequence
from typing import Literal, TypeVar

from pydantic import with_config
from typing_extensions import TypedDict

from concordat import canonical, ring
from concordat.canonical import b64, unb64
from concordat.commitments import INPUT_SHARE, OUTPUT_SHARE, open_commitment
from concordat.design import Design
from concordat.fields import STRICT, DecimalText, Slug, Uuid, plain, read
from concordat.model import columns_of
from concordat.outputs import Opened
from concordat.reasons import Reason, Refused
from concordat.ring import Ring
from concordat.verifier.case import Case

T = TypeVar("T")


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
class Result(TypedDict):
    """What the shares add up to, in log-odds, exact decimals; coefficients by group in the order of the design."""

    prediction: DecimalText
    coefficients: list[DecimalText]
    intercept: DecimalText
    total_sum_of_squares: DecimalText


@with_config(STRICT)
class Disclosure(TypedDict):
    """The file. `inputs` is null when the record stays private; `record` are its encoded columns."""

    v: Literal[1]
    request: Uuid
    job: Uuid
    inputs: dict[Slug, Share] | None
    record: list[DecimalText] | None
    outputs: dict[Slug, OutputShares]
    result: Result


def build(
    *,
    request: str,
    job: str,
    outputs: Mapping[str, OutputShares],
    inputs: Mapping[str, tuple[bytes, bytes]] | None = None,
) -> bytes:
    """The file, from the openings that the nodes sealed to the requester, and (salt, share) of its input by party."""
    prediction, explanation = (_combined([outputs[party][part] for party in outputs]) for part in _PARTS)
    document: Disclosure = {
        "v": 1,
        "request": request,
        "job": job,
        "inputs": {party: {"salt": b64(salt), "share": b64(share)} for party, (salt, share) in inputs.items()}
        if inputs is not None
        else None,
        "record": _decimals(ring.combine([_ring(share) for _, share in inputs.values()])) if inputs else None,
        "outputs": dict(outputs),
        "result": _result(prediction, explanation),
    }
    return canonical.encode(plain(read(document, Disclosure)))


def parse(data: bytes) -> Disclosure:
    """Raises Refused naming a malformed field."""
    return read(canonical.decode(data), Disclosure)


def check(case: Case, disclosure: Disclosure) -> str:
    """The disclosed shares fit the commitments and add up to the disclosed values."""
    if (disclosure["job"], disclosure["request"]) != (case.job, case.decision.text("request")):
        raise Refused(Reason.OPENING_MISMATCH, detail="The disclosure is about another decision.")
    parties = case.definition["parties"]
    if set(disclosure["outputs"]) != set(parties):
        raise Refused(Reason.OPENING_MISMATCH, detail="The disclosure has not exactly one share of each party.")
    for party in parties:
        outputs = case.receipts[party]["outputs"]
        assert outputs is not None  # a party's receipt has some
        for part in _PARTS:
            share = disclosure["outputs"][party][part]
            if not _fits(outputs[part], OUTPUT_SHARE, share, case.job, party, part):
                raise Refused(Reason.OPENING_MISMATCH, detail=f"{party} committed to another {part}.", field=part)
    prediction, explanation = (_combined([disclosure["outputs"][party][part] for party in parties]) for part in _PARTS)
    groups = len(design(case).groups)
    if len(prediction) != 1 or len(explanation) != groups + 2:
        raise Refused(Reason.OPENING_MISMATCH, detail="The shares are of another length than the design's.")
    if _result(prediction, explanation) != disclosure["result"]:
        raise Refused(Reason.OPENING_MISMATCH, detail="The shares add up to another result.", field="result")
    about = "input and result" if _check_inputs(case, disclosure, parties) else "result"
    return f"The disclosed shares of the {about} fit every commitment and add up to the disclosed values."


def result(disclosure: Disclosure) -> Opened:
    """The disclosed numbers."""
    values = disclosure["result"]
    coefficients = ring.decode(ring.encode([float(value) for value in values["coefficients"]]))
    return Opened(
        float(values["prediction"]), coefficients, float(values["intercept"]), float(values["total_sum_of_squares"])
    )


def design(case: Case) -> Design:
    """The design of perturbations that the definition names."""
    return Design.from_json(canonical.decode(case.evidence.documents[case.definition["design"]]))


_PARTS: tuple[Literal["prediction"], Literal["explanation"]] = ("prediction", "explanation")


def _check_inputs(case: Case, disclosure: Disclosure, parties: Sequence[str]) -> bool:
    inputs = disclosure["inputs"]
    if inputs is None:
        if disclosure["record"] is not None:
            raise Refused(Reason.OPENING_MISMATCH, detail="A record without its shares proves nothing.", field="record")
        return False
    if set(inputs) != set(parties):
        raise Refused(Reason.OPENING_MISMATCH, detail="The disclosure has not exactly one share of each party.")
    asked = case.request  # its commitments; NotCheckable while the request is not disclosed
    for place, party in enumerate(parties):
        if not _fits(asked["commitments"][party], INPUT_SHARE, inputs[party], asked["request"], party, place):
            raise Refused(Reason.OPENING_MISMATCH, detail=f"{party} was sent another input.", field="inputs")
    record = _combined([inputs[party] for party in parties])
    if len(record) != columns_of(case.model) or _decimals(record) != disclosure["record"]:
        raise Refused(Reason.OPENING_MISMATCH, detail="The shares add up to another record.", field="record")
    return True


def _fits(commitment: str, label: str, share: Share, *about: str | int) -> bool:
    return open_commitment(commitment, label, unb64(share["salt"]), *about, unb64(share["share"]))


def _combined(shares: Sequence[Share]) -> Ring:
    return ring.combine([_ring(unb64(share["share"])) for share in shares])


def _ring(share: bytes) -> Ring:
    return ring.from_bytes(share, (len(share) // 8,))


def _result(prediction: Ring, explanation: Ring) -> Result:
    numbers = _decimals(explanation)
    return {
        "prediction": _decimals(prediction)[0],
        "coefficients": numbers[:-2],
        "intercept": numbers[-2],
        "total_sum_of_squares": numbers[-1],
    }


def _decimals(values: Ring) -> list[str]:
    """Exact decimals: a multiple of 2^-16 has at most 16 places."""
    return [_decimal(int(value)) for value in values]


def _decimal(value: int) -> str:
    whole, part = divmod(abs(value), 1 << ring.BITS)
    digits = f"{part * 5**ring.BITS:0{ring.BITS}d}".rstrip("0")
    return ("-" if value < 0 else "") + str(whole) + (f".{digits}" if digits else "")
