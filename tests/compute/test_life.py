"""One explained prediction from request to opened result: real services, REST interface, nodes and engines.

Only the broker is left out: its tasks are handed to the nodes here, each in a thread, and the nodes' HTTP requests are
answered by Django in the thread that owns the test's database.
"""

import os
import queue
import signal
import threading
from concurrent.futures import Future
from contextlib import suppress

import httpx
import numpy as np
import pytest
from django.core.signals import request_finished, request_started
from django.core.wsgi import get_wsgi_application
from django.db import close_old_connections

from compute.models import SealedInput
from compute.node.coordinator import HttpCoordinator
from compute.node.jobs import Node
from compute.services import dispatch, results
from compute.services.jobs import cancel
from concordat import model, receipt
from concordat.design import read_design
from concordat.outputs import add_up, unseal
from concordat.reasons import Reason, Refused
from concordat.states import JobState
from tests.support.consortium import NODES, REQUESTER


class OtherThread(httpx.BaseTransport):
    """Hands requests to the thread that owns the database, and waits for its answer."""

    def __init__(self) -> None:
        self.requests: queue.Queue[tuple[Future, httpx.Request]] = queue.Queue()
        self.django = httpx.WSGITransport(get_wsgi_application())

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        answer: Future[httpx.Response] = Future()
        self.requests.put((answer, request))
        return answer.result(60)

    def serve(self, *, seconds: float) -> None:
        """Answer one request, if there is one."""
        with suppress(queue.Empty):
            answer, request = self.requests.get(timeout=seconds)
            response = self.django.handle_request(request)
            response.read()
            answer.set_result(response)


class Nodes:
    """The four nodes, each task in a thread of its own."""

    def __init__(self, world) -> None:
        self.world, self.http, self.handed = world, OtherThread(), 0
        homes = {slug: world.consortium.homes[slug] for slug in NODES}
        self.nodes = {slug: Node(home, HttpCoordinator(home, transport=self.http)) for slug, home in homes.items()}

    def deliver(self) -> None:
        """Hand out what the broker is given, and answer the nodes, until nothing is left to do."""
        working: list[threading.Thread] = []
        while self._hand_out(working) or any(thread.is_alive() for thread in working):
            with self.world.commit():
                self.http.serve(seconds=0.05)

    def _hand_out(self, working: list[threading.Thread]) -> bool:
        tasks = [sent for sent in self.world.sent[self.handed :] if sent[2] in self.nodes]
        self.handed = len(self.world.sent)
        for task, argument, to in tasks:
            verb = getattr(self.nodes[to], task.removeprefix("node."))
            thread = threading.Thread(target=_guarded, args=(verb, argument), daemon=True)
            thread.start()
            working.append(thread)
        return bool(tasks)


def _guarded(verb, argument: str) -> None:
    with suppress(Refused):
        verb(argument)


@pytest.fixture
def nodes(world, settings):
    settings.BASE_URL = world.consortium.homes["zurich"].settings["coordinator"]
    made = Nodes(world)
    # As in Django's own test client: a request's beginning and end would close the connection that the test is in.
    for signal_ in (request_started, request_finished):
        signal_.disconnect(close_old_connections)
    yield made
    for signal_ in (request_started, request_finished):
        signal_.connect(close_old_connections)
    for node in made.nodes.values():
        node.close()


def step(world, nodes, job):
    with world.commit():
        dispatch.push(job=job)
    nodes.deliver()
    job.refresh_from_db()
    return job


def test_an_explained_prediction(world, nodes):
    prepared = world.consortium.prepare()
    job = world.ask(prepared)
    job = step(world, nodes, job)
    assert job.job_state is JobState.RESERVED, job.why
    job = step(world, nodes, job)
    assert job.job_state is JobState.RECORDED, job.why
    assert not SealedInput.objects.exists()

    released = results.release(job=job, by=world.bodies[REQUESTER])
    keyring = world.consortium.homes["cleveland"].pins.keyring
    receipts = receipt.check_receipts(
        [output.receipt for output in released.outputs],
        keyring,
        request=prepared.digest,
        definition=world.consortium.definition,
    )
    shares = {
        output.node: unseal(output.sealed, job=str(job.uuid), node=output.node, key=prepared.output_key)
        for output in released.outputs
        if output.sealed
    }
    opened = add_up(shares, receipts, groups=len(world.consortium.schema.groups))

    record, tensors = world.consortium.vector, world.consortium.tensors
    design = read_design(world.consortium.design)
    assert opened.prediction == pytest.approx(model.forward("mlp", tensors, record[None])[0], abs=1e-2)
    # In plaintext: keep some groups of the record, replace the others by the reference, and fit the same surrogate.
    perturbed = model.forward("mlp", tensors, design.column_masks * record)
    expected = design.operator / 2.0**20 @ perturbed
    np.testing.assert_allclose([*opened.coefficients, opened.intercept], expected, atol=1e-2)


def test_an_engine_that_is_killed_in_the_middle_fails_the_job(world, nodes):
    job = step(world, nodes, world.ask())
    os.kill(nodes.nodes["zurich"]._slot.engine.pid, signal.SIGKILL)
    job = step(world, nodes, job)
    assert job.job_state is JobState.FAILED
    assert job.reason in (Reason.ENGINE_FAILED, Reason.PEER_LOST, Reason.PEER_ABSENT)
    assert not SealedInput.objects.exists()
    assert all(node._slot.engine is None for node in nodes.nodes.values())


def test_a_node_that_refuses_frees_the_others(world, nodes):
    world.consortium.write_policy("zurich", studies=[])
    try:
        job = step(world, nodes, world.ask())
    finally:
        world.consortium.write_policy("zurich")
    assert (job.job_state, job.reason) == (JobState.REFUSED, Reason.POLICY_REFUSES)
    assert all(node._slot.engine is None for node in nodes.nodes.values())


def test_a_cancelled_computation_stops_at_every_node(world, nodes):
    job = step(world, nodes, world.ask())
    with world.commit():
        cancel(job=job, by=world.bodies[REQUESTER])
    nodes.deliver()
    assert all(node._slot.engine is None for node in nodes.nodes.values())
