"""CrypTen's communicator for one job: gloo on loopback, bounded waits, exact counts, no pickle.

Counts are of payload, each value sent directly to each peer that needs it: gloo's own framing, and the detour of its
ring algorithms, depend on the transport and not on the protocol. One operation of the parties' group is one round.
"""

import os
import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, ClassVar, Self

import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor
from torch._C._distributed_c10d import Store

from compute.engine import messages
from compute.engine.compat import crypten
from concordat.reasons import Reason, Refused


@contextmanager
def peers() -> Iterator[None]:
    """Turn a broken or silent connection into PEER_LOST.

    CrypTen's server ends *normally* on any RuntimeError, as if the job were done; Refused is none, so it gets through.
    """
    try:
        yield
    except RuntimeError as error:
        late = any(word in str(error).lower() for word in ("timed out", "timeout"))
        detail = "No message of another party came in time." if late else "The connection to another party broke."
        raise Refused(Reason.PEER_LOST, detail=detail) from error


class Mesh(crypten.communicator.DistributedCommunicator):  # type: ignore[misc]
    """Ranks 0 … parties-1 compute, rank `parties` deals; one mesh in a process and its lifetime.

    Attributes:
        rounds: operations of the parties' group so far; for the dealer, tuples handed out.
        bytes_sent: payload bytes that this engine has sent to parties and dealer.
        terminated: for the dealer, whether party 0 has said that the job is done.
    """

    instance: ClassVar[Self | None] = None

    def __init__(self, store: Store, *, rank: int, parties: int, round_seconds: int) -> None:
        self.rank, self.world_size = rank, parties
        self.rounds = self.bytes_sent = 0
        self.terminated = False
        self.ttp_initialized = True
        self._name = f"rank{rank}"
        limit, everyone = timedelta(seconds=round_seconds), list(range(parties + 1))
        os.environ["GLOO_SOCKET_IFNAME"] = next(name for _, name in socket.if_nameindex() if name in ("lo", "lo0"))
        with peers():
            dist.init_process_group("gloo", store=store, rank=rank, world_size=parties + 1, timeout=limit)
            self.ttp_group = dist.new_group(everyone, timeout=limit)
            self.ttp_comm_group = dist.new_group([0, parties], timeout=limit)
            self.main_group = dist.new_group(everyone[:-1], timeout=limit)
        self.reset_communication_stats()
        type(self).instance = self

    def all_reduce(self, input: Any, *args: Any, **kwargs: Any) -> Any:
        self._count(input, self.world_size - 1)
        with peers():
            return super().all_reduce(input, *args, **kwargs)

    def gather(self, tensor: Tensor, dst: int) -> Any:
        self._count(tensor, int(self.rank != dst))
        with peers():
            return super().gather(tensor, dst)

    def broadcast(self, input: Any, src: int, group: Any = None, batched: bool = False) -> Any:
        within = group is None or group is self.main_group
        copies = (self.world_size - 1 if within else 1) if self.rank == src else 0
        self._count(input, copies, rounds=int(within))
        with peers():
            return super().broadcast(input, src, group, batched)

    def isend(self, tensor: Tensor, dst: int) -> Any:
        self._count(tensor, 1)
        with peers():
            return super().isend(tensor, dst)

    def barrier(self) -> None:
        self.rounds += 1
        with peers():
            super().barrier()

    def send_obj(self, obj: Any, dst: int, group: Any = None) -> None:
        """Send party 0's request, or the dealer's announcement of a shape, as JSON."""
        data = torch.from_numpy(np.frombuffer(messages.encode(obj), dtype=np.uint8).copy())
        with peers():
            for part in (torch.tensor(len(data)), data):
                self._count(part, 1, rounds=0)
                dist.send(part, dst, group=group)

    def recv_obj(self, src: int, group: Any = None) -> Any:
        """Receive what `send_obj` sent. Raises Refused for anything else."""
        with peers():
            length = torch.tensor(0)
            dist.recv(length, src, group=group)
            if not 0 < length.item() <= 4096:
                raise Refused(Reason.MALFORMED, detail="A message to or from the dealer is too long.")
            data = torch.empty(int(length.item()), dtype=torch.uint8)
            dist.recv(data, src, group=group)
        if self.rank < self.world_size:
            return messages.decode_size(data.numpy().tobytes())
        request = messages.decode_request(data.numpy().tobytes())
        self.terminated = request == messages.TERMINATE
        self.rounds += int(not self.terminated)
        return request

    def _count(self, value: Tensor | Sequence[Tensor], copies: int, *, rounds: int = 1) -> None:
        tensors = [value] if isinstance(value, Tensor) else value
        self.rounds += rounds
        self.bytes_sent += copies * sum(tensor.nelement() * tensor.element_size() for tensor in tensors)


crypten.communicator.DistributedCommunicator = Mesh
