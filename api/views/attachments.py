"""The documents beside a study's protocol, attached by the institution whose they are."""

from typing import Any, ClassVar
from uuid import UUID

from drf_spectacular.utils import extend_schema
from rest_framework import serializers, status
from rest_framework.request import Request
from rest_framework.response import Response

from api.scopes import Scope
from api.views.base import AFTER, Resource, Shape, body, listed, one, paged
from concordat import clock, media
from concordat.canonical import b64, unb64
from concordat.protocol import AttachmentKind
from concordat.reasons import Reason, Refused
from governance.models import Attachment, Institution, Study
from governance.selectors import visible_studies
from governance.services import attachments


class NewAttachment(Shape):
    kind = serializers.ChoiceField(
        choices=[kind.value for kind in AttachmentKind],
        help_text="Which of the documents that a protocol may ask for it is.",
    )
    institution = serializers.CharField(
        allow_blank=True, help_text="The caller; or empty for the study's own, which the leading institution attaches."
    )
    name = serializers.CharField(max_length=200, help_text="The file's name.")
    media_type = serializers.ChoiceField(choices=media.TYPES, help_text="What the file is; its bytes must agree.")
    content = serializers.CharField(help_text="The file, base64url without padding.")
    expires = serializers.CharField(required=False, help_text="When it ends; most kinds must.")


class AttachmentAnswer(Shape):
    attachment = serializers.CharField(help_text="The attachment's UUID.")
    kind = serializers.CharField(help_text="Which of the documents that a protocol may ask for it is.")
    institution = serializers.CharField(help_text="Empty for the study's own.")
    name = serializers.CharField(help_text="The file's name.")
    media_type = serializers.CharField(help_text="Media type of the file.")
    digest = serializers.CharField(help_text="Of the file's bytes.")
    expires = serializers.CharField(help_text="Empty without an end.")
    added = serializers.CharField(help_text="When it was attached (RFC 3339, UTC).")


class FileAnswer(AttachmentAnswer):
    content = serializers.CharField(help_text="The file, base64url without padding.")


class Attachments(Resource):
    """A study's attachments. Of one kind and institution the newest counts."""

    scopes: ClassVar = {"GET": Scope.STUDIES_READ, "POST": Scope.STUDIES_WRITE}
    limited: ClassVar = {"POST": "attachments"}

    @extend_schema(operation_id="attachments_list", parameters=[AFTER], responses=paged(AttachmentAnswer))
    def get(self, request: Request, study: str) -> Response:
        rows = _study(self.caller, study).attachments.select_related("institution").defer("content")
        return Response(listed(request, rows, _shown, key="uuid"))

    @extend_schema(request=NewAttachment, responses={201: AttachmentAnswer})
    def post(self, request: Request, study: str) -> Response:
        """Attach a document of the institution's own."""
        given = body(request, NewAttachment)
        attached = attachments.add(
            system=self.caller,
            study=_study(self.caller, study),
            kind=given["kind"],
            institution=given["institution"],
            name=given["name"],
            media_type=given["media_type"],
            content=_decoded(given["content"]),
            expires=_time(given.get("expires", "")),
        )
        return Response(_shown(attached), status=status.HTTP_201_CREATED)


class OneAttachment(Resource):
    """One of a study's attachments, with the file itself. That it is read is recorded. Compare the digest."""

    scopes: ClassVar = {"GET": Scope.STUDIES_READ}
    limited: ClassVar = {"GET": "dossiers"}

    @extend_schema(responses=FileAnswer)
    def get(self, request: Request, study: str, attachment: UUID) -> Response:
        seen = _study(self.caller, study)
        found = attachments.read(system=self.caller, study=str(seen.uuid), attachment=str(attachment))
        return Response({**_shown(found), "content": b64(bytes(found.content))})


def _study(caller: Institution, slug: str) -> Study:
    return one(visible_studies([caller]), slug=slug)


def _decoded(content: str) -> bytes:
    try:
        return unb64(content)
    except Refused as refused:
        raise Refused(Reason.FIELD_INVALID, detail=refused.detail, field="content") from None


def _time(text: str) -> Any:
    try:
        return clock.parse(text) if text else None
    except Refused as refused:
        raise Refused(Reason.FIELD_INVALID, detail=refused.detail, field="expires") from None


def _shown(attachment: Attachment) -> dict[str, Any]:
    return {
        "attachment": str(attachment.uuid),
        "kind": attachment.kind,
        "institution": attachment.institution.slug if attachment.institution else "",
        "name": attachment.name,
        "media_type": attachment.media_type,
        "digest": attachment.digest,
        "expires": clock.rfc3339(attachment.expires) if attachment.expires else "",
        "added": clock.rfc3339(attachment.added),
    }
