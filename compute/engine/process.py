"""The engine process: announce readiness, take one job on standard input, answer on standard output, end.

One process a job: CrypTen's state is global, and a failed job leaves connections behind that cannot be closed. The
process ends with its parent, whose end of standard input then closes.
"""

import argparse
import os
import queue
import socket
import sys
import threading
from collections.abc import Sequence
from typing import BinaryIO

from compute.engine.job import read_job
from concordat import canonical
from concordat.canonical import Json, b64
from concordat.definition import Role
from concordat.reasons import Reason, Refused


def main(arguments: Sequence[str] | None = None) -> int:
    """Run as ``python -m compute.engine --role party|dealer --rank N --host IPV4``; 0 if the job was done, else 1."""
    parser = argparse.ArgumentParser(prog="python -m compute.engine")
    parser.add_argument("--role", choices=["party", "dealer"], required=True)
    parser.add_argument("--rank", type=int, required=True)
    parser.add_argument("--host", required=True, help="the address to listen on, at which the other engines reach it")
    seat = parser.parse_args(arguments)
    with os.fdopen(os.dup(1), "wb") as answers:
        os.dup2(2, 1)  # libraries that print cannot garble an answer
        try:
            answer = _serve(seat.role, seat.rank, seat.host, answers)
        except Refused as refused:
            answer = {"ok": False, "reason": refused.reason, "detail": refused.detail, "field": refused.field}
        except Exception as error:  # noqa: BLE001  the text of an unforeseen error may hold a secret: its type does not
            answer = {"ok": False, "reason": Reason.ENGINE_FAILED, "detail": type(error).__name__, "field": ""}
        _write(answers, answer)
    return 0 if answer["ok"] else 1


def _serve(role: Role, rank: int, host: str, answers: BinaryIO) -> dict[str, Json]:
    job_line = _follow_parent()
    listener = socket.create_server((host, 0), backlog=64)

    from compute.engine.certificates import Identity
    from compute.engine.execution import execute  # seconds of imports: after standard output is safe, before the job

    identity = Identity.create()
    address, certificate = f"{host}:{listener.getsockname()[1]}", b64(identity.certificate)
    _write(answers, {"ready": True, "address": address, "certificate": certificate})
    job = read_job(canonical.decode(job_line.get()), role=role, rank=rank)
    if job["peers"][rank] != {"address": address, "certificate": certificate}:
        raise Refused(Reason.FIELD_INVALID, detail="This engine is another.", field="peers")
    return execute(job, identity, listener)


def _follow_parent() -> "queue.Queue[bytes]":
    """The first line of standard input, when it comes; whatever comes after it, its end above all, ends the process."""
    lines: queue.Queue[bytes] = queue.Queue()

    def follow() -> None:
        line = sys.stdin.buffer.readline()
        if line:
            lines.put(line)
            sys.stdin.buffer.read(1)
        os._exit(1)

    threading.Thread(target=follow, daemon=True).start()
    return lines


def _write(answers: BinaryIO, document: dict[str, Json]) -> None:
    answers.write(canonical.encode(document) + b"\n")
    answers.flush()
