"""What an institution's own subjects may ask for: to see everything that is held on them, and to have it erased."""

from typing import Any, ClassVar
from uuid import UUID

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from api.openapi import DAY, Repeated
from api.scopes import Scope
from api.views.base import AFTER, Resource, Shape, body, check_parameters, day, listed, paged
from compute.models import ErasureNotice
from compute.selectors import notices_of
from compute.services.accounting import account
from compute.services.erasure import erase_subject
from compute.services.export import export_subject
from concordat import clock
from concordat.reasons import Reason, Refused
from governance.models import OfficerProfile
from ledger.models import LogEntry

GROUNDS = ("no-longer-needed", "consent-withdrawn", "objection", "unlawful", "legal-obligation")
"""GDPR Article 17(1) (a) to (e). The ground stands in the log in the clear, so nobody writes a text of their own."""


class ExportAnswer(Shape):
    v = serializers.IntegerField()
    institution = serializers.CharField()
    subject = serializers.CharField()
    exported = serializers.CharField()
    entries = serializers.ListField(child=serializers.DictField(), help_text="Log entries, private fields opened.")
    related = serializers.ListField(child=serializers.DictField(), help_text="Log entries that name their requests.")
    consents = serializers.ListField(child=serializers.DictField(), help_text="With the signed statements (JWS).")
    jobs = serializers.ListField(child=serializers.DictField())
    holds = serializers.ListField(child=serializers.DictField(), help_text="Legal holds.")


class RecipientAnswer(Shape):
    name = serializers.CharField()
    institution = serializers.CharField(help_text="Its short name, or empty.")
    jurisdiction = serializers.CharField(help_text="The country whose law it is under, or empty.")


class DisclosedAnswer(Shape):
    recipient = RecipientAnswer()
    decision = serializers.CharField(help_text="Its record number, or empty.")
    opened = serializers.ListField(child=serializers.CharField(), help_text="Names of what was opened.")
    what = serializers.CharField()
    purpose = serializers.CharField()
    first = serializers.CharField()
    last = serializers.CharField()
    times = serializers.IntegerField()
    entries = serializers.ListField(child=serializers.CharField(), help_text="Record numbers of the log.")


class LeftOutAnswer(Shape):
    why = serializers.CharField()
    times = serializers.IntegerField()


class ErasedSubject(Shape):
    time = serializers.CharField()
    ground = serializers.CharField()


class AccountingAnswer(Shape):
    v = serializers.IntegerField()
    institution = serializers.CharField()
    name = serializers.CharField()
    subject = serializers.CharField()
    asked = serializers.CharField(help_text="The day on which the person asked.")
    made = serializers.CharField()
    since = serializers.CharField()
    until = serializers.CharField(help_text="The first moment that is not covered.")
    due = serializers.CharField(help_text="The last day on which the institution answers.")
    extended = serializers.CharField(help_text="The last day if it has told the person why it takes longer.")
    earlier = serializers.ListField(child=serializers.CharField(), help_text="Accounts in the twelve months before.")
    erased = ErasedSubject(allow_null=True, help_text="When and why the person's key was destroyed.")
    disclosures = DisclosedAnswer(many=True)
    left_out = LeftOutAnswer(many=True)
    statements = serializers.ListField(child=serializers.CharField())


class Erasing(Shape):
    ground = serializers.ChoiceField(choices=GROUNDS, help_text="Which part of GDPR Article 17(1) applies.")


class ErasedAnswer(Shape):
    record = serializers.CharField(help_text="The record number of the key's destruction.")


class ErasureNoticeAnswer(Shape):
    notice = serializers.UUIDField()
    destroyed = serializers.CharField(help_text="The record number of the key's destruction.")
    records = serializers.ListField(
        child=serializers.CharField(), help_text="Decisions about the erased person of which the institution was given."
    )
    told = serializers.CharField(help_text="When.")


class Export(Resource):
    """Everything held on one of the institution's own subjects (GDPR Article 15). That it was exported is recorded."""

    scopes: ClassVar = {"GET": Scope.SUBJECTS_READ}
    limited: ClassVar = {"GET": "subjects"}

    @extend_schema(responses=ExportAnswer)
    def get(self, request: Request, subject: UUID) -> Response:
        _check_patient(subject)
        return Response(export_subject(institution=self.caller.slug, subject=subject))


class Disclosures(Resource):
    """The account of what was disclosed of one of the institution's own subjects, in six years or a shorter period (45
    CFR 164.528). That it was handed out is recorded. Of a person who was erased it says that, and no more."""

    scopes: ClassVar = {"GET": Scope.SUBJECTS_READ}
    limited: ClassVar = {"GET": "subjects"}

    @extend_schema(
        parameters=[
            OpenApiParameter("asked", DAY, description="The day on which the person asked (2026-01-31); else today."),
            OpenApiParameter("since", DAY, description="The first day of a shorter period, UTC."),
            OpenApiParameter("until", DAY, description="Its last day, UTC."),
        ],
        responses=AccountingAnswer,
    )
    def get(self, request: Request, subject: UUID) -> Response:
        _check_patient(subject)
        names = ("asked", "since", "until")
        check_parameters(request, names)
        days = {name: day(request, name) for name in names}
        return Response(account(institution=self.caller, subject=subject, **days))


class Erasure(Resource):
    """Erase one of the institution's own subjects (GDPR Article 17): it cannot be undone. A legal hold forbids it."""

    scopes: ClassVar = {"POST": Scope.SUBJECTS_ERASE}
    limited: ClassVar = {"POST": "subjects"}
    repeated: ClassVar = Repeated.REFUSED

    @extend_schema(request=Erasing, responses=ErasedAnswer)
    def post(self, request: Request, subject: UUID) -> Response:
        ground: dict[str, Any] = body(request, Erasing)
        _check_patient(subject)
        entry = erase_subject(institution=self.caller.slug, subject=subject, ground=ground["ground"])
        return Response({"record": entry.record_number})


class Erasures(Resource):
    """Erasures of people of whom the institution was given a dossier, or holds a package, according to the log (GDPR
    Article 19): what it still has of these decisions, it destroys, or knows why not."""

    scopes: ClassVar = {"GET": Scope.DOSSIERS_READ}

    @extend_schema(operation_id="erasures_list", parameters=[AFTER], responses=paged(ErasureNoticeAnswer))
    def get(self, request: Request) -> Response:
        return Response(listed(request, notices_of(self.caller), _shown, key="notice"))


def _shown(notice: ErasureNotice) -> dict[str, Any]:
    return {
        "notice": str(notice.notice),
        "destroyed": notice.destroyed,
        "records": notice.records,
        "told": clock.rfc3339(notice.told),
    }


def _check_patient(subject: UUID) -> None:
    """The log keeps what officers write under keys of their own, and what concerns nobody under one of the entry. Who
    exported those would read blind opinions and ballots; who erased them would take away who signed what, and silence
    the officer. Raises Refused(NOT_FOUND), as for a pseudonym that nobody has."""
    if OfficerProfile.objects.filter(uuid=subject).exists() or LogEntry.objects.filter(uuid=subject).exists():
        raise Refused(Reason.NOT_FOUND, field="subject")
