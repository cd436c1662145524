"""Studies: submitted by the leading institution's system, reviewed in the admin site, read here."""

from typing import Any, ClassVar

from django.db.models import Q
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers, status
from rest_framework.request import Request
from rest_framework.response import Response

from api.scopes import Scope
from api.views.base import AFTER, Resource, Shape, among, body, listed, one, paged
from concordat import clock
from governance.models import Study, Submission
from governance.selectors import visible_studies
from governance.services import studies
from governance.states import StudyState


class NewSubmission(Shape):
    protocol = serializers.JSONField(help_text="The protocol document; boards sign its digest.")
    report = serializers.CharField(required=False, allow_blank=True, help_text="What the boards are told with it.")


class ReviewAnswer(Shape):
    review = serializers.CharField(help_text="Its identifier.")
    board = serializers.CharField(help_text="Short name of the institution whose board it is.")
    sites = serializers.ListField(child=serializers.CharField(), help_text="The sites for which this board reviews.")
    path = serializers.CharField(help_text="exempt, expedited, full-board or paper.")
    outcome = serializers.CharField(help_text="Empty while the board has not decided.")


class SubmissionAnswer(Shape):
    submission = serializers.CharField(help_text="The submission's UUID.")
    kind = serializers.CharField(help_text="initial, amendment, continuing-review or reinstatement.")
    state = serializers.CharField(
        help_text="Where it stands; docs/reference/study-states.md shows which states may follow."
    )
    protocol = serializers.CharField(help_text="Digest of the protocol version that it puts before the boards.")
    version = serializers.IntegerField(help_text="The number of that version within the study, from 1.")
    submitted = serializers.CharField(help_text="When it was submitted (RFC 3339, UTC).")
    settled = serializers.CharField(help_text="When the boards had decided; empty until then.")
    reviews = ReviewAnswer(many=True, help_text="One for each board.")


class StudyAnswer(Shape):
    study = serializers.CharField(help_text="Its short name.")
    uuid = serializers.CharField(help_text="Its identifier on the officers' site.")
    title = serializers.CharField(help_text="The study's title.")
    institution = serializers.CharField(help_text="The leading institution.")
    sites = serializers.ListField(
        child=serializers.CharField(), help_text="Short names of the institutions that take part."
    )
    state = serializers.CharField(
        help_text="Where the study stands now; docs/reference/study-states.md shows which states may follow."
    )
    protocol = serializers.CharField(help_text="Digest of the version in force; empty before the first approval.")
    base = serializers.CharField(help_text="Digest of the last material version: definitions name this one.")
    submission = SubmissionAnswer(allow_null=True, help_text="What was put before the boards last.")
    expires = serializers.CharField(help_text="Empty without an approval.")


class ProtocolAnswer(Shape):
    protocol = serializers.CharField(help_text="Digest of the content in canonical form: what boards sign.")
    version = serializers.IntegerField(help_text="The number of this version within the study, from 1.")
    base = serializers.CharField(help_text="Digest of the last material version up to this one.")
    submitted = serializers.CharField(help_text="When it was submitted (RFC 3339, UTC).")
    content = serializers.JSONField(help_text="The protocol document.")


def _in_state(value: str) -> Q:
    return Study.in_state(among(value, list(StudyState)), clock.now())


FILTERS = {"state": _in_state}
FILTERED = [OpenApiParameter("state", str, enum=list(StudyState), description="Only those in this state.")]


class Studies(Resource):
    """The studies that concern the institution: it leads them, is a site of them, or its board reviews them."""

    scopes: ClassVar = {"GET": Scope.STUDIES_READ, "POST": Scope.STUDIES_WRITE}

    @extend_schema(operation_id="studies_list", parameters=[AFTER, *FILTERED], responses=paged(StudyAnswer))
    def get(self, request: Request) -> Response:
        return Response(listed(request, visible_studies([self.caller]), _shown, key="slug", filters=FILTERS))

    @extend_schema(request=NewSubmission, responses={201: StudyAnswer})
    def post(self, request: Request) -> Response:
        """Submit a protocol version to the boards of all its sites."""
        given = body(request, NewSubmission)
        submission = studies.submit(institution=self.caller, content=given["protocol"], report=given.get("report", ""))
        return Response(_shown(submission.study), status=status.HTTP_201_CREATED)


class OneStudy(Resource):
    """One study and where its review stands."""

    scopes: ClassVar = {"GET": Scope.STUDIES_READ}

    @extend_schema(responses=StudyAnswer)
    def get(self, request: Request, study: str) -> Response:
        return Response(_shown(one(visible_studies([self.caller]), slug=study)))


class Submissions(Resource):
    """All that was put before the boards of a study, with the version of the protocol that each puts before them."""

    scopes: ClassVar = {"GET": Scope.STUDIES_READ}

    @extend_schema(operation_id="submissions_list", parameters=[AFTER], responses=paged(SubmissionAnswer))
    def get(self, request: Request, study: str) -> Response:
        found = one(visible_studies([self.caller]), slug=study)
        rows = found.submissions.select_related("version").prefetch_related("reviews__board", "reviews__sites")
        return Response(listed(request, rows, _submission, key="uuid"))


class Protocol(Resource):
    """One version of a study's protocol. Recompute the digest of its content: it is what the boards signed."""

    scopes: ClassVar = {"GET": Scope.STUDIES_READ}

    @extend_schema(responses=ProtocolAnswer)
    def get(self, request: Request, study: str, protocol: str) -> Response:
        version = one(one(visible_studies([self.caller]), slug=study).versions.all(), digest=protocol)
        return Response(
            {
                "protocol": version.digest,
                "version": version.number,
                "base": version.base,
                "submitted": clock.rfc3339(version.submitted),
                "content": version.content,
            }
        )


def _shown(study: Study) -> dict[str, Any]:
    submissions = study.submissions.select_related("version").prefetch_related("reviews__board", "reviews__sites")
    submission = submissions.first()
    return {
        "study": study.slug,
        "uuid": str(study.uuid),
        "title": study.title,
        "institution": study.institution.slug,
        "sites": list(study.sites.values_list("slug", flat=True)),
        "state": study.state_at(clock.now()),
        "protocol": study.in_force.digest if study.in_force else "",
        "base": study.in_force.base if study.in_force else "",
        "submission": _submission(submission) if submission else None,
        "expires": clock.rfc3339(study.expires) if study.expires else "",
    }


def _submission(submission: Submission) -> dict[str, Any]:
    return {
        "submission": str(submission.uuid),
        "kind": submission.kind,
        "state": submission.state,
        "protocol": submission.version.digest,
        "version": submission.version.number,
        "submitted": clock.rfc3339(submission.submitted),
        "settled": clock.rfc3339(submission.settled) if submission.settled else "",
        "reviews": [
            {
                "review": str(each.uuid),
                "board": each.board.slug,
                "sites": sorted(site.slug for site in each.sites.all()),
                "path": each.path,
                "outcome": each.outcome,
            }
            for each in submission.reviews.all()
        ],
    }
