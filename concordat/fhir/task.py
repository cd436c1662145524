"""A prediction's job as a FHIR R4 Task: where it stands, and why it ended if it did."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Literal

from concordat import clock
from concordat.fhir.names import by_uuid, concept, identified, system, uuid_identifier
from concordat.reasons import REASONS, Reason
from concordat.states import JobState

TaskStatus = Literal["requested", "accepted", "ready", "in-progress", "completed", "rejected", "cancelled", "failed"]

STATUS: Mapping[JobState, TaskStatus] = {
    JobState.REQUESTED: "requested",
    JobState.REFUSED: "rejected",
    JobState.AUTHORISED: "accepted",
    JobState.RESERVED: "ready",
    JobState.COMPUTING: "in-progress",
    JobState.RETURNED: "in-progress",
    JobState.RECORDED: "completed",
    JobState.ANCHORED: "completed",
    JobState.FINAL: "completed",
    JobState.WITHHELD: "failed",
    JobState.CANCELLING: "in-progress",
    JobState.CANCELLED: "cancelled",
    JobState.FAILED: "failed",
    JobState.EXPIRED: "failed",
}
"""Task.status for each state of a job; `businessStatus` has the state itself. Completed is what can be opened."""


def task(
    *,
    request: str,
    requester: str,
    subject: str,
    definition: str,
    authored: datetime,
    now: datetime,
    state: JobState,
    reason: Reason | Literal[""] = "",
    record: str = "",
) -> dict[str, Any]:
    """The Task. `reason` is why it ended early; `record` the decision's number once it is in the log."""
    resource: dict[str, Any] = {
        "resourceType": "Task",
        "identifier": [uuid_identifier(request)],
        "status": STATUS[state],
        "businessStatus": concept("job-state", state),
        "intent": "order",
        "code": concept("document-kind", "prediction-job", "An explained prediction"),
        "for": {"type": "Patient", **by_uuid(subject)},
        "authoredOn": clock.rfc3339(authored),
        "lastModified": clock.rfc3339(now),
        "requester": {"type": "Organization", **identified("institution", requester)},
        "input": [{"type": {"text": "definition"}, "valueReference": identified("definition", definition)}],
    }
    if reason:
        resource["statusReason"] = concept("reason", reason, REASONS[reason].sentence)
    if record and state in (JobState.RECORDED, JobState.ANCHORED, JobState.FINAL):
        number = {"system": system("record"), "value": record}
        resource["output"] = [{"type": {"text": "record"}, "valueIdentifier": number}]
    return resource
