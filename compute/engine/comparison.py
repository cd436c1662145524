"""Signs of secret numbers: a masked opening, then one-time truth tables.

x is opened as z = x + r. Its sign is z_top ⊕ r_top ⊕ [z_low < r_low]. The dealer has shared, for each 4-bit digit of r,
the truth tables of [v < r_j] and [v = r_j]: each party looks up its share at the public digit of z (one-time truth
tables: Ishai, Kushilevitz, Meldgaard, Orlandi, Paskin-Cherniavsky, TCC 2013). The digits are combined from the highest
down by ANDs of up to six wires a round (`circuits`). This works for any number of parties and keeps the dealer's
threshold.

Each opened value is masked by a uniform r or a uniform bit that serves once: a view shows uniform values only.
"""

import numpy as np
import torch
from torch import Tensor

from compute.engine import circuits
from compute.engine.arithmetic import Party, Share
from compute.engine.circuits import PAIR, Width
from compute.engine.correlations import DEEPEST, Choice, Comparison, Conjunction
from compute.engine.protocol import Protocol, Sum, Xor, parallel

Bits = Tensor
"""This party's uint8 share of secret bits; the bits are the exclusive or over the parties."""


def negative(party: Party, x: Share, bits: Width) -> Protocol[Bits]:
    """[x < 0] for x in [-2^(bits-1), 2^(bits-1)), which at 64 bits is every x. 3 rounds, at 24 bits 2."""
    r, *parts = party.supply.take(Comparison(tuple(x.shape), bits, "bit"))
    (z,) = yield [Sum(x + r, bits)]
    return (yield from _sign(party, z, parts, bits))


def is_negative(party: Party, x: Share, bits: Width) -> Protocol[Share]:
    """The same as a ring element, 0 or 1: one round more."""
    r, *parts = party.supply.take(Comparison(tuple(x.shape), bits, "number"))
    (z,) = yield [Sum(x + r, bits)]
    rho, lifted = parts.pop(len(circuits.levels(bits))), parts.pop()
    sign = yield from _sign(party, z, parts, bits)
    (e,) = yield [Xor(sign ^ rho)]
    return party.public(e.to(torch.int64)) + (1 - 2 * e.to(torch.int64)) * lifted


def relu(party: Party, x: Share, bits: Width) -> Protocol[Share]:
    """max(x, 0), exact, for x in [-2^(bits-1), 2^(bits-1)). The product with the sign reuses the masked opening:
    with b = [x ≥ 0] opened as e = b ⊕ ρ, b·x = e·x + (1 - 2e)·ρ·(z - r). 4 rounds, at 24 bits 3."""
    r, *parts = party.supply.take(Comparison(tuple(x.shape), bits, "gate"))
    (z,) = yield [Sum(x + r)]
    rho = parts.pop(len(circuits.levels(bits)))
    masked, lifted = parts.pop(), parts.pop()
    sign = yield from _sign(party, z, parts, bits)
    (not_e,) = yield [Xor(sign ^ rho)]
    e = 1 - not_e.to(torch.int64)
    return e * x + (1 - 2 * e) * (z * lifted - masked)


def both(party: Party, a: Bits, b: Bits) -> Protocol[Bits]:
    """a AND b; one round."""
    shape = np.broadcast_shapes(a.shape, b.shape)
    wires = torch.stack([a.expand(shape), b.expand(shape)])
    masks, products = party.supply.take(Conjunction(tuple(wires.shape[1:]), 0))
    (opened,) = yield [Xor(wires ^ masks)]
    return PAIR.evaluate(opened, masks, products, first=party.first)[0]


def leaves(party: Party, left: Bits, depth: int) -> Protocol[Bits]:
    """Which leaf each tree ends in: (nodes, …) bits that say *go left*, in heap order, to (2^depth, …).

    One round for trees of up to `DEEPEST` levels; a deeper one is cut into an upper part and the subtrees below it, and
    costs a round more for each cut.
    """
    if depth > DEEPEST:
        return (yield from _deep_leaves(party, left, depth - DEEPEST))
    masks, products = party.supply.take(Conjunction(tuple(left.shape[1:]), depth))
    (opened,) = yield [Xor(left ^ masks)]
    return torch.stack(circuits.tree(depth).evaluate(opened, masks, products, first=party.first))


def _deep_leaves(party: Party, left: Bits, top: int) -> Protocol[Bits]:
    roots = np.arange(1 << top) + (1 << top) - 1
    below = [(roots + 1) * (1 << level) - 1 + offset for level in range(DEEPEST) for offset in range(1 << level)]
    parts = yield from parallel(
        {
            "upper": leaves(party, left[: (1 << top) - 1], top),
            "lower": leaves(party, left[np.stack(below)], DEEPEST),
        }
    )
    reached = yield from both(party, parts["upper"][:, None], parts["lower"].transpose(0, 1))
    return reached.reshape(-1, *left.shape[1:])


def choose(party: Party, chosen: Bits, values: Share) -> Protocol[Share]:
    """(rows,) sums of the `values` (choices,) that the bits `chosen` (rows, choices) choose; one round.

    The values are masked and opened once for all rows: with v = δ + ω and e = b ⊕ ρ both public but for ω and ρ,
    b·v = e·v + (1 - 2e)·(δ·ρ + ρω).
    """
    rho, omega, lifted, both = party.supply.take(Choice(*chosen.shape))
    opened, delta = yield [Xor(chosen ^ rho), Sum(values - omega)]
    e = opened.to(torch.int64)
    return (e * values + (1 - 2 * e) * (delta * lifted + both)).sum(dim=1)


def _sign(party: Party, z: Tensor, parts: list[Tensor], bits: Width) -> Protocol[Bits]:
    levels = circuits.levels(bits)
    masks, (below, equal, top), products = (
        parts[: len(levels)],
        parts[len(levels) : len(levels) + 3],
        parts[-len(levels) :],
    )
    digits = circuits.split_digits(z, bits)
    lt, eq = (((table >> digits) & 1).to(torch.uint8) for table in (below, equal))
    for (circuit, groups), mask, product in zip(levels, masks, products, strict=True):
        lt, eq = (part.reshape(groups, -1, *z.shape).transpose(0, 1) for part in (lt, eq))
        last = circuit.wires % 2 == 0
        wires = torch.cat([eq[:-1], lt[1:], *([] if last else [eq[-1:]])])
        (opened,) = yield [Xor(wires ^ mask)]
        terms = circuit.evaluate(opened, mask, product, first=party.first)
        lt, eq = lt[0], terms[-1]
        for term in terms[: len(wires) // 2]:
            lt = lt ^ term
    public = ((z >> (bits - 1)) & 1).to(torch.uint8)
    return lt[0] ^ top ^ party.public(public)
