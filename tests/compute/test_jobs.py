"""Asking for a prediction: who may, what is decided, and that asking twice is asking once."""

from datetime import timedelta

import pytest

from compute import selectors
from compute.models import Job, SealedInput
from compute.services import jobs
from concordat import canonical, clock
from concordat.events import Event
from concordat.reasons import Reason, Refused
from concordat.request import peek_request
from concordat.states import JobState
from governance import verdict
from governance.models import BudgetUse
from governance.services import consent, recalls
from governance.states import StudyState
from ledger.models import LogEntry
from ledger.selectors import document, entry, private_fields
from tests.support.consortium import NODES, OWNER, PARTIES, REQUESTER


def reason(call, *arguments, **options):
    with pytest.raises(Refused) as caught:
        call(*arguments, **options)
    return caught.value.reason


def test_a_request_in_order_is_authorised_and_handed_to_a_worker(world):
    prepared = world.consortium.prepare()
    job = world.ask(prepared)
    assert job.job_state is JobState.AUTHORISED
    assert job.request_digest == prepared.digest
    assert set(job.inputs.values_list("party__slug", flat=True)) == set(PARTIES)
    assert world.sent == [("compute.dispatch", str(job.uuid), "coordinator")]


def test_the_verdict_is_in_the_log_with_every_check(world):
    job = world.ask()
    verdict = entry(job.verdict)
    assert verdict.event == Event.VERDICT
    assert verdict.public["authorised"] is True
    checks = canonical.decode(document(verdict.documents["checks"]))
    assert len(checks) > 8
    assert all(check["passed"] for check in checks)
    assert checks == selectors.checks(job)


def test_the_log_says_nothing_about_the_person(world):
    job = world.ask()
    verdict = entry(job.verdict)
    leaf = bytes(verdict.leaf).decode()
    assert world.consortium.subject not in leaf
    assert selectors.request_of(job) not in leaf
    assert private_fields(verdict)["subject"] == world.consortium.subject
    assert private_fields(verdict)["request_statement"] == selectors.request_of(job)


def withdraw(world):
    consent.withdraw(institution=world.bodies[REQUESTER], token=world.consortium.withdrawal())


def spend(world):
    BudgetUse.objects.create(
        definition=world.definition, requester=world.bodies[REQUESTER], day=clock.now().date(), jobs=100, scalars=1300
    )


def suspend(world):
    world.study.state = StudyState.SUSPENDED
    world.study.epoch += 1
    world.study.save()


def recall_model(world):
    recalls.recall(institution=world.bodies[OWNER], token=world.consortium.recall())


@pytest.mark.parametrize(
    ("spoil", "expected"),
    [
        (withdraw, Reason.CONSENT_WITHDRAWN),
        (suspend, Reason.STUDY_NOT_APPROVED),
        (spend, Reason.BUDGET_SPENT),
        (recall_model, Reason.MODEL_RECALLED),
    ],
)
def test_an_unauthorised_request_is_a_refused_job_with_its_reason(world, spoil, expected):
    spoil(world)
    job = world.ask()
    assert (job.job_state, job.reason) == (JobState.REFUSED, expected)
    assert entry(job.verdict).public["authorised"] is False
    assert expected in entry(job.verdict).public["reasons"]
    assert not job.inputs.exists()
    assert world.sent == []


def test_an_authorised_job_takes_its_part_of_the_budget(world):
    world.ask()
    assert BudgetUse.objects.values_list("jobs", "scalars").get() == (1, world.definition.scalars)


def test_a_budget_that_others_spent_since_the_verdict_refuses_the_request(world, monkeypatch):
    reach = verdict.authorise

    def overtaken(request, **options):
        found = reach(request, **options)
        spend(world)
        return found

    monkeypatch.setattr(verdict, "authorise", overtaken)
    job = world.ask()
    assert (job.job_state, job.reason) == (JobState.REFUSED, Reason.BUDGET_SPENT)
    assert entry(job.verdict).public["reasons"] == [Reason.BUDGET_SPENT]
    assert [check["name"] for check in selectors.checks(job) if not check["passed"]] == ["budget"]
    assert BudgetUse.objects.get().jobs == 100


def test_the_log_s_open_part_and_the_broker_name_no_clinician_and_no_consent_form(world):
    job, person = world.ask(), world.consortium.person
    for each in LogEntry.objects.all():
        assert person not in bytes(each.leaf).decode()
        assert world.consortium.consent not in bytes(each.leaf).decode()
    assert person not in str(world.sent)
    assert peek_request(selectors.request_of(job))["person"] == person


def test_the_same_request_under_the_same_key_is_the_same_job(world):
    prepared = world.consortium.prepare()
    first, second = world.ask(prepared, key="k"), world.ask(prepared, key="k")
    assert first == second
    assert LogEntry.objects.filter(event=Event.VERDICT).count() == 1


def test_other_content_under_the_same_key_is_a_conflict(world):
    prepared = world.consortium.prepare()
    world.ask(prepared, key="k")
    assert reason(world.ask, world.consortium.prepare(), key="k") is Reason.CONFLICT
    resealed = world.consortium.prepare().sealed
    assert reason(world.ask, prepared, key="k", sealed=resealed) is Reason.CONFLICT


def test_the_same_request_under_another_key_is_a_conflict(world):
    prepared = world.consortium.prepare()
    world.ask(prepared, key="k")
    assert reason(world.ask, prepared, key="l") is Reason.CONFLICT


def test_nobody_asks_in_anothers_name(world):
    assert reason(world.ask, by=OWNER) is Reason.WRONG_INSTITUTION
    forged = world.consortium.prepare(requester="zurich", key=world.consortium.identity("zurich"))
    assert reason(world.ask, forged) is Reason.WRONG_INSTITUTION
    assert reason(world.ask, forged, by="zurich") is Reason.ROLE_MISSING
    forged = world.consortium.prepare(key=world.consortium.identity("zurich"))
    assert reason(world.ask, forged) is Reason.KEY_UNKNOWN
    assert not Job.objects.exists()


@pytest.mark.parametrize("sealed", [{}, {"cleveland": "x"}, dict.fromkeys([*PARTIES, "notary"], "x")])
def test_there_is_one_sealed_share_for_each_party(world, sealed):
    assert reason(world.ask, sealed=sealed) is Reason.WRONG_PARTY
    assert not Job.objects.exists()
    assert not LogEntry.objects.filter(event=Event.VERDICT).exists()


def test_an_unknown_definition_is_no_job(world):
    other = world.consortium.new_definition(valid_until=clock.rfc3339(clock.now() + timedelta(days=5)))
    assert reason(world.ask, world.consortium.prepare(definition=other)) is Reason.DEFINITION_UNKNOWN


# --- taking it back


@pytest.mark.parametrize("stage", ["ask", "dispatched", "reserved"])
def test_a_request_is_taken_back_before_it_computes(world, stage):
    job = getattr(world, stage)()
    with world.commit():
        cancelled = jobs.cancel(job=job, by=world.bodies[REQUESTER])
    assert cancelled.job_state is JobState.CANCELLED
    assert not SealedInput.objects.exists()
    assert LogEntry.objects.filter(event=Event.JOB_ENDED).count() == 1
    assert len(world.tasks("node.release")) == (0 if stage == "ask" else 4)
    assert BudgetUse.objects.values_list("jobs", "scalars").get() == (0, 0), "nothing was opened"


def test_a_running_job_is_stopped_first(world):
    job = jobs.cancel(job=world.computing(), by=world.bodies[REQUESTER])
    assert job.job_state is JobState.CANCELLING
    assert jobs.cancel(job=job, by=world.bodies[REQUESTER]).job_state is JobState.CANCELLING
    assert reason(world.result, job, "zurich") is Reason.WRONG_STATE


def test_a_recorded_job_is_not_taken_back(world):
    assert reason(jobs.cancel, job=world.recorded(), by=world.bodies[REQUESTER]) is Reason.WRONG_STATE


def test_what_was_computed_stays_spent_even_if_it_is_withheld(world):
    job = world.computing()
    withdraw(world)
    for slug in NODES:
        job = world.result(job, slug)
    assert job.job_state is JobState.WITHHELD
    assert BudgetUse.objects.get().jobs == 1


def test_only_the_requester_takes_its_request_back(world):
    job = world.ask()
    assert reason(jobs.cancel, job=job, by=world.bodies["zurich"]) is Reason.WRONG_INSTITUTION
    job.refresh_from_db()
    assert job.job_state is JobState.AUTHORISED


def test_only_its_own_jobs_are_an_institutions_to_see(world):
    job = world.ask()
    assert selectors.job_of(world.bodies[REQUESTER], job.uuid) == job
    assert reason(selectors.job_of, world.bodies["zurich"], job.uuid) is Reason.NOT_FOUND
