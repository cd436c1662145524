"""Definitions, signatures and consents, to read."""

from typing import Any

from django.contrib import admin
from django.contrib.auth.models import User
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse

from governance import selectors
from governance.admin.base import ReadsRecorded, ScopedReadOnly, entries_naming, institutions_of
from governance.admin.parts.definition import definition
from governance.models import Consent, Definition, Signature


@admin.register(Definition)
class DefinitionAdmin(ScopedReadOnly):
    list_display = ("digest", "study", "state", "valid_until")
    list_display_links = ("digest",)
    fields = ("digest", "study", "state", "owner", "valid_until", "registered")
    change_form_template = "governance/definition_page.html"

    def scope(self, rows: QuerySet[Any], user: User) -> QuerySet[Any]:
        return rows.filter(study__in=selectors.visible_studies(institutions_of(user))).prefetch_related(
            "votes__institution", "votes__transaction"
        )

    def in_log(self, row: Definition) -> str:
        return entries_naming(row.digest)

    @admin.display(description="State")
    def state(self, definition: Definition) -> str:
        return selectors.definition_state(definition)

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """The definition in words; its document is there to be unfolded."""
        found = self.get_object(request, object_id)
        shown = definition(found) if isinstance(found, Definition) else {}
        return super().change_view(request, object_id, form_url, {**(extra_context or {}), **shown})


@admin.register(Signature)
class SignatureAdmin(ReadsRecorded):
    list_display = ("printed_name", "role", "institution", "meaning", "signed", "record")
    list_display_links = ("printed_name",)
    fields = ("printed_name", "role", "institution", "meaning", "signed", "record", "statement", "assertion")

    def scope(self, rows: QuerySet[Any], user: User) -> QuerySet[Any]:
        return rows.filter(study__in=selectors.visible_studies(institutions_of(user)))

    def read_about(self, row: Signature) -> dict[str, Any]:
        return {"study": row.study}


@admin.register(Consent)
class ConsentAdmin(ReadsRecorded):
    """Only the institution that asked for a consent sees it, and never whose it is."""

    list_display = ("consent", "study", "institution", "given", "until", "withdrawn")
    list_display_links = ("consent",)
    fields = ("consent", "study", "institution", "purposes", "given", "until", "withdrawn")

    def scope(self, rows: QuerySet[Any], user: User) -> QuerySet[Any]:
        return rows.filter(institution__in=institutions_of(user))

    def in_log(self, row: Consent) -> str:
        return entries_naming(row.uuid)

    @admin.display(ordering="uuid")
    def consent(self, consent: Consent) -> str:
        return str(consent.uuid)

    def read_about(self, row: Consent) -> dict[str, Any]:
        return {"study": row.study}
