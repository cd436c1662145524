"""When a head is published, every witness is asked, and the nodes' cosignatures come back over the real interface."""

import pytest

from compute import broker
from compute.services import witnessing
from ledger import tasks, witnesses
from ledger.models import SignedCheckpoint
from tests.support.consortium import NODES


def test_publishing_asks_every_node_to_cosign_the_head(world):
    tasks.publish()
    head = SignedCheckpoint.objects.get()
    assert sorted(world.tasks("node.witness")) == sorted((str(head.size), slug) for slug in NODES)


def test_without_anything_new_nobody_is_asked_again(world):
    tasks.publish()
    tasks.publish()
    assert len(world.tasks("node.witness")) == len(NODES)


def test_without_a_broker_publishing_goes_on(world, fake_broker):
    fake_broker.down = True
    tasks.publish()
    assert SignedCheckpoint.objects.exists()
    witnessing.ask(size=SignedCheckpoint.objects.get().size)


def test_the_nodes_cosign_what_they_are_asked_to(world, nodes):
    tasks.publish()
    nodes.deliver()
    assert str(witnesses.witnessed(SignedCheckpoint.objects.get())) == "4 of 4 (3 needed)"


@pytest.mark.parametrize(("task", "lapses"), [("node.witness", 60.0), ("node.reserve", None)])
def test_a_question_that_nobody_took_lapses_and_a_ticket_does_not(monkeypatch, task, lapses):
    sent = {}
    monkeypatch.setattr(broker.current_app, "send_task", lambda name, *_, **options: sent.update({name: options}))
    broker.to_node(task, "1", institution="zurich")
    assert sent[task]["expires"] == lapses
