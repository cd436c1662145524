"""CrypTen 0.4.1 (Knott et al., NeurIPS 2021) on this engine's mesh, dealer and primitives.

For what has no protocol of its own here: its `MPCTensor` has dozens of functions, and gradients for training. Under
them
lie five things, all of which are replaced: its communicator (gloo in clear), its providers of correlated randomness
(the default lets party 0 see every triple), its generators (MT19937), its truncation (wrong once in 2^22 for numbers of
2^42) and its sign (15 rounds). A program is an ordinary function, run by every party alike.

The explanation itself does not go through CrypTen: its products and comparisons share rounds, which blocking calls
cannot.
"""

import sys
import threading
from collections.abc import Callable, Sequence
from typing import Any, ClassVar, NoReturn, TypeVar

import torch
from torch import Tensor
from torch.distributed import ReduceOp

import compute.engine.compatibility  # noqa: F401  before CrypTen

# isort: split
import crypten
import crypten.communicator
from crypten.config import cfg
from crypten.mpc import MPCTensor
from crypten.mpc.primitives import ArithmeticSharedTensor
from crypten.mpc.provider.provider import TupleProvider

from compute.engine import arithmetic, comparison, protocol
from compute.engine.arithmetic import Party
from compute.engine.correlations import OPERATIONS, Correlation, Product, Square
from compute.engine.protocol import Exchange, Protocol, Sum
from concordat.reasons import Reason, Refused

T = TypeVar("T")


class Mesh(crypten.communicator.Communicator):  # type: ignore[misc]
    """CrypTen's communicator: one thread is one party, for as long as its program runs."""

    _local: ClassVar[threading.local] = threading.local()

    def __init__(self, party: Party, parties: int, exchange: Exchange) -> None:
        self.party, self._parties, self._exchange = party, parties, exchange

    @classmethod
    def is_initialized(cls) -> bool:
        return getattr(cls._local, "mesh", None) is not None

    @classmethod
    def get(cls) -> "Mesh":
        mesh: Mesh = cls._local.mesh
        return mesh

    def run(self, program: Callable[[], T]) -> T:
        type(self)._local.mesh = self
        try:
            return program()
        finally:
            type(self)._local.mesh = None

    def complete(self, started: Protocol[T]) -> T:
        """Drive one of this engine's protocols to its end, in the midst of CrypTen's code."""
        return protocol.run(started, self._exchange)

    def all_reduce(self, input: Any, op: Any = ReduceOp.SUM, async_op: bool = False, batched: bool = False) -> Any:
        if op != ReduceOp.SUM:
            raise _unsafe("Only sums are opened.")
        opened = self.complete(_open([input] if isinstance(input, Tensor) else input))
        return opened if batched else opened[0]

    def get_world_size(self) -> int:
        return self._parties

    def get_rank(self) -> int:
        return self.party.rank


class Provider(TupleProvider):  # type: ignore[misc]
    """What this engine's dealer has dealt. Raises Refused(PROVIDER_UNSAFE) for any other kind of randomness."""

    NAME = "concordat"

    def generate_additive_triple(self, left: Any, right: Any, op: Any, device: Any = None) -> tuple[Any, ...]:
        if op not in OPERATIONS:
            raise _unsafe("No such product is dealt.")
        return _take(Product(tuple(left), tuple(right), op))

    def square(self, size: Any, device: Any = None) -> tuple[Any, ...]:
        return _take(Square(tuple(size)))

    def generate_binary_triple(self, *_: Any, **__: Any) -> NoReturn:
        raise _unsafe("CrypTen's own binary circuits are not dealt for.")

    wrap_rng = B2A_rng = generate_binary_triple


def on_crypten(
    program: Callable[[], T],
    *,
    supply: Callable[[Callable[[Party], Protocol[Any]]], Party],
    parties: int,
    exchange: Exchange,
) -> T:
    """Run a program on CrypTen's tensors: rehearsed for its plan, dealt for by `supply`, then run with the others.

    Raises:
        Refused: PROVIDER_UNSAFE for what would need CrypTen's own protocols; what `supply` and `exchange` raise.
    """

    def start(party: Party) -> Protocol[None]:
        Mesh(party, parties, lambda mine: []).run(program)
        return None
        yield

    return Mesh(supply(start), parties, exchange).run(program)


def _open(shares: Sequence[Tensor]) -> Protocol[Sequence[Tensor]]:
    return (yield [Sum(share) for share in shares])


def _take(wanted: Correlation) -> tuple[Any, ...]:
    shares = Mesh.get().party.supply.take(wanted)
    return tuple(ArithmeticSharedTensor.from_shares(share, precision=0) for share in shares)


def _zero(*size: Any, device: Any = None) -> Any:
    shape = size[0] if len(size) == 1 and not isinstance(size[0], int) else size
    return ArithmeticSharedTensor.from_shares(Mesh.get().party.zero(tuple(shape)), precision=0)


def _divide(tensor: Any, divisor: Any) -> Any:
    """Division by a public power of two, off by less than one unit; by anything else, CrypTen's reciprocal."""
    if not isinstance(divisor, int) or divisor < 2 or divisor & (divisor - 1):
        return tensor.mul_(1 / divisor)
    mesh = Mesh.get()
    tensor.share = mesh.complete(arithmetic.truncate(mesh.party, tensor.share, divisor.bit_length() - 1))
    return tensor


def _negative(tensor: Any) -> Any:
    mesh = Mesh.get()
    return MPCTensor.from_shares(mesh.complete(comparison.is_negative(mesh.party, tensor.share, 64)), precision=0)


def _no_generator(*_: Any, **__: Any) -> NoReturn:
    raise _unsafe("CrypTen's own generators are not cryptographic.")


def _unsafe(detail: str) -> Refused:
    return Refused(Reason.PROVIDER_UNSAFE, detail=detail)


crypten.communicator.DistributedCommunicator = Mesh
# The only provider there is: CrypTen's own can no longer be chosen, by any configuration.
providers = vars(crypten.mpc)["__SUPPORTED_PROVIDERS"]
providers.clear()
providers[Provider.NAME] = Provider()
cfg.mpc.provider = Provider.NAME
cfg.encoder.precision_bits = 16
for module in [module for name, module in sys.modules.items() if name.startswith("crypten.")]:
    for generator in ("generate_random_ring_element", "generate_kbit_random_tensor"):
        if hasattr(module, generator):
            setattr(module, generator, _no_generator)
ArithmeticSharedTensor.PRZS = staticmethod(_zero)
ArithmeticSharedTensor.div_ = _divide
MPCTensor._ltz = _negative

torch.set_num_threads(1)
