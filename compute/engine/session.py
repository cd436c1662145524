"""One engine's part in one job: meet the others, deal or be dealt, compute, leave together.

Correlated randomness may have been dealt before the job, in an earlier one with the same plan: then nobody waits for
the dealer. It deals such batches while the parties compute, and hands them out when they leave.
"""

import socket
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import cycle
from typing import Self

from compute.engine import batches, correlations, streams, wires
from compute.engine.arithmetic import Party
from compute.engine.batches import Taken
from compute.engine.certificates import Identity
from compute.engine.correlations import Correlation
from compute.engine.dealing import AHEAD, Dealt, Rehearsal
from compute.engine.job import AnyJob, DealerBatch, PartyBatch, common, split_address
from compute.engine.protocol import Protocol, T, rehearse, run_all
from compute.engine.streams import KEY_BYTES, Stream
from compute.engine.wires import Peer, Wires
from concordat.canonical import digest_bytes, unb64
from concordat.reasons import Reason, Refused

_LONGEST_PLAN = 1 << 20
DONE = b"\x01"

Start = Callable[[Party], Protocol[T]]

Tell = Callable[[int, int], None]
"""Hears after each round how many are done, of how many. Both follow from the job's public parts: numbers of rounds
depend on no share."""


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


def untold(done: int, rounds: int) -> None:
    """Nobody listens."""


class Session:
    """The mesh of one job; a context manager that hangs up at its end, so that nobody waits for who has failed.

    Attributes:
        wires: the connections.
        rounds: rounds of the parties' protocol, so far; for the dealer, correlations dealt.
        seeds: a party's, by run.
        batches: what was dealt in this job for later ones, once everybody has left.
    """

    def __init__(self, job: AnyJob, identity: Identity, listener: socket.socket, tell: Tell = untold) -> None:
        """Connect. Raises Refused as `wires.connect` does."""
        self.rank, self.dealer = job["rank"], job["parties"]
        self.rounds, self._expected, self._tell = 0, 0, tell
        self.seeds: list[Seeds] = []
        self.batches: list[PartyBatch] | list[DealerBatch] = []
        self._ahead, self._asked = job["ahead"], b""
        self._runs, self._lengths = 0, list[int]()
        self._made: list[tuple[dict[int, list[bytes]], list[bytes]]] = []
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

    def supply(self, starts: Sequence[Start[T]], dealt: PartyBatch | None) -> list[Party]:
        """What the runs of one protocol will need: `dealt` before the job, or else by the dealer now, by one request
        and one answer.

        Every run has keys of its own, so that what one of them used says nothing about another.

        Raises:
            Refused: RANDOMNESS_USED if `dealt` was dealt for another plan; PEER_LOST; MALFORMED for an answer that is
                not the plan's.
        """
        runs, rehearsal = len(starts), Rehearsal()
        self._expected = rehearse(starts[0](Party(self.rank, rehearsal)))
        self._prepare(rehearsal.plan, runs)
        mine = self._lengths if self.rank == 0 else []
        taken = batches.take(dealt, self._asked, runs=runs, lengths=mine) if dealt else None
        if taken is None or self._ahead:
            self.wires.send(self.dealer, self._asked)
        drawn = {other: [streams.new_key() for _ in starts] for other in self._parties}
        for other in self._parties:
            self.wires.send(other, *drawn[other])
        theirs = {other: self.wires.receive_parts(other, [KEY_BYTES] * runs) for other in self._parties}
        if taken is None:
            keys = self.wires.receive_parts(self.dealer, [KEY_BYTES] * runs)
            coming = (self.wires.receive_parts(self.dealer, [length])[0] for length in self._lengths)
        else:
            self.wires.enter(self.dealer, received=taken.digests)
            keys, coming = taken.keys, (part for part in taken.corrections)
        corrections = _by_run(coming, runs)
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

    def deal(self, dealt: DealerBatch | None) -> None:
        """Answer the parties' one request, which they all have to make alike: with what this job needs, unless that was
        `dealt` before, and with what later jobs will need, which is handed out when everybody leaves.

        Raises:
            Refused: CONFLICT if their plans differ; FIELD_INVALID for no plan; RANDOMNESS_USED if `dealt` was dealt for
                another; PEER_LOST.
        """
        plan: Sequence[Correlation] = ()
        if dealt is None or self._ahead:
            requests = {self.wires.receive(party, most=_LONGEST_PLAN) for party in self._parties}
            if len(requests) != 1:
                raise Refused(Reason.CONFLICT, detail="The parties ask for different randomness.", field="plan")
            plan, runs = correlations.decode(requests.pop())
            self._prepare(plan, runs)
        if dealt is None:
            keys = batches.new_keys(self._parties, self._runs)
            for party in self._parties:
                self.wires.send(party, *keys[party])
            for correction in batches.corrections(plan, keys):
                self.wires.send(0, correction)
            self.rounds = len(plan) * self._runs
        else:
            for party, digests in enumerate(batches.take_digests(dealt, self._asked, parties=len(self._parties))):
                self.wires.enter(party, sent=digests)
        for _ in range(self._ahead):
            keys = batches.new_keys(self._parties, self._runs)
            self._made.append((keys, list(batches.corrections(plan, keys))))
            self.rounds += len(plan) * self._runs

    def leave(self) -> None:
        """Tell everybody that this engine has finished, and wait until all have. Meanwhile the dealer hands out what it
        has dealt for later jobs: nobody waits for that before the computation is over.

        Raises:
            Refused: PEER_LOST. Whoever leaves without error knows that nobody failed.
        """
        if self.rank == self.dealer:
            self.wires.gather(self._parties, most=len(DONE))
            self.batches = [self._hand_out(*made) for made in self._made]
            for party in self._parties:
                self.wires.send(party, DONE)
        else:
            for other in (*self._parties, self.dealer):
                self.wires.send(other, DONE)
            for other in self._parties:
                self.wires.receive(other, most=len(DONE))
            self.batches = [self._take_in() for _ in range(self._ahead)]
            self.wires.receive(self.dealer, most=len(DONE))
        self.wires.flush()

    def _prepare(self, plan: Sequence[Correlation], runs: int) -> None:
        self._asked, self._runs, self._lengths = correlations.encode(plan, runs), runs, batches.lengths(plan, runs)
        if sum(self._lengths) > batches.LARGEST:
            self._ahead = 0

    def _hand_out(self, keys: Mapping[int, Sequence[bytes]], corrections: Sequence[bytes]) -> DealerBatch:
        before = {party: len(self.wires.sent[party]) for party in self._parties}
        for party in self._parties:
            self.wires.send(party, *keys[party])
        self.wires.send(0, *corrections)
        return batches.keep_digests(self._asked, [self.wires.sent[party][before[party] :] for party in self._parties])

    def _take_in(self) -> PartyBatch:
        keys = self.wires.receive_parts(self.dealer, [KEY_BYTES] * self._runs)
        corrections = self.wires.receive_parts(self.dealer, self._lengths) if self.rank == 0 else []
        return batches.keep(self._asked, Taken(keys, corrections))

    def _exchange(self, mine: Sequence[bytes]) -> list[list[bytes]]:
        self.rounds += 1
        theirs = self.wires.exchange(self._parties, mine)
        self._tell(self.rounds, self._expected)
        return theirs


def _by_run(coming: Iterator[bytes], runs: int) -> list[Callable[[int], bytes]]:
    """For each run, where it gets its corrections from. They come part by part, for all runs in turn."""
    turn = cycle(range(runs))
    waiting: list[deque[bytes]] = [deque() for _ in range(runs)]

    def take(run: int, _: int) -> bytes:
        while not waiting[run]:
            waiting[next(turn)].append(next(coming))
        return waiting[run].popleft()

    return [partial(take, run) for run in range(runs)]
