"""A chair's delegation: which member may do which of the chair's work, on which study, until when."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Literal, get_args

from pydantic import with_config
from typing_extensions import TypedDict

from concordat import clock
from concordat.fields import STRICT, MaybeSlug, Slug, Text, Time, Uuid, read
from concordat.reasons import Reason, Refused

Scope = Literal["expedited-review", "preside", "verify-conditions"]
SCOPES: tuple[Scope, ...] = get_args(Scope)

LONGEST = timedelta(days=366)
"""A delegation is renewed every year, so that nobody keeps one that everybody forgot."""

DELEGATING, RECORD_KIND, MEANING = frozenset({"irb-chair"}), "delegation", "delegates"
"""Who signs it, as which kind of record, and with which meaning."""

DELEGATES = frozenset({"irb-member"})
"""The roles that may sign by a delegation."""


@with_config(STRICT)
class Delegation(TypedDict):
    """The document. `study` is empty for all of the board's studies; `delegate` is a handle in the roster."""

    v: Literal[1]
    delegation: Uuid
    board: Slug
    study: MaybeSlug
    scope: Scope
    delegate: Text
    starts: Time
    ends: Time


def check(document: Mapping[str, Any]) -> Delegation:
    """A delegation of its form. Raises Refused: FIELD_MISSING, FIELD_UNKNOWN or FIELD_INVALID, naming the field."""
    found = read(document, Delegation)
    length = clock.parse(found["ends"]) - clock.parse(found["starts"])
    if not timedelta() < length <= LONGEST:
        raise Refused(Reason.FIELD_INVALID, detail="A delegation lasts a year at most.", field="ends")
    return found


def check_covers(
    delegation: Delegation, *, board: str, study: str, scope: Scope, delegate: str, time: datetime
) -> None:
    """Raises Refused(ROLE_MISSING) unless this officer could do this for this board and study at that time."""
    expected = {"board": board, "scope": scope, "delegate": delegate}
    for field, value in expected.items():
        if delegation[field] != value:  # type: ignore[literal-required]
            raise Refused(
                Reason.ROLE_MISSING, detail="The chair delegated something else.", field=f"delegation.{field}"
            )
    if delegation["study"] not in ("", study):
        detail = "The chair delegated this for another study."
        raise Refused(Reason.ROLE_MISSING, detail=detail, field="delegation.study")
    if not clock.parse(delegation["starts"]) <= time < clock.parse(delegation["ends"]):
        detail = "The chair's delegation was not in force at the time of signing."
        raise Refused(Reason.ROLE_MISSING, detail=detail, field="delegation.ends")
