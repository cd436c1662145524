"""Who reads the dossier of a decision, and how much of what is private in it is theirs to see."""

from django.contrib.auth.models import User

from concordat import record_number
from concordat.reasons import Reason, Refused
from governance import permissions, selectors
from governance.models import Institution
from governance.permissions import Verb
from ledger.dossier import collect
from ledger.models import LogEntry
from ledger.services import dossiers

SEEN_BY_NODES = ("subject", "request_statement", "consent", "statement")
"""Private fields that stand in the request, which every node of the job was given."""

SEEN_BY_REQUESTER = (*SEEN_BY_NODES, "display")


def hand_out(*, by: User, number: str) -> bytes:
    """The bundle of the decision with this record number, for a legal reviewer of an institution that takes part in
    its study. It opens what that institution was given when the decision was made. That it was read is recorded.

    Raises:
        Refused: RECORD_NUMBER_INVALID; NOT_FOUND for what is no decision, or one of a study without an institution of
            theirs; ROLE_MISSING; what :func:`ledger.services.dossiers.hand_out` refuses.
    """
    decided = collect.decision(record_number.parse(number))
    taking_part = selectors.institutions_in(str(decided.public["study"])).filter(memberships__user=by).distinct()
    if not taking_part:
        raise Refused(Reason.NOT_FOUND, field="record")
    allowed = [each for each in taking_part if permissions.may(by, Verb.READ_DOSSIER, each)]
    if not allowed:
        permissions.check_may(by, Verb.READ_DOSSIER, taking_part[0])
    disclose = {field for each in allowed for field in _seen_by(each, decided)}
    return dossiers.hand_out(number=number, role="legal-reviewer", reader=str(by.officer.uuid), disclose=disclose)


def _seen_by(institution: Institution, decided: LogEntry) -> tuple[str, ...]:
    if decided.public["institution"] == institution.slug:
        return SEEN_BY_REQUESTER
    content = selectors.definition(str(decided.public["definition"])).content
    return SEEN_BY_NODES if institution.slug in (*content["parties"], content["dealer"]) else ()
