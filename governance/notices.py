"""What people are told of, and who: one total table. No notice holds more than a study's title or a
model's name."""

from enum import StrEnum


class Notice(StrEnum):
    """Kinds of notifications."""

    REVIEW_WAITS = "review-waits"
    SUBMISSION_SETTLED = "submission-settled"
    CONDITIONS_OPEN = "conditions-open"
    MEETING_CALLED = "meeting-called"
    MEETING_CANCELLED = "meeting-cancelled"
    ITEM_STOPPED = "item-stopped"
    LOCAL_CONTEXT_WANTED = "local-context-wanted"
    RELIANCE_WAITS = "reliance-waits"
    APPROVAL_ENDS = "approval-ends"
    APPROVAL_LAPSED = "approval-lapsed"
    STUDY_STOPPED = "study-stopped"
    INCIDENT_REPORTED = "incident-reported"
    INCIDENT_DUE = "incident-due"
    ATTACHMENT_ENDS = "attachment-ends"
    DATA_USE_WAITS = "data-use-waits"
    DELEGATED = "delegated"
    SUBJECT_ERASED = "subject-erased"
    GRANT_GIVEN = "grant-given"
    MODEL_RECALLED = "model-recalled"
