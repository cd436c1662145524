"""A board that meets: five members, two of them no scientists, an alternate for one of those, an administrator."""

from typing import Any

from django.contrib.auth.models import User

from concordat import clock
from concordat.findings import needed
from governance.models import AgendaItem, BoardSeat, Meeting, Review, Study
from governance.room import room
from governance.services import attendance, boards, meetings, sittings
from tests.governance.conftest import Consortium, Officer

APPROVAL = {name: {"answer": "met", "note": ""} for name in needed("full-board", waiver=False)}
APPROVE = {"outcome": "approved", "findings": APPROVAL, "conditions": [], "reasons": ""}
DEFER = {"outcome": "deferred", "findings": {}, "conditions": [], "reasons": "The consent form is missing."}

SCIENTISTS = {"chair": True, "second": True, "third": True, "lawyer": False, "priest": False}


class Boardroom:
    """The board of one institution; `people` and `seats` by a word for each, `deputy` is the lawyer's alternate."""

    def __init__(self, consortium: Consortium, slug: str = "zurich") -> None:
        self.consortium, self.board = consortium, consortium.at[slug]
        self.chair: Officer = consortium.chairs[slug]
        self.administrator = consortium.member(slug, "irb-administrator")
        self.people: dict[str, User] = {"chair": self.chair.user}
        for name in [*list(SCIENTISTS)[1:], "deputy"]:
            self.people[name] = consortium.member(slug, "irb-member")
        self.seats = {name: self.seat(name, scientist=scientist) for name, scientist in SCIENTISTS.items()}
        self.seats["deputy"] = self.seat("deputy", scientist=False, alternate_for=str(self.seats["lawyer"].uuid))

    def seat(self, name: str, **given: Any) -> BoardSeat:
        officer = str(self.people[name].officer.uuid)
        return boards.give_seat(by=self.administrator, board=self.board, officer=officer, affiliated=True, **given)

    def meeting(self, *, begun: bool = True) -> Meeting:
        """An urgent one, which needs no notice."""
        by, now = self.administrator, clock.now()
        meeting = meetings.schedule(by=by, board=self.board, at=now, place="Room 1", kind="urgent")
        return meetings.open(by=by, meeting=str(meeting.uuid)) if begun else meeting

    def review(self, study: Study) -> Review:
        return self.consortium.review(study, self.board.slug)

    def place(self, study: Study, meeting: Meeting) -> AgendaItem:
        review = self.review(study)
        return meetings.place(by=self.administrator, meeting=str(meeting.uuid), review=str(review.uuid))

    def marks(self, **statuses: str) -> dict[str, str]:
        return {str(self.seats[name].uuid): status for name, status in statuses.items()}

    def attend(self, item: AgendaItem, *, by: User | None = None, **statuses: str) -> AgendaItem:
        return attendance.attend(by=by or self.administrator, item=str(item.uuid), marks=self.marks(**statuses))

    def present(self, item: AgendaItem, *names: str) -> AgendaItem:
        return self.attend(item, **dict.fromkeys(names, "present"))

    def opened(self, study: Study, *names: str, meeting: Meeting | None = None) -> AgendaItem:
        """The study's item, open; three are present unless others are named."""
        item = self.place(study, meeting or self.meeting())
        self.present(item, *(names or ("chair", "second", "lawyer")))
        return sittings.open_item(by=self.administrator, item=str(item.uuid))

    def moved(self, study: Study, *names: str, motion: dict[str, Any] = APPROVE) -> AgendaItem:
        item = self.opened(study, *names)
        return sittings.move(by=self.administrator, item=str(item.uuid), motion=motion)

    def vote(self, item: AgendaItem, **choices: str) -> None:
        for name, choice in choices.items():
            sittings.vote(by=self.people[name], item=str(item.uuid), choice=choice)

    def decide(self, item: AgendaItem, **given: Any) -> AgendaItem:
        return sittings.decide(by=self.administrator, item=str(item.uuid), **given)

    def decided(self, study: Study, motion: dict[str, Any] = APPROVE) -> AgendaItem:
        """What all of those present have voted for."""
        item = self.moved(study, motion=motion)
        for seat in room(item).voters:
            sittings.vote(by=seat.officer.user, item=str(item.uuid), choice="for")
        return self.decide(item)
