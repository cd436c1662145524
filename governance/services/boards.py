"""A board's people: seats, declared conflicts, and what the chair has delegated to whom."""

from django.contrib.auth.models import User
from django.db import transaction

from concordat import clock
from concordat import delegation as documents
from concordat.events import Event
from concordat.fields import plain
from concordat.reasons import Reason, Refused
from governance import permissions, policies, selectors
from governance.models import (
    BoardSeat,
    Conflict,
    Delegation,
    Institution,
    Membership,
    OfficerProfile,
    Passkey,
    Signature,
)
from governance.notices import Notice
from governance.permissions import Role, Verb
from governance.services import attendance, institutions, notifications
from governance.services.signing import Act, Ask, Prepared
from ledger.services.record import record


@transaction.atomic
def give_seat(
    *,
    by: User,
    board: Institution,
    officer: str,
    scientist: bool,
    affiliated: bool,
    alternate_for: str = "",
) -> BoardSeat:
    """Seat a member of the board (45 CFR 46.107), or an alternate for one. A larger roster needs a larger quorum: an
    open item that it costs the quorum stops.

    Args:
        officer: UUID of a person who is IRB member or chair there.
        alternate_for: UUID of the seat for which an alternate sits in.

    Raises:
        Refused: WRONG_INSTITUTION, ROLE_MISSING; NOT_FOUND; CONFLICT for a person who has a seat; FIELD_INVALID for an
            alternate of an alternate.
    """
    permissions.check_may(by, Verb.SEAT, board)
    institutions.lock(board)
    person = OfficerProfile.objects.filter(uuid=selectors.as_uuid(officer)).first()
    board_roles = [Role.IRB_MEMBER, Role.IRB_CHAIR]
    if (
        person is None
        or not Membership.objects.filter(user=person.user, institution=board, role__in=board_roles).exists()
    ):
        raise Refused(Reason.NOT_FOUND, detail="Nobody of this board has this identifier.", field="officer")
    if board.seats.filter(officer=person, until=None).exists():
        raise Refused(Reason.CONFLICT, detail="This person has a seat already.", field="officer")
    stands_for = _seat(board, alternate_for, field="alternate_for") if alternate_for else None
    if stands_for is not None and stands_for.alternate_for_id is not None:
        raise Refused(Reason.FIELD_INVALID, detail="An alternate has no alternate.", field="alternate_for")
    seat = BoardSeat.objects.create(
        board=board,
        officer=person,
        scientist=scientist,
        affiliated=affiliated,
        alternate_for=stands_for,
        since=clock.now(),
    )
    record(
        event=Event.SEAT_GIVEN,
        public={
            "institution": board.slug,
            "seat": str(seat.uuid),
            "scientist": scientist,
            "alternate_for": str(stands_for.uuid) if stands_for else "",
        },
        private={"officer": str(person.uuid)},
        subject=person.uuid,
    )
    attendance.count_again(board, by=by)
    return seat


@transaction.atomic
def end_seat(*, by: User, board: Institution, seat: str) -> BoardSeat:
    """End a seat, with those of its alternates; an open item that this costs the quorum stops.

    Raises:
        Refused: WRONG_INSTITUTION, ROLE_MISSING, NOT_FOUND.
    """
    permissions.check_may(by, Verb.SEAT, board)
    institutions.lock(board)
    found = _seat(board, seat, field="seat")
    _vacate(found)
    attendance.count_again(board, by=by)
    return found


def leave(*, board: Institution, officer: OfficerProfile) -> None:
    """End what a person has on a board of whose roles they hold none any more: the seat, with those of its alternates,
    and powers of the chair's. What they signed stays signed. The caller's transaction, which has locked the board."""
    roles = permissions.roles_at(officer.user, board)
    if not roles & {Role.IRB_MEMBER, Role.IRB_CHAIR}:
        for seat in board.seats.filter(officer=officer, until=None):
            _vacate(seat)
    if Role.IRB_MEMBER not in roles:
        for delegation in board.delegations.filter(delegate=officer, ended=None, ends__gt=clock.now()):
            _take_back(delegation)


@transaction.atomic
def declare_conflict(*, by: User, board: Institution, study: str, ground: str) -> Conflict:
    """A member declares a conflict of interest of their own: from now on they take no part in anything about the study,
    and leave an item that is open at once. Twice is no harm.

    Raises:
        Refused: NOT_FOUND; WRONG_INSTITUTION, ROLE_MISSING; WRONG_STATE; FIELD_MISSING without a ground.
    """
    permissions.check_may(by, Verb.DECLARE_CONFLICT, board)
    found = selectors.locked_study(by, study)
    policies.check_state(found, Verb.DECLARE_CONFLICT, clock.now())
    if not ground.strip():
        raise Refused(Reason.FIELD_MISSING, detail="Say in a few words what ties your hands.", field="ground")
    known = found.conflicts.filter(officer=by.officer, withdrawn=None).first()
    if known is not None:
        return known
    conflict = Conflict.objects.create(
        study=found, officer=by.officer, board=board, ground=ground, declared=clock.now()
    )
    record(
        event=Event.CONFLICT_DECLARED,
        public={"study": found.slug, "institution": board.slug},
        private={"officer": str(by.officer.uuid), "ground": ground},
        subject=by.officer.uuid,
    )
    attendance.recuse(conflict, by=by)
    return conflict


@transaction.atomic
def withdraw_conflict(*, by: User, conflict: int, ground: str) -> Conflict:
    """The chair finds that a declared conflict has ended; never one's own.

    Raises:
        Refused: NOT_FOUND; WRONG_INSTITUTION, ROLE_MISSING; SELF_REVIEW for one's own; FIELD_MISSING.
    """
    found = Conflict.objects.select_related("board", "study", "officer").filter(pk=conflict, withdrawn=None).first()
    if found is None:
        raise Refused(Reason.NOT_FOUND, detail="No such conflict is declared.", field="conflict")
    permissions.check_may(by, Verb.DELEGATE, found.board)
    if found.officer.user_id == by.pk:
        raise Refused(Reason.SELF_REVIEW, detail="Another chair decides about your own conflict.")
    if not ground.strip():
        raise Refused(Reason.FIELD_MISSING, detail="Say why.", field="ground")
    selectors.locked_study(by, str(found.study.uuid))
    found.refresh_from_db(fields=["withdrawn"])
    if found.withdrawn is not None:  # by another chair, while this one waited for the lock
        raise Refused(Reason.NOT_FOUND, detail="No such conflict is declared.", field="conflict")
    found.withdrawn = clock.now()
    found.save(update_fields=["withdrawn"])
    record(
        event=Event.CONFLICT_WITHDRAWN,
        public={"study": found.study.slug, "institution": found.board.slug},
        private={"officer": str(found.officer.uuid), "ground": ground},
        subject=found.officer.uuid,
    )
    return found


def _prepare_delegation(ask: Ask) -> Prepared:
    board = selectors.institution(str(ask.fields.get("board", "")), field="board")
    permissions.check_may(ask.by, Verb.DELEGATE, board)
    slug = str(ask.fields.get("study", ""))
    study = selectors.study_of(board, slug) if slug else None
    delegate = _delegate(board, ask.fields.get("delegate"))
    if delegate.user_id == ask.by.pk:
        raise Refused(Reason.FIELD_INVALID, detail="You have this power already.", field="delegate")
    if study is not None:
        permissions.check_independent(delegate.user, study)
        permissions.check_independent(ask.by, study)
    document = {
        "v": 1,
        "delegation": str(ask.identifier),
        "board": board.slug,
        "study": slug,
        "scope": ask.fields.get("scope", ""),
        "delegate": _handle(board, delegate),
        "starts": ask.fields.get("starts") or clock.rfc3339(ask.moment),
        "ends": ask.fields.get("ends", ""),
    }
    checked = dict(plain(documents.check(document)))
    return Prepared("delegation", checked, "delegates", board, frozenset({Role.IRB_CHAIR}), study)


def _delegate_power(ask: Ask, prepared: Prepared, signature: Signature) -> Delegation:
    document, board = prepared.document, prepared.institution
    delegate = _delegate(board, ask.fields.get("delegate"))
    delegation = Delegation.objects.create(
        uuid=ask.identifier,
        board=board,
        delegate=delegate,
        study=prepared.study,
        scope=document["scope"],
        starts=clock.parse(str(document["starts"])),
        ends=clock.parse(str(document["ends"])),
        document=dict(document),
        digest=signature.record,
        signature=signature,
    )
    record(
        event=Event.DELEGATION_SIGNED,
        public={
            "institution": board.slug,
            "delegation": str(delegation.uuid),
            "scope": delegation.scope,
            "study": prepared.study.slug if prepared.study else "",
            "until": document["ends"],
        },
        private={"officer": str(delegate.uuid)},
        subject=delegate.uuid,
        documents={"delegation": dict(document), "signature": signature.evidence},
    )
    notifications.tell(
        Notice.DELEGATED,
        to=[delegate.user],
        study=prepared.study,
        key=f"delegation {delegation.uuid}",
        sentence=f"The chair of {board}'s board has delegated to you: {delegation.scope}.",
    )
    return delegation


DELEGATE = Act("delegate", Verb.DELEGATE, _prepare_delegation, _delegate_power)


@transaction.atomic
def end_delegation(*, by: User, delegation: str) -> Delegation:
    """Take a delegated power back. What was signed by it while it was in force stays signed.

    Raises:
        Refused: NOT_FOUND; WRONG_INSTITUTION, ROLE_MISSING; WRONG_STATE for one that has ended.
    """
    found = Delegation.objects.select_related("board", "delegate").filter(uuid=selectors.as_uuid(delegation)).first()
    if found is None:
        raise Refused(Reason.NOT_FOUND, detail="There is no such delegation.", field="delegation")
    permissions.check_may(by, Verb.DELEGATE, found.board)
    institutions.lock(found.board)
    found.refresh_from_db()
    if found.ended is not None:
        raise Refused(Reason.WRONG_STATE, detail="It has ended already.", field="delegation")
    _take_back(found)
    return found


def _vacate(seat: BoardSeat) -> None:
    for each in (seat, *seat.alternates.filter(until=None)):
        each.until = clock.now()
        each.save(update_fields=["until"])
        record(
            event=Event.SEAT_ENDED,
            public={"institution": each.board.slug, "seat": str(each.uuid)},
            private={"officer": str(each.officer.uuid)},
            subject=each.officer.uuid,
        )


def _take_back(delegation: Delegation) -> None:
    delegation.ended = clock.now()
    delegation.save(update_fields=["ended"])
    record(
        event=Event.DELEGATION_ENDED,
        public={"institution": delegation.board.slug, "delegation": str(delegation.uuid)},
        private={"officer": str(delegation.delegate.uuid)},
        subject=delegation.delegate.uuid,
    )


def _seat(board: Institution, uuid: str, *, field: str) -> BoardSeat:
    found = board.seats.select_related("officer").filter(uuid=selectors.as_uuid(uuid), until=None).first()
    if found is None:
        raise Refused(Reason.NOT_FOUND, detail="The board has no such seat.", field=field)
    return found


def _delegate(board: Institution, uuid: object) -> OfficerProfile:
    """A member of the board whose hands are free."""
    found = OfficerProfile.objects.select_related("user").filter(uuid=selectors.as_uuid(uuid)).first()
    if found is None or Role.IRB_MEMBER not in permissions.roles_at(found.user, board):
        raise Refused(Reason.NOT_FOUND, detail="No member of this board has this identifier.", field="delegate")
    return found


def _handle(board: Institution, officer: OfficerProfile) -> str:
    """The officer's name in the roster in force: nodes know a delegate by nothing else."""
    registered = dict(Passkey.objects.filter(officer=officer).values_list("credential", "key"))
    roster = selectors.roster(board)
    for line in roster.officers if roster else ():
        if registered.get(line["credential"]) == line["key"] and line["role"] == Role.IRB_MEMBER:
            return str(line["officer"])
    detail = f"{board}'s signed roster lists no passkey of this member."
    raise Refused(Reason.ROSTER_MISSING, detail=detail, field="delegate")
