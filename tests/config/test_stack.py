"""The broker that the local stack starts: each node's user can do its worker's work, and nothing else."""

import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
from celery import Celery, current_app
from celery.contrib.testing.worker import start_worker

from compute import broker
from compute.node.app import make_app
from compute.queues import COORDINATOR_ACCESS, key_prefix, node_access, queue
from concordat.reasons import Reason, Refused
from config.demo.__main__ import alone
from config.local.stack import Stack
from config.local.supervisor import Supervisor
from tests.support.consortium import Consortium

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A broker by the stack's own rules, and one more user who may look into its log of refused commands."""
    stack = Stack(tmp_path_factory.mktemp("stack"), nodes=["zurich", "budapest"])
    stack.choose_ports()
    program = stack.redis()
    stack.passwords["auditor"] = "auditor"
    with (stack.state / "redis" / "users.acl").open("a") as acl:
        acl.write("user auditor on >auditor ~* &* +@all\n")
    with Supervisor(stack.logs) as supervisor:
        supervisor.start(program)
        yield stack


def test_ports_that_are_taken_are_replaced_but_not_the_one_to_which_passkeys_are_bound(tmp_path: Path) -> None:
    other = Stack(tmp_path)
    other.choose_ports()
    web, chain = other.web_port, other.chain_port
    with socket.create_server(("127.0.0.1", chain)):
        other.choose_ports()
    assert other.web_port == web
    assert other.chain_port != chain
    with socket.create_server(("127.0.0.1", web)), pytest.raises(Refused, match=f"port {web}") as caught:
        other.choose_ports()
    assert caught.value.reason is Reason.WRONG_STATE


def test_a_demonstration_is_run_or_served_once_at_a_time(tmp_path: Path) -> None:
    state = tmp_path / "var" / "demo"
    with alone(state):
        served = subprocess.run(
            [sys.executable, "-m", "config.demo", "run", "--state", str(state)],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        assert served.returncode == 1
        assert "is running already" in served.stderr
        assert not state.exists(), "nothing was begun"
    with alone(state):
        pass


@pytest.fixture
def auditor(stack: Stack) -> redis.Redis:
    client = redis.Redis.from_url(stack.broker_url("auditor"))
    client.flushall()
    client.acl_log_reset()
    return client


@pytest.fixture
def coordinator(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> Iterator[Celery]:
    """The coordinator's application, which is the current one again once a worker of another has run here."""
    own = current_app._get_current_object()
    for setting in ("broker_url", "broker_write_url"):
        monkeypatch.setattr(own.conf, setting, stack.broker_url("coordinator"))
    yield own
    own.set_current()
    own.set_default()


def test_a_node_s_worker_consumes_retries_and_comes_back_after_losing_its_connection(
    stack: Stack, auditor: redis.Redis, coordinator: Celery, tmp_path: Path
) -> None:
    app = make_app(Consortium(tmp_path, broker=stack.broker_url("zurich")).homes["zurich"])
    done = {job: threading.Event() for job in ("first", "second")}

    @app.task(name="node.start", bind=True, max_retries=1)
    def start(self: Any, job: str) -> None:
        if not self.request.retries:
            raise self.retry(countdown=0)
        done[job].set()

    with start_worker(app, pool="threads", perform_ping_check=False, shutdown_timeout=30):
        coordinator.set_current()  # in this thread, which sends
        broker.to_node("node.start", "first", institution="zurich")
        assert done["first"].wait(30)
        for client in auditor.client_list():
            if client["user"] == "zurich":
                auditor.client_kill_filter(_id=client["id"])
        broker.to_node("node.start", "second", institution="zurich")
        assert done["second"].wait(30)
    refused = {entry["object"] for entry in auditor.acl_log() if entry["username"] == "zurich"}
    assert refused <= {"client|setinfo", "client"}  # the library says which version it is, and does without


FORBIDDEN = [
    ("EVAL", "while true do end", "0"),
    ("EVALSHA", "0" * 40, "0"),
    ("SCRIPT", "LOAD", "return 1"),
    ("SCAN", "0"),
    ("KEYS", "*"),
    ("RANDOMKEY",),
    ("DBSIZE",),
    ("FLUSHALL",),
    ("FLUSHDB",),
    ("CONFIG", "GET", "*"),
    ("CLIENT", "LIST"),
    ("ACL", "LIST"),
    ("MONITOR",),
    ("DEBUG", "SLEEP", "1"),
    ("SUBSCRIBE", "concordat:zurich:x"),
    ("LPUSH", key_prefix("budapest") + queue("budapest"), "x"),
    ("BRPOP", key_prefix("budapest") + queue("budapest"), "1"),
    ("LLEN", "concordat:coordinator"),
]


@pytest.mark.parametrize("command", FORBIDDEN, ids=lambda command: " ".join(command[:2]))
def test_a_node_s_user_can_do_nothing_else(stack: Stack, command: tuple[str, ...]) -> None:
    with redis.Redis.from_url(stack.broker_url("zurich")) as client, pytest.raises(redis.exceptions.NoPermissionError):
        client.execute_command(*command)


def test_the_example_for_production_has_the_very_rules() -> None:
    lines = (ROOT / "docker" / "redis" / "users.acl.example").read_text().splitlines()
    assert f"user coordinator on #SHA256_OF_ITS_PASSWORD {COORDINATOR_ACCESS}" in lines
    assert f"user cleveland on #SHA256_OF_ITS_PASSWORD {node_access('cleveland')}" in lines
