"""Marks of privilege: what a legal reviewer withholds, on which ground, and what may be said of it."""

from django.contrib.auth.models import User
from django.db import transaction
from pydantic import with_config
from typing_extensions import TypedDict

from concordat import clock, record_number
from concordat.events import Event
from concordat.fields import STRICT, Text, read
from concordat.matters import PARTS, PRIVILEGES
from concordat.reasons import Reason, Refused
from governance import matters, selectors
from governance.models import Matter, PrivilegeMark
from governance.services import challenges
from governance.services.matters import lock, log


@with_config(STRICT)
class _Basis(TypedDict):
    basis: Text


@transaction.atomic
def mark(*, by: User, matter: Matter, number: str, part: str, ground: str, basis: str) -> PrivilegeMark:
    """Withhold a part of a decision as privileged: from now on it is closed to whoever reads in the matter, and is
    redacted or left out in its productions. What was produced before is what it was.

    Args:
        part: one of `concordat.matters.PARTS`.
        basis: what the privilege log says of it, without giving away what is privileged (Fed. R. Civ. P. 26(b)(5)(A)).

    Raises:
        Refused: NOT_FOUND, also for a decision that the matter does not name; ROLE_MISSING, WRONG_STATE, GRANT_MISSING;
            RECORD_NUMBER_INVALID; FIELD_INVALID, naming the field; CONFLICT if it is marked already.
    """
    matter = lock(by, matter)
    now = clock.now()
    matters.check_works_in(by, matter, now)
    decision = matters.decision_of(matter, record_number.parse(number))
    for field, value, known in (("part", part, PARTS), ("ground", ground, PRIVILEGES)):
        if value not in known:
            raise Refused(Reason.FIELD_INVALID, detail=f"The choices are: {', '.join(known)}.", field=field)
    said = read({"basis": basis}, _Basis)
    if matters.marks(matter).filter(decision=decision, part=part).exists():
        raise Refused(Reason.CONFLICT, detail="This is marked as privileged already.", field="part")
    made = PrivilegeMark.objects.create(
        matter=matter,
        decision=decision,
        part=part,
        ground=ground,
        basis=said["basis"],
        by=challenges.officer_of(by),
        marked=now,
    )
    told = {"mark": str(made.uuid), "record": decision.record, "part": part, "ground": ground, "basis": made.basis}
    log(Event.PRIVILEGE_MARKED, matter, by, {**told})
    return made


@transaction.atomic
def withdraw(*, by: User, matter: Matter, mark: str) -> PrivilegeMark:
    """Withdraw a mark; its row stays.

    Raises:
        Refused: NOT_FOUND, ROLE_MISSING, WRONG_STATE, GRANT_MISSING; WRONG_STATE if it was withdrawn.
    """
    matter = lock(by, matter)
    now = clock.now()
    matters.check_works_in(by, matter, now)
    found = PrivilegeMark.objects.filter(matter=matter, uuid=selectors.as_uuid(mark)).first()
    if found is None:
        raise Refused(Reason.NOT_FOUND, detail="The matter has no such mark.", field="mark")
    if found.withdrawn is not None:
        raise Refused(Reason.WRONG_STATE, detail="This mark was withdrawn before.", field="mark")
    found.withdrawn, found.withdrawn_by = now, challenges.officer_of(by)
    found.save(update_fields=["withdrawn", "withdrawn_by"])
    log(Event.PRIVILEGE_WITHDRAWN, matter, by, {"mark": str(found.uuid)})
    return found
