"""Correlated randomness that is dealt in one job for a later one with the same plan: what each engine keeps of it.

A party keeps the keys of its streams, and party 0 the corrections besides. The dealer keeps digests only: in the later
job both sign for them as they would for what is dealt there, so that a replay judges the dealer in the same way.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate

from compute.engine import streams
from compute.engine.correlations import Correlation
from compute.engine.dealing import deal, size
from compute.engine.job import DealerBatch, PartyBatch
from compute.engine.streams import KEY_BYTES
from compute.engine.wires import digest_of
from concordat import canonical
from concordat.canonical import b64, unb64
from concordat.reasons import Reason, Refused

LARGEST = 8 << 20
"""Bytes of corrections in a batch that is dealt ahead, at most, since a node keeps them. What is larger is dealt in its
job."""


@dataclass(frozen=True, repr=False)
class Taken:
    """A party's part of a batch: a key for each run, and party 0's corrections, part by part for all runs in turn."""

    keys: list[bytes]
    corrections: list[bytes]

    @property
    def digests(self) -> list[bytes]:
        return [digest_of(part) for part in (*self.keys, *self.corrections)]


def lengths(plan: Sequence[Correlation], runs: int) -> list[int]:
    """The lengths of party 0's corrections, in the order in which they are dealt."""
    return [size(part) for each in plan for part in each.bound() for _ in range(runs)]


def new_keys(parties: Sequence[int], runs: int) -> dict[int, list[bytes]]:
    """Stream keys, by party and run."""
    return {party: [streams.new_key() for _ in range(runs)] for party in parties}


def corrections(plan: Sequence[Correlation], keys: dict[int, list[bytes]]) -> Iterator[bytes]:
    """Party 0's corrections to these keys, as `lengths` says."""
    for same in zip(*(deal(plan, of_run) for of_run in zip(*keys.values(), strict=True)), strict=True):
        yield from same


def keep(asked: bytes, taken: Taken) -> PartyBatch:
    """What a party keeps of a batch that was dealt to it for the plan `asked`."""
    return {
        "plan": canonical.digest(asked),
        "keys": [b64(key) for key in taken.keys],
        "corrections": b64(b"".join(taken.corrections)),
    }


def take(batch: PartyBatch, asked: bytes, *, runs: int, lengths: Sequence[int]) -> Taken:
    """What a party has kept, for the plan that it would ask for now. `lengths` are those of its corrections.

    Raises:
        Refused: RANDOMNESS_USED if it was dealt for another plan; FIELD_INVALID if it is not whole.
    """
    _check_plan(batch["plan"], asked)
    keys, data = [unb64(key) for key in batch["keys"]], unb64(batch["corrections"])
    if [len(key) for key in keys] != [KEY_BYTES] * runs or len(data) != sum(lengths):
        raise Refused(Reason.FIELD_INVALID, detail="The batch is not whole.", field="dealt")
    ends = accumulate(lengths)
    return Taken(keys, [data[end - length : end] for end, length in zip(ends, lengths, strict=True)])


def keep_digests(asked: bytes, sent: Sequence[Sequence[bytes]]) -> DealerBatch:
    """What the dealer keeps of a batch: digests of the parts that it sent, by party."""
    return {"plan": canonical.digest(asked), "sent": [b64(b"".join(digests)) for digests in sent]}


def take_digests(batch: DealerBatch, asked: bytes, *, parties: int) -> list[list[bytes]]:
    """What the dealer has kept; `asked` is empty where nothing is asked for now. Raises Refused as `take` does."""
    if asked:
        _check_plan(batch["plan"], asked)
    if len(batch["sent"]) != parties:
        raise Refused(Reason.FIELD_INVALID, detail="The batch is not whole.", field="dealt")
    return [[data[at : at + 32] for at in range(0, len(data), 32)] for data in map(unb64, batch["sent"])]


def _check_plan(dealt_for: str, asked: bytes) -> None:
    if dealt_for != canonical.digest(asked):
        raise Refused(Reason.RANDOMNESS_USED, detail="The batch was dealt for another plan.", field="dealt")
