"""What time does by itself: approvals lapse once, people are reminded once, and nothing waits for the clock."""

from datetime import datetime, timedelta

import pytest
import time_machine
from django.core.management import call_command

from concordat import clock
from concordat.events import Event
from concordat.reasons import Reason
from governance import acts, verdict
from governance.models import SigningChallenge, Study
from governance.notices import Notice
from governance.services import clockwork, settling, studies
from governance.states import StudyState
from ledger.selectors import entries
from tests.governance.conftest import Consortium


@pytest.fixture
def approved(consortium: Consortium) -> Study:
    """Its approval ends in a year, long before its protocol does."""
    return consortium.approved(valid_until=clock.rfc3339(clock.now() + timedelta(days=900)))


def tick_at(moment: datetime) -> None:
    with time_machine.travel(moment, tick=False):
        clockwork.tick(clock.now())


def end(study: Study) -> datetime:
    assert study.expires is not None
    return study.expires


def told(study: Study, notice: Notice = Notice.APPROVAL_ENDS) -> list[str]:
    return sorted(study.notifications.filter(notice=notice).values_list("user__officer__name", flat=True))


def sentences(study: Study) -> list[str]:
    found = study.notifications.filter(notice=Notice.APPROVAL_ENDS).order_by("pk")
    return list(dict.fromkeys(found.values_list("sentence", flat=True)))


# --- lapses


def test_an_approval_lapses_when_its_time_is_over_and_not_a_second_before(approved: Study) -> None:
    tick_at(end(approved) - timedelta(seconds=1))
    approved.refresh_from_db()
    assert approved.state == StudyState.APPROVED
    tick_at(end(approved))
    approved.refresh_from_db()
    assert approved.state == StudyState.EXPIRED


def test_a_lapse_ends_the_authority_of_what_is_running_and_is_recorded_once(approved: Study) -> None:
    epoch = approved.epoch
    for days in (0, 1, 2):
        tick_at(end(approved) + timedelta(days=days))
    approved.refresh_from_db()
    assert approved.epoch == epoch + 1
    [entry] = entries(event=Event.STUDY_EXPIRED, study=approved.slug)
    assert entry.public["expired"] == clock.rfc3339(end(approved))


def test_nothing_is_authorised_after_the_end_even_if_the_clock_never_ticks(consortium: Consortium) -> None:
    definition = consortium.voted()
    study, request = definition.study, consortium.request(definition)
    after = end(study)
    assert study.state == StudyState.APPROVED
    assert study.state_at(after) is StudyState.EXPIRED
    answer = verdict.authorise(request, now=after, chain=consortium.chain)
    assert Reason.STUDY_EXPIRED in answer.reasons
    before = verdict.authorise(request, now=after - timedelta(seconds=1), chain=consortium.chain)
    assert Reason.STUDY_EXPIRED not in before.reasons


def test_a_tick_that_is_killed_leaves_each_study_whole_and_the_next_one_goes_on(
    consortium: Consortium, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, second = (consortium.approved(study=slug) for slug in ("first-study", "second-study"))
    really, lapsed = settling.lapse, []

    def killed_in_the_second(study: Study) -> None:
        really(study)
        lapsed.append(study.slug)
        if len(lapsed) == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr(settling, "lapse", killed_in_the_second)
    with pytest.raises(KeyboardInterrupt):
        tick_at(end(second))
    states = {study.slug: study.state for study in Study.objects.all()}
    assert sorted(states.values()) == [StudyState.APPROVED, StudyState.EXPIRED]
    assert entries(event=Event.STUDY_EXPIRED).count() == 1
    monkeypatch.undo()
    tick_at(end(second))
    assert set(Study.objects.values_list("state", flat=True)) == {StudyState.EXPIRED}
    assert entries(event=Event.STUDY_EXPIRED).count() == 2


def test_a_suspended_study_does_not_lapse_by_the_clock(consortium: Consortium, approved: Study) -> None:
    consortium.act(
        consortium.chairs["zurich"], "suspend", study=str(approved.uuid), institution="zurich", ground="An incident."
    )
    tick_at(end(approved))
    approved.refresh_from_db()
    assert approved.state == StudyState.SUSPENDED


def test_the_command_ticks(approved: Study) -> None:
    with time_machine.travel(end(approved), tick=False):
        call_command("tick")
    approved.refresh_from_db()
    assert approved.state == StudyState.EXPIRED


# --- reminders


@pytest.mark.parametrize(("days", "times"), [(61, 0), (60, 1), (31, 1), (30, 1), (8, 1), (7, 1), (0.5, 1)])
def test_reminders_come_sixty_thirty_and_seven_days_before_the_end(approved: Study, days: float, times: int) -> None:
    tick_at(end(approved) - timedelta(days=days))
    assert len(sentences(approved)) == times


def test_each_person_is_reminded_once_of_each_stage_however_often_the_clock_ticks(approved: Study) -> None:
    people = set()
    for days in (60, 59.9, 45, 30, 29, 7, 6, 1):
        tick_at(end(approved) - timedelta(days=days))
        people |= set(told(approved))
    assert sorted(told(approved)) == sorted([*people] * 3)


def test_a_clock_that_stood_still_tells_of_the_last_stage_only(approved: Study) -> None:
    tick_at(end(approved) - timedelta(days=5))
    assert len(sentences(approved)) == 1
    assert "in 5 days" in sentences(approved)[0]


def test_investigators_and_offices_of_the_reviewing_boards_are_told_and_nobody_else(
    consortium: Consortium, approved: Study
) -> None:
    concerned = [consortium.member("cleveland", "investigator"), consortium.member("zurich", "irb-administrator")]
    others = [
        consortium.member("zurich", "investigator"),  # of an institution that does not lead
        consortium.member("cleveland", "irb-member"),
        consortium.member("long-beach", "irb-chair"),  # relies on another board
        consortium.member("notary", "irb-chair"),
    ]
    left = consortium.member("budapest", "irb-administrator")
    left.is_active = False
    left.save()
    tick_at(end(approved) - timedelta(days=30))
    chairs = [chair.user for chair in consortium.chairs.values()]
    assert told(approved) == sorted(user.officer.name for user in [*concerned, *chairs])
    assert not {user.officer.name for user in [*others, left]} & set(told(approved))


def test_the_reminder_says_what_to_do(consortium: Consortium, approved: Study) -> None:
    tick_at(end(approved) - timedelta(days=60))
    assert sentences(approved)[0].endswith("in 60 days: ask for continuing review.")
    with time_machine.travel(end(approved) - timedelta(days=40), tick=False):
        studies.continue_review(study=approved, report="All is well.")
    tick_at(end(approved) - timedelta(days=30))
    assert "must decide until then" in sentences(approved)[1]


def test_where_the_protocol_ends_too_the_reminder_asks_for_another_protocol_first(consortium: Consortium) -> None:
    study = consortium.approved()  # its protocol is shorter than a year
    tick_at(end(study) - timedelta(days=60))
    assert "Submit an amended one first" in sentences(study)[0]


def test_what_is_approved_anew_is_announced_anew(approved: Study) -> None:
    tick_at(end(approved) - timedelta(days=7))
    Study.objects.filter(pk=approved.pk).update(expires=end(approved) + timedelta(days=300))
    tick_at(end(approved) + timedelta(days=293))
    assert len(sentences(approved)) == 2


def test_other_reminders_are_called_at_each_tick(approved: Study, monkeypatch: pytest.MonkeyPatch) -> None:
    called: list[datetime] = []
    monkeypatch.setattr(clockwork, "REMINDERS", (called.append,))
    tick_at(now := clock.now())
    assert called == [now]


def test_a_tick_asks_the_database_no_more_often_for_studies_that_everybody_was_told_of(
    consortium: Consortium, django_assert_num_queries: object
) -> None:
    for number in range(3):
        study = consortium.approved(study=f"study-{number}")
    soon = end(study) - timedelta(days=20)
    tick_at(soon)
    queries = 3 + 3 + 3 + 1  # of approvals; of attachments and of incidents, each within a savepoint; of challenges
    with time_machine.travel(soon, tick=False), django_assert_num_queries(queries):  # type: ignore[operator]
        clockwork.tick(clock.now())


# --- what nobody answered


def test_what_was_typed_into_an_act_that_nobody_signed_is_forgotten_after_a_day(
    consortium: Consortium, approved: Study
) -> None:
    chair = consortium.chairs["zurich"].user
    fields = {"study": str(approved.uuid), "institution": "zurich", "ground": "A patient of ours fell ill."}
    asked = acts.ask(by=chair, act="suspend", fields=fields, method="totp")
    tick_at(asked.expires + timedelta(hours=23))
    assert SigningChallenge.objects.filter(pk=asked.pk).exists()
    tick_at(asked.expires + timedelta(days=1))
    assert not SigningChallenge.objects.exists()
