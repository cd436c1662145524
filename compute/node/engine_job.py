"""What a node tells its engine of a job."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from compute.node.authority import Grant
from concordat import ring
from concordat.answers import Acceptance
from concordat.audit_plan import AuditPlan
from concordat.canonical import Json, b64
from concordat.cohort import Encoded
from concordat.definition import Definition, nodes
from concordat.design import read_design
from concordat.fields import read
from concordat.model import Manifest, columns_of
from concordat.schema import FeatureSchema
from concordat.training_plan import largest_weight

MEETING_SECONDS = 20
ROUND_SECONDS = 20


def engine_job(
    seated: Sequence[Grant | None],
    accepted: Mapping[str, Acceptance],
    dealt: Mapping[str, Json] | None,
    brought: Encoded | None = None,
) -> dict[str, Json]:
    """The whole `PartyJob`, `AuditJob`, `TrainJob` or `DealerJob`, of all that is computed together.

    Args:
        seated: one for each request, in the order of their runs; None for one that is kept back here, which is computed
            on zeros.
        accepted: by node, an acceptance, all of which name the same engines.
        dealt: this node's part of the batch, if all nodes have theirs.
        brought: what a party brings to an audit or a training.
    """
    grant = next(each for each in seated if each is not None)
    documents = grant.documents
    engines = [accepted[node] for node in nodes(grant.ticket)]
    job: dict[str, Json] = {
        "job": grant.ticket["job"],
        "batch": grant.ticket["batch"],
        "ahead": len(grant.ticket["ahead"]),
        "dealt": dealt,
        "role": grant.role,
        "rank": grant.rank,
        "parties": len(grant.ticket["parties"]),
        "peers": [{"address": engine["address"], "certificate": engine["certificate"]} for engine in engines],
        "startup_seconds": MEETING_SECONDS,
        "round_seconds": ROUND_SECONDS,
    }
    if brought is not None:
        job |= cohort_part(grant, brought)
    elif grant.shares is not None:
        job |= party_part(
            grant.manifest,
            read(documents["definition"], Definition),
            design=documents["design"],
            schema=documents["schema"],
            weights=grant.shares.weights,
            records=[
                record
                for each in seated
                for record in (each.shares.records if each and each.shares else map(_zeros, grant.shares.records))
            ],
        )
    return job


def cohort_part(grant: Grant, brought: Encoded) -> dict[str, Json]:
    """The fields that an `AuditJob` or a `TrainJob` has and an `EngineJob` has not."""
    assert grant.plan is not None
    assert grant.shares is not None
    rows, columns = brought.records.shape
    told: dict[str, Json] = {
        "columns": columns,
        "groups": len(grant.plan.names),
        "rows": rows,
        "records": b64(ring.to_bytes(brought.records)),
        "members": b64(ring.to_bytes(brought.members)),
    }
    if isinstance(grant.plan, AuditPlan):
        return told | {
            "kind": grant.manifest["kind"],
            "tensors": _shapes(grant.manifest),
            "model": b64(grant.shares.weights),
            "thresholds": list(grant.documents["design"]["thresholds"]),
            "smallest": grant.definition["minimum_cell"],
        }
    parties, one = len(grant.ticket["parties"]), 1 << ring.BITS
    step, decay = grant.plan.factors(parties)
    return told | {
        "steps": grant.plan.steps,
        "step": step,
        "decay": decay,
        "deviation": math.ceil(grant.plan.noise(parties, columns + 1) * one),
        "largest": int(largest_weight(FeatureSchema.from_json(grant.documents["schema"])) * one),
    }


def _shapes(manifest: Manifest) -> list[Json]:
    return [{"name": tensor["name"], "shape": tensor["shape"]} for tensor in manifest["tensors"]]


def _zeros(record: bytes) -> bytes:
    return bytes(len(record))


def party_part(
    manifest: Manifest,
    agreed: Definition,
    *,
    design: dict[str, Any],
    schema: dict[str, Any],
    weights: bytes,
    records: Sequence[bytes],
) -> dict[str, Json]:
    """The fields that a `PartyJob` has and an `EngineJob` has not. Shares are little-endian int64: of the weights, and
    of each record with its what-ifs below it, and the secrets of its design."""
    rows = len(records[0]) // 8 - read_design(design).secrets
    lowest, highest = FeatureSchema.from_json(schema).bounds
    return {
        "kind": manifest["kind"],
        "target": agreed["target"],
        "clamped": manifest["clamped"],
        "tensors": _shapes(manifest),
        "design": design,
        "lowest": ring.encode(lowest).tolist(),
        "highest": ring.encode(highest).tolist(),
        "model": b64(weights),
        "records": [b64(record) for record in records],
        "what_ifs": rows // columns_of(manifest) - 1,
    }
