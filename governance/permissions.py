"""Who: which role may do what, at its own institution only.

Together with `policies` (in which state) this is the whole of the rule book; `docs/reference/permissions.md` is
generated from the two tables.
"""

from enum import StrEnum

from django.contrib.auth.models import AbstractBaseUser, AnonymousUser
from django.db.models import Q

from concordat.reasons import Reason, Refused
from governance.models import Institution, Membership, Review, Study

Role = Membership.Role
User = AbstractBaseUser | AnonymousUser


class Verb(StrEnum):
    """What can be done to a study, to an institution's people, and with a decision."""

    SUBMIT = "submit"
    DETERMINE = "determine"
    SUSPEND = "suspend"
    CLOSE = "close"
    DEFINE = "define"
    CONSENT = "consent"
    INVITE = "invite"
    READ_DOSSIER = "read-dossier"


HOLDERS: dict[Verb, frozenset[Membership.Role]] = {
    Verb.SUBMIT: frozenset({Role.INVESTIGATOR}),
    Verb.DETERMINE: frozenset({Role.IRB_MEMBER, Role.IRB_CHAIR}),
    Verb.SUSPEND: frozenset({Role.IRB_CHAIR, Role.INSTITUTION_ADMIN}),
    Verb.CLOSE: frozenset({Role.INVESTIGATOR, Role.INSTITUTION_ADMIN}),
    Verb.DEFINE: frozenset(),
    Verb.CONSENT: frozenset(),
    Verb.INVITE: frozenset({Role.INSTITUTION_ADMIN}),
    Verb.READ_DOSSIER: frozenset({Role.LEGAL_REVIEWER}),
}
"""No person defines or consents here: an institution does, by its own signature. Reading the lists needs any role, so
an auditor's allows no more than that."""


def roles_at(user: User, institution: Institution) -> frozenset[str]:
    """The roles that this person holds there."""
    if not user.is_authenticated:
        return frozenset()
    return frozenset(Membership.objects.filter(user=user.pk, institution=institution).values_list("role", flat=True))


def check_may(user: User, verb: Verb, institution: Institution) -> None:
    """Raises Refused: WRONG_INSTITUTION for an outsider, ROLE_MISSING for a member without the role."""
    roles = roles_at(user, institution)
    if not roles:
        raise Refused(Reason.WRONG_INSTITUTION, detail=f"You are not a member of {institution}.")
    if not roles & HOLDERS[verb]:
        names = " or ".join(sorted(role.label for role in HOLDERS[verb])) or "no person"
        raise Refused(Reason.ROLE_MISSING, detail=f"This needs the role {names} at {institution}.")


def may(user: User, verb: Verb, institution: Institution) -> bool:
    """Whether `check_may` lets this pass."""
    return bool(roles_at(user, institution) & HOLDERS[verb])


def signers(determination: str) -> frozenset[str]:
    """The roles whose signature carries a determination. An expedited reviewer may not disapprove: that is for the
    convened board, and its chair signs (45 CFR 46.110(b))."""
    disapproved = determination == Review.Determination.DISAPPROVED
    return frozenset({Role.IRB_CHAIR}) if disapproved else frozenset(HOLDERS[Verb.DETERMINE])


def check_determination(user: User, board: Institution, determination: str) -> None:
    """Raises Refused as :func:`check_may` does, and ROLE_MISSING for a member who would disapprove."""
    check_may(user, Verb.DETERMINE, board)
    if not roles_at(user, board) & signers(determination):
        raise Refused(Reason.ROLE_MISSING, detail="Only the convened board disapproves; its chair signs.")


def check_independent(user: User, study: Study) -> None:
    """Nobody reviews a study of their own (45 CFR 46.107(d)): not who submitted a version of it, and no investigator of
    the institution that leads it. Raises Refused(SELF_REVIEW)."""
    if (
        study.versions.filter(submitted_by=user.pk).exists()
        or Membership.objects.filter(user=user.pk, institution=study.institution, role=Role.INVESTIGATOR).exists()
    ):
        raise Refused(Reason.SELF_REVIEW)


def check_takes_part(institution: Institution, study: Study) -> None:
    """Raises Refused(WRONG_INSTITUTION) unless the institution is a site of the study or its board reviews it."""
    if not takes_part(institution, study):
        raise Refused(Reason.WRONG_INSTITUTION, detail=f"{institution} takes no part in this study.")


def takes_part(institution: Institution, study: Study) -> bool:
    """Whether `check_takes_part` lets this pass."""
    return study.sites.filter(Q(pk=institution.pk) | Q(reviewing_board=institution.pk)).exists()


def check_role(institution: Institution, role: str) -> None:
    """Raises Refused(ROLE_MISSING) unless the institution was enrolled as that: party, dealer, requester or owner."""
    if role not in institution.roles:
        raise Refused(Reason.ROLE_MISSING, detail=f"{institution} is not enrolled as {role}.")
