"""Legal matters: opened, given decisions, prolonged and closed by an administrator of the institution that holds them.

What is said of parties, courts and dockets is committed to under a key of the matter's own; in the open part of the log
stands the matter's identifier alone.
"""

import re
from collections.abc import Sequence
from datetime import date, datetime
from typing import Annotated
from uuid import uuid4

from django.contrib.auth.models import User
from django.db import transaction
from pydantic import StringConstraints, with_config
from typing_extensions import TypedDict

from concordat import clock, record_number
from concordat.canonical import Json
from concordat.events import Event
from concordat.fields import STRICT, MaybeDigest, Text, plain, read
from concordat.matters import Assurance, Authority, Kind, Words
from concordat.reasons import Reason, Refused
from governance import matters, permissions, selectors
from governance.models import Institution, Matter, MatterDecision
from governance.permissions import Verb
from governance.services import challenges, institutions
from governance.states import MATTER, MatterState, check_transition
from ledger.dossier import collect
from ledger.models import LogEntry
from ledger.services.record import record

_PREFIX = re.compile(r"[A-Z][A-Z0-9]{1,11}")

Short = Annotated[Text, StringConstraints(max_length=200)]


@with_config(STRICT)
class _Said(TypedDict):
    title: Short
    docket: Short
    kind: Kind
    authority: Text
    paper: MaybeDigest
    assurance: Assurance
    party: Short
    purpose: Text
    protective_order: Words


@transaction.atomic
def open_matter(
    *,
    by: User,
    institution: Institution,
    title: str,
    docket: str,
    kind: str,
    authority: str,
    dated: date,
    party: str,
    purpose: str,
    prefix: str,
    ends: datetime,
    records: Sequence[str],
    protective_order: str = "",
    assurance: str = "",
    paper: str = "",
) -> Matter:
    """Open a matter of one's own institution, for the decisions of these record numbers.

    Args:
        docket: the court and its number, or whatever the requesting party calls it.
        authority: what the paper says, in its words; `dated` its day, `paper` the digest of its scan.
        prefix: of the numbers that its productions bear.
        assurance: of 45 CFR 164.512(e)(1)(ii); a subpoena needs one.

    Raises:
        Refused: WRONG_INSTITUTION, ROLE_MISSING; FIELD_INVALID or FIELD_MISSING, naming the field; CONFLICT for a
            prefix that another matter has; what :func:`name_decision` refuses.
    """
    permissions.check_may(by, Verb.OPEN_MATTER, institution)
    now = clock.now()
    said = read(
        {
            "title": title,
            "docket": docket,
            "kind": kind,
            "authority": authority,
            "paper": paper,
            "assurance": assurance,
            "party": party,
            "purpose": purpose,
            "protective_order": protective_order.strip(),
        },
        _Said,
    )
    _check(said, dated=dated, prefix=prefix, ends=ends, now=now)
    institutions.lock(institution)  # two matters with one prefix queue here
    if Matter.objects.filter(institution=institution, prefix=prefix).exists():
        detail = "Another matter of your institution numbers its pages like that."
        raise Refused(Reason.CONFLICT, detail=detail, field="prefix")
    if not records:
        raise Refused(Reason.FIELD_MISSING, detail="A matter names at least one decision.", field="records")
    officer = challenges.officer_of(by)
    matter = Matter.objects.create(
        uuid=uuid4(),
        institution=institution,
        dated=dated,
        prefix=prefix,
        opened_by=officer,
        opened=now,
        ends=ends,
        **said,
    )
    told: Authority = {
        "holder": institution.slug,
        "kind": said["kind"],
        "text": said["authority"],
        "dated": dated.isoformat(),
        "paper": said["paper"],
        "assurance": said["assurance"],
    }
    words = {name: plain(said)[name] for name in ("title", "docket", "party", "purpose", "protective_order")}
    log(Event.MATTER_OPENED, matter, by, {**words, "authority": dict(plain(told)), "ends": clock.rfc3339(ends)})
    for number in dict.fromkeys(records):
        _name(matter, by, number)
    return matter


@transaction.atomic
def name_decision(*, by: User, matter: Matter, number: str) -> MatterDecision:
    """Name one more decision in a matter.

    Raises:
        Refused: NOT_FOUND, WRONG_INSTITUTION, ROLE_MISSING, WRONG_STATE; RECORD_NUMBER_INVALID; NOT_FOUND for what is
            no decision, or one of a study in which the institution takes no part; CONFLICT for one that is named
    already."""
    matter = lock(by, matter)
    permissions.check_may(by, Verb.OPEN_MATTER, matter.institution)
    matters.check_open(matter, clock.now())
    return _name(matter, by, number)


@transaction.atomic
def prolong(*, by: User, matter: Matter, ends: datetime) -> Matter:
    """Move a matter's end; one that has expired is open again. Grants keep their own ends.

    Raises:
        Refused: NOT_FOUND, WRONG_INSTITUTION, ROLE_MISSING; WRONG_STATE for a closed one; FIELD_INVALID for an end that
            has passed or is before that of a grant.
    """
    matter = lock(by, matter)
    permissions.check_may(by, Verb.OPEN_MATTER, matter.institution)
    now = clock.now()
    if matter.state_at(now) is not MatterState.OPEN:
        check_transition(MATTER, matter.state_at(now), MatterState.OPEN, what="A matter")
    if ends <= now:
        raise Refused(Reason.FIELD_INVALID, detail="A matter ends in the future.", field="ends")
    if matter.grants.filter(ended=None, until__gt=ends).exists():
        detail = "A grant lasts longer; end it first."
        raise Refused(Reason.FIELD_INVALID, detail=detail, field="ends")
    matter.ends = ends
    matter.save(update_fields=["ends"])
    log(Event.MATTER_CHANGED, matter, by, {"ends": clock.rfc3339(ends)})
    return matter


@transaction.atomic
def close(*, by: User, matter: Matter) -> Matter:
    """Close a matter for good. Nobody reads in it from now on, and what was produced is kept.

    Raises:
        Refused: NOT_FOUND, WRONG_INSTITUTION, ROLE_MISSING; WRONG_STATE if it is closed.
    """
    matter = lock(by, matter)
    permissions.check_may(by, Verb.OPEN_MATTER, matter.institution)
    now = clock.now()
    check_transition(MATTER, matter.state_at(now), MatterState.CLOSED, what="A matter")
    matter.state, matter.closed = MatterState.CLOSED, now
    matter.save(update_fields=["state", "closed"])
    log(Event.MATTER_CLOSED, matter, by, {})
    return matter


def lock(by: User, matter: Matter) -> Matter:
    """The matter, for the rest of the transaction; whoever else changes it waits. Raises Refused(NOT_FOUND) for one
    that this person does not see."""
    found = matters.seen(by, matter.uuid, clock.now())
    return Matter.objects.select_for_update(no_key=True, of=("self",)).select_related("institution").get(pk=found.pk)


def log(event: Event, matter: Matter, by: User, private: dict[str, Json]) -> LogEntry:
    """The entry of something that an officer did in a matter, under the matter's key."""
    return record(
        event=event,
        public={"matter": str(matter.uuid)},
        private={**private, "officer": str(challenges.officer_of(by).uuid)},
        subject=matter.uuid,
        holder=matter.institution.slug,
    )


def _name(matter: Matter, by: User, number: str) -> MatterDecision:
    decided = collect.decision(record_number.parse(number))
    if not selectors.institutions_in(str(decided.public["study"])).filter(pk=matter.institution_id).exists():
        raise Refused(Reason.NOT_FOUND, detail="Your institution takes no part in that decision.", field="record")
    if matter.decisions.filter(index=decided.index).exists():
        raise Refused(Reason.CONFLICT, detail="The matter names this decision already.", field="record")
    named = MatterDecision.objects.create(
        matter=matter, index=decided.index, named_by=challenges.officer_of(by), named=clock.now()
    )
    log(Event.MATTER_NAMED, matter, by, {"record": named.record})
    return named


def _check(said: _Said, *, dated: date, prefix: str, ends: datetime, now: datetime) -> None:
    if said["kind"] == "subpoena" and not said["assurance"]:
        detail = "A subpoena that no court's order comes with needs an assurance (45 CFR 164.512(e)(1)(ii))."
        raise Refused(Reason.FIELD_MISSING, detail=detail, field="assurance")
    if said["assurance"] == "protective-order" and not said["protective_order"]:
        detail = "Say what the protective order that assures it says."
        raise Refused(Reason.FIELD_MISSING, detail=detail, field="protective_order")
    if dated > now.date():
        raise Refused(Reason.FIELD_INVALID, detail="A paper of a day that is still to come.", field="dated")
    if not _PREFIX.fullmatch(prefix):
        detail = "A prefix is 2 to 12 capital letters and digits, a letter first."
        raise Refused(Reason.FIELD_INVALID, detail=detail, field="prefix")
    if ends <= now:
        raise Refused(Reason.FIELD_INVALID, detail="A matter ends in the future.", field="ends")
