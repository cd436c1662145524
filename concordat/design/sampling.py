"""LIME's tabular samplers, row for row: the draws of `LimeTabularExplainer` (lime 0.2.0.1) under the same random state.

`lime` draws its rows from the training data alone. The record that is explained decides what they are compared with,
and not what they are; the one row that depends on it is the record itself, the first, whose draws are made and thrown
away. So the rows are the same for all records, and may be public.

numpy's `RandomState` is frozen (NEP 19): a seed gives the same numbers for ever. What `lime` makes of them is floating
point (a quantile of scipy's), and may differ in a last bit between machines.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from concordat.design.common import Floats, Whole
from concordat.design.training import Levels, Quartiles, Sampler, Statistics

SEEDS = 1 << 32
"""`RandomState` takes a seed below."""


@dataclass(frozen=True)
class Drawn:
    """The rows after the record's own: `codes` (samples - 1, d), a number for each feature (`training.codes`), and
    `bins` (samples - 1, d), what was chosen of each feature: a number's bin, or a level. A number that is drawn from
    one Gaussian has no bin: 0."""

    codes: Floats
    bins: Whole


def draw(statistics: Sequence[Statistics], *, samples: int, sampler: Sampler, seed: int) -> Drawn:
    """What `explain_instance(num_samples=samples)` draws first from ``RandomState(seed)``."""
    state = np.random.RandomState(seed)
    codes = np.zeros((samples, len(statistics)))
    bins = np.zeros((samples, len(statistics)), dtype=np.int64)
    if sampler == "gaussian":
        codes = state.normal(0, 1, codes.size).reshape(codes.shape)
    for place, each in enumerate(statistics):
        if each["kind"] == "gaussian":
            codes[:, place] = codes[:, place] * float(each["deviation"]) + float(each["mean"])
        else:
            bins[:, place] = _choose(state, each, samples)
            codes[:, place] = bins[:, place]
    codes, bins = codes[1:], bins[1:]
    for place, each in enumerate(statistics):
        if each["kind"] == "quartiles":
            codes[:, place] = _within(state, each, bins[:, place])
    return Drawn(codes, bins)


def _choose(state: np.random.RandomState, of: Quartiles | Levels, samples: int) -> Whole:
    counts = np.array(of["counts"])
    (seen,) = counts.nonzero()
    return state.choice(seen, size=samples, replace=True, p=counts[seen] / float(counts.sum()))


def _within(state: np.random.RandomState, of: Quartiles, bins: Whole) -> Floats:
    """A number from each bin's truncated Gaussian. Where a bin has no width, `lime` takes its end as it has it, in
    standard deviations from the mean: zero, or nearly. So do we."""
    from scipy.stats import truncnorm  # a second, which who draws nothing does not have to wait

    ends = [float(end) for end in (of["lowest"], *of["boundaries"], of["highest"])]
    means, deviations = np.array(of["means"], dtype=np.float64), np.array(of["deviations"], dtype=np.float64)
    low = ((np.array(ends[:-1]) - means) / deviations)[bins]
    high = ((np.array(ends[1:]) - means) / deviations)[bins]
    wide = low != high
    values, chosen = low.copy(), bins[wide]
    quantiles = truncnorm.ppf(state.uniform(size=len(chosen)), low[wide], high[wide])
    values[wide] = quantiles * deviations[chosen] + means[chosen]
    return values
