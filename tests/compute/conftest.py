from contextlib import closing
from functools import partial

import pytest
from django.core.signals import request_finished, request_started
from django.db import close_old_connections

from compute import broker
from concordat.keystore import Keystore
from concordat.reasons import Reason, Refused
from tests.support.at_work import Nodes
from tests.support.consortium import DOMAIN, Consortium
from tests.support.coordinator import World
from tests.support.nursery import Nursery


@pytest.fixture(scope="module")
def consortium_of_services(tmp_path_factory, _state) -> Consortium:
    key = Keystore(_state / "keys").identity
    return Consortium(tmp_path_factory.mktemp("consortium"), coordinator=key)


class Broker:
    """Notes what it is handed; while it is down it takes nothing."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, ...]] = []
        self.down = False

    def to_node(self, task: str, *arguments: str, institution: str) -> None:
        self._take(task, *arguments, institution)

    def to_coordinator(self, task: str, argument: str) -> None:
        self._take(task, argument, "coordinator")

    def _take(self, *sent: str) -> None:
        if self.down:
            raise Refused(Reason.BROKER_UNAVAILABLE)
        self.sent.append(sent)


@pytest.fixture
def fake_broker(monkeypatch) -> Broker:
    fake = Broker()
    monkeypatch.setattr(broker, "to_node", fake.to_node)
    monkeypatch.setattr(broker, "to_coordinator", fake.to_coordinator)
    return fake


@pytest.fixture
def world(db, settings, fake_broker, consortium_of_services, django_capture_on_commit_callbacks):
    settings.CHAIN_RPC = "http://127.0.0.1:1"
    settings.CHAIN_ID, settings.REGISTRY_ADDRESS = DOMAIN.chain_id, DOMAIN.registry
    settings.ANCHOR_ADDRESS = DOMAIN.registry
    commit = partial(django_capture_on_commit_callbacks, execute=True)
    return World(consortium_of_services, commit, fake_broker.sent)


@pytest.fixture(scope="session")
def nursery():
    with closing(Nursery()) as made:
        yield made


@pytest.fixture
def nodes(world, settings, nursery):
    settings.BASE_URL = world.consortium.homes["zurich"].settings["coordinator"]
    made = Nodes(world)
    # As in Django's own test client: a request's beginning and end would close the connection that the test is in.
    for signal_ in (request_started, request_finished):
        signal_.disconnect(close_old_connections)
    with nursery.forking():
        yield made
    for signal_ in (request_started, request_finished):
        signal_.connect(close_old_connections)
    for node in made.nodes.values():
        node.close()
