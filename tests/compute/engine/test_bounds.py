"""What the requester takes for a failed computation is what the engine's arithmetic makes of one, and nothing else."""

import numpy as np
import pytest
import torch

from compute.engine import lifting
from compute.engine.arithmetic import TRUNCATED
from compute.engine.lime import LEAST_BITS, SCALE, Surrogate
from compute.engine.sigmoid import clamped
from concordat.design import LARGEST_DIFFERENCE, OPERATOR_BITS, WEIGHT_BITS
from concordat.outputs import LARGEST, LARGEST_SQUARES, PROBABILITY_ERROR
from concordat.reasons import Refused
from tests.compute.engine.test_primitives import logistic

MODULUS = 1 << 64


def surrogate(row_sum):
    """Of a design with one group, whose operator's rows have this sum at 2^20."""
    operator = torch.tensor([[row_sum // 2, row_sum - row_sum // 2], [0, 0]])
    return Surrogate.of_arrays(operator, torch.full((2,), 1 << WEIGHT_BITS))


@pytest.mark.parametrize("target", list(SCALE))
def test_the_engine_refuses_a_design_whose_coefficients_might_be_taken_for_failures(target):
    row_sum = (int(LARGEST[target]) << OPERATOR_BITS) // LARGEST_DIFFERENCE[target]
    surrogate(row_sum - 1).check(target)
    with pytest.raises(Refused, match="too large"):
        surrogate(row_sum).check(target)


@pytest.mark.parametrize("target", list(SCALE))
def test_a_failed_truncation_is_off_by_more_than_what_is_allowed(target):
    bits = SCALE[target] - lifting.BITS
    assert MODULUS / 2 ** (bits + OPERATOR_BITS) >= 2 * LARGEST[target]
    assert 2**TRUNCATED / 2 ** (2 * LEAST_BITS + WEIGHT_BITS) <= LARGEST_SQUARES


def test_the_logistic_function_stays_within_the_error_that_is_allowed_for():
    numbers = np.concatenate([np.linspace(-256, 256, 4001), np.linspace(-14, 14, 2001)])
    result, _ = logistic(numbers, protocol=clamped)
    assert result.min() >= -PROBABILITY_ERROR
    assert result.max() <= 1 + PROBABILITY_ERROR
