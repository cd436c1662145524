"""A party's own noise: whole numbers, normal, and from its key alone."""

import numpy as np
import torch
from scipy import stats

from compute.engine.noise import gaussian
from compute.engine.streams import Stream


def test_it_is_normal_with_its_deviation():
    drawn = gaussian(Stream(bytes(32)), 50_000, 5000.0)
    assert drawn.dtype == torch.int64
    assert stats.kstest(drawn.numpy() / 5000, "norm").pvalue > 1e-3
    assert abs(drawn.double().mean()) < 5 * 5000 / np.sqrt(50_000)


def test_a_small_one_is_rounded_and_has_no_other_values():
    assert set(gaussian(Stream(bytes(32)), 1000, 0.5).tolist()) <= set(range(-4, 5))


def test_other_keys_draw_others():
    first, second = (gaussian(Stream(bytes([each]) * 32), 1000, 1e6).double() for each in (1, 2))
    assert abs(np.corrcoef(first, second)[0, 1]) < 0.15
    assert torch.equal(gaussian(Stream(bytes([1]) * 32), 1000, 1e6).double(), first)
