"""What predictions and audits have in common: each is a job, asked for under a key and followed through its states."""

from typing import Any

from django.db.models import Q
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter
from rest_framework import serializers
from rest_framework.request import Request

from api.openapi import DIGEST, RECORD
from api.views.base import Shape, among
from compute.models import Job
from compute.services.results import Release
from concordat import record_number
from concordat.canonical import digest_bytes
from concordat.reasons import Reason, Refused
from concordat.states import JobState

LONGEST_KEY = 64

IDEMPOTENCY_KEY = OpenApiParameter(
    "Idempotency-Key",
    OpenApiTypes.STR,
    OpenApiParameter.HEADER,
    required=True,
    description="Chosen by the caller, one for each request; the same request again is answered with the same job.",
)
LOCATION = OpenApiParameter(
    "Location", OpenApiTypes.URI, OpenApiParameter.HEADER, response=[202], description="Where to follow it."
)


def _in_state(value: str) -> Q:
    return Q(state=among(value, list(JobState)))


def _under(value: str) -> Q:
    digest_bytes(value)
    return Q(definition__digest=value)


def _recorded_as(value: str) -> Q:
    return Q(prediction_entry=record_number.parse(value))


FILTERS = {"state": _in_state, "definition": _under, "record": _recorded_as}
FILTERED = [
    OpenApiParameter("state", str, enum=list(JobState), description="Only those in this state."),
    OpenApiParameter("definition", DIGEST, description="Only those under the definition with this digest."),
    OpenApiParameter("record", RECORD, description="Only the decision with this number."),
]


class JobProgress(Shape):
    done = serializers.IntegerField(help_text="Rounds of the protocol that are done, as the first party's node says.")
    rounds = serializers.IntegerField(help_text="All rounds that it has.")


class JobAnswer(Shape):
    request = serializers.UUIDField(help_text="The request's UUID, as its signer chose it.")
    state = serializers.CharField(help_text="Where it stands; docs/reference/states.md shows which states may follow.")
    reason = serializers.CharField(help_text="A code of docs/reference/reasons.md, or empty.")
    detail = serializers.CharField(help_text="More about the reason, such as which node; may be empty.")
    record = serializers.CharField(help_text="The decision's number; empty until it is recorded.")
    progress = JobProgress(allow_null=True, help_text="Of a computation that takes longer than a second; else null.")


class NodeResult(Shape):
    node = serializers.CharField(help_text="Short name of the institution whose node it is.")
    receipt = serializers.CharField(help_text="The signed receipt (JWS).")
    sealed = serializers.CharField(help_text="Output shares sealed to the request's output key; empty for the dealer.")


def idempotency_key(request: Request) -> str:
    """The caller's key. Raises Refused: FIELD_MISSING, FIELD_INVALID."""
    key = request.headers.get("Idempotency-Key", "")
    if not key:
        raise Refused(Reason.FIELD_MISSING, field="Idempotency-Key")
    if len(key) > LONGEST_KEY or not key.isascii() or not key.isprintable():
        raise Refused(Reason.FIELD_INVALID, detail=f"At most {LONGEST_KEY} ASCII characters.", field="Idempotency-Key")
    return key


def shown(job: Job) -> dict[str, Any]:
    """Where a job stands, and why."""
    return {
        "request": str(job.request_uuid),
        "state": job.state,
        "reason": job.reason,
        "detail": job.detail,
        "record": job.record,
        "progress": dict(zip(("done", "rounds"), job.progress, strict=True)) if job.progress else None,
    }


def node_results(release: Release) -> list[dict[str, Any]]:
    """What each node handed in, in the order of their ranks."""
    return [{"node": each.node, "receipt": each.receipt, "sealed": each.sealed} for each in release.outputs]
