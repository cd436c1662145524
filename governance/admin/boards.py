"""A board's page: its seats and who stands in for whom, what its chair has delegated, and declared conflicts."""

from datetime import timedelta
from typing import Any

from django.contrib import admin
from django.contrib.auth.models import User
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html
from django.views.decorators.http import require_POST

from concordat import clock
from concordat.delegation import SCOPES
from concordat.reasons import Refused
from governance import permissions, quorum, selectors
from governance.admin import answers
from governance.admin.base import ScopedReadOnly, user_of
from governance.models import BoardSeat, Conflict, Delegation, Institution, OfficerProfile
from governance.permissions import Role, Verb
from governance.services import boards

PERIODS = {"30 days": 30, "90 days": 90, "a year": 365}


@admin.register(BoardSeat)
class BoardSeatAdmin(ScopedReadOnly):
    list_display = ("officer", "its_board", "scientist", "affiliated", "alternate_for", "since", "until")
    list_select_related = ("officer", "board", "alternate_for__officer")

    def scope(self, rows: QuerySet[Any], user: User) -> QuerySet[Any]:
        return rows.filter(board__in=selectors.boards_read_by(user))

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return super().has_view_permission(request, obj) and selectors.boards_read_by(user_of(request)).exists()

    @admin.display(description="Board")
    def its_board(self, seat: BoardSeat) -> str:
        return format_html('<a href="{}">{}</a>', _page(seat.board.slug), seat.board)

    def get_urls(self) -> list[URLPattern]:
        wrap = self.admin_site.admin_view
        own = [
            path("of/<slug:board>/", wrap(self.board_view), name="governance_board"),
            path("of/<slug:board>/<slug:verb>/", wrap(require_POST(_do)), name="governance_board_do"),
        ]
        return own + super().get_urls()

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """Whose only board it is goes there at once."""
        readable = list(selectors.boards_read_by(user_of(request)))
        if len(readable) == 1:
            return HttpResponseRedirect(_page(readable[0].slug))
        return super().changelist_view(request, extra_context)

    def board_view(self, request: HttpRequest, board: str) -> HttpResponse:
        """One board."""
        by = user_of(request)
        try:
            found = selectors.board_read_by(by, board)
        except Refused as refused:
            answers.show(request, refused)
            return HttpResponseRedirect(reverse("admin:index"))
        shown = {**self.admin_site.each_context(request), "opts": self.opts, "title": f"Board of {found}"}
        return TemplateResponse(request, "governance/board.html", shown | _context(by, found))


def _context(by: User, board: Institution) -> dict[str, Any]:
    seats = board.seats.filter(until=None).select_related("officer", "alternate_for__officer")
    people = OfficerProfile.objects.filter(
        user__memberships__institution=board, user__memberships__role__in=[Role.IRB_MEMBER, Role.IRB_CHAIR]
    ).distinct()
    members = people.filter(user__memberships__institution=board, user__memberships__role=Role.IRB_MEMBER)
    now = clock.now()
    return {
        "board": board,
        "seats": seats,
        "quorum": quorum.quorum(
            quorum.Seat(str(seat.uuid), seat.scientist, False) for seat in seats if not seat.alternate_for_id
        ),
        "missing": _missing(list(seats)),
        "seatless": people.exclude(seats__in=seats).order_by("name"),
        "may_seat": permissions.may(by, Verb.SEAT, board),
        "may_delegate": permissions.may(by, Verb.DELEGATE, board),
        "may_declare": permissions.may(by, Verb.DECLARE_CONFLICT, board),
        "delegates": members.exclude(user=by).order_by("name").distinct(),
        "delegations": Delegation.objects.filter(board=board, ended=None, ends__gt=now).select_related(
            "delegate", "study"
        ),
        "scopes": SCOPES,
        "periods": [(label, clock.rfc3339(now + timedelta(days=days))) for label, days in PERIODS.items()],
        "studies": selectors.visible_studies([board]).order_by("title"),
        "conflicts": Conflict.objects.filter(board=board, withdrawn=None).select_related("study", "officer"),
        "me": by,
    }


def _missing(seats: list[BoardSeat]) -> list[str]:
    """What 45 CFR 46.107 asks of a board's membership and this roster does not have."""
    members = [seat for seat in seats if seat.alternate_for_id is None]
    wants = {
        "five members (46.107(a))": len(members) >= 5,
        "a member whose concerns are scientific (46.107(b))": any(seat.scientist for seat in members),
        "a member whose concerns are not scientific (46.107(b))": any(not seat.scientist for seat in members),
        "a member who is not otherwise affiliated (46.107(c))": any(not seat.affiliated for seat in members),
    }
    return [want for want, there in wants.items() if not there]


def _do(request: HttpRequest, board: str, verb: str) -> HttpResponse:
    by, form = user_of(request), request.POST

    def at() -> Institution:
        return selectors.board_read_by(by, board)

    verbs = {
        "give-seat": lambda: boards.give_seat(
            by=by,
            board=at(),
            officer=form.get("officer", ""),
            scientist=form.get("concerns") == "scientific",
            affiliated=form.get("affiliated") == "yes",
            alternate_for=form.get("alternate_for", ""),
        ),
        "end-seat": lambda: boards.end_seat(by=by, board=at(), seat=form.get("seat", "")),
        "end-delegation": lambda: boards.end_delegation(by=by, delegation=form.get("delegation", "")),
        "declare": lambda: boards.declare_conflict(
            by=by, board=at(), study=form.get("study", ""), ground=form.get("ground", "")
        ),
        "withdraw": lambda: boards.withdraw_conflict(
            by=by, conflict=_number(form.get("conflict", "")), ground=form.get("ground", "")
        ),
    }
    said = {
        "give-seat": "Seated.",
        "end-seat": "The seat has ended, with those of its alternates.",
        "end-delegation": "The delegation has ended.",
        "declare": "Declared: you take no part in anything about this study.",
        "withdraw": "The conflict has ended.",
    }
    return answers.after(request, verbs.get(verb), said=said.get(verb, ""), there=_page(board))


def _page(board: str) -> str:
    return reverse("admin:governance_board", args=[board])


def _number(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() else 0
