"""What waits at a board's meetings: to attend them, to hold them, to vote."""

from collections.abc import Iterator
from datetime import timedelta

from django.db.models import Exists, OuterRef, Q, Subquery

from governance import links
from governance.models import Attendance, Ballot, BoardSeat, Meeting
from governance.permissions import Verb
from governance.queue.tasks import Person, Task
from governance.states import ItemState, MeetingState

_AHEAD = timedelta(days=30)


def meetings(person: Person) -> Iterator[Task]:
    """Meetings to open, to close, or to attend; those of the next weeks."""
    office, boards = person.at(Verb.MEET), person.at(Verb.VOTE)
    if not (office or boards):
        return
    seats = BoardSeat.objects.filter(officer__user=person.user, until=None, board__in=boards)
    coming = Q(state=MeetingState.SCHEDULED, at__lte=person.now + _AHEAD) | Q(state=MeetingState.OPEN)
    found = Meeting.objects.filter(coming).filter(Q(board__in=office) | Q(board__in=seats.values("board")))
    for each in found.select_related("board").annotate(seated=Exists(seats.filter(board=OuterRef("board")))):
        open_, due = each.state == MeetingState.OPEN, each.at <= person.now
        if person.may(Verb.MEET, each.board) and (open_ or due):
            what, verb = ("Close the meeting when its agenda is done." if open_ else "Open the meeting."), Verb.MEET
        elif each.seated:
            what, verb = f"Attend your board's meeting ({each.get_kind_display().lower()}): {each.place}.", Verb.VOTE
        else:
            continue
        since, until = each.opened, None if open_ else each.at
        yield person.task(what, person.because(verb, each.board), since=since, until=until, path=links.of_meeting(each))


def ballots(person: Person) -> Iterator[Task]:
    """Motions before the board now, for whom is still present and has not voted."""
    boards = person.at(Verb.VOTE)
    if not boards:
        return
    voted = Ballot.objects.filter(item=OuterRef("item"), seat=OuterRef("seat"))
    last = Attendance.objects.filter(item=OuterRef("item"), seat=OuterRef("seat")).order_by("-pk")
    present = (
        Attendance.objects.filter(
            ~Exists(voted),
            pk=Subquery(last.values("pk")[:1]),
            seat__until=None,
            seat__officer__user=person.user,
            seat__board__in=boards,
            status=Attendance.Status.PRESENT,
            item__state=ItemState.OPEN,
        )
        .exclude(item__motion={})
        .exclude(item__review__submission__study__in=person.tied)
        .select_related("item__meeting__board", "item__review__submission__study")
    )
    for each in present:
        yield person.task(
            "Vote: the board has taken it up.",
            person.because(Verb.VOTE, each.item.meeting.board),
            study=each.item.review.submission.study,
            since=each.marked,
            until=person.now,
            path=links.of_item(each.item),
        )
