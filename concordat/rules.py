"""Relations that hold between two numbers of every patient, such as systolic above diastolic blood pressure."""

from collections.abc import Mapping
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel

from concordat.fields import STRICT, Slug
from concordat.reasons import Reason, Refused

_ROUNDING = 1e-9
"""Values are decoded from standardised ones: relative to their size, a smaller difference is none."""


class Rule(BaseModel, frozen=True):
    """`left` is above, or not below, `right`: two features with one unit."""

    model_config = STRICT
    left: Slug
    relation: Literal[">", ">="]
    right: Slug

    def __str__(self) -> str:
        return f"{self.left} {self.relation} {self.right}"

    def broken(self, left: NDArray[np.float64], right: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Where values (n,) of the two, in their unit, do not stand so."""
        slack = _ROUNDING * np.maximum(np.abs(left), np.abs(right))
        return left - right <= slack if self.relation == ">" else left - right < -slack

    def check(self, numbers: Mapping[str, tuple[str, float | None]]) -> None:
        """Whether the rule can be one of a schema, given unit and reference value of its numbers by name.

        Raises:
            Refused: FIELD_INVALID.
        """
        if self.left == self.right or not {self.left, self.right} <= set(numbers):
            detail = f"A rule relates two numbers: {self}."
        elif numbers[self.left][0] != numbers[self.right][0]:
            detail = f"A rule relates numbers of one unit: {self}."
        elif not self.holds({name: centre for name, (_, centre) in numbers.items()}):
            detail = f"The reference record breaks a rule: {self}."
        else:
            return
        raise Refused(Reason.FIELD_INVALID, detail=detail, field="rules")

    def holds(self, values: Mapping[str, object]) -> bool:
        """Whether two numbers stand so, of values by feature name."""
        left, right = (np.array([values[name]], dtype=np.float64) for name in (self.left, self.right))
        return not self.broken(left, right).any()
