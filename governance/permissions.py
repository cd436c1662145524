"""Who: which role may do what, at its own institution only.

Together with `policies` (in which state) this is the whole of the rule book; `docs/reference/permissions.md` and the
site's help page are generated from the two tables.
"""

from enum import StrEnum

from django.contrib.auth.models import AnonymousUser
from django.contrib.auth.models import User as Account
from django.db.models import Exists, Q, QuerySet

from concordat.reasons import Reason, Refused
from governance.models import Conflict, Institution, Membership, Review, Study

Role = Membership.Role
User = Account | AnonymousUser


class Verb(StrEnum):
    """What can be done to a study, on a board, to an institution's people, and with a decision."""

    DRAFT = "draft"
    SUBMIT = "submit"
    WITHDRAW = "withdraw"
    ROUTE = "route"
    OPINE = "opine"
    DETERMINE = "determine"
    ATTEST_PAPER = "attest-paper"
    VERIFY_CONDITIONS = "verify-conditions"
    DECLARE_CONFLICT = "declare-conflict"
    FILE_LOCAL_CONTEXT = "file-local-context"
    DECIDE_DATA_USE = "decide-data-use"
    ATTACH = "attach"
    COMMENT = "comment"
    REPORT_INCIDENT = "report-incident"
    STEP_INCIDENT = "step-incident"
    SUSPEND = "suspend"
    TERMINATE = "terminate"
    CLOSE = "close"
    DEFINE = "define"
    CONSENT = "consent"
    SEAT = "seat"
    MEET = "meet"
    READ_BOARD = "read-board"
    VOTE = "vote"
    DELEGATE = "delegate"
    RELY = "rely"
    INVITE = "invite"
    READ_DOSSIER = "read-dossier"
    OPEN_MATTER = "open-matter"
    WORK_IN_MATTER = "work-in-matter"


_OFFICE = frozenset({Role.IRB_CHAIR, Role.IRB_ADMINISTRATOR})
_BOARD = frozenset({Role.IRB_CHAIR, Role.IRB_MEMBER})
_SIGNATORIES = frozenset({Role.INSTITUTION_ADMIN, Role.IRB_CHAIR})
_READERS = frozenset({Role.AUDITOR, Role.LEGAL_REVIEWER, Role.REGULATOR})

HOLDERS: dict[Verb, frozenset[Membership.Role]] = {
    Verb.DRAFT: frozenset({Role.INVESTIGATOR}),
    Verb.SUBMIT: frozenset({Role.INVESTIGATOR}),
    Verb.WITHDRAW: frozenset({Role.INVESTIGATOR}),
    Verb.ROUTE: _OFFICE,
    Verb.OPINE: _BOARD,
    Verb.DETERMINE: _OFFICE | _BOARD,
    Verb.ATTEST_PAPER: _OFFICE,
    Verb.VERIFY_CONDITIONS: _OFFICE | _BOARD,
    Verb.DECLARE_CONFLICT: _OFFICE | _BOARD,
    Verb.FILE_LOCAL_CONTEXT: _SIGNATORIES | _OFFICE,
    Verb.DECIDE_DATA_USE: frozenset({Role.DATA_STEWARD}),
    Verb.ATTACH: frozenset({Role.INVESTIGATOR, Role.INSTITUTION_ADMIN, Role.DATA_STEWARD, Role.CLINICAL_OVERSIGHT})
    | _OFFICE,
    Verb.COMMENT: frozenset(Role) - _READERS,
    Verb.REPORT_INCIDENT: frozenset(Role) - _READERS,
    Verb.STEP_INCIDENT: _SIGNATORIES | _OFFICE | {Role.DATA_STEWARD},
    Verb.SUSPEND: _SIGNATORIES,
    Verb.TERMINATE: frozenset({Role.IRB_CHAIR}),
    Verb.CLOSE: frozenset({Role.INVESTIGATOR, Role.INSTITUTION_ADMIN}),
    Verb.DEFINE: frozenset(),
    Verb.CONSENT: frozenset(),
    Verb.SEAT: _OFFICE,
    Verb.MEET: _OFFICE,
    Verb.READ_BOARD: _OFFICE | _BOARD | {Role.AUDITOR, Role.REGULATOR},
    Verb.VOTE: _BOARD,
    Verb.DELEGATE: frozenset({Role.IRB_CHAIR}),
    Verb.RELY: _SIGNATORIES,
    Verb.INVITE: frozenset({Role.INSTITUTION_ADMIN}),
    Verb.READ_DOSSIER: frozenset({Role.LEGAL_REVIEWER, Role.REGULATOR}),
    Verb.OPEN_MATTER: frozenset({Role.INSTITUTION_ADMIN}),
    Verb.WORK_IN_MATTER: frozenset({Role.LEGAL_REVIEWER}),
}
"""No person defines or consents here: an institution does, by its own signature. A member of a board determines and
verifies alone only what the chair has delegated. Reading the lists needs any role, so an auditor's allows no more. A
regulator reads dossiers by the role alone; a legal reviewer needs a grant in a matter besides
(`governance.matters`)."""


def roles_at(user: User, institution: Institution) -> frozenset[str]:
    """The roles that this person holds there; no query where the person's memberships have been prefetched."""
    if not user.is_authenticated:
        return frozenset()
    return frozenset(each.role for each in user.memberships.all() if each.institution_id == institution.pk)


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


def check_independent(user: User, study: Study) -> None:
    """Nobody reviews a study of their own, nor one in which they have declared a conflict (45 CFR 46.107(d)): not who
    submitted or drafts a version of it, and no investigator of the institution that leads it.

    Raises Refused: SELF_REVIEW or CONFLICT_OF_INTEREST.
    """
    mine = Membership.objects.filter(user=user.pk, institution=study.institution_id, role=Role.INVESTIGATOR)
    own, conflict = (
        Study.objects.filter(pk=study.pk)
        .values_list(
            Exists(study.versions.filter(submitted_by=user.pk))
            | Exists(study.submissions.filter(submitted_by=user.pk))
            | Exists(mine),
            Exists(Conflict.objects.filter(study=study, officer__user=user.pk, withdrawn=None)),
        )
        .get()
    )
    if own:
        raise Refused(Reason.SELF_REVIEW)
    if conflict:
        raise Refused(Reason.CONFLICT_OF_INTEREST)


def independent(user: User, study: Study) -> bool:
    """Whether `check_independent` lets this pass."""
    try:
        check_independent(user, study)
    except Refused:
        return False
    return True


def tied(user: User) -> QuerySet[Study]:
    """All the studies for which :func:`check_independent` refuses this person."""
    return Study.objects.filter(
        Q(versions__submitted_by=user.pk)
        | Q(submissions__submitted_by=user.pk)
        | Q(institution__memberships__user=user.pk, institution__memberships__role=Role.INVESTIGATOR)
        | Q(conflicts__officer__user=user.pk, conflicts__withdrawn=None)
    )


def check_takes_part(institution: Institution, study: Study) -> None:
    """Raises Refused(WRONG_INSTITUTION) unless the institution is a site of the study or its board reviews it."""
    if not takes_part(institution, study):
        raise Refused(Reason.WRONG_INSTITUTION, detail=f"{institution} takes no part in this study.")


def takes_part(institution: Institution, study: Study) -> bool:
    """Whether `check_takes_part` lets this pass."""
    return (
        institution in study.sites.all() or Review.objects.filter(submission__study=study, board=institution).exists()
    )


def check_role(institution: Institution, role: str) -> None:
    """Raises Refused(ROLE_MISSING) unless the institution was enrolled as that: party, dealer, requester or owner."""
    if role not in institution.roles:
        raise Refused(Reason.ROLE_MISSING, detail=f"{institution} is not enrolled as {role}.")
