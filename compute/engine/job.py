"""The one job that an engine process is given: its document, checked field by field. No torch here."""

import ipaddress
from collections.abc import Mapping
from typing import Annotated, Any

from annotated_types import Ge, Le, Len
from pydantic import with_config
from typing_extensions import TypedDict

from concordat import canonical
from concordat.audit_plan import MOST_GROUPS, MOST_THRESHOLDS
from concordat.cohort import MOST_ROWS
from concordat.definition import LARGEST_AUDIT_CELL, MOST_RECORDS, MOST_WHAT_IFS, Role
from concordat.fields import STRICT, DecimalText, Digest, Text, Uuid, Whole, plain, read
from concordat.kinds.kind import Scale
from concordat.model import TensorShape
from concordat.reasons import Reason, Refused
from concordat.ticket import MOST_AHEAD
from concordat.training_plan import FACTOR_BITS, MOST_STEPS

Seconds = Annotated[int, Ge(1), Le(3600)]


@with_config(STRICT)
class Endpoint(TypedDict):
    """Where an engine listens (host:port), and the base64url of its certificate (DER)."""

    address: Text
    certificate: Text


@with_config(STRICT)
class Seat(TypedDict):
    """What an engine is to be in its one job. The dealer's rank is the number of parties."""

    role: Role
    rank: Annotated[int, Ge(0), Le(16)]


@with_config(STRICT)
class PartyBatch(TypedDict):
    """What a party keeps of correlated randomness that was dealt before its job: the digest of the plan, a key for each
    run, and all corrections one after the other, which party 0 alone has. Base64url."""

    plan: Digest
    keys: list[str]
    corrections: str


@with_config(STRICT)
class DealerBatch(TypedDict):
    """What the dealer keeps of the same, and no key: by rank, SHA-256 of every part that it sent to that party."""

    plan: Digest
    sent: list[str]


@with_config(STRICT)
class EngineJob(TypedDict):
    """What every engine is told. Ranks 0 … parties-1 are the compute parties, rank `parties` is the dealer.

    `peers` are all engines by rank, this one included. `batch` names the correlated randomness, dealt for this job
    alone; `ahead` says how many more batches the dealer deals meanwhile, for later jobs with the same plan.
    `startup_seconds` bounds the wait for the other engines to arrive, `round_seconds` each single wait for a message
    afterwards.
    """

    job: Uuid
    batch: Uuid
    ahead: Annotated[int, Ge(0), Le(MOST_AHEAD)]
    role: Role
    rank: Annotated[int, Ge(0)]
    parties: Annotated[int, Ge(2), Le(16)]
    peers: list[Endpoint]
    startup_seconds: Seconds
    round_seconds: Seconds


@with_config(STRICT)
class DealerJob(EngineJob):
    """`dealt` is what the dealer kept of the batch, if it was dealt before this job."""

    dealt: DealerBatch | None


@with_config(STRICT)
class PartyJob(EngineJob):
    """A compute party is also told the model's kind and shapes, what is explained, whether log-odds are clamped on the
    way to probabilities, the public design, and its own two shares.

    `dealt` is this party's part of the batch, if it was dealt before this job.
    `lowest` and `highest` are what each column of an encoded record may be, at 2^16. `model` and `records` are
    base64url of little-endian int64 ring elements: the tensors in the listed order, each row by row, and the encoded
    records, each of which is explained, and is followed by `what_ifs` more that are predicted only, and by the numbers
    of the design that depend on the record (`Plan.secrets` of them).
    """

    dealt: PartyBatch | None
    kind: Text
    target: Scale
    clamped: bool
    tensors: list[TensorShape]
    design: dict[str, Any]
    lowest: list[Whole]
    highest: list[Whole]
    model: str
    records: Annotated[list[str], Len(1, MOST_RECORDS)]
    what_ifs: Annotated[int, Ge(0), Le(MOST_WHAT_IFS)]


@with_config(STRICT)
class CohortJob(EngineJob):
    """What a compute party is told of a computation over many people instead: the rows that its own institution brings,
    which are in the clear here and nowhere else.

    `records` (rows, columns) and `members` (rows, 2G) are base64url of little-endian int64, row by row; every party
    brings as many rows. No randomness was dealt for it before.
    """

    dealt: None
    columns: Annotated[int, Ge(1)]
    groups: Annotated[int, Ge(1), Le(1 + MOST_GROUPS)]
    rows: Annotated[int, Ge(1), Le(MOST_ROWS)]
    records: str
    members: str


@with_config(STRICT)
class AuditJob(CohortJob):
    """And of an audit: the model, as in a `PartyJob`, the plan's thresholds, and the smallest count that is opened."""

    kind: Text
    tensors: list[TensorShape]
    model: str
    thresholds: Annotated[list[DecimalText], Len(1, MOST_THRESHOLDS)]
    smallest: Annotated[int, Ge(1), Le(LARGEST_AUDIT_CELL)]


@with_config(STRICT)
class TrainJob(CohortJob):
    """And of a training: how many steps, their public factors (`TrainingPlan.factors`), the standard deviation of the
    noise that this party adds, and what weights stay at or below, both at 2^16."""

    steps: Annotated[int, Ge(1), Le(MOST_STEPS)]
    step: Annotated[int, Ge(0), Le(1 << FACTOR_BITS)]
    decay: Annotated[int, Ge(0), Le(1 << FACTOR_BITS)]
    deviation: Annotated[int, Ge(1), Le(1 << 40)]
    largest: Annotated[int, Ge(1)]


AnyJob = PartyJob | AuditJob | TrainJob | DealerJob


def read_job(document: object, *, role: Role, rank: int) -> AnyJob:
    """The job for the engine whose seat is `role` and `rank`: a `PartyJob` if it is a party, or an `AuditJob`
    or `TrainJob`.

    Raises:
        Refused: FIELD_MISSING, FIELD_UNKNOWN or FIELD_INVALID naming the field. A dealer that is handed a share refuses
            it as an unknown field.
    """
    named = set(document) if isinstance(document, Mapping) else set()
    party: type[PartyJob | AuditJob | TrainJob] = PartyJob
    if "members" in named:
        party = TrainJob if "steps" in named else AuditJob
    job: AnyJob = read(document, party) if role == "party" else read(document, DealerJob)
    if job["role"] != role:
        raise Refused(Reason.FIELD_INVALID, detail=f"This engine's seat is a {role}'s.", field="role")
    if job["rank"] != rank or (rank < job["parties"]) != (role == "party") or rank > job["parties"]:
        raise Refused(Reason.FIELD_INVALID, detail=f"This engine's seat is rank {rank}.", field="rank")
    if len(job["peers"]) != job["parties"] + 1:
        raise Refused(Reason.FIELD_INVALID, detail="There is one for each party, and the dealer's.", field="peers")
    if len({peer["certificate"] for peer in job["peers"]}) != len(job["peers"]):
        raise Refused(Reason.FIELD_INVALID, detail="Every engine has a certificate of its own.", field="peers")
    for peer in job["peers"]:
        split_address(peer["address"])
        canonical.unb64(peer["certificate"])
    return job


def common(job: AnyJob) -> str:
    """The digest of what all engines of a job have been told alike."""
    told = {name: plain(job)[name] for name in ("job", "batch", "ahead", "parties", "peers")}
    return canonical.digest({**told, "dealt": job["dealt"] is not None})


def split_address(address: str) -> tuple[str, int]:
    """Host and port of an address such as ``10.0.0.5:40123``.

    Raises:
        Refused: FIELD_INVALID unless the host is an IPv4 address and the port one to connect to.
    """
    host, _, port = address.rpartition(":")
    try:
        ipaddress.IPv4Address(host)
        valid = port.isascii() and port.isdigit() and 0 < int(port) < 1 << 16
    except ValueError:
        valid = False
    if not valid:
        raise Refused(Reason.FIELD_INVALID, detail="An address reads 10.0.0.5:40123.", field="address")
    return host, int(port)
