"""The tables, one module a family. They hold invariants only; what may happen is in `services`."""

from governance.models.consent import Consent
from governance.models.definition import BudgetUse, Definition, DefinitionVote, DisclosureStatement
from governance.models.institution import Institution, InstitutionKey, KeyChange, NodeStatus, Roster
from governance.models.people import Membership, OfficerProfile, Passkey
from governance.models.sign_in import RecoveryCode, Totp
from governance.models.signature import Signature, SigningChallenge
from governance.models.study import ProtocolVersion, Review, Study

__all__ = [
    "BudgetUse",
    "Consent",
    "Definition",
    "DefinitionVote",
    "DisclosureStatement",
    "Institution",
    "InstitutionKey",
    "KeyChange",
    "Membership",
    "NodeStatus",
    "OfficerProfile",
    "Passkey",
    "ProtocolVersion",
    "RecoveryCode",
    "Review",
    "Roster",
    "Signature",
    "SigningChallenge",
    "Study",
    "Totp",
]
