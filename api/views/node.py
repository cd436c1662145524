"""A node's own interface. Celery carries tickets and identifiers; all that matters is fetched and handed in here."""

from typing import ClassVar
from uuid import UUID

from drf_spectacular.utils import extend_schema
from rest_framework import serializers, status
from rest_framework.request import Request
from rest_framework.response import Response

from api.openapi import Repeated
from api.scopes import Scope
from api.views.base import Resource, Shape, body
from api.views.definitions import SignedVote
from compute import selectors
from compute.services import alarms, dispatch, progress, results
from concordat import clock
from concordat.canonical import digest_bytes
from governance.services import nodes

MOST_ROUNDS = 10_000_000
"""Far more than any computation has."""


class JobDocuments(Shape):
    job = serializers.UUIDField(help_text="The job's UUID.")
    request = serializers.CharField(help_text="The signed request (JWS).")
    definition = serializers.JSONField(help_text="The definition document.")
    protocol = serializers.JSONField(help_text="The protocol that the definition names.")
    manifest = serializers.CharField(help_text="The model's signed manifest (JWS).")
    disclosure = serializers.CharField(allow_null=True, help_text="The owner's disclosure statement (JWS).")
    schema = serializers.JSONField(help_text="The feature schema that the definition names.")
    design = serializers.JSONField(help_text="The design of perturbations that the definition names.")
    votes = SignedVote(many=True, help_text="All signed votes on the definition that stand.")
    withdrawal = serializers.CharField(allow_null=True, help_text="The consent's withdrawal (JWS).")
    capacity = serializers.CharField(
        allow_null=True, help_text="The statement (JWS) that the person decides for themself by now."
    )
    recall = serializers.CharField(allow_null=True, help_text="The owner's recall of the model (JWS).")
    reviews = serializers.JSONField(help_text="What officers signed about it, and the rosters (JWS) that list them.")
    input = serializers.CharField(allow_null=True, help_text="This node's sealed share of the record.")
    model_share = serializers.CharField(allow_null=True, help_text="This node's sealed share of the weights.")
    acceptances = serializers.ListField(
        child=serializers.CharField(), help_text="Every node's acceptance (JWS), once all have accepted."
    )


class TicketAnswer(Shape):
    answer = serializers.CharField(help_text="The signed acceptance or refusal (JWS).")


class ComputedResult(Shape):
    receipt = serializers.CharField(help_text="The signed receipt (JWS).")
    sealed = serializers.CharField(allow_null=True, help_text="Sealed output shares; null from the dealer.")


class RoundsDone(Shape):
    done = serializers.IntegerField(min_value=1, max_value=MOST_ROUNDS, help_text="Rounds of the protocol so far.")
    rounds = serializers.IntegerField(min_value=1, max_value=MOST_ROUNDS, help_text="All rounds that it has.")


class AlarmDocuments(Shape):
    job = serializers.UUIDField(help_text="The job's UUID.")
    alarm = serializers.CharField(help_text="The requester's signed alarm (JWS).")
    manifest = serializers.CharField(help_text="The model's signed manifest (JWS).")
    model_share = serializers.CharField(allow_null=True, help_text="This node's sealed share of the weights.")


class NodeTestimony(Shape):
    testimony = serializers.CharField(help_text="The signed testimony (JWS), its tape sealed to the model's owner.")


class NodeReport(Shape):
    software = serializers.CharField(max_length=64, help_text="The version of the node's software.")
    policy = serializers.CharField(
        allow_blank=True, max_length=71, help_text="Digest of the node's policy file; empty without one."
    )
    busy = serializers.BooleanField(help_text="Whether its one engine is taken.")
    clock = serializers.CharField(help_text="The time by the node's clock.")


class NodeSeen(Shape):
    seen = serializers.CharField(help_text="The time by the coordinator's clock.")


class JobState(Shape):
    job = serializers.UUIDField(help_text="The job's UUID.")
    state = serializers.CharField(help_text="The job's state; docs/reference/states.md shows which states may follow.")


class NodeJob(Resource):
    """All that the calling node needs to decide about a job and to do its part: its own sealed shares, no others."""

    scopes: ClassVar = {"GET": Scope.NODE}

    @extend_schema(responses=JobDocuments)
    def get(self, request: Request, job: UUID) -> Response:
        found = selectors.job_at_node(self.caller, job)
        return Response(selectors.documents_for(job=found, node=self.caller))


class NodeAnswer(Resource):
    """The node's answer to the job's ticket; a refusal after an acceptance says that it has dropped out."""

    scopes: ClassVar = {"POST": Scope.NODE}

    @extend_schema(request=TicketAnswer, responses=JobState)
    def post(self, request: Request, job: UUID) -> Response:
        found = selectors.job_at_node(self.caller, job)
        taken = dispatch.take_answer(job=found, node=self.caller, answer=body(request, TicketAnswer)["answer"])
        return Response({"job": str(taken.uuid), "state": taken.state})


class NodeProgress(Resource):
    """How far the computation is, from the first party's node, while it computes. It informs people; no decision rests
    on it."""

    scopes: ClassVar = {"POST": Scope.NODE}
    repeated: ClassVar = Repeated.ANEW

    @extend_schema(request=RoundsDone, responses=JobState)
    def post(self, request: Request, job: UUID) -> Response:
        found = selectors.job_at_node(self.caller, job)
        taken = progress.take_progress(job=found, node=self.caller, **body(request, RoundsDone))
        return Response({"job": str(taken.uuid), "state": taken.state})


class NodeResult(Resource):
    """The node's receipt and its sealed output."""

    scopes: ClassVar = {"POST": Scope.NODE}

    @extend_schema(request=ComputedResult, responses=JobState)
    def post(self, request: Request, job: UUID) -> Response:
        found = selectors.job_at_node(self.caller, job)
        taken = results.take_result(job=found, node=self.caller, **body(request, ComputedResult))
        return Response({"job": str(taken.uuid), "state": taken.state})


class NodeAlarm(Resource):
    """The alarm about a job that the calling node took part in, because of a canary that came back wrong."""

    scopes: ClassVar = {"GET": Scope.NODE}

    @extend_schema(responses=AlarmDocuments)
    def get(self, request: Request, job: UUID) -> Response:
        return Response(selectors.alarm_documents(selectors.alarm_at_node(self.caller, job), self.caller))


class Testimony(Resource):
    """What the calling node used for that canary, sealed to the model's owner."""

    scopes: ClassVar = {"POST": Scope.NODE}

    @extend_schema(request=NodeTestimony, responses={201: JobState})
    def post(self, request: Request, job: UUID) -> Response:
        alarm = selectors.alarm_at_node(self.caller, job)
        alarms.take_testimony(alarm=alarm, node=self.caller, **body(request, NodeTestimony))
        return Response({"job": str(alarm.job.uuid), "state": alarm.job.state}, status=status.HTTP_201_CREATED)


class Status(Resource):
    """What the calling node says of itself, every few minutes. It informs people; no decision rests on it."""

    scopes: ClassVar = {"POST": Scope.NODE}
    repeated: ClassVar = Repeated.ANEW

    @extend_schema(operation_id="node_status", request=NodeReport, responses=NodeSeen)
    def post(self, request: Request) -> Response:
        said = body(request, NodeReport)
        if said["policy"]:
            digest_bytes(said["policy"])
        reported = nodes.report(
            institution=self.caller,
            software=said["software"],
            policy=said["policy"],
            busy=said["busy"],
            time=clock.parse(said["clock"]),
        )
        return Response({"seen": clock.rfc3339(reported.seen)})
