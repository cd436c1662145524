"""A study always says what happens next, and whom it waits for."""

from datetime import UTC, datetime
from itertools import product

import pytest

from concordat import clock
from concordat.determination import SubmissionKind
from governance import next_steps, selectors
from governance.next_steps import Situation
from governance.states import OPEN, STUDY, StudyState, SubmissionState
from tests.governance.conftest import FINDINGS, Consortium

KINDS = list(SubmissionKind)


@pytest.mark.parametrize(("state", "submission"), list(product(StudyState, [None, *SubmissionState])))
def test_every_situation_has_a_sentence(state: StudyState, submission: SubmissionState | None) -> None:
    for kind in KINDS if submission else [None]:
        at = Situation(state, submission, kind, ("Zurich", "Basel"), ("Budapest",), datetime(2027, 1, 1, tzinfo=UTC))
        said = next_steps.next_step(at)
        assert said.endswith(".")
        assert "{" not in said
        assert said == next_steps.next_step(at)


def test_a_study_in_force_goes_on_while_its_amendment_waits() -> None:
    at = Situation(
        StudyState.APPROVED,
        SubmissionState.UNDER_REVIEW,
        SubmissionKind.AMENDMENT,
        ("Zurich",),
        expires=datetime(2027, 1, 1, tzinfo=UTC),
    )
    said = next_steps.next_step(at)
    assert "may be computed until 2027-01-01" in said
    assert "The amendment waits for the board of Zurich." in said


def test_several_boards_are_named_as_people_would() -> None:
    boards = ("Basel", "Budapest", "Zurich")
    at = Situation(StudyState.UNDER_REVIEW, SubmissionState.UNDER_REVIEW, SubmissionKind.INITIAL, boards)
    assert next_steps.waits_for(at) == "the boards of Basel, Budapest and Zurich"


@pytest.mark.parametrize("state", StudyState)
def test_only_what_has_ended_or_is_in_force_waits_for_nobody(state: StudyState) -> None:
    at = Situation(state, SubmissionState.UNDER_REVIEW, SubmissionKind.INITIAL, ("Zurich",))
    assert next_steps.waits_for(at)
    settled = {StudyState.APPROVED, *(each for each, after in STUDY.items() if not after)}
    boards = {StudyState.SUBMITTED, StudyState.UNDER_REVIEW, StudyState.DEFERRED, StudyState.APPROVED_WITH_CONDITIONS}
    assert bool(next_steps.waits_for(Situation(state))) == (state not in settled | boards)


def test_the_situation_is_read_from_the_records(consortium: Consortium) -> None:
    study = consortium.submitted()
    consortium.sign(
        consortium.chairs["zurich"], study, "approved-with-conditions", findings=FINDINGS, conditions=["One."]
    )
    pending = selectors.open_submission(study)
    study.refresh_from_db()
    at = next_steps.situation(study, pending, clock.now())
    assert at.boards == ("Hospital of budapest", "Hospital of cleveland")
    assert at.conditional == ("Hospital of zurich",)
    assert (at.state, at.kind) == (StudyState.UNDER_REVIEW, SubmissionKind.INITIAL)
    assert at.submission in OPEN
