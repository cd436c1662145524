"""A node's receipt: which computation it took part in, what it cost, and commitments to the output shares it made."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from itertools import combinations
from typing import Annotated, Literal, NotRequired

from annotated_types import Ge, Le
from pydantic import with_config
from typing_extensions import TypedDict

from concordat import clock
from concordat.answers import place
from concordat.canonical import digest
from concordat.definition import Definition, Role, nodes
from concordat.documents import Keyring, sign, verify_from
from concordat.fields import STRICT, DecimalText, Digest, Slug, Time, Uuid, plain
from concordat.reasons import Reason, Refused
from concordat.signatures import SigningKey
from concordat.ticket import Runs, Ticket

Count = Annotated[int, Ge(0), Le(2**40)]
"""A terabyte, or as many rounds: far beyond any job, and sums of it still fit into a signed document."""


@with_config(STRICT)
class Outputs(TypedDict):
    """Commitments to a party's two output shares of one record."""

    prediction: Digest
    explanation: Digest


@with_config(STRICT)
class Transcript(TypedDict):
    """What one engine sent to another, and received from it: SHA-256 of the SHA-256 of all parts of messages, in order.
    With the inner digests laid open, single messages can be held against it."""

    sent: Digest
    received: Digest


@with_config(STRICT)
class Receipt(TypedDict):
    """`rounds` and `bytes_sent` are exact, and of all that was computed together, of which `runs` were this request's;
    so are `cpu_seconds`, and `energy_joules`, an estimate. The dealer has no outputs.

    `outputs` are by record of the request; an audit and a training have none, and in a party's receipt stands a
    commitment to its share of what comes out instead, `counts` or `weights`. `transcripts` are by the other nodes of
    the job: what one signs to have sent, the other signs to have received, so afterwards neither can say that it was
    something else.
    """

    job: Uuid
    ticket: Uuid
    node: Slug
    role: Role
    rank: Count
    request: Digest
    definition: Digest
    model: Digest
    design: Digest
    runs: Runs
    engine: Literal["concordat-dealer"]
    rounds: Count
    bytes_sent: Count
    cpu_seconds: DecimalText
    energy_joules: DecimalText
    transcripts: dict[Slug, Transcript]
    outputs: list[Outputs] | None
    counts: NotRequired[Digest]
    weights: NotRequired[Digest]
    started: Time
    finished: Time


def write(
    ticket: Ticket,
    *,
    node: str,
    rounds: int,
    bytes_sent: int,
    cpu_seconds: Decimal,
    energy_joules: Decimal,
    transcripts: Mapping[str, Transcript],
    outputs: Sequence[Outputs] | None,
    counts: str = "",
    weights: str = "",
    started: datetime,
    finished: datetime,
    key: SigningKey,
) -> str:
    """Sign a receipt for the job of a ticket.

    Raises:
        Refused: WRONG_PARTY, or FIELD_INVALID if a party has no outputs or the dealer has some.
    """
    role, rank = place(ticket, node)
    _check_outputs(role, outputs)
    payload = {
        "job": ticket["job"],
        "ticket": ticket["ticket"],
        "node": node,
        "role": role,
        "rank": rank,
        "request": ticket["request"],
        "definition": ticket["definition"],
        "model": ticket["model"],
        "design": ticket["design"],
        "runs": plain(ticket["runs"]),
        "engine": "concordat-dealer",
        "rounds": rounds,
        "bytes_sent": bytes_sent,
        "cpu_seconds": f"{cpu_seconds:.3f}",
        "energy_joules": f"{energy_joules:.3f}",
        "transcripts": dict(transcripts),
        "outputs": None if outputs is None else list(outputs),
        **({"counts": counts} if counts else {}),
        **({"weights": weights} if weights else {}),
        "started": clock.rfc3339(started),
        "finished": clock.rfc3339(finished),
    }
    return sign(payload, Receipt, kind="receipt", key=key)


def read_receipt(token: str, keyring: Keyring) -> Receipt:
    """The receipt in a JWS signed by the node's institution."""
    receipt = verify_from(token, Receipt, kind="receipt", signer="node", keyring=keyring)
    _check_outputs(receipt["role"], receipt["outputs"])
    return receipt


def check_receipts(
    tokens: Sequence[str], keyring: Keyring, *, request: str, definition: Definition
) -> dict[str, Receipt]:
    """The receipts of all parties and the dealer, by node, if they name one and the same computation and agree on what
    each sent to each.

    Args:
        request: digest of the request that the computation has to be for.

    Raises:
        Refused: RECEIPTS_DISAGREE naming the field, NODE_SILENT if one is missing, or the refusals of signature and
            shape.
    """
    receipts = [read_receipt(token, keyring) for token in tokens]
    by_node = {receipt["node"]: receipt for receipt in receipts}
    expected_nodes = nodes(definition)
    for node in expected_nodes:
        if node not in by_node:
            raise Refused(Reason.NODE_SILENT, detail=f"There is no receipt of {node}.")
    if len(receipts) != len(expected_nodes):
        raise Refused(Reason.RECEIPTS_DISAGREE, detail="There are more receipts than nodes.", field="node")
    first = by_node[expected_nodes[0]]
    expected = {
        "job": first["job"],
        "ticket": first["ticket"],
        "request": request,
        "definition": digest(plain(definition)),
        "model": definition["model"],
        "design": definition["design"],
        "runs": first["runs"],
    }
    for rank, node in enumerate(expected_nodes):
        role = "dealer" if node == definition["dealer"] else "party"
        for field, value in {**expected, "role": role, "rank": rank}.items():
            if by_node[node][field] != value:  # type: ignore[literal-required]
                raise Refused(Reason.RECEIPTS_DISAGREE, detail=f"They differ in: {field}.", field=field)
    if first["runs"]["first"] + 1 + definition["canaries"] > first["runs"]["of"]:
        raise Refused(
            Reason.RECEIPTS_DISAGREE, detail="The request has more records than there were runs.", field="runs"
        )
    if any(_committed(receipt) != _promised(receipt, definition) for receipt in receipts):
        raise Refused(Reason.RECEIPTS_DISAGREE, detail="They differ in what comes out.", field="outputs")
    _check_transcripts({node: by_node[node] for node in expected_nodes})
    return by_node


def _committed(receipt: Receipt) -> tuple[int, bool, bool]:
    return len(receipt["outputs"] or []), "counts" in receipt, "weights" in receipt


def _promised(receipt: Receipt, definition: Definition) -> tuple[int, bool, bool]:
    """To outputs of how many records a node commits, whether to counts, and whether to weights."""
    if receipt["role"] == "dealer":
        return 0, False, False
    kind = definition["kind"]
    return (1 + definition["canaries"] if kind == "explain" else 0), kind == "audit", kind == "train"


def _check_transcripts(by_node: Mapping[str, Receipt]) -> None:
    for node, receipt in by_node.items():
        if receipt["transcripts"].keys() != by_node.keys() - {node}:
            detail = f"{node} signs for its conversations with other nodes than these."
            raise Refused(Reason.RECEIPTS_DISAGREE, detail=detail, field="transcripts")
    for one, other in combinations(by_node, 2):
        ours, theirs = by_node[one]["transcripts"][other], by_node[other]["transcripts"][one]
        if (ours["sent"], ours["received"]) != (theirs["received"], theirs["sent"]):
            detail = f"{one} and {other} sign for different conversations: one of them does not tell the truth."
            raise Refused(Reason.RECEIPTS_DISAGREE, detail=detail, field="transcripts")


def _check_outputs(role: Role, outputs: Sequence[Outputs] | None) -> None:
    if (role == "party") != (outputs is not None):
        raise Refused(Reason.FIELD_INVALID, detail="Parties have outputs, the dealer none.", field="outputs")
