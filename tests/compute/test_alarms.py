"""A node that cheats on a canary: the job is withheld, the nodes testify, and the model's owner names it."""

import shutil
from contextlib import contextmanager
from datetime import timedelta
from functools import partial
from pathlib import Path

import httpx
import numpy as np
import pytest
from django.core.wsgi import get_wsgi_application

from compute import models
from compute.models import Alarm, Finding, PartyResult
from compute.node.finding import find
from compute.node.tapes import Tapes
from compute.selectors import request_of
from compute.services import alarms, results
from compute.services.sweep import sweep
from concordat import alarm, canaries, canonical, clock, model, outputs, receipt, ring, signatures
from concordat.client import sheets
from concordat.client.api import Api
from concordat.client.session import Session
from concordat.design import read_design
from concordat.events import Event
from concordat.reasons import Reason, Refused
from concordat.states import JobState
from ledger.models import LogEntry
from tests.support.at_work import step
from tests.support.consortium import NODES, OWNER, PARTIES, REQUESTER, new_uuid

CANARY = 1
CHECKOUT = Path(__file__).parents[2]


@pytest.fixture
def cheating(tmp_path, monkeypatch):
    """From now on engines of party 1 add 3 to the canary's prediction."""
    shutil.copy(CHECKOUT / "tests/support/cheating/sitecustomize.py", tmp_path)
    (tmp_path / "place").write_text(str(CANARY))
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}:{CHECKOUT}")


@pytest.fixture
def computed(world, nodes):
    prepared = world.consortium.prepare()
    job = step(world, nodes, step(world, nodes, world.ask(prepared)))
    assert job.job_state is JobState.RECORDED, job.why
    return job, prepared


def opened(world, job, prepared):
    """Every party's shares of the canary, and what they add up to."""
    released = results.release(job=job, by=world.bodies[REQUESTER])
    receipts = receipt.check_receipts(
        [output.receipt for output in released.outputs],
        world.consortium.homes[OWNER].pins.keyring,
        request=prepared.digest,
        definition=world.consortium.definition,
    )
    shares = {
        output.node: outputs.unseal(output.sealed, job=str(job.uuid), node=output.node, key=prepared.output_key)[CANARY]
        for output in released.outputs
        if output.sealed
    }
    found = outputs.add_up(
        shares,
        receipts,
        groups=len(world.consortium.schema.groups),
        mirrored=world.consortium.plan.mirrored,
        target="log-odds",
        place=CANARY,
        answers=model.answers_of(world.consortium.manifest),
    )
    return shares, *found


def raised(world, about, prepared, shares, **changes):
    """The requester's alarm about the canary."""
    _, asked = signatures.peek(prepared.token)
    fields = {
        "job": str(about.uuid),
        "request": prepared.digest,
        "name": asked["request"],
        "requester": REQUESTER,
        "owner": OWNER,
        "place": CANARY,
        "commitments": asked["commitments"][CANARY],
        "shares": {"inputs": dict(prepared.openings[CANARY]), "outputs": shares},
        "owner_key": world.consortium.homes[OWNER].pins.sealing(OWNER),
        "time": clock.now(),
        "key": world.consortium.identity(REQUESTER),
    }
    return alarm.raise_alarm(**fields | changes)


def hand_in(world, job, token, by=REQUESTER):
    with world.commit():
        return alarms.raise_alarm(job=job, alarm=token, request=request_of(job), by=world.bodies[by])


@contextmanager
def owner_api(world, slug=OWNER, scopes="models.write"):
    home = world.consortium.homes[slug]
    with Session(
        coordinator=home.settings["coordinator"],
        client_id=slug,
        key=home.keys.client,
        scopes=scopes,
        transport=httpx.WSGITransport(get_wsgi_application()),
    ) as session:
        yield Api(session)


def found(world, job):
    with owner_api(world) as api, world.commit():
        return find(world.consortium.homes[OWNER], api, str(job.uuid))


def test_a_node_that_cheats_on_a_canary_is_named_by_the_models_owner(cheating, world, nodes, computed):
    job, prepared = computed
    shares, numbers = opened(world, job, prepared)
    (known,), _ = canaries.known_result(
        "mlp",
        world.consortium.tensors,
        read_design(world.consortium.design),
        world.consortium.records[CANARY][0],
        "log-odds",
    )
    assert numbers.prediction == pytest.approx(known + 3, abs=1e-3)

    withheld = hand_in(world, job, raised(world, job, prepared, shares))
    assert (withheld.job_state, withheld.reason) == (JobState.WITHHELD, Reason.CANARY_FAILED)
    assert not PartyResult.objects.exclude(sealed="").exists()
    with pytest.raises(Refused) as caught:
        results.release(job=withheld, by=world.bodies[REQUESTER])
    assert caught.value.reason is Reason.CANARY_FAILED

    nodes.deliver()
    assert set(models.Testimony.objects.values_list("node__slug", flat=True)) == set(NODES)
    assert found(world, job) == [{"node": "budapest", "act": "wrong result", "round": 0}]
    assert found(world, job) == [{"node": "budapest", "act": "wrong result", "round": 0}]  # and again is no harm
    assert Finding.objects.count() == 1
    entry = LogEntry.objects.get(event=Event.DEPARTURE_FOUND)
    assert entry.public["departures"] == ["budapest: wrong result, round 0"]


def test_tapes_hold_no_share_and_are_destroyed_once_they_were_given(world, nodes, computed):
    job, prepared = computed
    shares, _ = opened(world, job, prepared)
    tapes = {slug: Tapes(world.consortium.homes[slug].state) for slug in NODES}
    for slug, kept in tapes.items():
        text = canonical.encode(dict(kept.of(str(job.uuid), now=clock.now()))).decode()
        for opening in [*(each[party] for each in prepared.openings for party in each), *shares.values()]:
            assert all(secret not in text for secret in _leaves(opening)), slug
    hand_in(world, job, raised(world, job, prepared, shares))
    nodes.deliver()
    for kept in tapes.values():
        with pytest.raises(Refused) as caught:
            kept.of(str(job.uuid), now=clock.now())
        assert caught.value.reason is Reason.TAPE_MISSING
    _judge_the_alarm(world, job)


def _judge_the_alarm(world, job):
    """No node departed from the protocol: what the owner finds depends on what it had sealed to the requester."""
    assert _would_find(world, job) is Reason.CANARIES_MISSING
    with _sealed(world, requester="zurich"):
        assert _would_find(world, job) is Reason.CANARIES_MISSING
    with _sealed(world, record=np.ones(len(world.consortium.schema.columns))):
        assert _would_find(world, job) == [{"node": REQUESTER, "act": "no canary", "round": 0}]
    with _sealed(world, off=3 << ring.RESULT_BITS):
        assert _would_find(world, job) == []
    with _sealed(world):
        assert found(world, job) == [{"node": REQUESTER, "act": "false alarm", "round": 0}]
    entry = LogEntry.objects.get(event=Event.DEPARTURE_FOUND)
    assert entry.public["departures"] == [f"{REQUESTER}: false alarm, round 0"]


@contextmanager
def _sealed(world, *, requester=REQUESTER, record=None, off=0):
    """The owner has sealed a canary to a requester, whose known result is `off` by so much."""
    agreed, home = world.consortium.definition, world.consortium.homes[OWNER]
    record = world.consortium.records[CANARY][0] if record is None else record
    plan = read_design(world.consortium.design)
    (prediction,), (explanation,) = canaries.known_result("mlp", world.consortium.tensors, plan, record, "log-odds")
    one = 1 << ring.RESULT_BITS
    canary = {
        "record": ring.encode(record).tolist(),
        "prediction": [round(prediction * one) + off],
        "explanation": [[round(number * one) for number in explanation]],
    }
    named = {"owner": OWNER, "requester": requester, "model": agreed["model"], "design": agreed["design"]}
    sheets.keep(home.directory, canaries.sign_sheet([canary], **named, target="log-odds", key=home.keys.identity))
    yield
    shutil.rmtree(home.directory / "canaries")


def _would_find(world, job):
    """What the owner would find, or why it finds nothing; the coordinator does not hear of it."""
    with owner_api(world) as api, pytest.MonkeyPatch.context() as patch:
        patch.setattr(api, "finding", lambda *_: None)
        try:
            return find(world.consortium.homes[OWNER], api, str(job.uuid))
        except Refused as refused:
            return refused.reason


def _leaves(value):
    return [leaf for each in value.values() for leaf in _leaves(each)] if isinstance(value, dict) else [value]


@pytest.fixture
def recorded(world):
    """A job whose nodes handed in what the coordinator cannot read, so anything: no engine has computed it."""
    prepared = world.consortium.prepare()
    world.ask = partial(world.ask, prepared)
    return world.recorded(), prepared


@pytest.mark.parametrize(
    "changes", [{"job": new_uuid()}, {"name": new_uuid()}, {"owner": "zurich"}, {"place": 0}, {"place": 7}]
)
def test_an_alarm_about_something_else_is_refused(world, recorded, changes):
    job, prepared = recorded
    with pytest.raises(Refused) as caught:
        hand_in(world, job, raised(world, job, prepared, {}, **changes))
    assert caught.value.reason is Reason.CONFLICT
    job.refresh_from_db()
    assert job.job_state is JobState.RECORDED
    assert not Alarm.objects.exists()


def test_only_the_requester_raises_an_alarm_and_once(world, recorded):
    job, prepared = recorded
    token = raised(world, job, prepared, {})
    with pytest.raises(Refused):
        hand_in(world, job, token, by="zurich")
    hand_in(world, job, token)
    assert hand_in(world, job, token).job_state is JobState.WITHHELD
    with pytest.raises(Refused) as caught:
        hand_in(world, job, raised(world, job, prepared, {}))
    assert caught.value.reason is Reason.CONFLICT
    assert LogEntry.objects.filter(event=Event.CANARY_FAILED).count() == 1


def test_there_is_no_alarm_before_there_is_a_result(world):
    prepared = world.consortium.prepare()
    world.ask = partial(world.ask, prepared)
    job = world.computing()
    with pytest.raises(Refused) as caught:
        hand_in(world, job, raised(world, job, prepared, {}))
    assert caught.value.reason is Reason.WRONG_STATE


def test_nodes_are_asked_again_while_they_are_silent(world, recorded, time_machine):
    job, prepared = recorded
    hand_in(world, job, raised(world, job, prepared, {}))
    asked = len(world.sent)
    sweep()
    assert len(world.sent) == asked
    time_machine.move_to(clock.now() + timedelta(minutes=2))
    sweep()
    assert [sent[0] for sent in world.sent[asked:]] == ["node.testify"] * 4


def tell(world, job, token, node):
    """A node's testimony on an alarm, with nothing in it."""
    told = alarm.testify(
        job=str(job.uuid),
        node=node,
        alarm=canonical.digest(token.encode()),
        commitments={},
        tape={"key": "", "drawn": [], "conversations": [], "weights": None},
        owner_key=world.consortium.homes[OWNER].pins.sealing(OWNER),
        time=clock.now(),
        key=world.consortium.identity(node),
    )
    alarms.take_testimony(alarm=Alarm.objects.get(), testimony=told, node=world.bodies[node])


def test_who_has_not_testified_in_time_is_named_in_the_log_once(world, recorded, settings, time_machine):
    job, prepared = recorded
    token = raised(world, job, prepared, {})
    hand_in(world, job, token)
    tell(world, job, token, "notary")
    time_machine.move_to(clock.now() + timedelta(seconds=settings.TESTIMONY_SECONDS - 60))
    sweep()
    assert not LogEntry.objects.filter(event=Event.TESTIMONY_MISSING).exists()
    time_machine.move_to(clock.now() + timedelta(seconds=60))
    sweep()
    sweep()
    silent = [entry.public["institution"] for entry in LogEntry.objects.filter(event=Event.TESTIMONY_MISSING)]
    assert silent == PARTIES
    tell(world, job, token, "zurich")  # late, and heard
    assert Alarm.objects.get().testimonies.count() == 2


@pytest.mark.parametrize(
    ("who", "act"), [(REQUESTER, "wrong message"), ("zurich", "false alarm"), ("zurich", "no canary")]
)
def test_a_finding_names_nobody_for_what_another_could_have_done(world, recorded, who, act):
    job, prepared = recorded
    token = raised(world, job, prepared, {})
    hand_in(world, job, token)
    finding = alarm.find(
        job=str(job.uuid),
        owner=OWNER,
        alarm=canonical.digest(token.encode()),
        departures=[{"node": who, "act": act, "round": 0}],
        time=clock.now(),
        key=world.consortium.identity(OWNER),
    )
    with pytest.raises(Refused) as caught:
        alarms.take_finding(alarm=Alarm.objects.get(), finding=finding, by=world.bodies[OWNER])
    assert (caught.value.reason, caught.value.field) == (Reason.CONFLICT, "departures")


def test_a_tape_is_kept_for_a_day(tmp_path):
    now, kept = clock.now(), Tapes(tmp_path / "state.sqlite3")
    job = new_uuid()
    tape = {
        "model": canonical.digest("model"),
        "request": canonical.digest("request"),
        "name": new_uuid(),
        "requester": REQUESTER,
        "commitments": [],
        "seeds": [],
        "conversations": [],
    }
    kept.keep(job, tape, now=now)
    assert kept.of(job, now=now + timedelta(hours=23)) == tape
    with pytest.raises(Refused) as caught:
        kept.of(job, now=now + timedelta(hours=25))
    assert caught.value.reason is Reason.TAPE_MISSING
    kept.keep(new_uuid(), tape, now=now + timedelta(hours=25))
    assert job.encode() not in (tmp_path / "state.sqlite3").read_bytes()


def test_nobody_is_named_while_a_node_is_silent_and_the_testimonies_are_the_owners_alone(world, nodes, computed):
    job, prepared = computed
    shares, _ = opened(world, job, prepared)
    hand_in(world, job, raised(world, job, prepared, shares))
    with pytest.raises(Refused) as caught:
        found(world, job)
    assert (caught.value.reason, caught.value.field) == (Reason.NODE_SILENT, "cleveland")
    nodes.deliver()
    for slug in ("zurich", REQUESTER):
        with pytest.raises(Refused), owner_api(world, slug) as api:
            api.testimonies(str(job.uuid))
    with owner_api(world) as api:
        answer = api.testimonies(str(job.uuid))
    # Not even the owner reads one node's tape with another's key.
    said = alarm.read_testimony(answer["testimonies"][0], world.consortium.homes[OWNER].pins.keyring)
    with pytest.raises(Refused) as caught:
        alarm.open_tape(said, world.consortium.homes["zurich"].keys.sealing)
    assert caught.value.reason is Reason.SEAL_BROKEN
