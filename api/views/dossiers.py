"""Dossiers: everything that is needed to rebuild one decision, for those who took part in it."""

from typing import ClassVar

from django.http import HttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request

from api.openapi import RECORD
from api.scopes import Scope
from api.views.base import Resource
from compute.models import Job
from concordat import record_number
from concordat.reasons import Reason, Refused
from governance.models import Institution
from governance.services.dossiers import SEEN_BY_NODES, SEEN_BY_REQUESTER
from ledger.services import dossiers

ZIP = "application/zip"


class Dossier(Resource):
    """The signed bundle of one decision, to be verified off line. That it was read is itself recorded in the log."""

    scopes: ClassVar = {"GET": Scope.DOSSIERS_READ}
    limited: ClassVar = {"GET": "dossiers"}

    @extend_schema(
        parameters=[OpenApiParameter("record", RECORD, OpenApiParameter.PATH, description="For example C-0000042-3.")],
        responses={(200, ZIP): OpenApiTypes.BINARY},
    )
    def get(self, request: Request, record: str) -> HttpResponse:
        role, disclose = _part(self.caller, record)
        content = dossiers.hand_out(
            number=record, role=role, reader=self.caller.slug, institution=self.caller.slug, disclose=disclose
        )
        headers = {"Content-Disposition": f'attachment; filename="{record}.zip"'}
        return HttpResponse(content, content_type=ZIP, headers=headers)


def _part(institution: Institution, record: str) -> tuple[str, tuple[str, ...]]:
    """What the institution was in this decision, and which private fields it knows. Raises Refused(NOT_FOUND)."""
    job = Job.objects.filter(prediction_entry=record_number.parse(record)).first()
    if job is not None and job.requester == institution:
        return "requester", SEEN_BY_REQUESTER
    if job is not None and institution.slug in job.nodes:
        return "node", SEEN_BY_NODES
    raise Refused(Reason.NOT_FOUND)
