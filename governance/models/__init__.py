"""The tables, one module a family. They hold invariants only; what may happen is in `services`."""

from governance.models.board import BoardSeat, Conflict, Delegation
from governance.models.consent import Consent
from governance.models.definition import (
    BudgetUse,
    Definition,
    DefinitionVote,
    DisclosureStatement,
    ModelCard,
    ModelRecall,
)
from governance.models.institution import Institution, InstitutionKey, KeyChange, NodeStatus, Roster
from governance.models.matter import Grant, Matter, MatterDecision, PrivilegeMark
from governance.models.meeting import AgendaItem, Attendance, Ballot, Meeting
from governance.models.notification import MailPreference, Notification
from governance.models.people import Membership, OfficerProfile, Passkey
from governance.models.production import ProducedFile, Production, ProductionItem, Redaction
from governance.models.record import Attachment, Comment, DataUseDecision, Incident, IncidentStep
from governance.models.reliance import LocalContext, RelianceAgreement
from governance.models.review import ConditionsCheck, Determination, Opinion, Review
from governance.models.sign_in import RecoveryCode, Totp
from governance.models.signature import Signature, SigningChallenge
from governance.models.study import Draft, ProtocolVersion, Study, Submission

__all__ = [
    "AgendaItem",
    "Attachment",
    "Attendance",
    "Ballot",
    "BoardSeat",
    "BudgetUse",
    "Comment",
    "ConditionsCheck",
    "Conflict",
    "Consent",
    "DataUseDecision",
    "Definition",
    "DefinitionVote",
    "Delegation",
    "Determination",
    "DisclosureStatement",
    "Draft",
    "Grant",
    "Incident",
    "IncidentStep",
    "Institution",
    "InstitutionKey",
    "KeyChange",
    "LocalContext",
    "MailPreference",
    "Matter",
    "MatterDecision",
    "Meeting",
    "Membership",
    "ModelCard",
    "ModelRecall",
    "NodeStatus",
    "Notification",
    "OfficerProfile",
    "Opinion",
    "Passkey",
    "PrivilegeMark",
    "ProducedFile",
    "Production",
    "ProductionItem",
    "ProtocolVersion",
    "RecoveryCode",
    "Redaction",
    "RelianceAgreement",
    "Review",
    "Roster",
    "Signature",
    "SigningChallenge",
    "Study",
    "Submission",
    "Totp",
]
