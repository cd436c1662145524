"""The two contracts of the ledger: Vyper sources, and the compiled artefacts that are committed beside them.

`python -m ledger.contracts.build` writes the artefacts; with `--check` it recompiles and compares, so that what is
deployed is provably what is reviewed. Reading an artefact needs no compiler.
"""

import json
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from eth_utils.crypto import keccak

ANCHOR_LOG = "AnchorLog"
GOVERNANCE_REGISTRY = "GovernanceRegistry"
CONTRACTS = (ANCHOR_LOG, GOVERNANCE_REGISTRY)


@dataclass(frozen=True)
class Artefact:
    """A compiled contract.

    `bytecode` deploys it (constructor arguments appended), `runtime` is the code then found at its address; as no
    contract here has immutables, the two are equal byte for byte on every chain.
    """

    name: str
    abi: list[dict[str, Any]]
    bytecode: bytes
    runtime: bytes
    compiler: str
    source_sha256: str

    @property
    def code_hash(self) -> bytes:
        """Keccak-256 of the runtime code, as `EXTCODEHASH` gives it (32 bytes)."""
        return bytes(keccak(self.runtime))


@cache
def artefact(name: str) -> Artefact:
    """The committed artefact of one of `CONTRACTS`."""
    document = json.loads(files(__package__).joinpath(f"{name}.json").read_text(encoding="utf-8"))
    return Artefact(
        name=name,
        abi=document["abi"],
        bytecode=bytes.fromhex(document["bytecode"].removeprefix("0x")),
        runtime=bytes.fromhex(document["runtime"].removeprefix("0x")),
        compiler=document["compiler"],
        source_sha256=document["source_sha256"],
    )
