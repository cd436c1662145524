"""Predictions with their explanations: asked for, followed, opened and shown by the one institution that asked."""

from typing import Any, ClassVar
from uuid import UUID

from django.urls import reverse
from drf_spectacular.utils import extend_schema
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
from compute.services import alarms, jobs, results


class PredictionRequest(Shape):
    request = serializers.CharField(help_text="The signed request (JWS).")
    sealed = serializers.DictField(child=serializers.CharField(), help_text="For each party its sealed share.")


class PredictionAnswer(JobAnswer):
    prediction = serializers.UUIDField(help_text="The prediction's UUID, by which addresses name it.")


class ResultAnswer(Shape):
    prediction = serializers.UUIDField(help_text="The prediction's UUID.")
    record = serializers.CharField(help_text="The decision's number.")
    ticket = serializers.CharField(help_text="The coordinator's ticket (JWS).")
    results = NodeResult(many=True, help_text="What each node handed in, in the order of their ranks.")
    prediction_entry = serializers.IntegerField(help_text="Index in the log.")
    explanation_entry = serializers.IntegerField(help_text="Index in the log.")


class AlarmStatement(Shape):
    alarm = serializers.CharField(help_text="The signed alarm (JWS), the canary's shares sealed to the model's owner.")


class AlarmAnswer(PredictionAnswer):
    entry = serializers.IntegerField(help_text="Index of the alarm in the log.")


class TestimoniesAnswer(Shape):
    prediction = serializers.UUIDField(help_text="The prediction's UUID.")
    alarm = serializers.CharField(help_text="The requester's signed alarm (JWS).")
    testimonies = serializers.ListField(child=serializers.CharField(), help_text="The nodes' (JWS), as far as given.")
    receipts = serializers.ListField(child=serializers.CharField(), help_text="The nodes' signed receipts (JWS).")
    definition = serializers.JSONField(help_text="The definition document.")
    schema = serializers.JSONField(help_text="The feature schema that the definition names.")
    design = serializers.JSONField(help_text="The design of perturbations that the definition names.")
    manifest = serializers.CharField(help_text="The model's signed manifest (JWS).")
    finding = serializers.CharField(help_text="The owner's signed finding (JWS); empty until there is one.")


class FindingStatement(Shape):
    finding = serializers.CharField(help_text="The owner's signed finding (JWS).")


class DisplayReceipt(Shape):
    display = serializers.CharField(help_text="The signed display receipt (JWS).")


class Predictions(Resource):
    """The institution's own predictions."""

    scopes: ClassVar = {"GET": Scope.PREDICTIONS_READ, "POST": Scope.PREDICTIONS_WRITE}
    limited: ClassVar = {"POST": "predictions"}
    repeated: ClassVar = Repeated.KEY

    @extend_schema(operation_id="predictions_list", parameters=[AFTER, *FILTERED], responses=paged(PredictionAnswer))
    def get(self, request: Request) -> Response:
        return Response(listed(request, selectors.jobs_of(self.caller), _shown, key="uuid", filters=FILTERS))

    @extend_schema(request=PredictionRequest, responses={202: PredictionAnswer}, parameters=[IDEMPOTENCY_KEY, LOCATION])
    def post(self, request: Request) -> Response:
        """Ask for a prediction. The answer says whether it is authorised; the computation follows."""
        job = jobs.request_prediction(
            **body(request, PredictionRequest), idempotency_key=idempotency_key(request), by=self.caller
        )
        headers = {"Location": reverse("prediction", kwargs={"prediction": job.uuid})}
        return Response(_shown(job), status=status.HTTP_202_ACCEPTED, headers=headers)


class OnePrediction(Resource):
    """Where a prediction stands, and why."""

    scopes: ClassVar = {"GET": Scope.PREDICTIONS_READ}

    @extend_schema(parameters=waiting.PARAMETERS, responses={200: PredictionAnswer, 304: None})
    def get(self, request: Request, prediction: UUID) -> Response:
        return waiting.answer(request, lambda: _shown(selectors.job_of(self.caller, prediction)))


class Cancellation(Resource):
    """Take a request back before there is a result."""

    scopes: ClassVar = {"POST": Scope.PREDICTIONS_WRITE}

    @extend_schema(request=None, responses=PredictionAnswer)
    def post(self, request: Request, prediction: UUID) -> Response:
        return Response(_shown(jobs.cancel(job=selectors.job_of(self.caller, prediction), by=self.caller)))


class Result(Resource):
    """Receipts and sealed output shares. Only the holder of the request's output key can read them."""

    scopes: ClassVar = {"GET": Scope.PREDICTIONS_READ}
    passed_on: ClassVar = OF_NODES

    @extend_schema(responses=ResultAnswer)
    def get(self, request: Request, prediction: UUID) -> Response:
        release = results.release(job=selectors.job_of(self.caller, prediction), by=self.caller)
        job = release.job
        return Response(
            {
                "prediction": str(job.uuid),
                "record": job.record,
                "ticket": job.ticket,
                "results": node_results(release),
                "prediction_entry": job.prediction_entry,
                "explanation_entry": job.explanation_entry,
            }
        )


class Displays(Resource):
    """What was shown to whom, and what they made of it, as the requester signs it."""

    scopes: ClassVar = {"POST": Scope.PREDICTIONS_WRITE}

    @extend_schema(request=DisplayReceipt, responses={201: PredictionAnswer})
    def post(self, request: Request, prediction: UUID) -> Response:
        job = selectors.job_of(self.caller, prediction)
        results.note_display(job=job, display=body(request, DisplayReceipt)["display"], by=self.caller)
        return Response(_shown(job), status=status.HTTP_201_CREATED)


class Alarms(Resource):
    """The requester's alarm: a canary came back wrong. The result is withheld from then on, and the nodes testify."""

    scopes: ClassVar = {"POST": Scope.PREDICTIONS_WRITE}

    @extend_schema(request=AlarmStatement, responses={201: AlarmAnswer})
    def post(self, request: Request, prediction: UUID) -> Response:
        job = selectors.job_of(self.caller, prediction)
        withheld = alarms.raise_alarm(
            job=job, request=selectors.request_of(job), by=self.caller, **body(request, AlarmStatement)
        )
        return Response({**_shown(withheld), "entry": withheld.alarm.entry}, status=status.HTTP_201_CREATED)


class Testimonies(Resource):
    """What the model's owner replays a false canary with; each testimony is sealed to it."""

    scopes: ClassVar = {"GET": Scope.MODELS_WRITE}

    @extend_schema(responses=TestimoniesAnswer)
    def get(self, request: Request, prediction: UUID) -> Response:
        return Response(selectors.testimonies(selectors.alarm_of_owner(self.caller, prediction)))


class Findings(Resource):
    """Which nodes departed from the protocol, as the model's owner found and signed."""

    scopes: ClassVar = {"POST": Scope.MODELS_WRITE}
    passed_on: ClassVar = OF_NODES

    @extend_schema(request=FindingStatement, responses={201: TestimoniesAnswer})
    def post(self, request: Request, prediction: UUID) -> Response:
        alarm = selectors.alarm_of_owner(self.caller, prediction)
        alarms.take_finding(alarm=alarm, by=self.caller, **body(request, FindingStatement))
        return Response(selectors.testimonies(alarm), status=status.HTTP_201_CREATED)


def _shown(job: Job) -> dict[str, Any]:
    return {"prediction": str(job.uuid), **shown(job)}
