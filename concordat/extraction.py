"""How much of a secret model a definition gives away: an estimate by counting, which officers sign with the definition.

Every number that an explanation opens is a function of the model, and the requester knows its own record. Once as many
numbers are opened as the model consists of, nothing speaks any more for its being secret. That is a count and no proof:
attacks may need fewer explanations. So each kind of model says besides what attacks have found that were measured
(`make bench-extraction`).

Definitions are checked for as long as their dossiers are, so the words are part of version 1 as much as the numbers
are: other words, or other measured figures, are a new version beside this one.
"""

import math
from typing import Annotated, Literal

from annotated_types import Ge
from pydantic import with_config
from typing_extensions import TypedDict

from concordat.fields import STRICT, Text
from concordat.kinds import KINDS
from concordat.kinds.kind import Shapes
from concordat.model import Manifest

CEILING = 4
"""A budget of opened numbers is within the ceiling at up to one part in so many of the model's unknown numbers."""

Count = Annotated[int, Ge(0)]


@with_config(STRICT)
class Extraction(TypedDict):
    """What a definition says of itself.

    `unknowns` is how many numbers the secret model consists of, `ceiling` how many of them should be opened at most.
    `scalars_an_explanation` are opened by one job, and the budgets allow so many `explanations`, of all requesters
    together. After `weights_after` of them the model counts as known. `statement` says so in words, for who signs.
    Canaries are counted as what they could be, a person's record: an honest requester knows their results beforehand.
    """

    v: Literal[1]
    unknowns: Count
    ceiling: Count
    scalars_an_explanation: Count
    explanations: Count
    weights_after: Count
    statement: Text


def estimate(manifest: Manifest, *, scalars: int, budget: int, jobs: int, secret_operator: bool = False) -> Extraction:
    """The estimate for explanations of one model.

    Args:
        scalars: how many numbers one job opens; at least one.
        budget: how many the definition allows altogether, and how many `jobs`.
        secret_operator: whether requesters choose the linear map of an explanation, which nobody else sees.
    """
    kind = KINDS[manifest["kind"]]
    shapes = [(tensor["name"], tuple(tensor["shape"])) for tensor in manifest["tensors"]]
    secret = unknowns(manifest["kind"], shapes)
    ceiling, explanations = secret // CEILING, min(budget // scalars, jobs)
    after = 1 if kind.told_by_one_explanation else math.ceil(secret / scalars)
    opened = scalars * explanations
    words = [
        f"An estimate by counting, not a proof; attacks may need fewer explanations. Each opens {scalars} numbers that "
        f"depend on the secret model, which consists of {secret}; those of its canaries and what-ifs are among them.",
        f"The budgets allow {explanations} explanations, so {opened} numbers; what is opened under other definitions "
        "of the model adds to them.",
    ]
    if secret_operator:
        words.append(
            "The linear map that makes an explanation is the requester's secret, and not checked: a requester that "
            "deviates has other linear functions of the model's answers to the design's rows opened, as many numbers, "
            "and may put more than one answer into a number."
        )
    if kind.told_by_one_explanation:
        words.append("One explanation tells the model.")
    else:
        words.append(f"After {after} explanations as many numbers are opened as the model consists of.")
    if explanations >= after:
        words.append("These budgets do not keep the model secret from requesters who put their results together.")
    elif opened > ceiling:
        words.append(f"These budgets exceed the ceiling of {ceiling} opened numbers, a quarter of the model's.")
    else:
        words.append(f"These budgets stay within the ceiling of {ceiling} opened numbers, a quarter of the model's.")
    words.append(kind.measured or "Not measured: nobody has attacked a model of this kind here.")
    return {
        "v": 1,
        "unknowns": secret,
        "ceiling": ceiling,
        "scalars_an_explanation": scalars,
        "explanations": explanations,
        "weights_after": after,
        "statement": " ".join(words),
    }


def unknowns(kind: str, shapes: Shapes) -> int:
    """How many numbers a model of these tensors consists of. The choice of a feature, a row with a single 1 in it, is
    one of them, so that this is fewer than the `parameters` in the manifest of trees."""
    choices = KINDS[kind].whole
    return sum(math.prod(shape[:-1] if name in choices else shape) for name, shape in shapes)
