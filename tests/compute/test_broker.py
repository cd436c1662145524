"""Tasks on a real broker: each node's under its own keys; a broker that is away is noticed at once."""

import pytest
import redis
from celery import current_app

from compute import broker
from compute.node.app import make_app
from compute.queues import queue
from concordat.reasons import Reason, Refused
from tests.support.consortium import Consortium
from tests.support.redis import free_port, redis_server


@pytest.fixture
def url(tmp_path, monkeypatch):
    with redis_server(tmp_path) as url:
        monkeypatch.setattr(current_app.conf, "broker_url", url)
        monkeypatch.setattr(current_app.conf, "broker_write_url", url)
        yield url


def test_a_node_receives_what_was_sent_to_it(url, tmp_path):
    home = Consortium(tmp_path, broker=url).homes["zurich"]
    broker.to_node("node.start", "a job", institution="zurich")
    with make_app(home).connection_for_read() as connection:
        message = connection.SimpleQueue(queue("zurich"), no_ack=True).get(timeout=5)
    assert message.headers["task"] == "node.start"
    assert message.payload[0] == ["a job"]


def test_every_key_of_a_nodes_queue_is_under_its_own_prefix(url):
    broker.to_node("node.start", "a job", institution="zurich")
    keys = [key.decode() for key in redis.Redis.from_url(url).scan_iter()]
    assert keys
    assert all(key.startswith("concordat:zurich:") for key in keys)


def test_a_worker_of_the_coordinator_receives_its_own(url):
    broker.to_coordinator("compute.dispatch", "a job")
    with current_app.connection_for_read(url) as connection:
        message = connection.SimpleQueue("coordinator", no_ack=True).get(timeout=5)
    assert message.headers["task"] == "compute.dispatch"


def test_a_broker_that_is_away_is_noticed(monkeypatch):
    url = f"redis://127.0.0.1:{free_port()}/0"
    monkeypatch.setattr(current_app.conf, "broker_url", url)
    monkeypatch.setattr(current_app.conf, "broker_write_url", url)
    with pytest.raises(Refused) as caught:
        broker.to_node("node.start", "a job", institution="zurich")
    assert caught.value.reason is Reason.BROKER_UNAVAILABLE
