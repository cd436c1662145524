"""A node that cheats on a canary: the job is withheld, the nodes testify, and the model's owner names it."""

import shutil
from contextlib import contextmanager
from datetime import timedelta
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import httpx
import numpy as np
import pytest
from django.core.wsgi import get_wsgi_application

from compute import models
from compute.models import Alarm, Finding, PartyResult
from compute.node.finding import find
from compute.node.home import NodeHome
from compute.node.tapes import Tapes
from compute.selectors import request_of
from compute.services import alarms, results
from compute.services.sweep import sweep
from concordat import alarm, canaries, canonical, clock, model, outputs, receipt, ring, signatures
from concordat.canonical import digest
from concordat.client.api import Api
from concordat.client.session import Session
from concordat.design import read_design
from concordat.events import Event
from concordat.reasons import Reason, Refused
from concordat.sealing import SealingKey
from concordat.signatures import SigningKey
from concordat.states import JobState
from ledger.models import LogEntry
from tests.support.at_work import step
from tests.support.consortium import NODES, OWNER, PARTIES, REQUESTER, SCHEMA, new_uuid
from tests.support.pages import Told
from tests.support.served import served
from tests.support.shell import typed

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


def sheet(world, *, record=None, off=0, key=None, **named):
    """A sheet with a canary that the owner has signed for the requester, whose known result is `off` by so much."""
    agreed, home = world.consortium.definition, world.consortium.homes[OWNER]
    record = world.consortium.records[CANARY][0] if record is None else record
    plan = read_design(world.consortium.design)
    kind, tensors = world.consortium.kind, world.consortium.tensors
    predictions, explanations = canaries.known_result(kind, tensors, plan, record, "log-odds")
    one = 1 << ring.RESULT_BITS
    canary = {
        "record": ring.encode(record).tolist(),
        "prediction": [round(number * one) + off for number in predictions],
        "explanation": [[round(number * one) for number in each] for each in explanations],
    }
    about = {"owner": OWNER, "requester": REQUESTER, "model": agreed["model"], "design": agreed["design"]} | named
    return canaries.sign_sheet([canary], **about, target="log-odds", key=key or home.keys.identity)


def raised(world, about, prepared, shares, *, on=None, inputs=None, receipts=None, **changes):
    """The requester's alarm about the canary, which is on the sheet `on`."""
    _, asked = signatures.peek(prepared.token)
    fields = {
        "job": str(about.uuid),
        "request": prepared.digest,
        "name": asked["request"],
        "requester": REQUESTER,
        "owner": OWNER,
        "place": CANARY,
        "commitments": asked["commitments"][CANARY],
        "shares": {
            "sheet": sheet(world) if on is None else on,
            "receipts": list(about.results.values_list("receipt", flat=True)) if receipts is None else receipts,
            "inputs": dict(prepared.openings[CANARY]) if inputs is None else inputs,
            "outputs": shares,
        },
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


@pytest.mark.full  # engines are processes
def test_a_cheat_on_the_canary_of_one_request_among_several_is_named(cheating, world, nodes, tmp_path, settings):
    """The other request's result stands: the seeds that are laid open are of one run, whichever it is. The owner finds
    out as docs/how-to/answer-a-false-canary.md says."""
    asked = [world.consortium.prepare() for _ in range(2)]
    (tmp_path / "place").write_text(str(len(world.consortium.records) + CANARY))
    jobs = [world.ask(prepared) for prepared in asked]
    step(world, nodes, step(world, nodes, jobs[0]))
    for job in jobs:
        job.refresh_from_db()
        assert job.job_state is JobState.RECORDED, job.why
    _, honest = opened(world, jobs[0], asked[0])
    shares, spoilt = opened(world, jobs[1], asked[1])
    assert spoilt.prediction == pytest.approx(honest.prediction + 3, abs=1e-3)
    assert hand_in(world, jobs[1], raised(world, jobs[1], asked[1], shares)).job_state is JobState.WITHHELD
    nodes.deliver()
    assert found(world, jobs[1]) == [{"node": "budapest", "act": "wrong result", "round": 0}]
    jobs[0].refresh_from_db()
    assert jobs[0].job_state is JobState.RECORDED

    told, kept = Told("answer-a-false-canary"), world.consortium.homes[OWNER]
    home = NodeHome(shutil.copytree(kept.directory, tmp_path / "owner"))  # others go on with the one that is shared
    with served(settings) as coordinator, world.commit():
        home.move(coordinator=coordinator.address, broker=home.settings["broker"], rpc=home.settings["rpc"])
        command = told.take("python -m compute.node replay").replace("HOME JOB", f"{home.directory} {jobs[1].uuid}")
        assert typed(tmp_path, command, serve=coordinator.serve) == "budapest: wrong result\n"
    told.check_all_taken()


@pytest.mark.full  # engines are processes
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
    assert found(world, job) == [{"node": REQUESTER, "act": "false alarm", "round": 0}]


@pytest.mark.full  # engines are processes
def test_an_alarm_is_judged_by_what_it_holds_and_without_testimonies(world, computed):
    job, prepared = computed
    shares, _ = opened(world, job, prepared)
    party, other, *_ = PARTIES
    own = dict(prepared.openings[CANARY])
    lost = SealingKey.generate()
    wrong = {
        "no canary": [
            {"on": sheet(world, record=np.ones(len(world.consortium.schema.columns)))},
            {"on": sheet(world, requester="zurich")},
            {"on": sheet(world, key=world.consortium.identity(REQUESTER))},
            {"on": ""},
        ],
        "false alarm": [{}],
        "unusable alarm": [
            {"owner_key": lost.public},
            {"shares": {}},
            {"shares": shares | {party: shares[other]}},
            {"inputs": {}},
            {"inputs": own | {party: own[other]}},
            {"inputs": own | {"notary": own[other]}},
            {"shares": shares | {"notary": shares[other]}},
            {"receipts": list(job.results.values_list("receipt", flat=True))[1:]},
            {"receipts": ["not signed"] * 4},
        ],
    }
    job.refresh_from_db()
    for act, alarms_of in wrong.items():
        for changes in alarms_of:
            token = raised(world, job, prepared, **({"shares": shares} | changes))
            assert _would_find(world, job, token) == [{"node": REQUESTER, "act": act, "round": 0}], changes
    token = raised(world, job, prepared, shares, on=sheet(world, off=3 << ring.RESULT_BITS))
    assert _would_find(world, job, token) is Reason.NODE_SILENT  # it came back wrong: now the nodes are heard

    hand_in(world, job, raised(world, job, prepared, shares))
    assert found(world, job) == [{"node": REQUESTER, "act": "false alarm", "round": 0}]
    entry = LogEntry.objects.get(event=Event.DEPARTURE_FOUND)
    assert entry.public["departures"] == [f"{REQUESTER}: false alarm, round 0"]
    assert not models.Testimony.objects.exists()


def test_a_node_that_signs_two_receipts_is_named_and_not_the_requester(world, computed):
    """The owner was shown another receipt than the requester, whose shares do not fit that one."""
    job, prepared = computed
    shares, _ = opened(world, job, prepared)
    signed = {each.node.slug: each.receipt for each in job.results.select_related("node")}
    _, content = signatures.peek(signed["zurich"])
    other = [{part: digest(b"another") for part in each} for each in content["outputs"]]
    second = signatures.sign(content | {"outputs": other}, kind="receipt", key=world.consortium.identity("zurich"))
    hand_in(world, job, raised(world, job, prepared, shares, receipts=list(signed.values())))
    job.results.filter(node__slug="zurich").update(receipt=second)
    departures = [{"node": "zurich", "act": "two receipts", "round": 0}]
    assert found(world, job) == departures  # though nobody has testified
    assert signatures.peek(Finding.objects.get().document)[1]["evidence"] == [signed["zurich"], second]


@pytest.mark.full  # engines are processes
def test_what_fits_receipts_of_an_unknown_key_is_not_judged_as_unusable(world, computed):
    job, prepared = computed
    shares, _ = opened(world, job, prepared)
    unknown = SigningKey.generate()
    receipts = [
        signatures.sign(signatures.peek(each)[1], kind="receipt", key=unknown)
        for each in job.results.values_list("receipt", flat=True)
    ]
    party, other, *_ = PARTIES
    job.refresh_from_db()
    token = raised(world, job, prepared, shares | {party: shares[other]}, receipts=receipts)
    assert _would_find(world, job, token) is Reason.KEY_UNKNOWN
    token = raised(world, job, prepared, shares, receipts=receipts)  # what fits the receipts that we know is judged
    assert _would_find(world, job, token) == [{"node": REQUESTER, "act": "false alarm", "round": 0}]


@pytest.mark.full  # engines are processes
def test_an_owner_that_sealed_a_wrong_result_finds_nobody(world, nodes, computed):
    job, prepared = computed
    shares, _ = opened(world, job, prepared)
    hand_in(world, job, raised(world, job, prepared, shares, on=sheet(world, off=3 << ring.RESULT_BITS)))
    nodes.deliver()
    assert found(world, job) == []


def _would_find(world, job, token):
    """What the owner would find about an alarm, or why it finds nothing; the coordinator does not hear of it."""
    answer = {
        "prediction": str(job.uuid),
        "alarm": token,
        "testimonies": [],
        "receipts": list(job.results.values_list("receipt", flat=True)),
        "definition": job.definition.content,
        "schema": SCHEMA,
        "design": world.consortium.design,
        "manifest": job.model.manifest,
        "finding": "",
    }
    api = SimpleNamespace(testimonies=lambda _: answer, finding=lambda *_: None)
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


def tell(world, job, token, node, commitments=None):
    """A node's testimony on an alarm, with nothing in it."""
    told = alarm.testify(
        job=str(job.uuid),
        node=node,
        alarm=canonical.digest(token.encode()),
        commitments=alarm.peek_alarm(token)["commitments"] if commitments is None else commitments,
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
    with pytest.raises(Refused) as caught:  # who testifies about other input is as good as silent
        tell(world, job, token, PARTIES[0], commitments={"zurich": canonical.digest("other input")})
    assert (caught.value.reason, caught.value.field) == (Reason.CONFLICT, "commitments")
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


def test_an_alarm_after_the_tapes_are_gone_withholds_and_names_nobody(world, recorded, settings, time_machine):
    job, prepared = recorded
    time_machine.move_to(clock.now() + alarm.IN_TIME + timedelta(minutes=1))
    asked = len(world.sent)
    withheld = hand_in(world, job, raised(world, job, prepared, {}))
    assert (withheld.job_state, withheld.reason) == (JobState.WITHHELD, Reason.ALARM_TOO_LATE)
    entry = LogEntry.objects.get(event=Event.CANARY_FAILED)
    assert entry.public["examination"] == "too late to be examined"
    for seconds in (120, settings.TESTIMONY_SECONDS):
        time_machine.move_to(clock.now() + timedelta(seconds=seconds))
        sweep()
    assert "node.testify" not in [sent[0] for sent in world.sent[asked:]]
    assert not LogEntry.objects.filter(event=Event.TESTIMONY_MISSING).exists()


@pytest.mark.parametrize(
    ("who", "act"),
    [(REQUESTER, "wrong message"), ("zurich", "false alarm"), ("zurich", "no canary"), ("zurich", "unusable alarm")],
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


@pytest.mark.full  # engines are processes
def test_nobody_is_named_while_a_node_is_silent_and_the_testimonies_are_the_owners_alone(world, nodes, computed):
    job, prepared = computed
    shares, _ = opened(world, job, prepared)
    hand_in(world, job, raised(world, job, prepared, shares, on=sheet(world, off=3 << ring.RESULT_BITS)))
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
