"""From a design to the rows that the engine computes on: the record itself first, then the perturbed ones.

The two of a pair stand next to each other, so that they are in one block (`order`).
"""

import numpy as np
import torch

from compute.engine.arithmetic import Share
from compute.engine.rows import Given, Masked, Private, Rows, Shifted, Stacked
from concordat.design import MaskDesign, Plan, SlopeDesign, TabularDesign


def rows_of(design: Plan, record: Share) -> Rows:
    """(n + 1, k) rows of the secret record (k,) at 2^16."""
    rows = order(design.n, mirrored=design.mirrored)
    match design:
        case MaskDesign():
            return Masked(record, _below(1, design.column_masks[rows]))
        case SlopeDesign():
            return Shifted(record, _below(0, design.offsets[rows]))
        case TabularDesign():
            return Stacked((Private(record[None]), Given(torch.from_numpy(design.rows))))
    raise TypeError(f"the engine has no rows for a {type(design).__name__}")


def order(n: int, *, mirrored: bool) -> np.ndarray[tuple[int, ...], np.dtype[np.int64]]:
    """(n,) in which order a design's perturbed records are computed: if mirrored 0, n/2, 1, n/2 + 1, …"""
    return np.arange(n).reshape(2, -1).T.ravel() if mirrored else np.arange(n)


def _below(own: int, public: np.ndarray[tuple[int, ...], np.dtype[np.int64]]) -> torch.Tensor:
    """`public` (n, k) under a row of `own`, which leaves the record as it is."""
    return torch.from_numpy(np.vstack([np.full_like(public[:1], own), public]))
