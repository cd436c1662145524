"""One engine's part in one job: meet the others, deal or be dealt, compute, leave together."""

import socket
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Self

from compute.engine import correlations, streams, wires
from compute.engine.arithmetic import Party
from compute.engine.certificates import Identity
from compute.engine.correlations import Correlation
from compute.engine.dealing import AHEAD, Dealt, Rehearsal, deal, size
from compute.engine.job import EngineJob, common, split_address
from compute.engine.protocol import Protocol, T, rehearse, run_all
from compute.engine.streams import KEY_BYTES, Stream
from compute.engine.wires import Peer, Wires
from concordat.canonical import digest_bytes, unb64
from concordat.reasons import Reason, Refused

_LONGEST_PLAN = 1 << 20
DONE = b"\x01"

Start = Callable[[Party], Protocol[T]]


@dataclass(frozen=True, repr=False)
class Seeds:
    """Where all of a party's randomness in one run came from: the dealer's `key`, and what it has `drawn` for each
    other party, by rank."""

    key: bytes
    drawn: Mapping[int, bytes]


def pair_key(rank: int, drawn: bytes, other: int, theirs: bytes) -> bytes:
    """The key that two parties agree on for a run, from what each has drawn."""
    ordered = sorted([(rank, drawn), (other, theirs)])
    return streams.derive(*(secret for _, secret in ordered), label="pair")


class Session:
    """The mesh of one job; a context manager that hangs up at its end, so that nobody waits for who has failed.

    Attributes:
        wires: the connections.
        rounds: rounds of the parties' protocol; for the dealer, correlations dealt.
        seeds: a party's, by run.
    """

    def __init__(self, job: EngineJob, identity: Identity, listener: socket.socket) -> None:
        """Connect. Raises Refused as `wires.connect` does."""
        self.rank, self.dealer = job["rank"], job["parties"]
        self.rounds = 0
        self.seeds: list[Seeds] = []
        self._parties = [party for party in range(job["parties"]) if party != self.rank]
        self.wires: Wires = wires.connect(
            identity,
            listener,
            rank=self.rank,
            peers=[Peer(*split_address(peer["address"]), unb64(peer["certificate"])) for peer in job["peers"]],
            job=digest_bytes(common(job)),
            startup_seconds=job["startup_seconds"],
            round_seconds=job["round_seconds"],
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.wires.close()

    def supply(self, starts: Sequence[Start[T]]) -> list[Party]:
        """Ask the dealer for what the runs of one protocol will need, and take it: one request, one answer.

        Every run has keys of its own, so that what one of them used says nothing about another.

        Raises:
            Refused: PEER_LOST; MALFORMED for an answer that is not the plan's.
        """
        runs = len(starts)
        rehearsal = Rehearsal()
        rehearse(starts[0](Party(self.rank, rehearsal)))
        self.wires.send(self.dealer, correlations.encode(rehearsal.plan, runs))
        drawn = {other: [streams.new_key() for _ in starts] for other in self._parties}
        for other in self._parties:
            self.wires.send(other, *drawn[other])
        theirs = {other: self.wires.receive_parts(other, [KEY_BYTES] * runs) for other in self._parties}
        keys = self.wires.receive_parts(self.dealer, [KEY_BYTES] * runs)
        corrections = self._corrections(rehearsal.plan, runs)
        self.seeds = [
            Seeds(keys[place], {other: drawn[other][place] for other in self._parties}) for place in range(runs)
        ]
        return [
            Party(
                self.rank,
                Dealt(rehearsal.plan, seeds.key, corrections[place] if self.rank == 0 else None, most=AHEAD // runs),
                {
                    other: Stream(pair_key(self.rank, mine, other, theirs[other][place]))
                    for other, mine in seeds.drawn.items()
                },
            )
            for place, seeds in enumerate(self.seeds)
        ]

    def compute(self, protocols: Sequence[Protocol[T]]) -> list[T]:
        """Run them with the other parties. Raises Refused: PEER_LOST, MALFORMED."""
        return run_all(protocols, self._exchange)

    def deal(self) -> None:
        """Answer the parties' one request, which they all have to make alike.

        Raises:
            Refused: CONFLICT if their plans differ; FIELD_INVALID for no plan; PEER_LOST.
        """
        requests = {self.wires.receive(party, most=_LONGEST_PLAN) for party in self._parties}
        if len(requests) != 1:
            raise Refused(Reason.CONFLICT, detail="The parties ask for different randomness.", field="plan")
        plan, runs = correlations.decode(requests.pop())
        keys = {party: [streams.new_key() for _ in range(runs)] for party in self._parties}
        for party in self._parties:
            self.wires.send(party, *keys[party])
        for same in zip(*(deal(plan, of_run) for of_run in zip(*keys.values(), strict=True)), strict=True):
            for correction in same:
                self.wires.send(0, correction)
        self.rounds = len(plan) * runs

    def leave(self) -> None:
        """Tell everybody that this engine has finished, and wait until all have.

        Raises:
            Refused: PEER_LOST. Whoever leaves without error knows that nobody failed.
        """
        if self.rank == self.dealer:
            self.wires.gather(self._parties, most=len(DONE))
            for party in self._parties:
                self.wires.send(party, DONE)
        else:
            others = [*self._parties, self.dealer]
            for other in others:
                self.wires.send(other, DONE)
            for other in others:
                self.wires.receive(other, most=len(DONE))
        self.wires.flush()

    def _exchange(self, mine: Sequence[bytes]) -> list[list[bytes]]:
        self.rounds += 1
        return self.wires.exchange(self._parties, mine)

    def _corrections(self, plan: Sequence[Correlation], runs: int) -> list[Callable[[int], bytes]]:
        """For each run, where it gets its corrections from. They come part by part, for all runs in turn."""
        coming = ((run, size(part)) for each in plan for part in each.bound() for run in range(runs))
        waiting: list[deque[bytes]] = [deque() for _ in range(runs)]

        def take(run: int, count: int) -> bytes:
            while not waiting[run]:
                of, length = next(coming)
                waiting[of] += self.wires.receive_parts(self.dealer, [length])
            return waiting[run].popleft()

        return [partial(take, run) for run in range(runs)]
