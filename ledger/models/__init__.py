"""The ledger's tables, one file a family."""

from ledger.models.anchor import Anchor, Attempt, ChainAccount, ChainTransaction, TransactionKind, TransactionState
from ledger.models.checkpoint import Cosignature, SignedCheckpoint
from ledger.models.document import Document
from ledger.models.log import LogEntry, LogHead, Reference
from ledger.models.subject import LegalHold, Payload, RetentionRule, SubjectKey
from ledger.models.tile import Tile
from ledger.models.timestamp import StampAttempt, TimeStamp

__all__ = [
    "Anchor",
    "Attempt",
    "ChainAccount",
    "ChainTransaction",
    "Cosignature",
    "Document",
    "LegalHold",
    "LogEntry",
    "LogHead",
    "Payload",
    "Reference",
    "RetentionRule",
    "SignedCheckpoint",
    "StampAttempt",
    "SubjectKey",
    "Tile",
    "TimeStamp",
    "TransactionKind",
    "TransactionState",
]
