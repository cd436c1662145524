"""One engine's part in one job: meet the others, deal or be dealt, compute, leave together."""

import socket
from collections.abc import Callable
from typing import Self

from compute.engine import correlations, streams, wires
from compute.engine.arithmetic import Party
from compute.engine.certificates import Identity
from compute.engine.dealing import Dealt, Rehearsal, deal
from compute.engine.job import EngineJob, common, split_address
from compute.engine.protocol import Protocol, T, rehearse, run
from compute.engine.streams import Stream
from compute.engine.wires import Peer, Wires
from concordat.canonical import digest_bytes, unb64
from concordat.reasons import Reason, Refused

_LONGEST_PLAN = 1 << 20
_DONE = b"\x01"


class Session:
    """The mesh of one job; a context manager that hangs up at its end, so that nobody waits for who has failed.

    Attributes:
        wires: the connections.
        rounds: rounds of the parties' protocol; for the dealer, correlations dealt.
    """

    def __init__(self, job: EngineJob, identity: Identity, listener: socket.socket) -> None:
        """Connect. Raises Refused as `wires.connect` does."""
        self.rank, self.dealer = job["rank"], job["parties"]
        self.rounds = 0
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

    def supply(self, start: Callable[[Party], Protocol[object]]) -> Party:
        """Ask the dealer for what the protocol will need, and take it: one request, one answer.

        Raises:
            Refused: PEER_LOST; MALFORMED for an answer that is not the plan's.
        """
        rehearsal = Rehearsal()
        rehearse(start(Party(self.rank, rehearsal)))
        self.wires.send(self.dealer, correlations.encode(rehearsal.plan))
        key = self._from_dealer(streams.KEY_BYTES)
        pairs = {other: Stream(self.wires.secrets[other]) for other in self._parties}
        return Party(self.rank, Dealt(rehearsal.plan, key, self._from_dealer if self.rank == 0 else None), pairs)

    def compute(self, protocol: Protocol[T]) -> T:
        """Run a protocol with the other parties. Raises Refused: PEER_LOST, MALFORMED."""
        return run(protocol, self._exchange)

    def deal(self) -> None:
        """Answer the parties' one request, which they all have to make alike.

        Raises:
            Refused: CONFLICT if their plans differ; FIELD_INVALID for no plan; PEER_LOST.
        """
        requests = {self.wires.receive(party, most=_LONGEST_PLAN) for party in self._parties}
        if len(requests) != 1:
            raise Refused(Reason.CONFLICT, detail="The parties ask for different randomness.", field="plan")
        plan = correlations.decode(requests.pop())
        keys = [streams.new_key() for _ in self._parties]
        for party, key in zip(self._parties, keys, strict=True):
            self.wires.send(party, key)
        deal(plan, keys, lambda correction: self.wires.send(0, correction))
        self.rounds = len(plan)

    def leave(self) -> None:
        """Tell everybody that this engine has finished, and wait until all have.

        Raises:
            Refused: PEER_LOST. Whoever leaves without error knows that nobody failed.
        """
        if self.rank == self.dealer:
            self.wires.gather(self._parties, most=len(_DONE))
            for party in self._parties:
                self.wires.send(party, _DONE)
        else:
            others = [*self._parties, self.dealer]
            for other in others:
                self.wires.send(other, _DONE)
            for other in others:
                self.wires.receive(other, most=len(_DONE))
        self.wires.flush()

    def _exchange(self, mine: bytes) -> list[bytes]:
        self.rounds += 1
        return self.wires.exchange(self._parties, mine)

    def _from_dealer(self, count: int) -> bytes:
        return self.wires.receive(self.dealer, most=count, exactly=True)
