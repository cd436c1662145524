"""The institution's own word on what its node may do, in `policy.json`. Without that file the node refuses everything.

Nobody but the institution writes this file. It narrows what the votes allow, and never widens it: removing a
definition here stops the node at once, whatever the coordinator or the chain say.
"""

from pathlib import Path
from typing import Annotated, Literal, NotRequired

from annotated_types import Ge, Le
from pydantic import Field, with_config
from typing_extensions import TypedDict

from concordat import canonical
from concordat.definition import Definition
from concordat.fields import STRICT, DecimalText, Digest, Slug, Text, read
from concordat.files import about
from concordat.legal_basis import Ground
from concordat.reasons import Reason, Refused


@with_config(STRICT)
class Policy(TypedDict):
    """A definition is allowed if its digest or its study is listed. An empty list allows nothing.

    `grounds`: the legal grounds on which records may be used here. A request's is the one that the protocol states, but
    what a ground other than consent asks for, such as a board's findings, only the coordinator checks: list what you
    trust it with.

    `chain`: whether a job must wait until the registry contract confirms the approvals ("required"), or whether the
    contract is believed only when it says no, and a chain that cannot be asked decides nothing ("hint").

    `audits` and `trainings`: under which definitions the institution brings rows of its own; in a file without them,
    under none. `cohort_days` lie between two of them, under whichever definitions; 28 in a file without it. `epsilon`
    is what all trainings together may tell of a person (`concordat.training_privacy`); 10 in a file without it.

    `paper`: whether a board's approval on paper, which one of its officers attests and nobody can verify, is enough.
    """

    definitions: list[Digest]
    studies: list[Text]
    requesters: list[Slug]
    purposes: list[Text]
    grounds: list[Annotated[Ground, Field(strict=False)]]
    jobs_a_day: Annotated[int, Ge(0)]
    chain: Literal["required", "hint"]
    paper: Literal["refuse", "accept"]
    audits: NotRequired[list[Digest]]
    trainings: NotRequired[list[Digest]]
    cohort_days: NotRequired[Annotated[int, Ge(0), Le(3650)]]
    epsilon: NotRequired[DecimalText]


def load(path: Path) -> Policy:
    """The policy in force now: the file is read afresh for every ticket.

    Raises:
        Refused: POLICY_MISSING without a file; what :func:`concordat.fields.read` refuses for a malformed one.
    """
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise Refused(Reason.POLICY_MISSING) from None
    with about(path.name):
        return read(canonical.decode(content), Policy)


def check(
    policy: Policy,
    *,
    digest: str,
    definition: Definition,
    requester: str,
    purpose: str,
    ground: Ground,
    jobs_today: int,
) -> None:
    """Raises Refused(POLICY_REFUSES), naming in `field` the rule that says no."""
    if digest not in policy["definitions"] and definition["study"] not in policy["studies"]:
        raise _refuses("definitions", "Neither this definition nor its study is allowed here.")
    if requester not in policy["requesters"]:
        raise _refuses("requesters", "This institution may not ask here.")
    if purpose not in policy["purposes"]:
        raise _refuses("purposes", "This purpose is not allowed here.")
    if ground not in policy["grounds"]:
        raise _refuses("grounds", "This legal ground is not accepted here.")
    if jobs_today >= policy["jobs_a_day"]:
        raise _refuses("jobs_a_day", "The day's number of jobs is used up.")


def check_brings(policy: Policy, definition: Definition, *, digest: str, ground: Ground) -> None:
    """Raises Refused(POLICY_REFUSES) unless the institution brings rows under this definition, on this `ground`, which
    the protocol states for it."""
    field: Literal["audits", "trainings"] = "audits" if definition["kind"] == "audit" else "trainings"
    if digest not in policy.get(field, []):
        raise _refuses(field, "This institution brings no rows under this definition.")
    if ground not in policy["grounds"]:
        raise _refuses("grounds", "On the ground that the protocol states for this institution it brings no rows.")


def _refuses(field: str, detail: str) -> Refused:
    return Refused(Reason.POLICY_REFUSES, detail=detail, field=field)
