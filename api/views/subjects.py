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
    v = serializers.IntegerField(help_text="The version of this form: 1.")
    institution = serializers.CharField(help_text="Short name of the institution that knows the person.")
    subject = serializers.CharField(help_text="The person's pseudonym at that institution (UUID).")
    exported = serializers.CharField(help_text="When it was exported (RFC 3339, UTC).")
    entries = serializers.ListField(child=serializers.DictField(), help_text="Log entries, private fields opened.")
    related = serializers.ListField(child=serializers.DictField(), help_text="Log entries that name their requests.")
    consents = serializers.ListField(child=serializers.DictField(), help_text="With the signed statements (JWS).")
    jobs = serializers.ListField(
        child=serializers.DictField(),
        help_text="Their predictions: state, reason, record number, and how many sealed shares and packages are kept.",
    )
    holds = serializers.ListField(child=serializers.DictField(), help_text="Legal holds.")


class RecipientAnswer(Shape):
    name = serializers.CharField(help_text="Who it is, in words.")
    institution = serializers.CharField(help_text="Its short name, or empty.")
    jurisdiction = serializers.CharField(help_text="The country whose law it is under, or empty.")


class DisclosedAnswer(Shape):
    recipient = RecipientAnswer(help_text="Who was given it.")
    decision = serializers.CharField(help_text="Its record number, or empty.")
    opened = serializers.ListField(child=serializers.CharField(), help_text="Names of what was opened.")
    what = serializers.CharField(help_text="What was handed out, in words.")
    purpose = serializers.CharField(help_text="What it was handed out for, in words.")
    first = serializers.CharField(help_text="The first time (RFC 3339, UTC).")
    last = serializers.CharField(help_text="The last time (RFC 3339, UTC).")
    times = serializers.IntegerField(help_text="How many times.")
    entries = serializers.ListField(child=serializers.CharField(), help_text="Record numbers of the log.")


class LeftOutAnswer(Shape):
    why = serializers.CharField(help_text="Why it need not be accounted for, in words.")
    times = serializers.IntegerField(help_text="How many times.")


class ErasedSubject(Shape):
    time = serializers.CharField(help_text="When the key was destroyed (RFC 3339, UTC).")
    ground = serializers.CharField(help_text="On which ground, as a code such as `objection`.")


class AccountingAnswer(Shape):
    v = serializers.IntegerField(help_text="The version of this form: 1.")
    institution = serializers.CharField(help_text="Short name of the institution that accounts.")
    name = serializers.CharField(help_text="The institution's full name.")
    subject = serializers.CharField(help_text="The person's pseudonym at that institution (UUID).")
    asked = serializers.CharField(help_text="The day on which the person asked.")
    made = serializers.CharField(help_text="When the account was made (RFC 3339, UTC).")
    since = serializers.CharField(help_text="The first moment that is covered (RFC 3339, UTC).")
    until = serializers.CharField(help_text="The first moment that is not covered.")
    due = serializers.CharField(help_text="The last day on which the institution answers.")
    extended = serializers.CharField(help_text="The last day if it has told the person why it takes longer.")
    earlier = serializers.ListField(child=serializers.CharField(), help_text="Accounts in the twelve months before.")
    erased = ErasedSubject(allow_null=True, help_text="When and why the person's key was destroyed.")
    disclosures = DisclosedAnswer(
        many=True, help_text="One for each recipient, decision, content and purpose, the earliest first."
    )
    left_out = LeftOutAnswer(many=True, help_text="What happened that has not to be accounted for, counted.")
    statements = serializers.ListField(
        child=serializers.CharField(), help_text="What has to be said beside the list, in sentences."
    )


class Erasing(Shape):
    ground = serializers.ChoiceField(choices=GROUNDS, help_text="Which part of GDPR Article 17(1) applies.")


class ErasedAnswer(Shape):
    record = serializers.CharField(help_text="The record number of the key's destruction.")


class ErasureNoticeAnswer(Shape):
    notice = serializers.UUIDField(help_text="The notice's UUID.")
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
