"""Institutions are public to all members; a roster is its own institution's affair."""

from typing import Any

from django.contrib import admin
from django.contrib.auth.models import User
from django.db.models import QuerySet

from governance.admin.base import ScopedReadOnly, institutions_of
from governance.models import Institution, Roster


@admin.register(Institution)
class InstitutionAdmin(ScopedReadOnly):
    list_display = ("name", "slug", "jurisdiction", "board", "enrolled")
    list_display_links = ("name",)
    fields = ("name", "slug", "jurisdiction", "roles", "board", "enrolled")
    list_select_related = ("reviewing_board",)

    def scope(self, rows: QuerySet[Any], user: User) -> QuerySet[Any]:
        return rows


@admin.register(Roster)
class RosterAdmin(ScopedReadOnly):
    list_display = ("institution", "version", "issued", "digest")
    list_display_links = ("version",)
    fields = ("institution", "version", "issued", "digest", "officers")

    def scope(self, rows: QuerySet[Any], user: User) -> QuerySet[Any]:
        return rows.filter(institution__in=institutions_of(user))
