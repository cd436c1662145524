"""How a node starts an engine, hands it one job and reads its answer. Imports no torch: engines are other processes."""

import os
import selectors
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import with_config
from typing_extensions import TypedDict

from compute.engine.job import Endpoint
from concordat import canonical
from concordat.canonical import Json
from concordat.definition import Role
from concordat.fields import STRICT, DecimalText, Digest, Text, read
from concordat.reasons import Reason, Refused

_INHERITED = ("HOME", "LANG", "LC_ALL", "LD_LIBRARY_PATH", "PATH", "PYTHONPATH", "TMPDIR", "VIRTUAL_ENV")
"""An engine sees no other variable of the node's environment: they may hold keys."""

LOOPBACK = "127.0.0.1"

_CHECKOUT = Path(__file__).parents[2]


@with_config(STRICT)
class _Ready(TypedDict):
    ready: Literal[True]
    address: Text
    certificate: Text


@with_config(STRICT)
class PeerTranscript(TypedDict):
    """What an engine sent to the engine of rank `peer`, and received from it: digests."""

    peer: int
    sent: Digest
    received: Digest


@with_config(STRICT)
class _Answer(TypedDict):
    ok: Literal[True]
    prediction: str | None
    explanation: str | None
    rounds: int
    bytes_sent: int
    transcripts: list[PeerTranscript]
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
        prediction: share of the model's output on the target's scale, one little-endian int64 at 2^24; None from a
            dealer.
        explanation: shares of d coefficients, intercept and sum of squares, likewise; None from a dealer.
        rounds: rounds of the protocol, equal for all parties; from a dealer, correlations dealt.
        bytes_sent: payload bytes sent; exact and constant for a kind, a design and a number of parties.
        transcripts: the conversations with all other engines.
        cpu_seconds: processor time of the job, without start-up; a decimal such as "0.123".
        seconds: wall time of the job, likewise; of it
        seconds_offline: until the correlated randomness was there, and
        seconds_online: from then to this party's share of the result.
    """

    prediction: bytes | None
    explanation: bytes | None
    rounds: int
    bytes_sent: int
    transcripts: Sequence[PeerTranscript]
    cpu_seconds: str
    seconds: str
    seconds_offline: str
    seconds_online: str


class EngineProcess:
    """One engine, for one job; a context manager that never leaves a process behind."""

    def __init__(self, process: "subprocess.Popen[bytes]") -> None:
        self._process = process
        self._received = b""

    @classmethod
    def start(cls, role: Role, rank: int, host: str = LOOPBACK) -> Self:
        """Start an engine as compute party `rank`, or as the dealer, whose rank is the number of parties.

        `host` is the IPv4 address that it listens on. Returns at once; importing torch takes the engine some seconds.
        """
        environment = {name: os.environ[name] for name in _INHERITED if name in os.environ}
        process = subprocess.Popen(  # noqa: S603
            [sys.executable, "-m", "compute.engine", "--role", role, "--rank", str(rank), "--host", host],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,  # torch writes its own traces there; what matters is in the answer
            cwd=_CHECKOUT,
            env=environment | {"OMP_NUM_THREADS": "1"},
        )
        return cls(process)

    @property
    def pid(self) -> int:
        return self._process.pid

    def ready(self, timeout: float) -> Endpoint:
        """Wait until the engine can take its job; where it listens, and the certificate that it will show.

        Raises:
            Refused: ENGINE_FAILED if it is not ready within `timeout` seconds, or ended.
        """
        ready = read(self._read(timeout), _Ready)
        return {"address": ready["address"], "certificate": ready["certificate"]}

    def run(self, job: Mapping[str, Json], timeout: float) -> EngineResult:
        """Hand over the job (a `PartyJob` or `EngineJob`) and wait for its end; afterwards the process is gone.

        Raises:
            Refused: the engine's own reason; ENGINE_FAILED if it dies or takes longer than `timeout` seconds.
        """
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(canonical.encode(job) + b"\n")
            self._process.stdin.flush()
            answer = self._read(timeout)
        except BrokenPipeError as error:
            raise Refused(Reason.ENGINE_FAILED, detail="The engine ended before its job.") from error
        finally:
            self.close()
        done = read(answer, _Answer)
        return EngineResult(
            prediction=_share(done["prediction"]),
            explanation=_share(done["explanation"]),
            rounds=done["rounds"],
            bytes_sent=done["bytes_sent"],
            transcripts=done["transcripts"],
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

    def _read(self, timeout: float) -> dict[str, Any]:
        """The engine's next line. Raises Refused: the reason in it, or ENGINE_FAILED if none comes."""
        assert self._process.stdout is not None
        deadline = time.monotonic() + timeout
        with selectors.DefaultSelector() as selector:
            selector.register(self._process.stdout, selectors.EVENT_READ)
            while b"\n" not in self._received:
                if not selector.select(max(0.0, deadline - time.monotonic())):
                    raise Refused(Reason.ENGINE_FAILED, detail=f"The engine did not answer within {timeout} seconds.")
                chunk = os.read(self._process.stdout.fileno(), 1 << 16)
                if not chunk:
                    raise Refused(Reason.ENGINE_FAILED, detail="The engine ended without an answer.")
                self._received += chunk
        line, _, self._received = self._received.partition(b"\n")
        document: dict[str, Any] = canonical.decode(line)
        if document.get("ok") is False:
            failure = read(document, _Failure)
            raise Refused(Reason(failure["reason"]), detail=failure["detail"], field=failure["field"])
        return document


def _share(text: str | None) -> bytes | None:
    return None if text is None else canonical.unb64(text)
