"""Institutions are public to all members; a roster is its own institution's affair."""

from datetime import datetime, timedelta
from typing import Any

from django.contrib import admin
from django.contrib.auth.models import User
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.http import urlencode

from concordat import clock, law
from governance import selectors
from governance.admin.base import ReadsRecorded, ScopedReadOnly, institutions_of
from governance.models import Institution, NodeStatus, Roster

SILENT = timedelta(minutes=10)
"""A node that has not reported for so long is called silent; it reports every two minutes."""

CLOCKS_AGREE = timedelta(seconds=30)


@admin.register(Institution)
class InstitutionAdmin(ScopedReadOnly):
    list_display = ("name", "slug", "jurisdiction", "node", "enrolled")
    list_display_links = ("name",)
    fields = ("name", "slug", "jurisdiction", "law", "roles", "enrolled")
    list_select_related = ("node_status",)
    change_form_template = "governance/institution.html"

    def scope(self, rows: QuerySet[Any], user: User) -> QuerySet[Any]:
        return rows

    def in_log(self, row: Institution) -> str:
        return f"{reverse('admin:log_search')}?{urlencode({'institution': row.slug})}"

    @admin.display(description="Law that applies")
    def law(self, institution: Institution) -> str:
        return law.regime(institution.jurisdiction)

    @admin.display(description="Node")
    def node(self, institution: Institution) -> str:
        return seen(institution, clock.now())

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """The institution with its keys, its roster's version and its node, for every member to see."""
        institution = self.get_object(request, object_id)
        shown = _shown(institution) if isinstance(institution, Institution) else {}
        return super().change_view(request, object_id, form_url, {**(extra_context or {}), **shown})


@admin.register(Roster)
class RosterAdmin(ReadsRecorded):
    list_display = ("institution", "version", "issued", "digest")
    list_display_links = ("version",)
    fields = ("institution", "version", "issued", "digest", "officers")

    def scope(self, rows: QuerySet[Any], user: User) -> QuerySet[Any]:
        return rows.filter(institution__in=institutions_of(user))

    def read_about(self, row: Roster) -> dict[str, Any]:
        return {"institution": row.institution}


def seen(institution: Institution, now: datetime) -> str:
    """When the institution's node was last heard of; "" where nothing says that it has one."""
    status = _status(institution)
    if status is None:
        return "never seen" if {"party", "dealer"} & set(institution.roles) else ""
    ago = now - status.seen
    if ago >= SILENT:
        return f"silent since {status.seen:%Y-%m-%d %H:%M} UTC"
    minutes = int(ago.total_seconds() // 60)
    return f"seen {minutes} minute{'' if minutes == 1 else 's'} ago" if minutes else "seen just now"


def _status(institution: Institution) -> NodeStatus | None:
    return getattr(institution, "node_status", None)


def _shown(institution: Institution) -> dict[str, Any]:
    status, said = _status(institution), seen(institution, clock.now())
    node = {"status": status, "sentence": f"Node: {said}." if said else "It runs no node."}
    return {
        "node": node | {"clock": _clock(status) if status else ""},
        "keys": institution.keys.order_by("kind", "-enrolled"),
        "roster": selectors.roster(institution),
    }


def _clock(status: NodeStatus) -> str:
    apart = status.clock - status.seen
    if abs(apart) <= CLOCKS_AGREE:
        return "agrees with the coordinator's"
    side = "ahead of" if apart > timedelta() else "behind"
    return f"{abs(int(apart.total_seconds()))} seconds {side} the coordinator's"
