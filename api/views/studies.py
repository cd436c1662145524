"""Studies: submitted by the leading institution's system, reviewed in the admin site, read here."""

from typing import Any, ClassVar

from drf_spectacular.utils import extend_schema
from rest_framework import serializers, status
from rest_framework.request import Request
from rest_framework.response import Response

from api.scopes import Scope
from api.views.base import AFTER, Resource, Shape, body, listed, one, paged
from concordat import clock
from governance.models import Study
from governance.selectors import visible_studies
from governance.services import studies


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
    protocol = serializers.CharField(help_text="Digest of the latest protocol version.")
    version = serializers.IntegerField()
    reviews = ReviewAnswer(many=True)
    expires = serializers.CharField(help_text="Empty without an approval.")


class Studies(Resource):
    """The studies that concern the institution: it leads them, is a site of them, or its board reviews them."""

    scopes: ClassVar = {"GET": Scope.STUDIES_READ, "POST": Scope.STUDIES_WRITE}

    @extend_schema(operation_id="studies_list", parameters=[AFTER], responses=paged(StudyAnswer))
    def get(self, request: Request) -> Response:
        return Response(listed(request, visible_studies([self.caller]), _shown, key="slug"))

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
        return Response(_shown(one(visible_studies([self.caller]), slug=study)))


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
