"""A seat in a run of CrypTen 0.4.1 as it comes: its own communicator (gloo), its trusted third party as the dealer, its
own products, truncation, ReLU, comparison and sigmoid, at its own 16 bits.

It is given the public design's first layer, whole batches, and a local last step: its shares leave without a
truncation, and without the sum of squares. Nothing of `compute.engine.framework` is loaded.
"""

import os
import pickle
import time
from collections.abc import Callable, Sequence
from functools import partial
from time import perf_counter
from typing import Any, NoReturn

import torch
from torch import Tensor

import compute.engine.compatibility  # noqa: F401  before CrypTen

# isort: split
import crypten
import crypten.communicator
from crypten.config import cfg
from crypten.mpc import MPCTensor
from crypten.mpc.primitives import ArithmeticSharedTensor
from crypten.mpc.provider.ttp_provider import TTPServer

from bench.jobs import Job, Part
from bench.rows import Case
from concordat.design import OPERATOR_BITS
from concordat.kinds.kind import Scale
from concordat.ring import BITS


class Seat:
    """With the job's shares; the dealer has none."""

    def __init__(self, job: Job, rank: int) -> None:
        self._job, self._rank = job, rank
        self._case = job.case()
        self.hello: dict[str, str] = {}
        self._environment = {
            "WORLD_SIZE": str(job.parties),
            "RANK": str(rank),
            "DISTRIBUTED_BACKEND": "gloo",
            "GLOO_SOCKET_IFNAME": "lo",
        }
        cfg.mpc.provider = "TTP"

    def play(self, hellos: list[dict[str, str]], meeting: str) -> Part:
        os.environ |= self._environment | {"RENDEZVOUS": f"file://{meeting}"}
        if self._rank == self._job.parties:
            TTPServer()
            return Part([], 0, 0, 0, 0, 0, 0, 0)
        began = perf_counter()
        crypten.init()
        counted = Counted(crypten.communicator.get(), self._job.seconds_one_way)
        met = perf_counter()
        numbers = explain(self._case, self._rank, self._job.parties, self._job.target)
        computed = perf_counter()
        part = Part(
            numbers=numbers.tolist(),
            bits=BITS + OPERATOR_BITS,
            rounds=counted.rounds,
            dealer_trips=counted.dealer_trips,
            bytes_online=counted.bytes_online if self._rank == 0 else 0,
            bytes_dealer=counted.bytes_dealer if self._rank == 0 else 0,
            seconds_offline=met - began,
            seconds_online=computed - met,
        )
        counted.release()
        crypten.uninit()
        return part


class Counted:
    """Counts what goes through a communicator, at the calls that CrypTen makes of it, and adds a delay to each.

    Every party calls alike, so each counts the payload of all of them together: gloo's ring takes 2 (p - 1) times a
    tensor to reduce it, and p - 1 times to gather it. The dealer's requests, pickled, their sizes and its answers pass
    party 0.
    """

    def __init__(self, communicator: Any, seconds_one_way: float) -> None:
        self.rounds = self.dealer_trips = self.bytes_online = self.bytes_dealer = 0
        self._communicator, self._seconds = communicator, seconds_one_way
        self._others = communicator.get_world_size() - 1
        counters: dict[str, Callable[..., None]] = {
            "all_reduce": self._all_reduce,
            "gather": self._gather,
            "send_obj": self._request,
            "broadcast": self._answer,
        }
        for name, count in counters.items():
            setattr(communicator, name, partial(self._call, count, getattr(communicator, name)))
        communicator.recv_obj = partial(self._receive, communicator.recv_obj)
        self._wrapped = [*counters, "recv_obj"]
        for name in ("send", "recv", "isend", "irecv", "scatter", "reduce", "all_gather", "broadcast_obj"):
            setattr(communicator, name, _uncounted)
            self._wrapped.append(name)

    def release(self) -> None:
        """Leave the communicator as it was."""
        for name in self._wrapped:
            delattr(self._communicator, name)

    def _call(self, count: Callable[..., None], call: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
        count(*arguments, **options)
        return call(*arguments, **options)

    def _all_reduce(self, tensors: Tensor | list[Tensor], **_: Any) -> None:
        self._round(2 * self._others * _size(tensors))

    def _gather(self, tensor: Tensor, destination: int) -> None:
        self._round(self._others * _size(tensor))

    def _round(self, sent: int) -> None:
        self.rounds += 1
        self.bytes_online += sent
        time.sleep(self._seconds)

    def _request(self, message: object, destination: int, group: Any) -> None:
        self.bytes_dealer += _pickled(message)
        self.dealer_trips += 1
        time.sleep(2 * self._seconds)  # to the dealer, and its answer back

    def _receive(self, call: Callable[..., Any], source: int, group: Any) -> Any:
        received = call(source, group)
        self.bytes_dealer += _pickled(received)
        return received

    def _answer(self, tensor: Tensor, source: int, group: Any) -> None:
        self.bytes_dealer += _size(tensor)


def _uncounted(*_: Any, **__: Any) -> NoReturn:
    raise NotImplementedError("This call of CrypTen's would not be counted.")


def _size(tensors: Tensor | Sequence[Tensor]) -> int:
    parts = [tensors] if isinstance(tensors, Tensor) else tensors
    return sum(part.nelement() * part.element_size() for part in parts)


def _pickled(message: object) -> int:
    return 4 + len(pickle.dumps(message))  # its length goes before it


def explain(case: Case, rank: int, parties: int, target: Scale) -> Tensor:
    """(d + 2,) shares of prediction, coefficients and intercept, at 2^36."""
    tensors, record = case.shares(rank, parties)
    y = _trees(case, tensors, record, rank) if case.name == "trees" else _layers(case, tensors, record)
    if target == "probability":
        y = y.sigmoid()
    first, outputs = y.share[:1, 0], y.share[1:, 0]
    return case.surrogate.operator @ torch.cat([first, outputs - first])


def _first(case: Case, weight: Tensor, record: Tensor) -> Tensor:
    """(n + 1, h) shares of all rows times weight (h, k): the product with the record once, the rest is local."""
    secret = _raw(weight)
    if case.design == "masks":
        products: Tensor = secret.mul(_raw(record)).share
        return case.public() @ products.T
    product: Tensor = secret.matmul(_raw(record[:, None])).share
    return product.T + case.public() @ weight.T


def _layers(case: Case, tensors: dict[str, Tensor], record: Tensor) -> Any:
    if case.name == "lr":
        return _rescaled(_first(case, tensors["weight"][None], record) + (tensors["bias"] << BITS))
    hidden = _rescaled(_first(case, tensors["hidden.weight"], record) + (tensors["hidden.bias"] << BITS)).relu()
    return hidden.matmul(_number(tensors["output.weight"][:, None])) + _number(tensors["output.bias"])


def _trees(case: Case, tensors: dict[str, Tensor], record: Tensor, rank: int) -> Any:
    """Every node compares in every row; then sides are chosen from the leaves upwards."""
    trees, nodes, columns = tensors["features"].shape
    values = _first(case, tensors["features"].reshape(-1, columns), record)
    right = _number(tensors["thresholds"].reshape(-1) - values)._ltz().share
    left = int(rank == 0) - right.reshape(-1, trees, nodes)
    leaves = tensors["leaves"][None]
    while leaves.shape[-1] > 1:
        level = leaves.shape[-1] // 2
        chosen = left[..., level - 1 : 2 * level - 1]  # heap order
        difference = leaves[..., 0::2] - leaves[..., 1::2]
        leaves = leaves[..., 1::2] + _raw(chosen.contiguous()).mul(_raw(difference)).share
    return _number(leaves[..., 0].sum(dim=1, keepdim=True) + tensors["base"])


def _raw(share: Tensor) -> Any:
    """Whole numbers: CrypTen truncates no product of theirs."""
    return ArithmeticSharedTensor.from_shares(share, precision=0)


def _number(share: Tensor) -> Any:
    return MPCTensor.from_shares(share, precision=BITS)


def _rescaled(share: Tensor) -> Any:
    """From 2^32 to 2^16, with CrypTen's own truncation."""
    return _number(share).div_(1 << BITS)
