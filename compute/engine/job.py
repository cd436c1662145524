"""The one job that an engine process is given: its document, checked field by field. No torch here."""

import ipaddress
from typing import Annotated, Any

from annotated_types import Ge, Le
from pydantic import with_config
from typing_extensions import TypedDict

from concordat.definition import Role
from concordat.fields import STRICT, Text, Uuid, read
from concordat.model import TensorShape
from concordat.reasons import Reason, Refused

Seconds = Annotated[int, Ge(1), Le(3600)]


@with_config(STRICT)
class EngineJob(TypedDict):
    """What every engine is told. Ranks 0 … parties-1 are the compute parties, rank `parties` is the dealer.

    `address` is rank 0's rendezvous, an IPv4 loopback address with a port. `startup_seconds` bounds the wait for the
    other engines to arrive, `round_seconds` each single wait for a message afterwards.
    """

    job: Uuid
    role: Role
    rank: Annotated[int, Ge(0)]
    parties: Annotated[int, Ge(2), Le(16)]
    address: Text
    startup_seconds: Seconds
    round_seconds: Seconds


@with_config(STRICT)
class PartyJob(EngineJob):
    """A compute party is also told the model's kind and shapes, the public design, and its own two shares.

    `model` and `input` are base64url of little-endian int64 ring elements at 2^16: the tensors in the listed order,
    each row by row, and the encoded record.
    """

    kind: Text
    tensors: list[TensorShape]
    design: dict[str, Any]
    model: str
    input: str


def read_job(document: object, *, role: Role, rank: int) -> EngineJob:
    """The job for the engine that was started as `role` and `rank`; a `PartyJob` if it is a party.

    Raises:
        Refused: FIELD_MISSING, FIELD_UNKNOWN or FIELD_INVALID naming the field, TRANSPORT_NOT_LOOPBACK for an address
            of another machine. A dealer that is handed a share refuses it as an unknown field.
    """
    job: EngineJob = read(document, PartyJob if role == "party" else EngineJob)
    if job["role"] != role:
        raise Refused(Reason.FIELD_INVALID, detail=f"This engine was started as a {role}.", field="role")
    if job["rank"] != rank or (rank < job["parties"]) != (role == "party") or rank > job["parties"]:
        raise Refused(Reason.FIELD_INVALID, detail=f"This engine was started as rank {rank}.", field="rank")
    split_address(job["address"])
    return job


def split_address(address: str) -> tuple[str, int]:
    """Host and port of an address such as ``127.0.0.1:40123``.

    Raises:
        Refused: TRANSPORT_NOT_LOOPBACK unless the host is an IPv4 loopback address, because the transport has no TLS;
            FIELD_INVALID for anything that is no address and port at all.
    """
    host, _, port = address.rpartition(":")
    if not port.isascii() or not port.isdigit() or not 0 < int(port) < 1 << 16:
        raise Refused(Reason.FIELD_INVALID, detail="An address reads 127.0.0.1:40123.", field="address")
    try:
        loopback = ipaddress.IPv4Address(host).is_loopback
    except ValueError:
        loopback = False
    if not loopback:
        raise Refused(
            Reason.TRANSPORT_NOT_LOOPBACK,
            detail="The engine's transport has no TLS: only an address 127.x.x.x of this machine is accepted.",
            field="address",
        )
    return host, int(port)
