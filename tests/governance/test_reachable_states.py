"""Every state of a study and of a submission is reached by verbs alone, every transition of the tables is made by one,
and no state is a trap."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta

import pytest
import time_machine
from django.db import transaction

from concordat import clock
from governance.models import Review, Study
from governance.permissions import Verb
from governance.policies import STATES
from governance.selectors import open_submission
from governance.services import studies
from governance.states import STUDY, SUBMISSION, StudyState, SubmissionState
from tests.governance.conftest import Consortium
from tests.governance.society import Society

_S, _B = StudyState, SubmissionState
Step = Callable[["Walk"], object]

DECIDED = (_S.UNDER_REVIEW, _S.APPROVED, _S.APPROVED_WITH_CONDITIONS)
DECIDED += (_S.MODIFICATIONS_REQUIRED, _S.DEFERRED, _S.DISAPPROVED)
MAKES: Mapping[Verb, frozenset[StudyState]] = {
    Verb.SUBMIT: frozenset({_S.SUBMITTED}),
    Verb.WITHDRAW: frozenset({_S.DRAFT}),
    Verb.DETERMINE: frozenset(DECIDED),
    Verb.ATTEST_PAPER: frozenset(DECIDED),
    Verb.VERIFY_CONDITIONS: frozenset({_S.APPROVED}),
    Verb.SUSPEND: frozenset({_S.SUSPENDED}),
    Verb.TERMINATE: frozenset({_S.TERMINATED}),
    Verb.CLOSE: frozenset({_S.CLOSED}),
}
"""Where a verb can bring a study. `expired` is the clock's doing."""

FINAL = frozenset(state for state, after in STUDY.items() if not after)


class Walk:
    """One study, led from state to state."""

    def __init__(self, society: Society, sites: int, time: time_machine.Traveller) -> None:
        self.society, self.sites, self.time = society, sites, time
        self.investigator = society.person("cleveland/investigator")
        self.chair = society.chair_of("cleveland")

    @property
    def study(self) -> Study:
        return Study.objects.get()

    @property
    def state(self) -> StudyState:
        return self.study.state_at(clock.now())

    def draft(self) -> None:
        self.society.draft(self.investigator, "chest-pain", sites=self.sites)

    def submit(self, computed: int = 0) -> None:
        self.society.submit(self.investigator, "chest-pain", sites=self.sites, computed=computed)

    def one(self, outcome: str) -> None:
        """One board decides, about no site but its own."""
        self.time.shift(timedelta(hours=1))
        pending = open_submission(self.study)
        assert pending is not None  # there is something to decide
        last = Review.objects.filter(submission=pending, outcome__in=["", "deferred"]).order_by("outcome", "pk").last()
        assert last is not None
        self.society.decide(last, outcome)

    def all(self, outcome: str = "approved") -> None:
        self.time.shift(timedelta(hours=1))
        self.society.decide_all("chest-pain", outcome)

    def verify(self) -> None:
        for review in Review.objects.filter(outcome="approved-with-conditions", conditions_met=False):
            by = self.society.chair_of(review.board.slug)
            self.society.act(by, "verify-conditions", review=str(review.uuid), note="Seen.")

    def stop(self, act: str) -> None:
        by = self.investigator if act == "close" else self.chair
        self.society.stop(by, act, self.study, "cleveland")

    def withdraw(self) -> None:
        studies.withdraw(study=self.study, by=self.investigator.user)

    def expire(self) -> None:
        self.time.shift(timedelta(days=370))

    def renew(self) -> None:
        studies.continue_review(study=self.study, by=self.investigator.user, report="All is well.")
        self.all()


def approve(walk: Walk) -> None:
    walk.submit()
    walk.all()


def then(first: Step, second: Step) -> Step:
    return lambda walk: (first(walk), second(walk))


REACH: Mapping[StudyState, Step] = {
    _S.DRAFT: Walk.draft,
    _S.SUBMITTED: Walk.submit,
    _S.UNDER_REVIEW: then(Walk.submit, lambda walk: walk.one("approved")),
    _S.MODIFICATIONS_REQUIRED: then(Walk.submit, lambda walk: walk.one("modifications-required")),
    _S.DEFERRED: then(Walk.submit, lambda walk: walk.one("deferred")),
    _S.DISAPPROVED: then(Walk.submit, lambda walk: walk.one("disapproved")),
    _S.APPROVED: approve,
    _S.APPROVED_WITH_CONDITIONS: then(Walk.submit, lambda walk: walk.all("approved-with-conditions")),
    _S.SUSPENDED: then(approve, lambda walk: walk.stop("suspend")),
    _S.TERMINATED: then(approve, lambda walk: walk.stop("terminate")),
    _S.EXPIRED: then(approve, Walk.expire),
    _S.CLOSED: then(Walk.draft, lambda walk: walk.stop("close")),
}
"""How each state is reached."""


def onwards(before: StudyState, after: StudyState) -> Step:
    """How `after` is reached from `before`."""
    special: dict[tuple[StudyState, StudyState], Step] = {
        (_S.APPROVED_WITH_CONDITIONS, _S.APPROVED): Walk.verify,
        (_S.SUSPENDED, _S.APPROVED): then(lambda walk: walk.submit(1), Walk.all),
        (_S.EXPIRED, _S.APPROVED): Walk.renew,
    }
    general: dict[StudyState, Step] = {
        _S.DRAFT: Walk.withdraw,
        _S.SUBMITTED: lambda walk: walk.submit(1),
        _S.UNDER_REVIEW: lambda walk: walk.one("approved"),
        _S.APPROVED: Walk.all,
        _S.APPROVED_WITH_CONDITIONS: lambda walk: walk.all("approved-with-conditions"),
        _S.MODIFICATIONS_REQUIRED: lambda walk: walk.one("modifications-required"),
        _S.DEFERRED: lambda walk: walk.one("deferred"),
        _S.DISAPPROVED: lambda walk: walk.one("disapproved"),
        _S.SUSPENDED: lambda walk: walk.stop("suspend"),
        _S.TERMINATED: lambda walk: walk.stop("terminate"),
        _S.CLOSED: lambda walk: walk.stop("close"),
        _S.EXPIRED: Walk.expire,
    }
    return special.get((before, after), general[after])


@contextmanager
def undone(walk: Walk) -> Iterator[None]:
    """What happens inside has not happened afterwards."""
    moment = clock.now()
    with transaction.atomic():
        yield
        transaction.set_rollback(True)
    walk.time.move_to(moment)


@pytest.fixture
def walked(consortium: Consortium) -> Iterator[Callable[[int], Walk]]:
    with time_machine.travel(clock.now(), tick=False) as time:
        society = Society(consortium)
        yield lambda sites: Walk(society, sites, time)


def states_of(walk: Walk) -> tuple[StudyState, dict[int, SubmissionState]]:
    submissions = walk.study.submissions.values_list("pk", "state")
    return walk.state, {pk: SubmissionState(state) for pk, state in submissions}


MANY, ONE = 0, 3
"""The sites of a study with several boards, and of one with a single board."""


@pytest.mark.timeout(600)
def test_every_state_is_reached_and_every_transition_made_by_verbs_alone(
    walked: Callable[[int], Walk],
) -> None:
    reached: set[StudyState] = set()
    made: set[tuple[StudyState, StudyState]] = set()
    submissions: set[tuple[SubmissionState, SubmissionState]] = set()
    for walk in (walked(MANY), walked(ONE)):
        for before, reach in REACH.items():
            if (walk.sites, before) == (ONE, _S.UNDER_REVIEW):
                continue  # a single board decides at once
            with undone(walk):
                reach(walk)
                assert walk.state == before
                reached.add(before)
                for after in sorted(STUDY[before] - {follow for state, follow in made if state == before}):
                    then_were = states_of(walk)[1]
                    with undone(walk):
                        onwards(before, after)(walk)
                        state, now_are = states_of(walk)
                        made.add((before, state))
                        submissions |= {
                            (then_were[pk], now_are[pk]) for pk in then_were if then_were[pk] != now_are[pk]
                        }
    assert reached == set(StudyState)
    assert made == {(before, after) for before, follow in STUDY.items() for after in follow}
    assert submissions == {(before, after) for before, follow in SUBMISSION.items() for after in follow}
    assert {after for _, after in submissions} | {_B.SUBMITTED} == set(SubmissionState)


def by_verbs(before: StudyState) -> dict[StudyState, list[Verb]]:
    """Where the tables let verbs bring a study from here."""
    found = {
        after: [verb for verb in MAKES if before in STATES[verb] and after in MAKES[verb]] for after in STUDY[before]
    }
    return {after: verbs for after, verbs in found.items() if verbs}


def test_every_transition_has_a_verb_that_the_states_allow() -> None:
    for before, follow in STUDY.items():
        assert set(by_verbs(before)) == follow - {_S.EXPIRED}, before


def test_no_state_is_a_trap() -> None:
    """From every state verbs lead to an approval, or it is an end."""
    for start in set(StudyState) - FINAL:
        seen, edge = {start}, {start}
        while edge:
            edge = {after for before in edge for after in by_verbs(before)} - seen
            seen |= edge
        assert _S.APPROVED in seen, start
        assert seen >= FINAL or start is not _S.APPROVED
