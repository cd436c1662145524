from functools import partial

import pytest

from compute import broker
from concordat.keystore import Keystore
from concordat.reasons import Reason, Refused
from tests.support.consortium import DOMAIN, Consortium
from tests.support.coordinator import World


@pytest.fixture(scope="module")
def consortium_of_services(tmp_path_factory, _state) -> Consortium:
    key = Keystore(_state / "keys").identity
    return Consortium(tmp_path_factory.mktemp("consortium"), coordinator=key)


class Broker:
    """Notes what it is handed; while it is down it takes nothing."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, str, str]] = []
        self.down = False

    def to_node(self, task: str, argument: str, *, institution: str) -> None:
        self._take(task, argument, institution)

    def to_coordinator(self, task: str, argument: str) -> None:
        self._take(task, argument, "coordinator")

    def _take(self, task: str, argument: str, to: str) -> None:
        if self.down:
            raise Refused(Reason.BROKER_UNAVAILABLE)
        self.sent.append((task, argument, to))


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
