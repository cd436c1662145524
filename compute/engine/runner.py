"""How a node starts an engine, gives it a seat and one job, and reads its answer. Imports no torch: engines are other
processes."""

import os
import selectors
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import with_config
from typing_extensions import TypedDict

from compute.engine.job import DealerBatch, Endpoint, PartyBatch, Seat
from concordat import canonical
from concordat.alarm import Conversation, Drawn
from concordat.canonical import Json
from concordat.definition import Role
from concordat.fields import STRICT, DecimalText, Text, plain, read
from concordat.reasons import Reason, Refused

_INHERITED = ("HOME", "LANG", "LC_ALL", "LD_LIBRARY_PATH", "PATH", "PYTHONPATH", "TMPDIR", "VIRTUAL_ENV")
"""An engine sees no other variable of the node's environment: they may hold keys."""

LOOPBACK = "127.0.0.1"

_CHECKOUT = Path(__file__).parents[2]


@with_config(STRICT)
class _Warm(TypedDict):
    warm: Literal[True]


@with_config(STRICT)
class _Ready(TypedDict):
    ready: Literal[True]
    address: Text
    certificate: Text


@with_config(STRICT)
class OutputShares(TypedDict):
    """Of one record, base64url of little-endian int64 at 2^24: the predictions of the record and its what-ifs, and d
    coefficients, intercept and sum of squares."""

    prediction: str
    explanation: str


@with_config(STRICT)
class CountShares(TypedDict):
    """Of an audit, base64url of little-endian int64: what is left of each count above the smallest that opens."""

    counts: str


@with_config(STRICT)
class WeightShares(TypedDict):
    """Of a training, base64url of little-endian int64 at 2^16: the new weights and, last, the bias."""

    weights: str


@with_config(STRICT)
class SeedsDocument(TypedDict):
    """Where all of a party's randomness for one record came from (see `session.Seeds`)."""

    key: str
    drawn: list[Drawn]


@with_config(STRICT)
class _Progress(TypedDict):
    done: int
    rounds: int


@with_config(STRICT)
class _Answer(TypedDict):
    ok: Literal[True]
    outputs: list[OutputShares | CountShares | WeightShares | None]
    rounds: int
    bytes_sent: int
    conversations: list[Conversation]
    seeds: list[SeedsDocument]
    batches: list[PartyBatch | DealerBatch]
    cpu_seconds: DecimalText
    seconds: DecimalText
    seconds_offline: DecimalText
    seconds_online: DecimalText


@with_config(STRICT)
class _Failure(TypedDict):
    ok: Literal[False]
    reason: str
    detail: str
    field: str


@dataclass(frozen=True)
class EngineResult:
    """What one engine brings back.

    Attributes:
        outputs: this party's shares, by record, None of one that is out of its range, or those of an audit or a
            training; a dealer has none at all.
        rounds: rounds of the protocol, equal for all parties; from a dealer, correlations dealt.
        bytes_sent: payload bytes sent; exact and constant for a kind, a design and numbers of parties and records.
        conversations: with all other engines.
        seeds: of a party, by record. Together with all other parties' seeds they lay open what was computed.
        batches: this engine's parts of what was dealt for later jobs, in the order in which the ticket names them.
        cpu_seconds: processor time of the job, without start-up; a decimal such as "0.123".
        seconds: wall time of the job, likewise; of it
        seconds_offline: until the correlated randomness was there, and
        seconds_online: from then to this party's share of the result.
    """

    outputs: Sequence[OutputShares | CountShares | WeightShares | None]
    rounds: int
    bytes_sent: int
    conversations: Sequence[Conversation]
    seeds: Sequence[SeedsDocument] = field(repr=False)
    batches: Sequence[PartyBatch | DealerBatch] = field(repr=False)
    cpu_seconds: str
    seconds: str
    seconds_offline: str
    seconds_online: str


class EngineProcess:
    """One engine, for one job; a context manager that never leaves a process behind."""

    def __init__(self, process: "subprocess.Popen[bytes]") -> None:
        self._process = process
        self._received = bytearray()
        self._warm = False

    @classmethod
    def start(cls, host: str = LOOPBACK) -> Self:
        """Start an engine, which will listen on the IPv4 address `host` once it has a seat.

        Returns at once; importing torch takes the engine some seconds. Raises Refused: ENGINE_FAILED if the machine
        gives no process.
        """
        environment = {name: os.environ[name] for name in _INHERITED if name in os.environ}
        try:
            process = subprocess.Popen(  # noqa: S603
                [sys.executable, "-m", "compute.engine", "--host", host],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,  # torch writes its own traces there; what matters is in the answer
                cwd=_CHECKOUT,
                env=environment | {"OMP_NUM_THREADS": "1"},
            )
        except OSError as error:
            raise Refused(Reason.ENGINE_FAILED, detail="The engine could not be started.") from error
        return cls(process)

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def alive(self) -> bool:
        """Whether the process has not ended."""
        return self._process.poll() is None

    def warm(self, timeout: float) -> None:
        """Wait until the engine has imported what its job will need.

        Raises:
            Refused: ENGINE_FAILED if that takes longer than `timeout` seconds, or the engine ended.
        """
        if not self._warm:
            read(self._read(timeout), _Warm)
            self._warm = True

    def reserve(self, role: Role, rank: int, timeout: float) -> Endpoint:
        """Make the engine compute party `rank`, or the dealer, whose rank is the number of parties, and wait until it
        can take its job: where it listens, and the certificate that it will show.

        Raises:
            Refused: ENGINE_FAILED if it is not ready within `timeout` seconds, cannot listen, or ended.
        """
        deadline = time.monotonic() + timeout
        self._write(plain(Seat(role=role, rank=rank)))
        self.warm(timeout)
        ready = read(self._read(deadline - time.monotonic()), _Ready)
        return {"address": ready["address"], "certificate": ready["certificate"]}

    def run(
        self, job: Mapping[str, Json], timeout: float, tell: Callable[[int, int], None] = lambda done, rounds: None
    ) -> EngineResult:
        """Hand over the job (a `PartyJob` or `EngineJob`) and wait for its end; afterwards the process is gone.

        Args:
            tell: hears now and then how many rounds a party has done, of how many.

        Raises:
            Refused: the engine's own reason; ENGINE_FAILED if it dies or takes longer than `timeout` seconds.
        """
        try:
            began = time.monotonic()
            self._write(job)
            while "ok" not in (answer := self._read(timeout, since=began)):
                progress = read(answer, _Progress)
                tell(progress["done"], progress["rounds"])
        finally:
            self.close()
        done = read(answer, _Answer)
        return EngineResult(
            outputs=done["outputs"],
            rounds=done["rounds"],
            bytes_sent=done["bytes_sent"],
            conversations=done["conversations"],
            seeds=done["seeds"],
            batches=done["batches"],
            cpu_seconds=done["cpu_seconds"],
            seconds=done["seconds"],
            seconds_offline=done["seconds_offline"],
            seconds_online=done["seconds_online"],
        )

    def kill(self) -> None:
        """End the process, whatever it does. From another thread too: a `run` there ends with ENGINE_FAILED."""
        self._process.kill()
        self._process.wait()

    def close(self) -> None:
        """End the process and give back its pipes; repeatable."""
        self.kill()
        for pipe in (self._process.stdin, self._process.stdout):
            with suppress(BrokenPipeError):  # closing flushes what the engine never read
                pipe.close()  # type: ignore[union-attr]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _write(self, document: Mapping[str, Json]) -> None:
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(canonical.encode(document) + b"\n")
            self._process.stdin.flush()
        except BrokenPipeError as error:
            raise Refused(Reason.ENGINE_FAILED, detail="The engine ended before its job.") from error

    def _read(self, timeout: float, *, since: float | None = None) -> dict[str, Any]:
        """The engine's next line. Raises Refused: the reason in it, or ENGINE_FAILED if none comes within `timeout`
        seconds from now, or `since` then."""
        assert self._process.stdout is not None
        deadline = (time.monotonic() if since is None else since) + timeout
        with selectors.DefaultSelector() as selector:
            selector.register(self._process.stdout, selectors.EVENT_READ)
            looked = 0
            while (end := self._received.find(b"\n", looked)) < 0:
                looked = len(self._received)
                if not selector.select(max(0.0, deadline - time.monotonic())):
                    raise Refused(
                        Reason.ENGINE_FAILED, detail=f"The engine did not answer within {timeout:.0f} seconds."
                    )
                chunk = os.read(self._process.stdout.fileno(), 1 << 16)
                if not chunk:
                    raise Refused(Reason.ENGINE_FAILED, detail="The engine ended without an answer.")
                self._received += chunk
        line = bytes(self._received[:end])
        del self._received[: end + 1]
        document: dict[str, Any] = canonical.decode(line)
        if document.get("ok") is False:
            failure = read(document, _Failure)
            raise Refused(Reason(failure["reason"]), detail=failure["detail"], field=failure["field"])
        return document
