"""Audits and trainings: computed over rows that the nodes' own institutions bring, and asked for in the same way."""

from typing import Any, ClassVar
from uuid import UUID

from django.urls import reverse
from drf_spectacular.utils import extend_schema, extend_schema_view
from rest_framework import serializers, status
from rest_framework.request import Request
from rest_framework.response import Response

from api import waiting
from api.openapi import OF_NODES, Repeated
from api.scopes import Scope
from api.views.base import AFTER, Resource, Shape, body, listed, paged
from api.views.jobs import (
    FILTERED,
    FILTERS,
    IDEMPOTENCY_KEY,
    LOCATION,
    JobAnswer,
    NodeResult,
    idempotency_key,
    node_results,
    shown,
)
from compute import selectors
from compute.models import Job
from compute.services import jobs, results
from concordat.definition import Kind

NAMES: dict[Kind, str] = {"audit": "audit", "train": "training"}
"""What one of a kind is called in an address."""


class ManyRequest(Shape):
    request = serializers.CharField(help_text="The signed request (JWS), with neither commitments nor sealing keys.")


class ManyAnswer(JobAnswer):
    job = serializers.UUIDField(help_text="The job's UUID, by which addresses name it.")


class ManyResult(Shape):
    job = serializers.UUIDField(help_text="The job's UUID.")
    record = serializers.CharField(help_text="The number under which people know the entry.")
    ticket = serializers.CharField(help_text="The coordinator's ticket (JWS).")
    results = NodeResult(many=True, help_text="What each node handed in, in the order of their ranks.")
    entry = serializers.IntegerField(help_text="Index in the log.")


class OfKind(Resource):
    """One of the addresses of a kind."""

    kind: ClassVar[Kind]

    @property
    def job(self) -> Job:
        """The caller's own that the address names. Raises Refused(NOT_FOUND)."""
        return selectors.job_of(self.caller, self.kwargs[NAMES[self.kind]], self.kind)


class Requests(OfKind):
    limited: ClassVar = {"POST": "predictions"}
    repeated: ClassVar = Repeated.KEY

    @extend_schema(parameters=[AFTER, *FILTERED], responses=paged(ManyAnswer))
    def get(self, request: Request) -> Response:
        own = selectors.jobs_of(self.caller, self.kind)
        return Response(listed(request, own, _shown, key="uuid", filters=FILTERS))

    @extend_schema(request=ManyRequest, responses={202: ManyAnswer}, parameters=[IDEMPOTENCY_KEY, LOCATION])
    def post(self, request: Request) -> Response:
        """Ask for one under a definition of that kind. The answer says whether it is authorised; the computation
        follows, on rows that the nodes' own institutions bring."""
        job = jobs.request_of_many(
            kind=self.kind, **body(request, ManyRequest), idempotency_key=idempotency_key(request), by=self.caller
        )
        name = NAMES[self.kind]
        headers = {"Location": reverse(name, kwargs={name: job.uuid})}
        return Response(_shown(job), status=status.HTTP_202_ACCEPTED, headers=headers)


class One(OfKind):
    @extend_schema(parameters=waiting.PARAMETERS, responses={200: ManyAnswer, 304: None})
    def get(self, request: Request, **named: UUID) -> Response:
        return waiting.answer(request, lambda: _shown(self.job))


class Cancellation(OfKind):
    @extend_schema(request=None, responses=ManyAnswer)
    def post(self, request: Request, **named: UUID) -> Response:
        return Response(_shown(jobs.cancel(job=self.job, by=self.caller)))


class Result(OfKind):
    passed_on: ClassVar = OF_NODES

    @extend_schema(responses=ManyResult)
    def get(self, request: Request, **named: UUID) -> Response:
        release = results.release(job=self.job, by=self.caller)
        job = release.job
        return Response(
            {
                "job": str(job.uuid),
                "record": job.record,
                "ticket": job.ticket,
                "results": node_results(release),
                "entry": job.prediction_entry,
            }
        )


@extend_schema_view(get=extend_schema(operation_id="audits_list"))
class Audits(Requests):
    """The institution's own audits: counts of how a model answers, which it alone opens."""

    kind = "audit"
    scopes: ClassVar = {"GET": Scope.AUDITS_READ, "POST": Scope.AUDITS_WRITE}


class OneAudit(One):
    """Where an audit stands, and why."""

    kind = "audit"
    scopes: ClassVar = {"GET": Scope.AUDITS_READ}


class AuditCancellation(Cancellation):
    """Take a request for an audit back before there is a result."""

    kind = "audit"
    scopes: ClassVar = {"POST": Scope.AUDITS_WRITE}


class AuditCounts(Result):
    """Receipts and sealed shares of the counts. Only the holder of the request's output key can read them."""

    kind = "audit"
    scopes: ClassVar = {"GET": Scope.AUDITS_READ}


@extend_schema_view(get=extend_schema(operation_id="trainings_list"))
class Trainings(Requests):
    """Trainings of the institution's own models, whose new weights nobody sees."""

    kind = "train"
    scopes: ClassVar = {"GET": Scope.TRAININGS_READ, "POST": Scope.TRAININGS_WRITE}


class OneTraining(One):
    """Where a training stands, and why."""

    kind = "train"
    scopes: ClassVar = {"GET": Scope.TRAININGS_READ}


class TrainingCancellation(Cancellation):
    """Take a request for a training back before there is a result."""

    kind = "train"
    scopes: ClassVar = {"POST": Scope.TRAININGS_WRITE}


class TrainedShares(Result):
    """Receipts, and the shares of the new weights, each sealed to the party that made it: what the owner imports."""

    kind = "train"
    scopes: ClassVar = {"GET": Scope.TRAININGS_READ}


def _shown(job: Job) -> dict[str, Any]:
    return {"job": str(job.uuid), **shown(job)}
