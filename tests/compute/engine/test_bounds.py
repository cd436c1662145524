"""What the requester takes for a failed computation is what the engine's arithmetic makes of one, and nothing else."""

import numpy as np
import pytest

from compute.engine.arithmetic import TRUNCATED
from compute.engine.lime import DEVIATION_BITS, SCALE, SIZE
from compute.engine.sigmoid import clamped
from concordat.design import OPERATOR_BITS, WEIGHT_BITS
from concordat.outputs import PROBABILITY_ERROR, WRAPPED
from tests.compute.engine.test_primitives import logistic

MODULUS = 1 << 64


@pytest.mark.parametrize("target", list(SCALE))
def test_a_failed_truncation_is_off_by_so_much(target):
    numbers, squares = WRAPPED[target]
    assert MODULUS / 2 ** (SCALE[target] + OPERATOR_BITS) == numbers
    assert MODULUS / 2 ** (2 * DEVIATION_BITS[target] + WEIGHT_BITS) == squares


@pytest.mark.parametrize("target", list(SCALE))
def test_what_the_engine_allows_is_a_quarter_of_it_at_most(target):
    """Coefficients lie below the largest operator row that `Surrogate.check` lets pass, times the outputs' size."""
    numbers, squares = WRAPPED[target]
    assert 2**TRUNCATED / 2 ** (SCALE[target] + OPERATOR_BITS) <= numbers / 4
    rows = 10_000
    assert rows * SIZE[target] ** 2 <= squares / 4  # no variance exceeds the square of half the range


def test_the_logistic_function_stays_within_the_error_that_is_allowed_for():
    numbers = np.concatenate([np.linspace(-256, 256, 4001), np.linspace(-14, 14, 2001)])
    result, _ = logistic(numbers, protocol=clamped)
    assert result.min() >= -PROBABILITY_ERROR
    assert result.max() <= 1 + PROBABILITY_ERROR
