"""The tables, one module a family. They hold invariants only; what may happen is in `services`."""

from governance.models.board import BoardSeat, Conflict, Delegation
from governance.models.consent import Consent
from governance.models.definition import BudgetUse, Definition, DefinitionVote, DisclosureStatement
from governance.models.institution import Institution, InstitutionKey, KeyChange, NodeStatus, Roster
from governance.models.meeting import AgendaItem, Attendance, Ballot, Meeting
from governance.models.notification import MailPreference, Notification
from governance.models.people import Membership, OfficerProfile, Passkey
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
    "Incident",
    "IncidentStep",
    "Institution",
    "InstitutionKey",
    "KeyChange",
    "LocalContext",
    "MailPreference",
    "Meeting",
    "Membership",
    "NodeStatus",
    "Notification",
    "OfficerProfile",
    "Opinion",
    "Passkey",
    "ProtocolVersion",
    "RecoveryCode",
    "RelianceAgreement",
    "Review",
    "Roster",
    "Signature",
    "SigningChallenge",
    "Study",
    "Submission",
    "Totp",
]
