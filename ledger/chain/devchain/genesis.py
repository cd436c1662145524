"""Block 0 of an embedded chain: a file written once, at the first start."""

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from eth_utils.address import is_address, to_checksum_address

FUNDS_WEI = 10**24
"""A million ether for each funded address. They buy nothing but blocks on this one chain."""


class GenesisMismatch(Exception):
    """The state directory holds another chain than the one asked for."""


@dataclass(frozen=True)
class Genesis:
    """What block 0 is made from; `time` is Unix seconds, `funded` checksummed addresses."""

    chain_id: int
    time: int
    funded: tuple[str, ...]


def open_genesis(path: Path, *, chain_id: int, fund: Sequence[str]) -> Genesis:
    """Read the genesis file, or write it at the first start.

    No key is kept with the chain: who owns the funded addresses keeps theirs. Raises `GenesisMismatch` if the file
    tells another chain id or lacks an address of `fund`, `ValueError` for what is no address.
    """
    for address in fund:
        if not is_address(address):
            raise ValueError(f"{address} is not an address")
    wanted = tuple(sorted({str(to_checksum_address(address)) for address in fund}))
    if not path.exists():
        genesis = Genesis(chain_id=chain_id, time=int(time.time()), funded=wanted)
        draft = path.with_suffix(".new")
        draft.write_text(json.dumps(vars(genesis), indent=1) + "\n", encoding="utf-8")
        draft.replace(path)
    document = json.loads(path.read_text(encoding="utf-8"))
    genesis = Genesis(chain_id=document["chain_id"], time=document["time"], funded=tuple(document["funded"]))
    if genesis.chain_id != chain_id:
        raise GenesisMismatch(f"{path} is chain {genesis.chain_id}, not {chain_id}")
    if missing := set(wanted) - set(genesis.funded):
        raise GenesisMismatch(
            f"{path} does not fund {', '.join(sorted(missing))}: send it ether from an address it does"
        )
    return genesis
