"""The board's meetings: called, held, and one page for each item of the agenda."""

from typing import Any

from django import forms
from django.conf import settings
from django.contrib import admin
from django.contrib.auth.models import User
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.views.decorators.http import require_POST

from concordat import clock
from concordat.determination import OUTCOMES, Path
from concordat.findings import needed
from concordat.reasons import Reason, Refused
from governance import blindness, minutes, permissions, selectors
from governance.admin import answers
from governance.admin.base import ScopedReadOnly, user_of
from governance.models import AgendaItem, Attendance, Ballot, Institution, Meeting, Review
from governance.permissions import HOLDERS, Verb
from governance.room import room
from governance.services import attendance, meetings, sittings
from governance.states import ItemState, MeetingState, SubmissionState


class Call(forms.Form):
    """When and where a board meets; only where one may call it."""

    board = forms.ModelChoiceField(Institution.objects.none(), empty_label=None)
    kind = forms.ChoiceField(choices=Meeting.Kind.choices)
    at = forms.DateTimeField(
        label="Time (UTC)",
        widget=forms.DateTimeInput(attrs={"type": "datetime-local"}, format="%Y-%m-%dT%H:%M"),
        initial=lambda: clock.now(),
    )
    place = forms.CharField(max_length=200, help_text="A room, or the address of a call.")

    def __init__(self, *args: Any, by: User, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        field = self.fields["board"]
        assert isinstance(field, forms.ModelChoiceField)
        field.queryset = _meets_at(by)


@admin.register(Meeting)
class MeetingAdmin(ScopedReadOnly):
    list_display = ("at", "board", "kind", "place", "state")
    list_display_links = ("at",)
    list_select_related = ("board",)

    def scope(self, rows: QuerySet[Any], user: User) -> QuerySet[Any]:
        return rows.filter(board__in=selectors.boards_read_by(user))

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return super().has_view_permission(request, obj) and selectors.boards_read_by(user_of(request)).exists()

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return _meets_at(user_of(request)).exists()

    def get_urls(self) -> list[URLPattern]:
        wrap = self.admin_site.admin_view
        do = wrap(require_POST(_do_with_meeting))
        return [path("<uuid:meeting>/<slug:verb>/", do, name="governance_meeting_do"), *super().get_urls()]

    def add_view(
        self, request: HttpRequest, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Call a meeting."""
        by = user_of(request)
        form = Call(request.POST or None, by=by)
        if request.method == "POST" and form.is_valid():
            try:
                meeting = meetings.schedule(by=by, **form.cleaned_data)
            except Refused as refused:
                answers.show(request, refused)
            else:
                answers.done(request, "Called. The members and the board's office are told.")
                return HttpResponseRedirect(_page(meeting))
        context = {"form": form, "title": "Call a meeting", "days": settings.MEETING_NOTICE_DAYS}
        return self._show(request, "governance/meeting_add.html", context)

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """One meeting, and its agenda."""
        meeting = self.get_object(request, object_id)
        if not isinstance(meeting, Meeting):
            answers.show(request, Refused(Reason.NOT_FOUND))
            return HttpResponseRedirect(reverse("admin:governance_meeting_changelist"))
        by = user_of(request)
        items = meeting.items.select_related("review__submission__study", "review__submission__version")
        context = {
            "title": str(meeting),
            "meeting": meeting,
            "items": items,
            "runs": _allowed(meetings.check_presides, by, meeting.board),
            "office": permissions.may(by, Verb.MEET, meeting.board),
            "placeable": _placeable(meeting),
            "stays_open": items.filter(state=ItemState.OPEN).exists(),
            "too_early": clock.now() < meeting.at,
        }
        return self._show(request, "governance/meeting.html", context)

    def _show(self, request: HttpRequest, template: str, context: dict[str, Any]) -> HttpResponse:
        return TemplateResponse(
            request, template, {**self.admin_site.each_context(request), "opts": self.opts, **context}
        )


@admin.register(AgendaItem)
class AgendaItemAdmin(ScopedReadOnly):
    list_display = ("review", "meeting", "position", "state")
    list_display_links = ("review",)
    list_select_related = ("meeting__board", "review__submission__study")

    def scope(self, rows: QuerySet[Any], user: User) -> QuerySet[Any]:
        return rows.filter(meeting__board__in=selectors.boards_read_by(user))

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return super().has_view_permission(request, obj) and selectors.boards_read_by(user_of(request)).exists()

    def has_module_permission(self, request: HttpRequest) -> bool:
        return False  # items are found on their meeting's page

    def get_urls(self) -> list[URLPattern]:
        wrap = self.admin_site.admin_view
        do = wrap(require_POST(_do_with_item))
        return [path("<uuid:item>/<slug:verb>/", do, name="governance_agendaitem_do"), *super().get_urls()]

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """One item: who is present, what is moved, who has voted, and how it ended."""
        item = self.get_object(request, object_id)
        if not isinstance(item, AgendaItem):
            answers.show(request, Refused(Reason.NOT_FOUND))
            return HttpResponseRedirect(reverse("admin:governance_meeting_changelist"))
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "title": item.review.submission.study.title,
            **item_context(user_of(request), item),
        }
        return TemplateResponse(request, "governance/agenda_item.html", context)


def item_context(by: User, item: AgendaItem) -> dict[str, Any]:
    """What an item's page shows this person. Who has a stake in the study reads nothing of what is said about it; how
    somebody votes is shown once the item has ended."""
    study, board, now = item.review.submission.study, item.meeting.board, room(item)
    has_stake = not permissions.independent(by, study)
    runs = _allowed(meetings.check_presides, by, board, study)
    ballots = list(item.ballots.select_related("seat__officer"))
    is_open = item.state == ItemState.OPEN
    return {
        "item": item,
        "meeting": item.meeting,
        "study": study,
        "submission": item.review.submission,
        "room": now,
        "statuses": Attendance.Status.choices,
        "held": item.meeting.state == MeetingState.OPEN,
        "has_stake": has_stake,
        "presides": runs and not has_stake,
        "may_stop": runs and is_open,
        "office": permissions.may(by, Verb.MEET, board),
        "motion": _motion(item),
        "findings": needed(Path.FULL_BOARD, waiver=selectors.waives_consent(item.review.submission.version)),
        "outcomes": sorted(OUTCOMES[Path.FULL_BOARD]),
        "ballots": ballots,
        "voted": {ballot.seat_id for ballot in ballots},
        "choices": Ballot.Choice.choices,
        "tally": minutes.tally(minutes.counted(item, now)),
        "votes_here": is_open and bool(item.motion) and _votes(by, item),
        "opinions": blindness.opinions_visible(by, item.review),
        "opinions_given": item.review.opinions.count(),
        "may_declare": permissions.may(by, Verb.DECLARE_CONFLICT, board) and not has_stake,
    }


def _motion(item: AgendaItem) -> dict[str, Any]:
    """The motion in words: each finding with the question that it answers."""
    if not item.motion:
        return {}
    questions = needed(Path.FULL_BOARD, waiver=True)
    findings = [
        {"question": questions[name].question if name in questions else name, **made}
        for name, made in item.motion["findings"].items()
    ]
    return {**item.motion, "findings": findings}


def _votes(by: User, item: AgendaItem) -> bool:
    seat = next((seat for seat in room(item).voters if seat.officer.user_id == by.pk), None)
    return seat is not None and not item.ballots.filter(seat=seat).exists()


def _placeable(meeting: Meeting) -> list[Review]:
    """What waits for the convened board and is on no agenda."""
    reviews = Review.objects.filter(board=meeting.board, path=Path.FULL_BOARD).select_related("submission__study")
    reviews = reviews.exclude(items__state__in=[ItemState.WAITING, ItemState.OPEN]).filter(
        submission__state__in=[SubmissionState.SUBMITTED, SubmissionState.UNDER_REVIEW, SubmissionState.DEFERRED]
    )
    return [each for each in reviews if each.open and selectors.vote_to_sign(each) is None]


def _do_with_meeting(request: HttpRequest, meeting: Any, verb: str) -> HttpResponse:
    by, form, name = user_of(request), request.POST, str(meeting)
    found = Meeting.objects.filter(uuid=meeting).first()
    verbs = {
        "open": lambda: meetings.open(by=by, meeting=name),
        "close": lambda: meetings.close(by=by, meeting=name),
        "cancel": lambda: meetings.cancel(by=by, meeting=name, ground=form.get("ground", "")),
        "place": lambda: meetings.place(by=by, meeting=name, review=form.get("review", "")),
    }
    said = {"open": "The meeting is open.", "close": "The meeting is closed.", "cancel": "The meeting is cancelled."}
    there = _page(found) if found else reverse("admin:governance_meeting_changelist")
    return answers.after(request, verbs.get(verb), said=said.get(verb, "On the agenda."), there=there)


def _do_with_item(request: HttpRequest, item: Any, verb: str) -> HttpResponse:
    by, form, name = user_of(request), request.POST, str(item)
    found = AgendaItem.objects.filter(uuid=item).first()
    verbs = {
        "take-off": lambda: meetings.take_off(by=by, item=name),
        "attend": lambda: attendance.attend(by=by, item=name, marks=_marks(form)),
        "open": lambda: sittings.open_item(by=by, item=name),
        "move": lambda: sittings.move(by=by, item=name, motion=_read_motion(form)),
        "vote": lambda: sittings.vote(
            by=by, item=name, choice=form.get("choice", ""), reason=form.get("reason", "").strip()
        ),
        "decide": lambda: sittings.decide(by=by, item=name, controverted=form.get("controverted", "").strip()),
        "stop": lambda: sittings.stop_item(by=by, item=name, ground=form.get("ground", "")),
    }
    said = {
        "take-off": "Taken off the agenda.",
        "attend": "Attendance is marked.",
        "open": "The item is open. The board's members can read the reviewers' opinions now.",
        "move": "The motion is made. Those present can vote.",
        "vote": "Your ballot is cast.",
        "decide": "The vote is closed, and minuted.",
        "stop": "The item is stopped, and minuted.",
    }
    there = reverse("admin:governance_agendaitem_change", args=[found.pk]) if found else reverse("admin:index")
    return answers.after(request, verbs.get(verb), said=said.get(verb, ""), there=there)


def _marks(form: Any) -> dict[str, str]:
    return {name.removeprefix("seat-"): status for name, status in form.items() if name.startswith("seat-") and status}


def _read_motion(form: Any) -> dict[str, Any]:
    prefix = "finding-"
    answered = {name.removeprefix(prefix): answer for name, answer in form.items() if name.startswith(prefix)}
    return {
        "outcome": form.get("outcome", ""),
        "findings": {
            name: {"answer": answer, "note": form.get(f"note-{name}", "").strip()}
            for name, answer in answered.items()
            if answer
        },
        "conditions": [line.strip() for line in form.get("conditions", "").splitlines() if line.strip()],
        "reasons": form.get("reasons", "").strip(),
    }


def _allowed(check: Any, *args: Any) -> bool:
    try:
        check(*args)
    except Refused:
        return False
    return True


def _meets_at(user: User) -> QuerySet[Institution]:
    return Institution.objects.filter(memberships__user=user, memberships__role__in=HOLDERS[Verb.MEET]).distinct()


def _page(meeting: Meeting) -> str:
    return reverse("admin:governance_meeting_change", args=[meeting.pk])
