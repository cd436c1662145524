"""The tables, one module a family. They hold invariants only; what may happen is in `services`."""

from governance.models.consent import Consent
from governance.models.definition import Definition, DefinitionVote, DisclosureStatement
from governance.models.institution import Institution, InstitutionKey, Roster
from governance.models.people import Membership, OfficerProfile, Passkey
from governance.models.signature import Signature, SigningChallenge
from governance.models.study import ProtocolVersion, Review, Study

__all__ = [
    "Consent",
    "Definition",
    "DefinitionVote",
    "DisclosureStatement",
    "Institution",
    "InstitutionKey",
    "Membership",
    "OfficerProfile",
    "Passkey",
    "ProtocolVersion",
    "Review",
    "Roster",
    "Signature",
    "SigningChallenge",
    "Study",
]
