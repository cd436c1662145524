"""Studies: submitted by the leading institution's system, reviewed in the admin site, read here."""

from typing import Any, ClassVar

from django.db.models import Q, QuerySet
from drf_spectacular.utils import extend_schema
from rest_framework import serializers, status
from rest_framework.request import Request
from rest_framework.response import Response

from api.scopes import Scope
from api.views.base import Resource, Shape, body, one
from concordat import clock
from governance.models import Institution, Study
from governance.services import studies
from governance.states import StudyState


class Submission(Shape):
    protocol = serializers.JSONField(help_text="The protocol document; boards sign its digest.")


class ReviewAnswer(Shape):
    board = serializers.CharField()
    determination = serializers.CharField()


class StudyAnswer(Shape):
    study = serializers.CharField()
    title = serializers.CharField()
    institution = serializers.CharField(help_text="The leading institution.")
    sites = serializers.ListField(child=serializers.CharField())
    state = serializers.CharField()
    protocol = serializers.CharField(help_text="Digest of the latest protocol version; empty for a draft.")
    version = serializers.IntegerField()
    reviews = ReviewAnswer(many=True)
    expires = serializers.CharField(help_text="Empty without an approval.")


class Studies(Resource):
    """The studies that concern the institution. A draft is seen by the one that leads it alone."""

    scopes: ClassVar = {"GET": Scope.STUDIES_READ, "POST": Scope.STUDIES_WRITE}

    @extend_schema(operation_id="studies_list", responses=StudyAnswer(many=True))
    def get(self, request: Request) -> Response:
        return Response([_shown(study) for study in visible_studies(self.caller)])

    @extend_schema(request=Submission, responses={201: StudyAnswer})
    def post(self, request: Request) -> Response:
        """Submit a protocol version to the boards of all its sites."""
        version = studies.submit(institution=self.caller, content=body(request, Submission)["protocol"])
        return Response(_shown(version.study), status=status.HTTP_201_CREATED)


class OneStudy(Resource):
    """One study and where its review stands."""

    scopes: ClassVar = {"GET": Scope.STUDIES_READ}

    @extend_schema(responses=StudyAnswer)
    def get(self, request: Request, study: str) -> Response:
        return Response(_shown(one(visible_studies(self.caller), slug=study)))


def visible_studies(institution: Institution) -> QuerySet[Study]:
    takes_part = Q(sites=institution) | Q(versions__reviews__board=institution)
    seen = Q(institution=institution) | (takes_part & ~Q(state=StudyState.DRAFT))
    return Study.objects.filter(seen).select_related("institution").distinct()


def _shown(study: Study) -> dict[str, Any]:
    version = study.versions.first()
    reviews = version.reviews.select_related("board") if version else ()
    return {
        "study": study.slug,
        "title": study.title,
        "institution": study.institution.slug,
        "sites": list(study.sites.values_list("slug", flat=True)),
        "state": study.state_at(clock.now()),
        "protocol": version.digest if version else "",
        "version": version.number if version else 0,
        "reviews": [{"board": each.board.slug, "determination": each.determination} for each in reviews],
        "expires": clock.rfc3339(study.expires) if study.expires else "",
    }
