"""Which jobs are measured, and what one process of a measured run says about its part."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, Protocol

from bench.rows import Case, DesignName, Name
from concordat.kinds.kind import Scale

Engine = Literal["concordat", "crypten"]
ENGINES: tuple[Engine, ...] = ("concordat", "crypten")
MODELS: tuple[Name, ...] = ("lr", "mlp", "trees")
TARGETS: tuple[Scale, ...] = ("log-odds", "probability")
LARGEST: dict[Name, int] = {"lr": 100_000, "mlp": 100_000, "trees": 10_000}
ONE_WAY_MS = 25


@dataclass(frozen=True)
class Job:
    """One job for one engine; `delay_ms` is the one-way delay put on top of the loopback's, and `ahead` says that this
    engine's correlated randomness was dealt before."""

    engine: Engine
    model: Name
    n: int
    target: Scale = "log-odds"
    design: DesignName = "slopes"
    parties: int = 3
    delay_ms: int = 0
    ahead: bool = False

    @property
    def seconds_one_way(self) -> float:
        return self.delay_ms / 1000

    @property
    def runs(self) -> int:
        """Long jobs are measured once."""
        return 3 if self.n <= 1000 else 1

    def case(self) -> Case:
        return Case.make(self.model, self.design, self.n)

    def __str__(self) -> str:
        delay = f", {self.delay_ms} ms" if self.delay_ms else ""
        return f"{self.engine}, {self.model}, n = {self.n:,}, {self.target}, {self.design}, {self.parties}{delay}"


@dataclass(frozen=True)
class Part:
    """What one process measured of its own part. Where an engine counts at party 0 for everybody, others say 0.

    Attributes:
        numbers: shares of prediction, coefficients and intercept at 2^`bits`; none from a dealer.
        rounds: rounds among the parties.
        dealer_trips: how often a party waited for an answer of the dealer.
        bytes_online: payload from party to party.
        bytes_dealer: payload to and from the dealer.
        seconds_offline: from the job to the first round: meeting, and the dealing that is done before.
        seconds_online: from then to the shares of the result.
    """

    numbers: list[int]
    bits: int
    rounds: int
    dealer_trips: int
    bytes_online: int
    bytes_dealer: int
    seconds_offline: float
    seconds_online: float


class Seat(Protocol):
    """One process of a run, ready for its part. `hello` is what all others are told before they start."""

    hello: dict[str, str]

    def play(self, hellos: list[dict[str, str]], meeting: str) -> Part:
        """Take part; `meeting` is the path of a file that does not exist yet, for engines that meet over one."""


def jobs(full: bool) -> Iterator[Job]:
    """All of them, both engines next to each other on the same job; the growing ones last, each model's together."""
    for model in MODELS:
        yield from _both(model, 128)
        yield from _both(model, 128, design="masks")
        for target in TARGETS:
            yield from _both(model, 1000, target)
    if not full:
        return
    for model in MODELS:
        for parties in (2, 4):
            yield from _both(model, 1000, parties=parties)
        for target in TARGETS:
            yield from _both(model, 1000, target, delay_ms=ONE_WAY_MS)
    for model in MODELS:
        for n in (10_000, 100_000):
            if n <= LARGEST[model]:
                yield from _both(model, n)


def _both(
    model: Name,
    n: int,
    target: Scale = "log-odds",
    *,
    design: DesignName = "slopes",
    parties: int = 3,
    delay_ms: int = 0,
) -> Iterator[Job]:
    return (Job(engine, model, n, target, design, parties, delay_ms) for engine in ENGINES)
