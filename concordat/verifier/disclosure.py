"""The requester's own disclosure of one decision: the shares behind the commitments, which add up to what was computed.

Only the requester can make it, since only its keys open the shares; and it cannot make another one, since salts and
shares must fit the commitments in the request and in the nodes' receipts. `concordat disclose` writes it. Input shares
may be left out: then the record itself stays private.
"""

from collections.abc import Mapping, Sequence
from typing import Annotated, Literal, NotRequired

import numpy as np
from annotated_types import Ge
from numpy.typing import NDArray
from pydantic import with_config
from typing_extensions import TypedDict

from concordat import canonical, ring
from concordat.commitments import INPUT_SHARE, Share, open_share
from concordat.definition import Definition, scale_of
from concordat.design import Plan, check_secret
from concordat.fields import STRICT, Slug, Text, Uuid, read
from concordat.outputs import Opened, OutputShares, add_up
from concordat.reasons import Reason, Refused
from concordat.receipt import Receipt
from concordat.request import Request


@with_config(STRICT)
class Disclosure(TypedDict):
    """The file. `request` is the signed request (JWS), `place` the one of its records that is disclosed; shares are by
    party."""

    v: Literal[2]
    record: Text
    job: Uuid
    request: str
    place: Annotated[int, Ge(0)]
    outputs: dict[Slug, OutputShares]
    inputs: NotRequired[dict[Slug, Share]]


def parse(data: bytes) -> Disclosure:
    """Raises Refused naming a malformed field."""
    return read(canonical.decode(data), Disclosure)


def open_result(
    disclosure: Disclosure,
    request: Request,
    definition: Definition,
    receipts: dict[str, Receipt],
    design: Plan,
    answers: int,
) -> tuple[Opened, ...]:
    """What the output shares add up to, for each of the model's answers. Raises Refused: OPENING_MISMATCH, and what
    `outputs.add_up` refuses."""
    _check_parties(definition["parties"], disclosure["outputs"])
    return add_up(
        disclosure["outputs"],
        receipts,
        groups=len(design.groups),
        mirrored=design.mirrored,
        target=scale_of(definition),
        what_ifs=request["what_ifs"],
        place=disclosure["place"],
        answers=answers,
    )


def open_record(
    disclosure: Disclosure, request: Request, definition: Definition, design: Plan
) -> NDArray[np.float64] | None:
    """(columns,) the encoded record, if its shares are disclosed: those of the request, and with them the operator that
    the design gives for it, where that is the requester's to compute.

    Raises:
        Refused: OPENING_MISMATCH, OPERATOR_FALSE.
    """
    inputs = disclosure.get("inputs")
    if inputs is None:
        return None
    _check_parties(definition["parties"], inputs)
    place = disclosure["place"]
    if place >= len(request["commitments"]):
        raise Refused(Reason.OPENING_MISMATCH, detail="The request has no such record.", field="place")
    commitments, columns = request["commitments"][place], len(design.columns)
    length = (1 + request["what_ifs"]) * columns + design.secrets
    shares = [
        open_share(commitments[party], INPUT_SHARE, inputs[party], request["request"], party, index, place)
        for index, party in enumerate(definition["parties"])
    ]
    shared = ring.combine([ring.from_bytes(share, (length,)) for share in shares])
    check_secret(design, shared)
    return ring.decode(shared[:columns])


def _check_parties(parties: Sequence[str], shares: Mapping[str, Share] | Mapping[str, OutputShares]) -> None:
    if set(shares) != set(parties):
        raise Refused(Reason.OPENING_MISMATCH, detail="The disclosure has not exactly one share of each party.")
