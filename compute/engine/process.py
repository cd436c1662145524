"""The engine process: import, wait for a seat, then for one job, both on standard input; answer, and end. On the
way it says how far it is.

One process a job: CrypTen's state is global, and a failed job leaves connections behind that cannot be closed. Before
its seat a process knows nothing of any job, and has neither certificate nor port, so it may wait for weeks. It ends
with its parent, whose end of standard input then closes.
"""

import argparse
import os
import queue
import socket
import sys
import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING, BinaryIO

from compute.engine.job import Seat, read_job
from concordat import canonical
from concordat.canonical import Json, b64
from concordat.fields import read
from concordat.reasons import Reason, Refused

if TYPE_CHECKING:
    from compute.engine.session import Tell

PARTS = 50
"""In how many parts a computation is told of, at most."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run as ``python -m compute.engine --host IPV4``; 0 if the job was done, else 1."""
    parser = argparse.ArgumentParser(prog="python -m compute.engine")
    parser.add_argument("--host", required=True, help="the address to listen on, at which the other engines reach it")
    host = parser.parse_args(arguments).host
    with os.fdopen(os.dup(1), "wb") as answers:
        os.dup2(2, 1)  # libraries that print cannot garble an answer
        try:
            answer = _serve(host, answers)
        except Refused as refused:
            answer = {"ok": False, "reason": refused.reason, "detail": refused.detail, "field": refused.field}
        except Exception as error:  # noqa: BLE001  the text of an unforeseen error may hold a secret: its type does not
            answer = {"ok": False, "reason": Reason.ENGINE_FAILED, "detail": type(error).__name__, "field": ""}
        _write(answers, answer)
    return 0 if answer["ok"] else 1


def _serve(host: str, answers: BinaryIO) -> dict[str, Json]:
    lines = _follow_parent()

    from compute.engine.certificates import Identity
    from compute.engine.execution import execute  # seconds of imports: after standard output is safe, before the seat
    from compute.engine.warming import warm_up

    warm_up()
    _write(answers, {"warm": True})
    seat = read(canonical.decode(lines.get()), Seat)
    listener, identity = _listen(host), Identity.create()
    address, certificate = f"{host}:{listener.getsockname()[1]}", b64(identity.certificate)
    _write(answers, {"ready": True, "address": address, "certificate": certificate})
    job = read_job(canonical.decode(lines.get()), **seat)
    if job["peers"][seat["rank"]] != {"address": address, "certificate": certificate}:
        raise Refused(Reason.FIELD_INVALID, detail="This engine is another.", field="peers")
    return execute(job, identity, listener, _teller(answers))


def _listen(host: str) -> socket.socket:
    try:
        return socket.create_server((host, 0), backlog=64)
    except OSError:
        raise Refused(Reason.ENGINE_FAILED, detail=f"The engine cannot listen on {host}.") from None


def _teller(answers: BinaryIO) -> "Tell":
    """Writes how far the computation is, as often as there are parts."""

    def tell(done: int, rounds: int) -> None:
        if done * PARTS // rounds > (done - 1) * PARTS // rounds:
            _write(answers, {"done": done, "rounds": rounds})

    return tell


def _follow_parent() -> "queue.SimpleQueue[bytes]":
    """The lines of standard input, seat and job, as they come; whatever comes after them, and the end above all, ends
    the process."""
    lines: queue.SimpleQueue[bytes] = queue.SimpleQueue()

    def follow() -> None:
        for _ in range(2):
            if not (line := sys.stdin.buffer.readline()):
                os._exit(1)
            lines.put(line)
        sys.stdin.buffer.read(1)
        os._exit(1)

    threading.Thread(target=follow, daemon=True).start()
    return lines


def _write(answers: BinaryIO, document: dict[str, Json]) -> None:
    answers.write(canonical.encode(document) + b"\n")
    answers.flush()
