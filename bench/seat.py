"""One process of a measured run, forked from a server that has everything imported; `bench.measure` starts it.

It says what the others have to know, hears what they all say, takes part, and says what it has measured. It gives up,
rather than the machine, when it needs more memory than it was given.
"""

import resource
from importlib import import_module
from multiprocessing.connection import Connection

import torch

from bench.jobs import Engine, Job, Seat

MODULES: dict[Engine, str] = {"concordat": "bench.ours", "crypten": "bench.stock"}


def occupy(job: Job, rank: int, megabytes: int, pipe: Connection) -> None:
    """Sends the hello, then the `Part` and the peak of resident memory in 10^6 bytes; or the text of an error."""
    resource.setrlimit(resource.RLIMIT_DATA, (megabytes * 10**6, megabytes * 10**6))
    torch.set_num_threads(1)
    try:
        seat: Seat = import_module(MODULES[job.engine]).Seat(job, rank)
        pipe.send(seat.hello)
        part = seat.play(*pipe.recv())
        pipe.send((part, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6))
    except Exception as error:  # noqa: BLE001  whatever it is, the bench says so and goes on
        pipe.send(f"{type(error).__name__}: {error}".splitlines()[0])
