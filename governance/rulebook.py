"""The rule book as tables: `docs/reference` and the site's help page are both written from here."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from governance import states
from governance.models import Membership
from governance.permissions import HOLDERS
from governance.policies import STATES
from governance.states import IncidentState, ItemState, MatterState, MeetingState, StudyState, SubmissionState


@dataclass(frozen=True)
class Machine:
    """The states of one kind of thing. `begins` is the first of them."""

    name: str
    title: str
    begins: StrEnum
    transitions: Mapping[Any, frozenset[Any]]

    def rows(self) -> list[tuple[str, list[str]]]:
        """Each state with those that may follow."""
        return [(state.value, sorted(after.value for after in following)) for state, following in self._items()]

    def mermaid(self) -> str:
        """The same as a diagram."""
        arrows = [f"    {_name(before)} --> {_name(after)}" for before, afters in self.rows() for after in afters]
        ends = [f"    {_name(state)} --> [*]" for state, afters in self.rows() if not afters]
        return "\n".join(["stateDiagram-v2", f"    [*] --> {_name(self.begins)}", *arrows, *ends])

    def _items(self) -> list[tuple[StrEnum, frozenset[StrEnum]]]:
        return list(self.transitions.items())


MACHINES: tuple[Machine, ...] = (
    Machine("study", "A study", StudyState.DRAFT, states.STUDY),
    Machine("submission", "A submission", SubmissionState.SUBMITTED, states.SUBMISSION),
    Machine("meeting", "A meeting", MeetingState.SCHEDULED, states.MEETING),
    Machine("item", "An item on the agenda", ItemState.WAITING, states.ITEM),
    Machine("incident", "An incident", IncidentState.REPORTED, states.INCIDENT),
    Machine("matter", "A legal matter", MatterState.OPEN, states.MATTER),
)


def roles() -> tuple[list[str], list[tuple[str, list[bool]]]]:
    """Which role may do what: the roles, and for each verb whether each of them may."""
    held = list(Membership.Role)
    return [role.label for role in held], [(verb, [role in may for role in held]) for verb, may in HOLDERS.items()]


def study_states() -> tuple[list[str], list[tuple[str, list[bool]]]]:
    """In which state of the study: the states, and for each verb whether each of them allows it."""
    every = list(StudyState)
    return [state.value for state in every], [
        (verb, [state in allowed for state in every]) for verb, allowed in STATES.items()
    ]


def _name(state: str) -> str:
    return state.replace("-", "_")  # a hyphen ends a name in mermaid
