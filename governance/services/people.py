"""People: their accounts and their roles."""

from django.contrib.auth import SESSION_KEY
from django.contrib.auth.models import User
from django.contrib.sessions.models import Session
from django.db import transaction

from concordat import clock
from concordat.events import Event
from concordat.reasons import Reason, Refused
from governance import permissions
from governance.models import Institution, Membership, OfficerProfile
from governance.permissions import Role, Verb
from governance.services import boards, institutions
from ledger.services.record import record

_REVIEW = (Role.IRB_CHAIR, Role.IRB_MEMBER, Role.IRB_ADMINISTRATOR, Role.DATA_STEWARD)


@transaction.atomic
def invite(*, by: User, email: str, name: str, institution: Institution, role: str) -> Membership:
    """An institution's administrator gives a person a role there; a new account has no password until its own
    person sets one (see `invitations`).

    Raises:
        Refused: WRONG_INSTITUTION or ROLE_MISSING for who may not; CONFLICT for an investigator who reviews elsewhere;
            what :func:`add_member` refuses.
    """
    permissions.check_may(by, Verb.INVITE, institution)
    _check_ties_nobody(email, institution, role)
    return add_member(email=email, name=name, institution=institution, role=role)


@transaction.atomic
def add_member(*, email: str, name: str, institution: Institution, role: str) -> Membership:
    """The operator's way in: the first administrator of an institution has nobody to be invited by.

    Raises:
        Refused: FIELD_INVALID for an unknown role; CONFLICT if the person holds the role already, or signs under
            another name.
    """
    if role not in Membership.Role.values:
        roles = ", ".join(Membership.Role.values)
        raise Refused(Reason.FIELD_INVALID, detail=f"The roles are: {roles}.", field="role")
    users = User.objects
    user = users.filter(username__iexact=email).first() or users.create_user(email, email=email, is_staff=True)
    profile, _ = OfficerProfile.objects.get_or_create(user=user, defaults={"name": name})
    if profile.name != name:
        raise Refused(Reason.CONFLICT, detail="This person has an account under another name.", field="name")
    membership, created = Membership.objects.get_or_create(
        user=user, institution=institution, role=role, defaults={"since": clock.now()}
    )
    if not created:
        raise Refused(Reason.CONFLICT, detail="This person holds the role already.", field="role")
    record(
        event=Event.MEMBER_ADDED,
        public={"institution": institution.slug, "role": role},
        private={"officer": str(profile.uuid)},
        subject=profile.uuid,
    )
    return membership


@transaction.atomic
def remove_member(*, by: User, membership: Membership) -> None:
    """An institution's administrator ends a person's role there, at once: open sessions end, and with the last role on
    the board its seat and delegations. The roster, which the offline key signs, is not changed by that.

    Raises:
        Refused: WRONG_INSTITUTION or ROLE_MISSING for who may not; NOT_FOUND for a role that ended meanwhile; CONFLICT
            for the last administrator, without whom nobody could invite one.
    """
    institution, user = membership.institution, membership.user
    permissions.check_may(by, Verb.INVITE, institution)
    institutions.lock(institution)  # two administrators who remove each other queue here
    permissions.check_may(by, Verb.INVITE, institution)
    found = Membership.objects.filter(pk=membership.pk)
    if not found.exists():
        raise Refused(Reason.NOT_FOUND, detail="This role has ended already.", field="membership")
    administrators = institution.memberships.filter(role=Role.INSTITUTION_ADMIN, user__is_active=True)
    if membership.role == Role.INSTITUTION_ADMIN and not administrators.exclude(pk=membership.pk).exists():
        detail = "This is the institution's last administrator; invite another one first."
        raise Refused(Reason.CONFLICT, detail=detail, field="membership")
    found.delete()
    record(
        event=Event.MEMBER_REMOVED,
        public={"institution": institution.slug, "role": membership.role},
        private={"officer": str(user.officer.uuid)},
        subject=user.officer.uuid,
    )
    boards.leave(board=institution, officer=user.officer)
    for session in Session.objects.filter(expire_date__gt=clock.now()):
        if session.get_decoded().get(SESSION_KEY) == str(user.pk):
            session.delete()


def _check_ties_nobody(email: str, institution: Institution, role: str) -> None:
    """Nobody reviews a study of the institution at which they investigate: whoever leads one could take a vote from
    another's board by inviting its members. Raises Refused(CONFLICT)."""
    if role != Role.INVESTIGATOR:
        return
    reviews = Membership.objects.filter(user__username__iexact=email, role__in=_REVIEW)
    if reviews.exclude(institution=institution).exists():
        detail = "This person reviews for another institution; only the operator gives them this role, who asks them."
        raise Refused(Reason.CONFLICT, detail=detail, field="role")
