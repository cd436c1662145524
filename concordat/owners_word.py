"""What holds for every statement of a model's owner about one of its models: whose it is, about which, and when."""

from collections.abc import Mapping
from datetime import datetime
from typing import TypeVar

from concordat import clock
from concordat.documents import CLOCK_SKEW
from concordat.reasons import Reason, Refused

T = TypeVar("T", bound=Mapping[str, object])


def check_owner(statement: T, *, name: str, model: str, owner: str) -> T:
    """The statement, if it is about this model and says that its owner makes it.

    Args:
        name: what the statement is called, as a field.

    Raises:
        Refused: DIGEST_MISMATCH for another model, WRONG_INSTITUTION for one that does not own it.
    """
    if statement["model"] != model:
        raise Refused(Reason.DIGEST_MISMATCH, detail="The statement is about another model.", field=f"{name}.model")
    if statement["institution"] != owner:
        detail = "Such a statement about a model is its owner's."
        raise Refused(Reason.WRONG_INSTITUTION, detail=detail, field=f"{name}.institution")
    return statement


def check_not_future(time: str, now: datetime, *, field: str) -> None:
    """Raises Refused(FIELD_INVALID) for a statement that says it was signed later than now."""
    if clock.parse(time) - now > CLOCK_SKEW:
        raise Refused(Reason.FIELD_INVALID, detail="It comes from the future; compare the clocks.", field=field)
