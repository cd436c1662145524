"""Public circuits of ANDs over secret bits: which products of masks they need, and how they are evaluated.

For wires b opened as e = b ⊕ a, an AND of wires is a sum over the subsets of its masks, Π b = Σ_S Π_{w∉S} e_w · a_S
(Beaver's trick for more than two factors). With shares of the products a_S dealt beforehand, ANDs of any width cost one
opened bit a wire, and all of them one round.
"""

from dataclasses import dataclass
from functools import cache, cached_property
from itertools import combinations
from typing import Literal

import torch
from torch import Tensor

Width = Literal[24, 48, 64]
"""Bits of a compared number: as many 4-bit digits as the trees below combine without waste."""

_DIGITS = {24: 6, 48: 12, 64: 16}


@dataclass(frozen=True)
class Circuit:
    """Each of `terms` is the AND of the wires that it names; ``~w`` stands for the negation of wire w."""

    wires: int
    terms: tuple[tuple[int, ...], ...]

    @cached_property
    def products(self) -> tuple[tuple[int, ...], ...]:
        """The subsets of two wires and more of which products of masks are needed, each once."""
        subsets = {
            chosen
            for term in self.terms
            for size in range(2, len(term) + 1)
            for chosen in combinations(sorted(map(_wire, term)), size)
        }
        return tuple(sorted(subsets, key=lambda chosen: (len(chosen), chosen)))

    def multiply(self, masks: Tensor) -> Tensor:
        """(wires, …) masks to their (products, …); for the dealer, who knows them."""
        known: dict[tuple[int, ...], Tensor] = {(wire,): masks[wire] for wire in range(self.wires)}
        for chosen in self.products:
            known[chosen] = known[chosen[:-1]] & masks[chosen[-1]]
        return torch.stack([known[chosen] for chosen in self.products]) if self.products else masks[:0]

    def evaluate(self, opened: Tensor, masks: Tensor, products: Tensor, *, first: bool) -> list[Tensor]:
        """Shares of every term, from the opened wires e and shares of masks and products. Local.

        `first` is true at party 0 alone, which adds what is public.
        """
        shares: dict[tuple[int, ...], Tensor] = {(wire,): masks[wire] for wire in range(self.wires)}
        shares |= dict(zip(self.products, products, strict=True))
        shares[()] = torch.full_like(opened[0], int(first))

        def expand(term: tuple[int, ...], chosen: tuple[int, ...]) -> Tensor:
            if not term:
                return shares[tuple(sorted(chosen))]
            literal, rest = term[0], term[1:]
            e = opened[_wire(literal)] ^ int(literal < 0)
            return (e & expand(rest, chosen)) ^ expand(rest, (*chosen, _wire(literal)))

        return [expand(term, ()) for term in self.terms]


def digits(bits: Width) -> int:
    """How many 4-bit digits the low bits-1 bits have."""
    return _DIGITS[bits]


def split_digits(v: Tensor, bits: Width) -> Tensor:
    """(…) ring elements to the (digits, …) of their low bits-1 bits, the highest first (int32)."""
    low = v & ((1 << (bits - 1)) - 1)
    places = range(4 * (digits(bits) - 1), -1, -4)
    return torch.stack([(low >> place) & 15 for place in places]).to(torch.int32)


@cache
def levels(bits: Width) -> tuple[tuple[Circuit, int], ...]:
    """The circuits that combine the digits' comparisons, level by level, each with its number of groups."""
    if bits == 24:
        return ((_lexicographic(6, last=True), 1),)
    groups = digits(bits) // 4
    return (_lexicographic(4, last=False), groups), (_lexicographic(groups, last=True), 1)


@cache
def tree(depth: int) -> Circuit:
    """The paths of a complete binary tree to its 2^depth leaves, from left to right; wire n, in heap order, is one
    where node n goes left."""
    return Circuit((1 << depth) - 1, tuple(_path(leaf, depth) for leaf in range(1 << depth)))


PAIR = Circuit(2, ((0, 1),))


def _lexicographic(fan_in: int, *, last: bool) -> Circuit:
    """Of digits 0 … f-1: eq_0 … eq_(i-1) · lt_i for i from 1, then (unless it is the last level) all eq.

    Wires: eq_0 … eq_(f-2), lt_1 … lt_(f-1), then (unless last) eq_(f-1).
    """
    below = [(*range(i), fan_in - 2 + i) for i in range(1, fan_in)]
    equal = [] if last else [(*range(fan_in - 1), 2 * fan_in - 2)]
    return Circuit(2 * fan_in - 2 + len(equal), (*below, *equal))


def _path(leaf: int, depth: int) -> tuple[int, ...]:
    node, literals = 0, []
    for level in range(depth - 1, -1, -1):
        right = leaf >> level & 1
        literals.append(~node if right else node)
        node = 2 * node + 1 + right
    return tuple(literals)


def _wire(literal: int) -> int:
    return ~literal if literal < 0 else literal
