"""What goes wrong is reported whatever the study's state, told to everybody concerned, and runs under a clock."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from concordat import clock
from concordat.events import Event
from concordat.reasons import Reason, Refused
from governance.models import Incident, IncidentStep, Institution, Notification, Study
from governance.notices import Notice
from governance.services import incidents
from governance.states import INCIDENT, IncidentState, StudyState
from ledger import selectors as ledger
from ledger.models import LogEntry
from tests.governance.conftest import Consortium
from tests.support.approval import approve
from tests.support.triggers import without_rules

SUMMARY = "Mr Muster's record was sent to the wrong ward."


@pytest.fixture
def study(consortium: Consortium) -> Study:
    """As if it had been approved: incidents ask for nothing else."""
    return approve(consortium.submitted(), expires=clock.now() + timedelta(days=30))


def report(c: Consortium, study: Study, *, by: Any = None, slug: str = "long-beach", **changes: Any) -> Incident:
    given: dict[str, Any] = {"kind": "breach", "discovered": clock.now() - timedelta(hours=1), "summary": SUMMARY}
    by = by or c.member(slug, "clinician")
    return incidents.report(by=by, study=study, institution=c.at[slug], **given | changes)


def test_a_report_is_recorded_with_its_clock_and_without_its_words(consortium: Consortium, study: Study) -> None:
    incident = report(consortium, study)
    assert incident.due == incident.discovered + timedelta(hours=72)
    entry = ledger.entries(event=Event.INCIDENT_REPORTED).get()
    assert (entry.public["kind"], entry.public["due"]) == ("breach", clock.rfc3339(incident.due))
    assert ledger.private_fields(entry)["text"] == SUMMARY
    public = str(entry.content) + "".join(Notification.objects.values_list("sentence", flat=True))
    assert "Muster" not in public
    assert incident.reported_by.name not in public


def test_sites_and_reviewing_boards_are_told(consortium: Consortium, study: Study) -> None:
    expected = {
        consortium.member(slug, role)
        for slug in ("cleveland", "zurich", "long-beach")
        for role in ("irb-administrator", "institution-admin", "data-steward")
    } | {chair.user for chair in consortium.chairs.values()}
    others = {consortium.member("notary", "institution-admin"), consortium.member("zurich", "auditor")}
    report(consortium, study)
    told = {each.user for each in Notification.objects.filter(notice=Notice.INCIDENT_REPORTED)}
    assert expected <= told
    assert not others & told


@pytest.mark.parametrize("state", ["suspended", "terminated", "closed", "expired", "approved-with-conditions"])
def test_reporting_and_going_on_never_wait_for_the_study(consortium: Consortium, study: Study, state: str) -> None:
    with without_rules(Study):
        Study.objects.update(state=state)
    incident = report(consortium, study)
    by = consortium.member("long-beach", "institution-admin")
    assert incidents.step(by=by, incident=incident, to="assessed", text="Looked at.").to == "assessed"


def test_who_may_not_report(consortium: Consortium, study: Study) -> None:
    before = LogEntry.objects.count()
    for by, slug, reason in [
        (consortium.member("notary", "clinician"), "notary", Reason.NOT_FOUND),
        (consortium.member("zurich", "clinician"), "budapest", Reason.WRONG_INSTITUTION),
        (consortium.member("zurich", "auditor"), "zurich", Reason.ROLE_MISSING),
        (consortium.member("zurich", "regulator"), "zurich", Reason.ROLE_MISSING),
    ]:
        before = LogEntry.objects.count()
        with pytest.raises(Refused) as caught:
            report(consortium, study, by=by, slug=slug)
        assert caught.value.reason is reason
    with without_rules(Study):
        Study.objects.update(state="under-review")
    with pytest.raises(Refused) as caught:
        report(consortium, study, by=consortium.member("zurich", "clinician"), slug="zurich")
    assert caught.value.reason is Reason.WRONG_STATE
    assert LogEntry.objects.count() == before + 1  # the member was added, nothing else
    assert not Incident.objects.exists()


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"kind": "mishap"}, "kind"),
        ({"summary": " "}, "summary"),
        ({"summary": "x" * 2001}, "summary"),
        ({"discovered": datetime(2999, 1, 1, tzinfo=UTC)}, "discovered"),
    ],
)
def test_what_is_wrong_with_a_report_is_said_by_field(
    consortium: Consortium, study: Study, changes: dict[str, Any], field: str
) -> None:
    with pytest.raises(Refused) as caught:
        report(consortium, study, **changes)
    assert (caught.value.reason, caught.value.field) == (Reason.FIELD_INVALID, field)
    assert "Muster" not in str(caught.value)


def test_steps_follow_the_table_and_say_whether_they_came_in_time(consortium: Consortium, study: Study) -> None:
    incident = report(consortium, study, discovered=clock.now() - timedelta(days=10))
    by = consortium.member("long-beach", "institution-admin")
    for to, late in (("assessed", True), ("notified", True), ("closed", False)):  # who was told can take one's time
        assert incidents.step(by=by, incident=incident, to=to, text="Done.").late is late
    with pytest.raises(Refused) as caught:
        incidents.step(by=by, incident=incident, to="notified", text="Again.")
    assert (caught.value.reason, caught.value.field) == (Reason.WRONG_STATE, "state")
    entry = ledger.entries(event=Event.INCIDENT_STEP).first()
    assert (entry.public["step"], entry.public["late"]) == ("assessed", True)
    assert "Done." not in str(entry.content)
    in_time = report(consortium, study)
    assert incidents.step(by=by, incident=in_time, to="notified", text="Told.").late is False


def test_an_incident_is_its_own_institutions_affair(consortium: Consortium, study: Study) -> None:
    incident = report(consortium, study)
    for slug, role, reason in [
        ("zurich", "institution-admin", Reason.WRONG_INSTITUTION),
        ("long-beach", "clinician", Reason.ROLE_MISSING),
    ]:
        with pytest.raises(Refused) as caught:
            incidents.step(by=consortium.member(slug, role), incident=incident, to="closed", text="Never mind.")
        assert caught.value.reason is reason
    by = consortium.member("long-beach", "data-steward")
    for changes, field in (({"to": "forgotten"}, "to"), ({"text": ""}, "text")):
        with pytest.raises(Refused) as caught:
            incidents.step(by=by, incident=incident, **{"to": "assessed", "text": "x"} | changes)
        assert (caught.value.reason, caught.value.field) == (Reason.FIELD_INVALID, field)
    assert not IncidentStep.objects.exists()


def test_reminders_come_a_day_before_and_when_it_is_over_until_somebody_was_told(
    consortium: Consortium, study: Study
) -> None:
    incident = report(consortium, study)
    by = consortium.member("long-beach", "institution-admin")
    mine = Notification.objects.filter(notice=Notice.INCIDENT_DUE, user=by)
    for hours, told in ((-30, 0), (-23, 1), (-22, 1), (1, 2), (50, 2)):
        incidents.remind(incident.due + timedelta(hours=hours))
        assert mine.count() == told
    other = report(consortium, study)
    incidents.step(by=by, incident=other, to="notified", text="Told.")
    incidents.remind(other.due)
    assert mine.filter(key__contains=str(other.uuid)).count() == 0
    assert not any("Muster" in each.sentence for each in mine)


def test_five_working_days_leave_weekends_out(settings: Any) -> None:
    duty = incidents.DUTIES["unanticipated-problem"][0]
    thursday = datetime(2026, 1, 8, 12, tzinfo=UTC)
    assert duty.until(thursday) == datetime(2026, 1, 15, 12, tzinfo=UTC)
    settings.PROBLEM_WORKING_DAYS = 1
    assert duty.until(datetime(2026, 1, 10, tzinfo=UTC)) == datetime(2026, 1, 12, tzinfo=UTC)


@given(st.integers(0, 10**6), st.sampled_from(Incident.Kind))
def test_every_kind_has_a_clock_that_runs_out_after_it_began(hours: int, kind: Incident.Kind) -> None:
    discovered = datetime(2020, 1, 1, tzinfo=UTC) + timedelta(hours=hours)
    assert all(duty.until(discovered) > discovered and duty.source for duty in incidents.DUTIES[kind])
    assert incidents.DUTIES[kind][0].until(discovered) == min(d.until(discovered) for d in incidents.DUTIES[kind])


def test_every_state_is_reachable_and_every_incident_can_be_closed() -> None:
    reached, frontier = set(), {IncidentState.REPORTED}
    while frontier:
        reached |= frontier
        frontier = {after for state in frontier for after in INCIDENT[state]} - reached
    assert reached == set(IncidentState)
    assert all(INCIDENT[state] for state in set(IncidentState) - {IncidentState.CLOSED})


def test_every_state_after_an_approval_allows_a_report() -> None:
    from governance.permissions import Verb
    from governance.policies import STATES

    before = {
        StudyState.DRAFT,
        StudyState.SUBMITTED,
        StudyState.UNDER_REVIEW,
        StudyState.MODIFICATIONS_REQUIRED,
        StudyState.DEFERRED,
        StudyState.DISAPPROVED,
    }
    assert STATES[Verb.REPORT_INCIDENT] == STATES[Verb.STEP_INCIDENT] == set(StudyState) - before


def test_an_institution_of_no_role_in_the_study_is_told_nothing(consortium: Consortium, study: Study) -> None:
    report(consortium, study)
    institutions = {each.slug for each in Institution.objects.filter(memberships__user__notifications__isnull=False)}
    assert "notary" not in institutions
