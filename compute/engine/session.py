"""One engine's membership in one job: arrive, connect, compute or deal, leave; every way to fail has a name."""

import socket
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

import torch
import torch.distributed as dist
from torch._C._distributed_c10d import TCPStore

from compute.engine.compat import TrustedThirdParty, TTPClient, TTPServer, cfg, crypten
from compute.engine.job import EngineJob, split_address
from compute.engine.mesh import Mesh, peers
from concordat.reasons import Reason, Refused

SEED_BYTES = 8
"""What the dealer sends each party at the start, past the communicator: the seed of their common generator."""


def check_provider() -> None:
    """Refuse every source of correlated randomness but the trusted third party.

    Raises:
        Refused: PROVIDER_UNSAFE. CrypTen's default lets party 0 generate, and so see, all Beaver triples.
    """
    provider = crypten.mpc.get_default_provider()
    if not (isinstance(provider, TrustedThirdParty) and crypten.mpc.ttp_required()):
        raise Refused(Reason.PROVIDER_UNSAFE, detail=f"The provider is {cfg.mpc.provider}; only TTP is accepted.")


def connect(job: EngineJob, listener: socket.socket | None) -> Mesh:
    """Wait for all engines of the job, then connect them.

    `listener` is rank 0's socket, bound to the job's address and not listening yet, so that early arrivals try again
    instead of hanging.

    Raises:
        Refused: PROVIDER_UNSAFE; PEER_ABSENT if an engine is missing after `startup_seconds`; PEER_LOST if one leaves
            while connecting.
    """
    check_provider()
    host, port = split_address(job["address"])
    deadline = time.monotonic() + job["startup_seconds"]
    try:
        store = TCPStore(
            host,
            port,
            is_master=listener is not None,
            timeout=timedelta(seconds=job["startup_seconds"]),
            wait_for_workers=False,
            master_listen_fd=None if listener is None else listener.detach(),
        )
        store.set(f"arrived/{job['rank']}", "")
        remaining = timedelta(seconds=max(0.1, deadline - time.monotonic()))
        store.wait([f"arrived/{rank}" for rank in range(job["parties"] + 1)], remaining)
    except RuntimeError as error:
        detail = f"Not every party arrived within {job['startup_seconds']} seconds."
        raise Refused(Reason.PEER_ABSENT, detail=detail) from error
    return Mesh(store, rank=job["rank"], parties=job["parties"], round_seconds=job["round_seconds"])


@contextmanager
def party(mesh: Mesh) -> Iterator[None]:
    """Agree on the seeds for shares of zero and with the dealer; at the end wait for all parties, then end the dealer.

    Raises:
        Refused: PEER_LOST. Whoever leaves without error knows that every party has finished.
    """
    with peers():
        crypten._setup_prng()
        TTPClient._init()
    yield
    mesh.barrier()
    with peers():
        TTPClient.uninit()
        crypten.uninit()


def deal(mesh: Mesh) -> None:
    """Hand out correlated randomness until party 0 ends the job.

    Raises:
        Refused: PEER_LOST if the parties went away before that; a reason of `messages` for a request that is none.
    """
    torch.seed()  # the parties' seeds are drawn from torch's default generator
    mesh.bytes_sent += SEED_BYTES * mesh.world_size
    with warnings.catch_warnings(), peers():
        warnings.simplefilter("ignore", RuntimeWarning)  # the server initialises CrypTen again
        TTPServer()
        if not mesh.terminated:
            raise Refused(Reason.PEER_LOST, detail="The parties left before the job was done.")
        dist.destroy_process_group()
