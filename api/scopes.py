"""What a token may be good for, and which roles of an institution may ask for it."""

from collections.abc import Iterable
from enum import StrEnum

from concordat.reasons import Reason, Refused


class Scope(StrEnum):
    """`<resource>.<read or verb>`; `node` is the whole of a node's own interface."""

    INSTITUTIONS_READ = "institutions.read"
    INSTITUTIONS_WRITE = "institutions.write"
    STUDIES_READ = "studies.read"
    STUDIES_WRITE = "studies.write"
    MODELS_READ = "models.read"
    MODELS_WRITE = "models.write"
    DEFINITIONS_READ = "definitions.read"
    DEFINITIONS_WRITE = "definitions.write"
    DEFINITIONS_VOTE = "definitions.vote"
    CONSENTS_READ = "consents.read"
    CONSENTS_WRITE = "consents.write"
    SUBJECTS_READ = "subjects.read"
    SUBJECTS_ERASE = "subjects.erase"
    PREDICTIONS_READ = "predictions.read"
    PREDICTIONS_WRITE = "predictions.write"
    AUDITS_READ = "audits.read"
    AUDITS_WRITE = "audits.write"
    TRAININGS_READ = "trainings.read"
    TRAININGS_WRITE = "trainings.write"
    RECORDS_READ = "records.read"
    LEDGER_READ = "ledger.read"
    DOSSIERS_READ = "dossiers.read"
    WEBHOOKS_READ = "webhooks.read"
    WEBHOOKS_WRITE = "webhooks.write"
    NODE = "node"


SCOPES: dict[Scope, str] = {
    Scope.INSTITUTIONS_READ: "Read institutions and their public keys.",
    Scope.INSTITUTIONS_WRITE: "Publish the institution's own roster of officers.",
    Scope.STUDIES_READ: "Read studies and where their review stands.",
    Scope.STUDIES_WRITE: "Submit studies and attach documents to them.",
    Scope.MODELS_READ: "Read model manifests.",
    Scope.MODELS_WRITE: "Import, describe and recall models, sign what is disclosed, seal canaries, name who cheated.",
    Scope.DEFINITIONS_READ: "Read computation definitions and their votes.",
    Scope.DEFINITIONS_WRITE: "Register computation definitions.",
    Scope.DEFINITIONS_VOTE: "Hand in the institution's signed votes.",
    Scope.CONSENTS_READ: "Read where the institution's own consents stand.",
    Scope.CONSENTS_WRITE: "Record consents and withdrawals.",
    Scope.SUBJECTS_READ: "Export what is held on one of the institution's own subjects, or to whom it was disclosed.",
    Scope.SUBJECTS_ERASE: "Erase one of the institution's own subjects.",
    Scope.PREDICTIONS_READ: "Follow and open the institution's own predictions.",
    Scope.PREDICTIONS_WRITE: "Request and cancel predictions, and sign what was displayed.",
    Scope.AUDITS_READ: "Follow and open the institution's own audits.",
    Scope.AUDITS_WRITE: "Request and cancel audits.",
    Scope.TRAININGS_READ: "Follow the trainings of the institution's own models, and fetch their sealed shares.",
    Scope.TRAININGS_WRITE: "Request and cancel trainings of the institution's own models.",
    Scope.RECORDS_READ: "Fetch what reopens the institution's own decisions, sealed as it is.",
    Scope.LEDGER_READ: "Read the log and its proofs.",
    Scope.DOSSIERS_READ: "Read the dossiers of decisions that the institution took part in.",
    Scope.WEBHOOKS_READ: "Read what has happened that concerns the institution, and its registered webhooks.",
    Scope.WEBHOOKS_WRITE: "Register, change and remove the institution's webhooks.",
    Scope.NODE: "Be a node: fetch jobs, answer tickets, hand in results.",
}

_EVERYONE = frozenset(
    {
        Scope.INSTITUTIONS_READ,
        Scope.INSTITUTIONS_WRITE,
        Scope.STUDIES_READ,
        Scope.STUDIES_WRITE,
        Scope.MODELS_READ,
        Scope.DEFINITIONS_READ,
        Scope.DEFINITIONS_WRITE,
        Scope.DEFINITIONS_VOTE,
        Scope.LEDGER_READ,
        Scope.DOSSIERS_READ,
        Scope.WEBHOOKS_READ,
        Scope.WEBHOOKS_WRITE,
    }
)
_REQUESTER = frozenset(
    {
        Scope.CONSENTS_READ,
        Scope.CONSENTS_WRITE,
        Scope.SUBJECTS_READ,
        Scope.SUBJECTS_ERASE,
        Scope.PREDICTIONS_READ,
        Scope.PREDICTIONS_WRITE,
        Scope.AUDITS_READ,
        Scope.AUDITS_WRITE,
        Scope.RECORDS_READ,
    }
)

BY_ROLE: dict[str, frozenset[Scope]] = {
    "owner": _EVERYONE | {Scope.MODELS_WRITE, Scope.TRAININGS_READ, Scope.TRAININGS_WRITE},
    "requester": _EVERYONE | _REQUESTER,
    "party": _EVERYONE | {Scope.NODE},
    "dealer": _EVERYONE | {Scope.NODE},
}


def allowed(roles: Iterable[str]) -> frozenset[Scope]:
    """Every scope that an institution with these roles may ask for."""
    return frozenset().union(*(BY_ROLE.get(role, frozenset()) for role in roles))


def refusal(institution: str, roles: Iterable[str], scope: str) -> Refused:
    """Why a token of an institution with these roles does not cover a scope: FIELD_INVALID if there is no such scope,
    ROLE_MISSING if none of its roles opens it, SCOPE_MISSING if it need only be asked for. The field is the scope."""
    having = [role for role, scopes in BY_ROLE.items() if scope in scopes]
    if not having:
        return Refused(Reason.FIELD_INVALID, detail=f"The scopes are: {', '.join(Scope)}.", field="scope")
    if set(having) & set(roles):
        return Refused(Reason.SCOPE_MISSING, field=scope)
    detail = (
        f"{scope} is for an institution with the role {' or '.join(having)}; {institution} is enrolled as "
        f"{', '.join(roles)}. Roles stand in the enrolment that an institution signs, and that the coordinator's "
        "operator takes in."
    )
    return Refused(Reason.ROLE_MISSING, detail=detail, field=scope)
