"""What comes back: recorded when the receipts agree and authority holds, else withheld; released to the requester."""

from uuid import UUID

import pytest

from compute.models import PartyResult, SealedInput
from compute.selectors import request_of
from compute.services import results
from concordat import canonical, clock, display, record_number, signatures
from concordat.canonical import digest
from concordat.events import Event
from concordat.reasons import Reason, Refused
from concordat.states import JobState
from governance.services import consent, recalls
from governance.states import StudyState
from ledger.models import LogEntry
from ledger.selectors import document, entry, private_fields
from ledger.services import subjects
from tests.support.consortium import NODES, OWNER, REQUESTER


def reason(call, *arguments, **options):
    with pytest.raises(Refused) as caught:
        call(*arguments, **options)
    return caught.value.reason


def withdraw(world):
    consent.withdraw(institution=world.bodies[REQUESTER], token=world.consortium.withdrawal())


def suspend_and_reinstate(world):
    """What was stale stays stale: the study is approved again, in a later epoch."""
    world.study.epoch += 1
    world.study.state = StudyState.APPROVED
    world.study.save()


def recall_model(world):
    recalls.recall(institution=world.bodies[OWNER], token=world.consortium.recall())


def refusing(event, record):
    def refuse(**arguments):
        if arguments["event"] is event:
            raise Refused(Reason.MALFORMED)
        return record(**arguments)

    return refuse


def events():
    wanted = (Event.PREDICTION_RECORDED, Event.EXPLANATION_RECORDED, Event.RESULT_WITHHELD, Event.JOB_ENDED)
    return list(LogEntry.objects.filter(event__in=wanted).values_list("event", flat=True))


def test_the_last_result_makes_the_record(world):
    job = world.computing()
    for slug in NODES[:-1]:
        assert world.result(job, slug).job_state is JobState.COMPUTING
    job = world.result(job, NODES[-1])
    assert job.job_state is JobState.RECORDED
    assert events() == [Event.PREDICTION_RECORDED, Event.EXPLANATION_RECORDED]
    assert not SealedInput.objects.exists()


def test_the_record_names_what_was_computed_and_not_for_whom(world):
    job = world.recorded()
    prediction, explanation = entry(job.prediction_entry), entry(job.explanation_entry)
    assert prediction.public["definition"] == world.definition.digest
    assert (prediction.public["rounds"], prediction.public["bytes"]) == (4, 400)
    assert explanation.public["prediction"] == prediction.index
    receipts = [result.receipt for result in job.results.order_by("pk")]
    assert canonical.decode(document(prediction.documents["receipts"])) == receipts
    assert document(prediction.documents["ticket"]).decode() == job.ticket
    assert explanation.documents["design"] == digest(world.consortium.design)
    assert private_fields(prediction)["request_statement"] == request_of(job)
    for leaf in (prediction.leaf, explanation.leaf):
        assert world.consortium.subject not in bytes(leaf).decode()


@pytest.mark.parametrize("field", ["request", "definition", "model", "design"])
def test_receipts_that_disagree_withhold_the_result(world, field):
    job = world.computing()
    for slug in NODES[:-1]:
        world.result(job, slug)
    job = world.result(job, NODES[-1], world.receipt(job, NODES[-1], **{field: digest(b"another")}))
    assert (job.job_state, job.reason) == (JobState.WITHHELD, Reason.RECEIPTS_DISAGREE)
    assert events() == [Event.RESULT_WITHHELD]
    assert not PartyResult.objects.exclude(sealed="").exists()
    with pytest.raises(Refused) as told:
        results.release(job=job, by=world.bodies[REQUESTER])
    assert (told.value.reason, told.value.detail) == (Reason.RECEIPTS_DISAGREE, f"They differ in: {field}.")


def test_a_node_that_states_an_absurd_count_is_refused_itself_and_silences_nobody_else(world):
    job = world.computing()
    absurd = world.receipt(job, "cleveland", bytes_sent=2**40)
    assert reason(world.receipt, job, "cleveland", bytes_sent=2**40 + 1) is Reason.FIELD_INVALID
    world.result(job, "cleveland", absurd)
    for slug in NODES[1:]:
        job = world.result(job, slug)
    assert job.job_state is JobState.RECORDED


def test_whatever_forbids_the_record_withholds_the_result_and_is_named(world, monkeypatch):
    """The receipt that comes last is kept: it need not be the one to blame."""
    monkeypatch.setattr(results, "record", refusing(Event.EXPLANATION_RECORDED, results.record))
    job = world.computing()
    for slug in NODES:
        job = world.result(job, slug)
    assert (job.job_state, job.reason, job.results.count()) == (JobState.WITHHELD, Reason.MALFORMED, len(NODES))
    assert events() == [Event.RESULT_WITHHELD]


ENDINGS = {
    withdraw: "The person has withdrawn consent.",
    suspend_and_reinstate: "It had ended for a while, and stands again: ask anew.",
    recall_model: "The model was recalled by its owner: it gives wrong results (class I: use could reasonably be "
    "expected to cause serious harm or death).",
}


@pytest.mark.parametrize("end_authority", ENDINGS)
def test_authority_that_ended_during_the_computation_withholds_the_result(world, end_authority):
    job = world.computing()
    for slug in NODES[:-1]:
        world.result(job, slug)
    end_authority(world)
    job = world.result(job, NODES[-1])
    assert (job.job_state, job.reason) == (JobState.WITHHELD, Reason.RESULT_WITHHELD)
    assert job.detail == ENDINGS[end_authority]
    assert reason(results.release, job=job, by=world.bodies[REQUESTER]) is Reason.RESULT_WITHHELD
    assert events() == [Event.RESULT_WITHHELD]
    assert not PartyResult.objects.exclude(sealed="").exists()


@pytest.mark.parametrize("end_authority", ENDINGS)
def test_a_recorded_result_is_not_released_without_authority_and_what_has_ended_is_named(world, end_authority):
    job = world.recorded()
    end_authority(world)
    with pytest.raises(Refused) as caught:
        results.release(job=job, by=world.bodies[REQUESTER])
    assert (caught.value.reason, caught.value.detail) == (Reason.AUTHORITY_ENDED, ENDINGS[end_authority])


def test_a_result_delivered_twice_is_one_result(world):
    job = world.computing()
    token = world.receipt(job, "zurich")
    world.result(job, "zurich", token)
    world.result(job, "zurich", token)
    assert PartyResult.objects.count() == 1
    assert reason(world.result, job, "zurich", world.receipt(job, "zurich", rounds=5)) is Reason.CONFLICT


def test_the_last_result_delivered_again_records_nothing_twice(world):
    job = world.computing()
    tokens = {slug: world.receipt(job, slug) for slug in NODES}
    for slug in [*NODES, *NODES]:
        job = world.result(job, slug, tokens[slug])
    assert job.job_state is JobState.RECORDED
    assert len(events()) == 2


def test_a_result_may_arrive_before_the_start_was_noted(world):
    assert world.result(world.reserved(), "zurich").job_state is JobState.COMPUTING


def test_nobody_hands_in_anothers_result(world):
    job = world.computing()
    assert reason(world.result, job, "budapest", world.receipt(job, "zurich")) is Reason.WRONG_INSTITUTION
    forged = world.receipt(job, "zurich", key=world.consortium.identity("budapest"))
    assert reason(world.result, job, "zurich", forged) is Reason.KEY_UNKNOWN


def test_a_receipt_of_another_job_is_not_taken(world):
    first, second = world.recorded(), world.computing()
    assert reason(world.result, second, "zurich", world.receipt(first, "zurich")) is Reason.CONFLICT


def test_a_party_hands_in_an_output_and_the_dealer_none(world):
    job = world.computing()
    for slug, sealed in (("zurich", None), ("notary", "sealed")):
        given = {"job": job, "node": world.bodies[slug], "receipt": world.receipt(job, slug), "sealed": sealed}
        assert reason(results.take_result, **given) is Reason.FIELD_INVALID


@pytest.mark.parametrize("stage", ["dispatched", "recorded"])
def test_results_are_taken_only_while_they_are_awaited(world, stage):
    job = getattr(world, stage)()
    assert reason(world.result, job, "zurich", world.receipt(job, "zurich", rounds=9)) in (
        Reason.WRONG_STATE,
        Reason.CONFLICT,
    )
    assert PartyResult.objects.count() == (0 if stage == "dispatched" else 4)


# --- release


def test_the_requester_gets_every_sealed_output_with_its_receipt(world):
    job = world.recorded()
    released = results.release(job=job, by=world.bodies[REQUESTER])
    assert [output.node for output in released.outputs] == NODES
    assert [output.sealed for output in released.outputs] == [*(f"sealed by {slug}" for slug in NODES[:3]), ""]
    assert record_number.parse(released.job.record) == job.prediction_entry
    logged = canonical.decode(document(entry(job.prediction_entry).documents["receipts"]))
    assert logged == [output.receipt for output in released.outputs]


def test_nobody_else_gets_it(world):
    job = world.recorded()
    for slug in NODES:
        assert reason(results.release, job=job, by=world.bodies[slug]) is Reason.WRONG_INSTITUTION


def test_there_is_nothing_to_release_before_the_record(world):
    assert reason(results.release, job=world.computing(), by=world.bodies[REQUESTER]) is Reason.RESULT_NOT_READY


def test_a_job_that_ended_early_says_why(world):
    job = world.dispatched()
    world.answer(job, "zurich", world.refusal(job, "zurich", Reason.POLICY_REFUSES))
    assert reason(results.release, job=job, by=world.bodies[REQUESTER]) is Reason.POLICY_REFUSES


def test_an_erased_subject_leaves_no_result_to_release(world):
    job = world.recorded()
    subjects.destroy(institution="long-beach", subject=UUID(world.consortium.subject), ground="the person's own wish")
    assert reason(results.release, job=job, by=world.bodies[REQUESTER]) is Reason.ERASED


# --- what was shown


def shown(world, job, **changes):
    fields = {
        "request": str(job.request_uuid),
        "job": str(job.uuid),
        "template": "clinician",
        "language": "en",
        "rendered": "a text",
        "viewer": "clinician",
        "decision": "accepted",
        "time": clock.now(),
        "key": world.consortium.identity(REQUESTER),
    }
    return display.show(**fields | changes)


def test_what_was_shown_is_logged_once(world):
    job = world.recorded()
    token = shown(world, job)
    for _ in range(2):
        results.note_display(job=job, display=token, by=world.bodies[REQUESTER])
    [logged] = LogEntry.objects.filter(event=Event.RESULT_DISPLAYED)
    assert private_fields(logged)["display"] == token
    assert "clinician" not in bytes(logged.leaf).decode()
    more = {"overridden": {"reason": "other"}, "suppressed": {"threshold": "0.2"}, "retracted": {"reason": "merged"}}
    for decision, why in more.items():
        results.note_display(job=job, display=shown(world, job, decision=decision, **why), by=world.bodies[REQUESTER])
    assert LogEntry.objects.filter(event=Event.RESULT_DISPLAYED).count() == 4


def test_only_the_requester_says_what_it_has_shown(world):
    job, other = world.recorded(), world.recorded()
    note = results.note_display
    assert reason(note, job=job, display=shown(world, job), by=world.bodies["zurich"]) is Reason.WRONG_INSTITUTION
    forged = shown(world, job, key=world.consortium.identity("zurich"))
    assert reason(note, job=job, display=forged, by=world.bodies[REQUESTER]) is Reason.KEY_UNKNOWN
    assert reason(note, job=job, display=shown(world, other), by=world.bodies[REQUESTER]) is Reason.CONFLICT
    named = signatures.peek(shown(world, job))[1] | {"viewer": "Dr. Needle"}
    named = signatures.sign(named, kind="display", key=world.consortium.identity(REQUESTER))
    assert reason(note, job=job, display=named, by=world.bodies[REQUESTER]) is Reason.FIELD_INVALID
    assert not LogEntry.objects.filter(event=Event.RESULT_DISPLAYED).exists()
    early = world.computing()
    assert reason(note, job=early, display=shown(world, early), by=world.bodies[REQUESTER]) is Reason.WRONG_STATE
