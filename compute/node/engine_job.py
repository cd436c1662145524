"""What a node tells its engine of a job."""

from collections.abc import Mapping, Sequence
from typing import Any

from compute.node.authority import Grant
from concordat import ring
from concordat.answers import Acceptance
from concordat.canonical import Json, b64
from concordat.definition import Definition, nodes
from concordat.design import read_design
from concordat.fields import read
from concordat.model import Manifest, columns_of
from concordat.schema import FeatureSchema

MEETING_SECONDS = 20
ROUND_SECONDS = 20


def engine_job(
    seated: Sequence[Grant | None], accepted: Mapping[str, Acceptance], dealt: Mapping[str, Json] | None
) -> dict[str, Json]:
    """The whole `PartyJob` or `DealerJob`, of all that is computed together.

    Args:
        seated: one for each request, in the order of their runs; None for one that is kept back here, which is computed
            on zeros.
        accepted: by node, an acceptance, all of which name the same engines.
        dealt: this node's part of the batch, if all nodes have theirs.
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
    if grant.shares is not None:
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
        "tensors": [{"name": tensor["name"], "shape": tensor["shape"]} for tensor in manifest["tensors"]],
        "design": design,
        "lowest": ring.encode(lowest).tolist(),
        "highest": ring.encode(highest).tolist(),
        "model": b64(weights),
        "records": [b64(record) for record in records],
        "what_ifs": rows // columns_of(manifest) - 1,
    }
