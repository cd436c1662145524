"""What a party's engine is told of a job besides who takes part."""

from collections.abc import Sequence
from typing import Any

from concordat import ring
from concordat.canonical import Json, b64
from concordat.definition import Definition
from concordat.design import read_design
from concordat.model import Manifest, columns_of
from concordat.schema import FeatureSchema


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
