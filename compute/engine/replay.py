"""Who departed from the protocol? One record's run, computed again from the seeds of all engines.

All that an engine does follows from its shares, the seeds of its randomness and what the others sent it. The others
and it have signed for the digest of every message (`wires`), so with the seeds laid open every message of an honest run
can be computed again, in order, and the first one that differs is its sender's: those of the same round still follow
from messages that were right.

Only for a record that holds nobody's data: whoever has all parties' seeds, model shares and record knows everything.
Seeds of other records are not needed, and say nothing about this one's.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from io import BytesIO

from compute.engine.arithmetic import Party
from compute.engine.dealing import Dealt, Rehearsal, deal
from compute.engine.execution import Found
from compute.engine.protocol import Protocol, open_messages, pack, rehearse
from compute.engine.session import Seeds, Start, pair_key
from compute.engine.streams import Stream
from concordat import ring
from concordat.alarm import Act
from concordat.reasons import Reason, Refused


@dataclass(frozen=True)
class Fault:
    """`rank` did `act`; `round` counts from 1, and is 0 for what comes before or after the rounds."""

    rank: int
    act: Act
    round: int = 0


@dataclass(frozen=True)
class Evidence:
    """What all engines lay open about the run of one record.

    Attributes:
        sent: by sender and receiver, SHA-256 of each part of what it sent; the receiver has signed for the same.
        seeds: the parties', by rank, for this record.
        runs: how many records were computed together, and
        run: which of them this one was.
    """

    sent: Mapping[tuple[int, int], Sequence[bytes]]
    seeds: Sequence[Seeds]
    runs: int
    run: int

    @property
    def dealer(self) -> int:
        return len(self.seeds)

    def others(self, rank: int) -> list[int]:
        return [other for other in range(self.dealer) if other != rank]

    def drawn(self, rank: int, other: int) -> bytes:
        """The digest of the secret that went from one engine to another for this record: the first parts sent."""
        return self._part(rank, other, self.run)

    def message(self, rank: int, other: int, index: int) -> bytes:
        """The digest of a message of the round with this index."""
        return self._part(rank, other, (1 + index) * self.runs + self.run)

    def correction(self, index: int) -> bytes:
        """The digest of a correction that party 0 got for this record."""
        return self._part(self.dealer, 0, (1 + index) * self.runs + self.run)

    def _part(self, rank: int, other: int, index: int) -> bytes:
        parts = self.sent[rank, other]
        return parts[index] if index < len(parts) else b""


def replay(starts: Sequence[Start[Found]], evidence: Evidence, results: Sequence[tuple[bytes, bytes]]) -> list[Fault]:
    """The first departures from the protocol; none if the result is what the protocol gives.

    Args:
        starts: the record's protocol on every party's shares, by rank (`execution.prepare`).
        results: what the parties handed in, by rank: the bytes of their shares of prediction and explanation.

    Raises:
        Refused: RANDOMNESS_USED or MALFORMED for evidence that does not belong to this protocol.
    """
    faults = _false_seeds(evidence)
    if faults:
        return faults
    rehearsal = Rehearsal()
    rehearse(starts[0](Party(0, rehearsal)))
    corrections = list(deal(rehearsal.plan, [seeds.key for seeds in evidence.seeds]))
    for index, correction in enumerate(corrections):
        if sha256(correction).digest() != evidence.correction(index):
            return [Fault(evidence.dealer, "wrong randomness")]
    dealt = BytesIO(b"".join(corrections))
    parties = [
        Party(rank, Dealt(rehearsal.plan, seeds.key, dealt.read if rank == 0 else None), _pairs(evidence, rank))
        for rank, seeds in enumerate(evidence.seeds)
    ]
    found = _follow([start(party) for start, party in zip(starts, parties, strict=True)], evidence)
    if isinstance(found, list):
        return found
    return [
        Fault(rank, "wrong result")
        for rank, handed_in in enumerate(results)
        if handed_in != tuple(ring.to_bytes(share.numpy()) for share in vars(found[rank]["explained"]).values())
    ]


def _false_seeds(evidence: Evidence) -> list[Fault]:
    faults: list[Fault] = []
    for rank, seeds in enumerate(evidence.seeds):
        if sha256(seeds.key).digest() != evidence.drawn(evidence.dealer, rank):
            faults.append(Fault(rank, "other key"))
        elif set(seeds.drawn) != set(evidence.others(rank)) or any(
            sha256(secret).digest() != evidence.drawn(rank, other) for other, secret in seeds.drawn.items()
        ):
            faults.append(Fault(rank, "other secret"))
    return faults


def _pairs(evidence: Evidence, rank: int) -> dict[int, Stream]:
    mine = evidence.seeds[rank].drawn
    return {
        other: Stream(pair_key(rank, mine[other], other, evidence.seeds[other].drawn[rank]))
        for other in evidence.others(rank)
    }


def _follow(protocols: Sequence[Protocol[Found]], evidence: Evidence) -> list[Fault] | dict[int, Found]:
    """Run all parties in lock-step for as long as they sent what they had to: their results, or who did not."""
    results: dict[int, Found] = {}
    openings = {rank: next(protocol) for rank, protocol in enumerate(protocols)}
    index = 0
    while openings:
        messages = [pack(each) for each in openings.values()]
        faults = [
            Fault(rank, "wrong message", index + 1)
            for rank, message in enumerate(messages)
            if any(evidence.message(rank, other, index) != sha256(message).digest() for other in evidence.others(rank))
        ]
        if faults:
            return faults
        index += 1
        for rank, each in list(openings.items()):
            try:
                openings[rank] = protocols[rank].send(open_messages(messages, each))
            except StopIteration as finished:
                results[rank] = finished.value
                del openings[rank]
        if openings and results:
            raise Refused(Reason.MALFORMED, detail="The parties' shares are not of one protocol.")
    return results
