"""Correlated randomness: the kinds that a plan may name, and what the dealer computes for each.

A correlation has *free* parts, uniform and independent, and *bound* parts, functions of the free ones. Every party
expands its shares of all parts from its own stream, whose key the dealer gave it; only party 0's shares of the bound
parts are corrected, by what the dealer sends it (Boyle et al., CCS 2018, for pseudo-random correlations from seeds).
Shares of any n-1 parties are then independent of every part.

A plan is data: a list of these, checked field by field. It says shapes and nothing else.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import KW_ONLY
from typing import Annotated, Literal, NamedTuple

import numpy as np
import torch
from annotated_types import Ge, Le, Len
from pydantic import ConfigDict, Field, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass
from torch import Tensor

from compute.engine import circuits
from compute.engine.circuits import Width
from concordat.definition import MOST_RECORDS
from concordat.reasons import Reason, Refused

DEEPEST = 4
"""Levels of a tree whose paths one conjunction gives."""

LARGEST = 1 << 28
"""Elements in one part: 2 GB of ring elements."""

Size = Annotated[tuple[Annotated[int, Ge(0), Le(LARGEST)], ...], Len(0, 6)]
_config = ConfigDict(extra="forbid", strict=True)


class Part(NamedTuple):
    """One tensor of a correlation. Ring elements are shared by addition modulo 2^`bits`; bits and 16-bit tables by
    exclusive or."""

    group: Literal["ring", "bits", "tables"]
    shape: tuple[int, ...]
    bits: int = 64


@dataclass(frozen=True, config=_config)
class Product:
    """a, b uniform; c = a·b, for one product of two secrets (Beaver, CRYPTO '91)."""

    left: Size
    right: Size
    op: Literal["mul", "matmul"] = "mul"
    _: KW_ONLY
    kind: Literal["product"] = "product"

    def free(self) -> list[Part]:
        return [Part("ring", self.left), Part("ring", self.right)]

    def bound(self) -> list[Part]:
        return [Part("ring", self._shape())]

    def relate(self, a: Tensor, b: Tensor) -> list[Tensor]:
        return [OPERATIONS[self.op](a, b)]

    def _shape(self) -> tuple[int, ...]:
        try:
            if self.op == "mul":
                return np.broadcast_shapes(self.left, self.right)
            (rows, inner), (same, columns) = self.left, self.right
        except ValueError:
            inner, same = 0, 1
        if inner != same:
            raise Refused(Reason.FIELD_INVALID, detail="These shapes have no product.", field="plan")
        return rows, columns


@dataclass(frozen=True, config=_config)
class Square:
    """r uniform; r²."""

    size: Size
    _: KW_ONLY
    kind: Literal["square"] = "square"

    def free(self) -> list[Part]:
        return [Part("ring", self.size)]

    def bound(self) -> list[Part]:
        return [Part("ring", self.size)]

    def relate(self, r: Tensor) -> list[Tensor]:
        return [r * r]


@dataclass(frozen=True, config=_config)
class Truncation:
    """r uniform; r ≫ bits, and the top bit of r as a ring element (Escudero et al., CRYPTO 2020)."""

    size: Size
    bits: Annotated[int, Ge(1), Le(62)]
    _: KW_ONLY
    kind: Literal["truncation"] = "truncation"

    def free(self) -> list[Part]:
        return [Part("ring", self.size)]

    def bound(self) -> list[Part]:
        return [Part("ring", self.size), Part("ring", self.size)]

    def relate(self, r: Tensor) -> list[Tensor]:
        return [shift(r, self.bits), shift(r, 63)]


@dataclass(frozen=True, config=_config)
class Lift:
    """r uniform below 2^32; r itself as an element of the large ring, its top bit t, s = r ≫ bits, s², and t·s (see
    `lifting`)."""

    size: Size
    bits: Annotated[int, Ge(1), Le(30)]
    _: KW_ONLY
    kind: Literal["lift"] = "lift"

    def free(self) -> list[Part]:
        return [Part("ring", self.size)]

    def bound(self) -> list[Part]:
        return [Part("ring", self.size)] * 5

    def relate(self, mask: Tensor) -> list[Tensor]:
        r = mask & ((1 << 32) - 1)
        top, high = r >> 31, r >> self.bits
        return [r, top, high, high * high, top * high]


@dataclass(frozen=True, config=_config)
class Comparison:
    """For the sign of a number below 2^(bits-1): r uniform; by 4-bit digits of r the truth tables of [v < r_j] and
    [v = r_j]; the top bit of r; and products of uniform bits, to combine the digits (see `comparison`).

    Where the sign is wanted as a `number`, also a uniform bit ρ, shared in both ways; where it opens a `gate`, ρ·r too.
    """

    size: Size
    bits: Width
    use: Literal["bit", "number", "gate"]
    _: KW_ONLY
    kind: Literal["comparison"] = "comparison"

    def free(self) -> list[Part]:
        masks = [Part("bits", (circuit.wires, groups, *self.size)) for circuit, groups in circuits.levels(self.bits)]
        return [Part("ring", self.size), *masks, *[Part("bits", self.size)] * (self.use != "bit")]

    def bound(self) -> list[Part]:
        tables = Part("tables", (circuits.digits(self.bits), *self.size))
        products = [
            Part("bits", (len(circuit.products), groups, *self.size)) for circuit, groups in circuits.levels(self.bits)
        ]
        lifted = {"bit": 0, "number": 1, "gate": 2}[self.use]
        return [tables, tables, Part("bits", self.size), *products, *[Part("ring", self.size)] * lifted]

    def relate(self, r: Tensor, *free: Tensor) -> list[Tensor]:
        digits = circuits.split_digits(r, self.bits)
        one = torch.ones_like(digits)
        top = ((r >> (self.bits - 1)) & 1).to(torch.uint8)
        levels = circuits.levels(self.bits)
        products = [circuit.multiply(masks) for (circuit, _), masks in zip(levels, free[: len(levels)], strict=True)]
        rho = [bit.to(torch.int64) for bit in free[len(levels) :]]
        gate = [bit * r for bit in rho] if self.use == "gate" else []
        return [(one << digits) - 1, one << digits, top, *products, *rho, *gate]


@dataclass(frozen=True, config=_config)
class Conjunction:
    """Uniform bits for a circuit's wires, and the products of them that it needs. `circuit`: 0 is the AND of a pair,
    another number the paths of a tree of that depth."""

    size: Size
    circuit: Annotated[int, Ge(0), Le(DEEPEST)]
    _: KW_ONLY
    kind: Literal["conjunction"] = "conjunction"

    @property
    def named(self) -> circuits.Circuit:
        return circuits.tree(self.circuit) if self.circuit else circuits.PAIR

    def free(self) -> list[Part]:
        return [Part("bits", (self.named.wires, *self.size))]

    def bound(self) -> list[Part]:
        return [Part("bits", (len(self.named.products), *self.size))]

    def relate(self, masks: Tensor) -> list[Tensor]:
        return [self.named.multiply(masks)]


@dataclass(frozen=True, config=_config)
class Choice:
    """Uniform bits ρ (rows, choices) and uniform ω (choices,); ρ as ring elements, and ρ·ω."""

    rows: Annotated[int, Ge(0)]
    choices: Annotated[int, Ge(0)]
    _: KW_ONLY
    kind: Literal["choice"] = "choice"

    def free(self) -> list[Part]:
        return [Part("bits", (self.rows, self.choices)), Part("ring", (self.choices,))]

    def bound(self) -> list[Part]:
        return [Part("ring", (self.rows, self.choices))] * 2

    def relate(self, rho: Tensor, omega: Tensor) -> list[Tensor]:
        return [rho.to(torch.int64), rho * omega]


@dataclass(frozen=True, config=_config)
class Harmonics:
    """r uniform below 2^32, a whole turn; cos and sin of the odd multiples r, 3r, … at 2^17, shared modulo 2^40 (see
    `sigmoid`)."""

    size: Size
    count: Annotated[int, Ge(1), Le(64)]
    _: KW_ONLY
    kind: Literal["harmonics"] = "harmonics"

    def free(self) -> list[Part]:
        return [Part("ring", self.size)]

    def bound(self) -> list[Part]:
        return [Part("ring", (self.count, *self.size), 40)] * 2

    def relate(self, r: Tensor) -> list[Tensor]:
        odd, turn = torch.arange(1, 2 * self.count, 2).reshape(-1, *[1] * r.dim()), (1 << 32) - 1
        angles = ((odd * (r & turn)) & turn).to(torch.float64) * (2 * math.pi / (1 << 32))
        return [torch.round(table * (1 << 17)).to(torch.int64) for table in (torch.cos(angles), torch.sin(angles))]


Correlation = Product | Square | Truncation | Lift | Comparison | Conjunction | Choice | Harmonics
OPERATIONS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {"mul": torch.mul, "matmul": torch.matmul}


@dataclass(frozen=True, config=_config)
class _Wanted:
    plan: Annotated[tuple[Annotated[Correlation, Field(discriminator="kind")], ...], Len(0, 1000)]
    runs: Annotated[int, Ge(1), Le(MOST_RECORDS)]


_WANTED: TypeAdapter[_Wanted] = TypeAdapter(_Wanted)


def encode(plan: Sequence[Correlation], runs: int) -> bytes:
    """A plan, and for how many runs of the protocol it is wanted, as JSON."""
    return _WANTED.dump_json(_Wanted(tuple(plan), runs))


def decode(data: bytes) -> tuple[tuple[Correlation, ...], int]:
    """Plan and runs behind `data`. Parties and dealer see the same bytes, and nothing in them is ever called by name.

    Raises:
        Refused: FIELD_INVALID for anything that is no plan, or that names a part too large to be dealt.
    """
    try:
        wanted = _WANTED.validate_json(data, strict=True)
    except ValidationError as error:
        raise Refused(Reason.FIELD_INVALID, detail="This is no plan of correlated randomness.", field="plan") from error
    if any(math.prod(part.shape) > LARGEST for each in wanted.plan for part in (*each.free(), *each.bound())):
        raise Refused(Reason.FIELD_INVALID, detail="A part of the plan is too large.", field="plan")
    return wanted.plan, wanted.runs


def shift(v: Tensor, bits: int) -> Tensor:
    """v ≫ bits of the 64-bit pattern, without its sign."""
    return (v >> bits) & ((1 << (64 - bits)) - 1)
