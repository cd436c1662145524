"""Whatever anybody tries, in whatever order: the invariants hold, and every refusal is explained.

CONCORDAT_EXAMPLES sets how many walks are tried (six, always the same, without it).
"""

import os
from collections.abc import Callable
from datetime import timedelta
from typing import Any, ClassVar

import pytest
import time_machine
from django.db import transaction
from hypothesis import HealthCheck, Phase, event, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from concordat import clock
from concordat.determination import Outcome, Path
from concordat.findings import CATEGORIES
from concordat.reasons import Refused
from governance.acts import ACTS
from governance.models import AgendaItem, Conflict, Delegation, Meeting, RelianceAgreement, Review, Study
from governance.permissions import Role, Verb
from governance.selectors import open_submission
from governance.services import (
    attendance,
    boards,
    meetings,
    people,
    reliance,
    reviews,
    settling,
    sittings,
    studies,
)
from tests.governance.conftest import BOARDS, Consortium
from tests.governance.invariants import Witness, check_refused
from tests.governance.society import LEADS, PEOPLE, Person, Society, decision

EXAMPLES = int(os.environ.get("CONCORDAT_EXAMPLES", "0"))
STEPS = 40

OUTCOMES = st.sampled_from([*Outcome, "approved", "approved"])
STUDIES = st.sampled_from(sorted(LEADS))
PLACES = st.sampled_from(sorted(PEOPLE))
BOARD = st.sampled_from(BOARDS)
VARIANT = st.fixed_dictionaries(
    {"title": st.integers(0, 2), "computed": st.integers(0, 1), "sites": st.integers(0, 2), "year": st.integers(1, 2)}
)
RARELY = st.integers(0, 5).map(lambda drawn: drawn == 5)
JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=3,
)
NAMES = ("study", "institution", "ground", "review", "outcome", "findings", "conditions", "reasons", "scan", "note")
NAMES += ("board", "delegate", "scope", "starts", "ends", "relying", "reviewing", "agreement", "site", "law")


class Verbs(RuleBasedStateMachine):
    """Each rule is one verb with random arguments, by somebody who holds the role for it or, sometimes, does not."""

    society: ClassVar[Society]

    @initialize()
    def begin(self) -> None:
        self.transaction = transaction.atomic()
        self.transaction.__enter__()
        self.traveller = time_machine.travel(self.society.began, tick=False)
        self.time = self.traveller.start()
        self.witness = Witness()

    def teardown(self) -> None:
        if hasattr(self, "transaction"):
            self.traveller.stop()
            transaction.set_rollback(True)
            self.transaction.__exit__(None, None, None)

    @invariant()
    def everything_holds(self) -> None:
        if hasattr(self, "witness"):
            self.witness.look()
            for study in Study.objects.all():
                event(f"a study that is {study.state}")

    def attempt(self, deed: Callable[[], Any]) -> None:
        """What is refused is explained; nothing else may go wrong."""
        try:
            with transaction.atomic():
                deed()
        except Refused as refused:
            check_refused(refused)
            event(f"refused: {refused.reason}")

    def somebody(self, data: st.DataObject, verb: Verb, *slugs: str) -> Person:
        holders = self.society.holders(verb, slugs)
        return self.one_of(data, self.society.people if not holders or data.draw(RARELY) else holders)

    def one_of(self, data: st.DataObject, people: list[Person]) -> Person:
        return self.society.person(data.draw(st.sampled_from([each.name for each in people]), label="by"))

    def study(self, data: st.DataObject) -> Study:
        return data.draw(st.sampled_from(list(Study.objects.order_by("pk"))), label="study")

    def review(self, data: st.DataObject) -> Review:
        """One that waits, where one does."""
        study = self.study(data)
        pending = open_submission(study)
        waiting = pending.reviews.order_by("pk") if pending else Review.objects.filter(submission__study=study)
        return data.draw(
            st.sampled_from(list(waiting.order_by("pk")) or list(Review.objects.order_by("pk"))), label="review"
        )

    # --- drafted, submitted, taken back

    @rule(data=st.data(), study=STUDIES, variant=VARIANT)
    def save_draft(self, data: st.DataObject, study: str, variant: dict[str, int]) -> None:
        by = self.somebody(data, Verb.DRAFT, LEADS[study])
        self.attempt(lambda: self.society.draft(by, study, **variant))

    @rule(data=st.data(), study=STUDIES, variant=VARIANT, by_system=RARELY)
    def submit(self, data: st.DataObject, study: str, variant: dict[str, int], by_system: bool) -> None:
        by = None if by_system else self.somebody(data, Verb.SUBMIT, LEADS[study])
        self.attempt(lambda: self.society.submit(by, study, **variant))

    @precondition(lambda self: Study.objects.exists())
    @rule(data=st.data())
    def continue_review(self, data: st.DataObject) -> None:
        study = self.study(data)
        by = self.somebody(data, Verb.SUBMIT, study.institution.slug)
        self.attempt(lambda: studies.continue_review(study=study, by=by.user, report="All is well."))

    @precondition(lambda self: Study.objects.exists())
    @rule(data=st.data())
    def withdraw(self, data: st.DataObject) -> None:
        study = self.study(data)
        by = self.somebody(data, Verb.WITHDRAW, study.institution.slug)
        self.attempt(lambda: studies.withdraw(study=study, by=by.user))

    # --- reviewed

    @precondition(lambda self: Review.objects.exists())
    @rule(data=st.data(), path=st.sampled_from(Path))
    def route(self, data: st.DataObject, path: Path) -> None:
        review = self.review(data)
        by = self.somebody(data, Verb.ROUTE, review.board.slug)
        category = data.draw(st.sampled_from([*CATEGORIES.get(path, {}), ""]))
        self.attempt(
            lambda: reviews.route(by=by.user, review=str(review.uuid), path=path, category=category, ground="Fitting.")
        )

    @precondition(lambda self: Review.objects.exists())
    @rule(data=st.data(), recommendation=OUTCOMES)
    def give_opinion(self, data: st.DataObject, recommendation: str) -> None:
        review = self.review(data)
        by = self.somebody(data, Verb.OPINE, review.board.slug)
        given = {"recommendation": recommendation, "findings": {}, "comment": ""}
        self.attempt(lambda: reviews.give_opinion(by=by.user, review=str(review.uuid), **given))

    @precondition(lambda self: Review.objects.exists())
    @rule(data=st.data(), outcome=OUTCOMES)
    def convene(self, data: st.DataObject, outcome: str) -> None:
        review = self.review(data)
        self.attempt(lambda: self.society.convene(review, outcome))

    @rule(data=st.data(), board=BOARD)
    def schedule(self, data: st.DataObject, board: str) -> None:
        by, at = self.somebody(data, Verb.MEET, board), self.society.consortium.at[board]
        called = {"at": clock.now(), "place": "Room 1", "kind": "urgent"}
        self.attempt(lambda: meetings.schedule(by=by.user, board=at, **called))

    @precondition(lambda self: Meeting.objects.exists() and Review.objects.exists())
    @rule(data=st.data(), deed=st.sampled_from(["place", "place", "open", "open", "close", "cancel"]))
    def meet(self, data: st.DataObject, deed: str) -> None:
        meeting = data.draw(st.sampled_from(list(Meeting.objects.order_by("state", "pk"))), label="meeting")
        by, named = self.somebody(data, Verb.MEET, meeting.board.slug).user, str(meeting.uuid)
        review = data.draw(st.sampled_from(list(Review.objects.order_by("-path", "-pk"))), label="review")
        deeds: dict[str, Callable[[], Any]] = {
            "place": lambda: meetings.place(by=by, meeting=named, review=str(review.uuid)),
            "open": lambda: meetings.open(by=by, meeting=named),
            "close": lambda: meetings.close(by=by, meeting=named),
            "cancel": lambda: meetings.cancel(by=by, meeting=named, ground="Nobody came."),
        }
        self.attempt(deeds[deed])

    @precondition(lambda self: AgendaItem.objects.exists())
    @rule(
        data=st.data(),
        deed=st.sampled_from(["attend", "open", "move", "vote", "vote", "decide", "stop", "take-off"]),
        outcome=OUTCOMES,
    )
    def sit(self, data: st.DataObject, deed: str, outcome: str) -> None:
        items = AgendaItem.objects.order_by("-state", "pk")
        item = data.draw(st.sampled_from(list(items)), label="item")
        board, named = item.meeting.board, str(item.uuid)
        seats = list(board.seats.filter(until=None).order_by("pk"))
        by = self.somebody(data, Verb.VOTE if deed == "vote" else Verb.MEET, board.slug).user
        status, choice = (
            st.sampled_from(["present", "present", "absent", "recused"]),
            st.sampled_from(["for", "against"]),
        )
        deeds: dict[str, Callable[[], Any]] = {
            "attend": lambda: attendance.attend(
                by=by, item=named, marks={str(seat.uuid): data.draw(status) for seat in seats}
            ),
            "open": lambda: sittings.open_item(by=by, item=named),
            "move": lambda: sittings.move(by=by, item=named, motion=decision("full-board", outcome)),
            "vote": lambda: sittings.vote(by=by, item=named, choice=data.draw(choice)),
            "decide": lambda: sittings.decide(by=by, item=named),
            "stop": lambda: sittings.stop_item(by=by, item=named, ground="It is late."),
            "take-off": lambda: meetings.take_off(by=by, item=named),
        }
        self.attempt(deeds[deed])

    @precondition(lambda self: Review.objects.exists())
    @rule(data=st.data(), outcome=OUTCOMES)
    def determine(self, data: st.DataObject, outcome: str) -> None:
        review = self.review(data)
        by = self.somebody(data, Verb.DETERMINE, review.board.slug)
        self.attempt(lambda: self.society.determine(by, review, outcome))

    @precondition(lambda self: Review.objects.exists())
    @rule(data=st.data(), outcome=OUTCOMES)
    def attest_paper(self, data: st.DataObject, outcome: str) -> None:
        review = self.review(data)
        by = self.somebody(data, Verb.ATTEST_PAPER, review.board.slug)
        self.attempt(lambda: self.society.attest_paper(by, review, outcome))

    @precondition(lambda self: Review.objects.filter(outcome="approved-with-conditions").exists())
    @rule(data=st.data())
    def verify_conditions(self, data: st.DataObject) -> None:
        conditional = list(Review.objects.filter(outcome="approved-with-conditions").order_by("pk"))
        review = data.draw(st.sampled_from(conditional))
        by = self.somebody(data, Verb.VERIFY_CONDITIONS, review.board.slug)
        self.attempt(lambda: self.society.act(by, "verify-conditions", review=str(review.uuid), note="Seen."))

    @precondition(lambda self: Study.objects.exists())
    @rule(study=STUDIES, outcome=OUTCOMES)
    def every_board_decides(self, study: str, outcome: str) -> None:
        if Study.objects.filter(slug=study).exists():
            self.society.decide_all(study, outcome, self.attempt)

    # --- reliance, delegation, seats, conflicts, people

    @rule(data=st.data(), relying=PLACES, reviewing=PLACES, study=STUDIES | st.just(""), days=st.integers(1, 400))
    def propose_reliance(self, data: st.DataObject, relying: str, reviewing: str, study: str, days: int) -> None:
        by = self.somebody(data, Verb.RELY, relying, reviewing)
        sides = {"relying": relying, "reviewing": reviewing}
        self.attempt(lambda: self.society.propose(by, **sides, study=study, days=days))

    @rule(data=st.data(), accept=st.booleans())
    def accept_or_end_reliance(self, data: st.DataObject, accept: bool) -> None:
        agreement = data.draw(st.sampled_from(list(RelianceAgreement.objects.order_by("-pk"))))
        by = self.somebody(data, Verb.RELY, agreement.relying.slug, agreement.reviewing.slug)
        if accept:
            self.attempt(lambda: self.society.act(by, "accept-reliance", agreement=str(agreement.uuid)))
        else:
            self.attempt(lambda: reliance.end(agreement=str(agreement.uuid), by=by.user))

    @precondition(lambda self: Study.objects.exists())
    @rule(data=st.data(), site=st.just("long-beach") | PLACES)
    def file_local_context(self, data: st.DataObject, site: str) -> None:
        by = self.somebody(data, Verb.FILE_LOCAL_CONTEXT, site)
        study = self.study(data)
        self.attempt(lambda: self.society.file_context(by, study, site))

    @rule(
        data=st.data(),
        board=BOARD,
        scope=st.sampled_from(["expedited-review", "preside", "verify-conditions", "everything"]),
        study=STUDIES | st.just(""),
        days=st.integers(1, 400),
    )
    def delegate(self, data: st.DataObject, board: str, scope: str, study: str, days: int) -> None:
        by, to = self.somebody(data, Verb.DELEGATE, board), self.somebody(data, Verb.VOTE, board)
        self.attempt(lambda: self.society.delegate(by, to, board=board, scope=scope, study=study, days=days))

    @precondition(lambda self: Delegation.objects.exists())
    @rule(data=st.data())
    def end_delegation(self, data: st.DataObject) -> None:
        made = data.draw(st.sampled_from(list(Delegation.objects.order_by("pk"))))
        by = self.somebody(data, Verb.DELEGATE, made.board.slug)
        self.attempt(lambda: boards.end_delegation(by=by.user, delegation=str(made.uuid)))

    @rule(data=st.data(), board=BOARD, scientist=st.booleans())
    def give_or_end_seat(self, data: st.DataObject, board: str, scientist: bool) -> None:
        at = self.society.consortium.at[board]
        by, to = self.somebody(data, Verb.SEAT, board), self.somebody(data, Verb.VOTE, board)
        seats = list(at.seats.filter(until=None).order_by("pk"))
        if seats and data.draw(RARELY):
            seat = data.draw(st.sampled_from(seats))
            self.attempt(lambda: boards.end_seat(by=by.user, board=at, seat=str(seat.uuid)))
        elif to.officer is not None:
            given = {"officer": str(to.user.officer.uuid), "scientist": scientist, "affiliated": True}
            self.attempt(lambda: boards.give_seat(by=by.user, board=at, **given))

    @precondition(lambda self: Study.objects.exists())
    @rule(data=st.data(), board=BOARD)
    def declare_conflict(self, data: st.DataObject, board: str) -> None:
        by, study = self.somebody(data, Verb.DECLARE_CONFLICT, board), self.study(data)
        at = self.society.consortium.at[board]
        self.attempt(lambda: boards.declare_conflict(by=by.user, board=at, study=str(study.uuid), ground="Shares."))

    @precondition(lambda self: Conflict.objects.exists())
    @rule(data=st.data())
    def withdraw_conflict(self, data: st.DataObject) -> None:
        declared = data.draw(st.sampled_from(list(Conflict.objects.order_by("pk"))))
        by = self.somebody(data, Verb.DELEGATE, declared.board.slug)
        self.attempt(lambda: boards.withdraw_conflict(by=by.user, conflict=declared.pk, ground="Sold."))

    @rule(data=st.data(), place=PLACES, role=st.sampled_from([Role.IRB_CHAIR, Role.IRB_MEMBER, Role.INVESTIGATOR]))
    def give_role(self, data: st.DataObject, place: str, role: Role) -> None:
        by = self.somebody(data, Verb.INVITE, place)
        to = self.one_of(data, self.society.people)
        name = to.user.officer.name if to.officer else "A stranger"
        at = self.society.consortium.at[place]
        self.attempt(lambda: people.invite(by=by.user, email=to.user.username, name=name, institution=at, role=role))

    # --- stopped, and the clock

    @precondition(lambda self: Study.objects.exists())
    @rule(data=st.data(), act=st.sampled_from(["suspend", "suspend", "terminate", "close"]), place=PLACES)
    def stop(self, data: st.DataObject, act: str, place: str) -> None:
        study = self.study(data)
        by = self.somebody(data, Verb(act), place)
        self.attempt(lambda: self.society.stop(by, act, study, place))

    @rule(days=st.sampled_from([1, 30, 200, 370]))
    def time_passes(self, days: int) -> None:
        self.time.shift(timedelta(days=days))

    @precondition(lambda self: Study.objects.exists())
    @rule(data=st.data())
    def lapse(self, data: st.DataObject) -> None:
        settling.lapse(self.study(data))

    @rule(data=st.data(), act=st.sampled_from(sorted(ACTS)), fields=st.dictionaries(st.sampled_from(NAMES), JUNK))
    def junk(self, data: st.DataObject, act: str, fields: dict[str, Any]) -> None:
        """Somebody sends what no page of ours would, beside what the act needs."""
        by = self.one_of(data, [each for each in self.society.people if each.officer])
        study, review = Study.objects.first(), Review.objects.filter(outcome="").first()
        named = {"study": str(study.uuid) if study else "", "institution": by.institution, "site": by.institution}
        named |= {"review": str(review.uuid) if review else "", "board": by.institution, "relying": by.institution}
        self.attempt(lambda: self.society.act(by, act, **named | {"reviewing": "zurich"} | fields))


@pytest.mark.timeout(3600)
def test_random_verbs_by_random_people_keep_every_invariant(consortium: Consortium) -> None:
    Verbs.society = Society(consortium)
    run_state_machine_as_test(
        Verbs,
        settings=settings(
            max_examples=EXAMPLES or 6,
            stateful_step_count=STEPS,
            derandomize=not EXAMPLES,
            database=None,
            deadline=None,
            suppress_health_check=list(HealthCheck),
            print_blob=True,
            phases=(Phase.generate,),
        ),
    )
