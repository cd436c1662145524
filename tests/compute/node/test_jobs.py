"""What a node does with a job, from the ticket to the receipt, and whatever may come in between."""

import os
import signal
import sqlite3
import threading
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest
import structlog

from compute.engine.job import DealerJob, split_address
from compute.engine.runner import EngineProcess
from compute.node import engine_job, jobs
from compute.node.handing_in import WATTS
from compute.node.jobs import Node
from compute.node.pool import terms
from compute.node.replay import ReplayCache, TicketState
from compute.node.slot import EngineSlot
from concordat import answers, clock, outputs, receipt, ticket
from concordat.canonical import digest
from concordat.reasons import Reason, Refused
from tests.support.consortium import NODES, Case, FakeCoordinator, accept_all, new_uuid, reason_of

OWN = "budapest"


def keyring(case):
    return case.consortium.homes["cleveland"].pins.keyring


def computed(case, make_node, slug=OWN):
    node, coordinator, engines = make_node(case, slug)
    node.reserve(case.token)
    accept_all(case)
    node.start(case.batch)
    return node, coordinator, engines


# --- computing


def test_a_partys_result_is_committed_sealed_and_signed_for(case, make_node):
    _, coordinator, [engine] = computed(case, make_node)
    [(token, sealed)] = coordinator.results
    signed = receipt.read_receipt(token, keyring(case))
    assert (signed["node"], signed["role"], signed["rank"]) == (OWN, "party", 1)
    assert signed["request"] == case.prepared.digest
    assert Decimal(signed["energy_joules"]) == Decimal("0.250") * WATTS
    share = outputs.unseal(sealed, job=case.job, node=OWN, key=case.prepared.output_key)
    with pytest.raises(Refused) as caught:  # one share opens, and is not a result: two are missing
        outputs.add_up({OWN: share[0]}, {OWN: signed}, groups=10, mirrored=True, target="log-odds")
    assert caught.value.reason is Reason.RESULT_OUT_OF_RANGE
    [job] = engine.jobs
    assert [peer["certificate"] for peer in job["peers"]] == [f"certificate-of-{node}" for node in NODES]
    assert (job["batch"], job["rank"]) == (case.ticket["batch"], 1)


def test_the_dealer_signs_for_nothing_but_its_work(case, make_node):
    _, coordinator, [engine] = computed(case, make_node, "notary")
    [(token, sealed)] = coordinator.results
    assert sealed is None
    assert receipt.read_receipt(token, keyring(case))["outputs"] is None
    assert set(engine.jobs[0]) == set(DealerJob.__annotations__)


def test_nothing_starts_before_every_node_has_accepted(case, make_node):
    node, coordinator, engines = make_node(case)
    node.reserve(case.token)
    accept_all(case)
    case.documents["acceptances"].pop()
    node.start(case.batch)
    assert reason_of(case, coordinator.answers[-1]) == Reason.NODE_SILENT
    assert coordinator.results == engines[0].jobs == []


def test_an_acceptance_signed_by_another_node_does_not_count(case, make_node):
    node, coordinator, _ = make_node(case)
    node.reserve(case.token)
    accept_all(case)
    read = ticket.read_ticket(case.token, {case.signer.kid: case.signer.public})
    case.documents["acceptances"][2] = answers.accept(
        read,
        node="zurich",
        address="127.0.0.1:4000",
        certificate="certificate-of-notary",
        expires=clock.now() + timedelta(minutes=1),
        key=case.consortium.identity("notary"),
    )
    node.start(case.batch)
    assert reason_of(case, coordinator.answers[-1]) == Reason.KEY_UNKNOWN


def test_authority_that_ends_before_the_start_stops_it(case, make_node):
    node, coordinator, engines = make_node(case)
    node.reserve(case.token)
    accept_all(case)
    case.documents["votes"].append(case.consortium.vote(OWN, approve=False, nonce=1))
    node.start(case.batch)
    assert reason_of(case, coordinator.answers[-1]) == Reason.DEFINITION_NOT_APPROVED
    assert engines[0].jobs == []
    assert engines[0].killed


def test_a_model_that_is_recalled_before_the_start_is_not_computed_with(case, make_node):
    node, coordinator, engines = make_node(case)
    node.reserve(case.token)
    accept_all(case)
    case.documents["recall"] = case.consortium.recall()
    node.start(case.batch)
    assert reason_of(case, coordinator.answers[-1]) == Reason.MODEL_RECALLED
    assert engines[0].jobs == []


def test_authority_that_ends_during_the_computation_keeps_the_output_here(case, make_node):
    node, coordinator, engines = make_node(case)
    node.reserve(case.token)
    accept_all(case)
    compute = engines[0].run

    def run(job, timeout):
        case.consortium.write_policy(OWN, studies=[])
        return compute(job, timeout)

    engines[0].run = run
    node.start(case.batch)
    assert reason_of(case, coordinator.answers[-1]) == Reason.POLICY_REFUSES
    assert coordinator.results == []


def test_a_result_that_leaves_counts_against_the_models_budget(case, make_node):
    node, _, _ = computed(case, make_node)
    assert node.opened.totals() == [(case.ticket["model"], "long-beach", 28)]


def test_a_result_that_stays_here_counts_for_nothing(case, make_node):
    node, coordinator, engines = make_node(case)
    node.reserve(case.token)
    accept_all(case)

    def run(job, timeout):
        [(_, _, spent)] = node.opened.totals()  # before anything is computed
        assert spent == 28
        raise Refused(Reason.PEER_LOST)

    engines[0].run = run
    node.start(case.batch)
    assert reason_of(case, coordinator.answers[-1]) == Reason.PEER_LOST
    assert node.opened.totals() == []


def test_a_result_that_was_handed_in_and_perhaps_not_heard_counts(case, make_node):
    node, coordinator, _ = make_node(case)
    node.reserve(case.token)
    accept_all(case)

    def result(job, token, sealed):
        raise Refused(Reason.COORDINATOR_UNAVAILABLE)

    coordinator.result = result
    with pytest.raises(Refused):
        node.start(case.batch)
    node.recover()
    assert len(node.opened.totals()) == 1


def test_a_budget_that_is_spent_here_is_spent_whatever_the_coordinator_says(case, make_node):
    node, coordinator, engines = make_node(case)
    most = case.definition["budgets"]["scalars"]
    node.opened.spend(
        "another", definition=digest(case.definition), model="m", requester="zurich", scalars=most - 12, budget=most
    )
    node.reserve(case.token)
    accept_all(case)
    node.start(case.batch)
    assert reason_of(case, coordinator.answers[-1]) == Reason.BUDGET_SPENT
    assert engines[0].jobs == coordinator.results == []


def test_a_second_start_does_nothing(case, make_node):
    node, coordinator, engines = computed(case, make_node)
    node.start(case.batch)
    assert len(coordinator.results) == len(engines[0].jobs) == 1


def test_a_job_that_was_never_accepted_does_not_start(case, make_node):
    node, coordinator, engines = make_node(case)
    node.start(case.batch)
    assert coordinator.results == coordinator.answers == engines == []


def test_an_engine_that_fails_makes_the_node_drop_out(case, make_node):
    node, coordinator, engines = make_node(case)
    node.reserve(case.token)
    accept_all(case)

    def run(job, timeout):
        raise Refused(Reason.PEER_LOST)

    engines[0].run = run
    node.start(case.batch)
    assert reason_of(case, coordinator.answers[-1]) == Reason.PEER_LOST


@pytest.mark.parametrize("place", ["compute.node.jobs.engine_job", "compute.node.jobs.sign_result"])
def test_what_nobody_foresaw_makes_the_node_drop_out(case, make_node, monkeypatch, place):
    node, coordinator, _ = make_node(case)
    node.reserve(case.token)
    accept_all(case)

    def fail(*_, **__):
        raise OverflowError("Maria Muster, born 1961-10-14")

    monkeypatch.setattr(place, fail)
    with structlog.testing.capture_logs() as lines:
        node.start(case.batch)
    assert reason_of(case, coordinator.answers[-1]) == Reason.ENGINE_FAILED
    assert coordinator.results == []
    assert not node.busy
    (line,) = (each for each in lines if each["event"] == "job.failed")
    assert isinstance(line.pop("exc_info"), OverflowError)  # of which the log has the type and the place alone
    assert "Maria" not in str(lines)


def test_what_nobody_foresaw_before_the_acceptance_is_a_refusal(case, make_node, monkeypatch):
    node, coordinator, _ = make_node(case)

    def fail(*_, **__):
        raise OverflowError

    monkeypatch.setattr("compute.node.cohort.Cohort.check", fail)
    node.reserve(case.token)
    assert reason_of(case, coordinator.answers[-1]) == Reason.ENGINE_FAILED
    assert not node.busy


# --- what was dealt ahead

PART = {"plan": digest("plan"), "keys": ["key"], "corrections": ""}


def hold(case, node, *, what_ifs=0):
    """The node has kept its part of the ticket's batch in an earlier job."""
    on = terms(definition=digest(case.definition), what_ifs=what_ifs, runs=2)
    node._pool.keep(case.ticket["batch"], PART, terms=on, now=clock.now())


def started(case, make_node, *, what_ifs=0, dealt=NODES):
    """A node that holds its part, in a job in which these nodes say that they do: its acceptance and its engine."""
    node, coordinator, engines = make_node(case)
    hold(case, node, what_ifs=what_ifs)
    node.reserve(case.token)
    accept_all(case, dealt=dealt)
    node.start(case.batch)
    return node, case.read(coordinator.answers[0]), engines[0]


def test_a_batch_that_all_nodes_hold_is_used_and_erased(case, make_node):
    node, acceptance, engine = started(case, make_node)
    assert acceptance["dealt"]
    assert engine.jobs[0]["dealt"] == PART
    assert node._pool.take(case.ticket["ticket"]) is None


def test_where_one_node_does_not_hold_it_it_is_dealt_in_the_job_and_erased_here(case, make_node):
    node, acceptance, engine = started(case, make_node, dealt=NODES[:-1])
    assert acceptance["dealt"]
    assert engine.jobs[0]["dealt"] is None
    assert node._pool.take(case.ticket["ticket"]) is None


def test_a_batch_that_was_dealt_for_other_what_ifs_is_not_used(case, make_node):
    _, acceptance, engine = started(case, make_node, what_ifs=2, dealt=[])
    assert not acceptance["dealt"]
    assert engine.jobs[0]["dealt"] is None


def test_a_node_that_lost_what_it_said_it_holds_drops_out(case, make_node):
    node, coordinator, engines = make_node(case)
    hold(case, node)
    node.reserve(case.token)
    node._pool.forget_claimed()
    accept_all(case, dealt=NODES)
    node.start(case.batch)
    assert reason_of(case, coordinator.answers[-1]) == Reason.RANDOMNESS_USED
    assert engines[0].jobs == []


def test_a_restart_burns_what_a_ticket_had_claimed(case, make_node):
    node, _, _ = make_node(case)
    hold(case, node)
    node.reserve(case.token)
    again, coordinator, _ = make_node(case)
    again.recover()
    reissue(case, batch=case.ticket["batch"])
    with pytest.raises(Refused):
        again.reserve(case.token)
    assert reason_of(case, coordinator.answers[-1]) == Reason.TICKET_REPLAYED
    assert again._pool.take(case.ticket["ticket"]) is None


def test_what_was_dealt_for_later_jobs_is_kept_under_the_tickets_names(case, make_node):
    case.ticket["ahead"] = [new_uuid(), new_uuid()]
    node, _, engines = make_node(case)
    node.reserve(case.token)
    accept_all(case)
    parts = [PART | {"keys": [key]} for key in ("one", "two")]
    run = engines[0].run
    engines[0].run = lambda job, timeout: replace(run(job, timeout), batches=parts)
    node.start(case.batch)
    assert engines[0].jobs[0]["ahead"] == 2
    now, on = clock.now(), terms(definition=digest(case.definition), what_ifs=0, runs=2)
    for name, part in zip(case.ticket["ahead"], parts, strict=True):
        assert node._pool.claim(name, terms=on, ticket=name, now=now, until=now + timedelta(minutes=1))
        assert node._pool.take(name) == part


@pytest.mark.parametrize("used", ["held here", "named in a ticket before"])
def test_a_name_that_was_used_is_given_to_nothing_ahead(case, make_node, used):
    node, coordinator, _ = make_node(case)
    first = case.ticket["batch"]
    if used == "held here":
        hold(case, node)
    else:
        node.reserve(case.token)
        node.release(case.ticket["ticket"])
    reissue(case, job=new_uuid(), ahead=[first])
    node.reserve(case.token)
    assert reason_of(case, coordinator.answers[-1]) == Reason.RANDOMNESS_USED


def test_a_job_is_not_lost_because_a_batch_cannot_be_kept(case, make_node, monkeypatch):
    case.ticket["ahead"] = [new_uuid()]
    node, coordinator, engines = make_node(case)
    node.reserve(case.token)
    accept_all(case)
    run = engines[0].run
    engines[0].run = lambda job, timeout: replace(run(job, timeout), batches=[PART])

    def full(*arguments, **options):
        raise sqlite3.OperationalError("database or disk is full")

    monkeypatch.setattr(node._pool, "keep", full)
    node.start(case.batch)
    assert len(coordinator.results) == 1
    assert not node._pool.holds(case.ticket["ahead"])


# --- one ticket, one engine


def test_a_ticket_delivered_twice_is_answered_twice_alike(case, make_node):
    node, coordinator, engines = make_node(case)
    node.reserve(case.token)
    with pytest.raises(Refused) as caught:
        node.reserve(case.token)
    assert caught.value.reason is Reason.TICKET_REPLAYED
    assert coordinator.answers[0] == coordinator.answers[1]
    assert len(engines) == 1


def test_a_ticket_is_known_after_a_restart(case, make_node):
    first, _, _ = make_node(case)
    first.reserve(case.token)
    first.close()
    second, coordinator, engines = make_node(case)
    second.recover()
    with pytest.raises(Refused) as caught:
        second.reserve(case.token)
    assert caught.value.reason is Reason.TICKET_REPLAYED
    assert reason_of(case, coordinator.answers[-1]) == Reason.ENGINE_FAILED
    assert engines == []


def test_a_new_ticket_with_a_used_batch_is_refused(case, make_node):
    node, coordinator, _ = make_node(case)
    node.reserve(case.token)
    case.ticket["ticket"] = new_uuid()
    with pytest.raises(Refused):
        node.reserve(case.token)
    assert reason_of(case, coordinator.answers[-1]) == Reason.TICKET_REPLAYED


def reissue(case, **changes) -> None:
    """Another ticket of the coordinator's for the same request."""
    case.ticket |= {"ticket": new_uuid(), "batch": new_uuid(), **changes}


def test_a_signed_request_is_computed_once(case, make_node):
    node, coordinator, engines = computed(case, make_node)
    reissue(case, job=new_uuid())
    with pytest.raises(Refused):
        node.reserve(case.token)
    assert reason_of(case, coordinator.answers[-1]) == Reason.TICKET_REPLAYED
    assert len(engines) == len(coordinator.results) == 1


def test_a_lapsed_ticket_may_be_followed_by_another(case, make_node):
    node, coordinator, _ = make_node(case)
    node.reserve(case.token)
    node.release(case.ticket["ticket"])
    reissue(case)
    node.reserve(case.token)
    assert reason_of(case, coordinator.answers[-1]) is None
    accept_all(case)
    node.start(case.batch)
    assert len(coordinator.results) == 1


def test_a_second_ticket_does_not_end_the_reservation_of_the_first(case, make_node):
    node, coordinator, _ = make_node(case)
    node.reserve(case.token)
    first = dict(case.ticket)
    reissue(case)
    node.reserve(case.token)
    assert reason_of(case, coordinator.answers[-1]) == Reason.NODE_BUSY
    case.ticket = first
    accept_all(case)
    node.start(case.batch)
    assert len(coordinator.results) == 1


def test_an_acceptance_of_another_request_under_the_same_ticket_does_not_count(case, make_node):
    """The coordinator has the others accept one request, and this node another."""
    node, coordinator, _ = make_node(case)
    node.reserve(case.token)
    mine = dict(case.ticket)
    case.ticket["request"] = digest(b"another")
    accept_all(case)
    case.ticket = mine
    node.start(case.batch)
    assert reason_of(case, coordinator.answers[-1]) == Reason.CONFLICT
    assert coordinator.results == []


def test_a_node_computes_one_job_at_a_time(consortium, make_node):
    first, second = Case.make(consortium), Case.make(consortium)
    node, coordinator, engines = make_node(first)
    node.reserve(first.token)
    coordinator.case = second
    node.reserve(second.token)
    assert reason_of(second, coordinator.answers[-1]) == Reason.NODE_BUSY
    assert len(engines) == 1
    node.release(first.ticket["ticket"])
    third = coordinator.case = Case.make(consortium)
    node.reserve(third.token)
    assert reason_of(third, coordinator.answers[-1]) is None


def test_releasing_another_job_changes_nothing(case, make_node):
    node, _, engines = make_node(case)
    node.reserve(case.token)
    node.release(new_uuid())
    assert not engines[0].killed
    node.release(case.ticket["ticket"])
    assert engines[0].killed
    node.release(case.ticket["ticket"])


def test_a_reservation_lapses_and_the_engine_goes(case, make_node, monkeypatch):
    monkeypatch.setattr(jobs, "RESERVATION_SECONDS", 1)
    gone = threading.Event()
    node, coordinator, _ = make_node(case)
    start = node._slot._start_engine

    def start_engine():
        engine = start()
        engine.kill = gone.set
        return engine

    node._slot._start_engine = start_engine
    node.reserve(case.token)
    assert gone.wait(10)
    accept_all(case)
    node.start(case.batch)
    assert reason_of(case, coordinator.answers[-1]) == Reason.EXPIRED


def test_a_released_job_stops_in_the_middle_of_its_computation(case, consortium):
    """With a real engine, which waits for peers that never come."""
    computing = threading.Event()

    class Engine(EngineProcess):
        def run(self, job, timeout):
            os.kill(self.pid, signal.SIGSTOP)  # so that it answers nothing before it is released
            computing.set()
            return super().run(job, timeout)

    coordinator = FakeCoordinator(case, OWN)
    node = Node(consortium.homes[OWN], coordinator, slot=EngineSlot(Engine.start))
    node.reserve(case.token)
    accept_all(case)
    working = threading.Thread(target=node.start, args=(case.batch,))
    working.start()
    assert computing.wait(30)
    node.release(case.ticket["ticket"])
    working.join(engine_job.MEETING_SECONDS - 5)
    assert not working.is_alive()
    assert len(coordinator.answers) == 1  # the acceptance: whoever took it back knows
    assert node._slot.engine is None


def test_an_acceptance_says_where_on_the_nodes_own_address_its_engine_listens(case, consortium, monkeypatch):
    monkeypatch.setitem(consortium.homes[OWN].settings, "mesh", "127.0.0.2")
    coordinator = FakeCoordinator(case, OWN)
    node = Node(consortium.homes[OWN], coordinator)
    node.reserve(case.token)
    node.close()
    host, port = split_address(case.read(coordinator.answers[0])["address"])
    assert (host, port > 0) == ("127.0.0.2", True)


# --- kill -9


def test_what_a_killed_node_left_behind_is_refused_when_it_is_back(case, consortium, make_node):
    make_node(case)[0].reserve(case.token)
    node, coordinator, _ = make_node(case)
    node.recover()
    assert reason_of(case, coordinator.answers[-1]) == Reason.ENGINE_FAILED
    node.recover()
    assert len(coordinator.answers) == 1
    accept_all(case)
    node.start(case.batch)
    assert coordinator.results == []


def test_a_ticket_claimed_but_not_answered_is_refused_when_the_node_is_back(case, consortium, make_node):
    ReplayCache(consortium.homes[OWN].state).claim({case.token: case.ticket}, now=clock.now())
    node, coordinator, _ = make_node(case)
    node.recover()
    assert reason_of(case, coordinator.answers[-1]) == Reason.ENGINE_FAILED


@pytest.mark.parametrize("reason", [Reason.COORDINATOR_UNAVAILABLE, Reason.WRONG_STATE])
def test_an_acceptance_that_is_not_heard_was_durable_and_frees_the_engine(case, make_node, reason):
    node, coordinator, engines = make_node(case)

    def answer(job, token):
        raise Refused(reason)

    coordinator.answer = answer
    with pytest.raises(Refused):
        node.reserve(case.token)
    assert node.replay.seen(case.ticket["ticket"]).state is TicketState.ACCEPTED
    assert engines[0].killed
