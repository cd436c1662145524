"""What SQLite cannot show, as it has one writer at a time; `tests/full/test_on_postgresql.py` runs this file."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from django.test import Client

from api.models import AccessToken, Delivery, Webhook
from api.webhooks import endpoints, outbox
from compute.models import Job
from concordat import clock
from concordat.key_change import build_change
from concordat.keystore import Keystore
from governance import selectors
from governance.models import Institution
from governance.services import institutions
from tests.api.conftest import Caller
from tests.api.test_webhooks import NEW, happen, send
from tests.support.certificates import make_certificates
from tests.support.https import HttpsServer, Received, Said, https_server

pytestmark = pytest.mark.usefixtures("committed")

ROOT = Path(__file__).parents[2]
ONE_ROUND = "from api.tasks import webhooks; webhooks()"


@pytest.fixture
def server(tmp_path: Path, settings: Any) -> Iterator[HttpsServer]:
    make_certificates(tmp_path / "tls")
    settings.OUTBOUND_PRIVATE, settings.OUTBOUND_CA = True, str(tmp_path / "tls" / "ca.pem")
    with https_server(tmp_path / "tls") as running:
        yield running


@pytest.fixture
def webhook(objects: Job, members: dict[str, Institution], server: HttpsServer) -> Webhook:
    return endpoints.register(institution=members["long-beach"], url=server.url, events=["prediction.recorded"])


def at_the_same_time(*calls: Callable[[], Any]) -> list[Any]:
    barrier = threading.Barrier(len(calls))

    def run(call: Callable[[], Any]) -> Any:
        try:
            barrier.wait(10)
            return call()
        finally:
            connection.close()

    with ThreadPoolExecutor(len(calls)) as pool:
        return [each.result(30) for each in [pool.submit(run, call) for call in calls]]


def test_several_senders_tell_each_message_once(webhook: Webhook, server: HttpsServer) -> None:
    for _ in range(20):
        happen()

    def go() -> int:
        outbox.collect()
        return outbox.send_due(clock.now())

    at_the_same_time(*[go] * 4)
    go()
    assert len(server.received) == len({each.headers["webhook-id"] for each in server.received}) == 20
    assert Delivery.objects.filter(state="delivered").count() == 20


def test_while_one_message_is_being_sent_the_others_go_on(webhook: Webhook, server: HttpsServer) -> None:
    """No transaction is open, and no row locked, while the other side takes its time; but the one that takes it is
    called by nobody else."""
    arrived, go_on = threading.Event(), threading.Event()

    def slowly(_: Received) -> Said:
        first = not arrived.is_set()
        arrived.set()
        if first:
            go_on.wait(20)
        return Said()

    server.says = slowly
    other_url = f"{server.url}/other"
    endpoints.register(institution=webhook.institution, url=other_url, events=["prediction.recorded"])
    happen(), happen()
    outbox.collect()

    def other() -> int:
        assert arrived.wait(10)
        try:
            return outbox.send_due(clock.now())
        finally:
            go_on.set()

    assert sorted(at_the_same_time(lambda: outbox.send_due(clock.now()), other)) == [2, 2]


def test_what_is_recorded_while_it_looks_is_found_the_next_time(webhook: Webhook, server: HttpsServer) -> None:
    def write() -> None:
        for _ in range(20):
            happen()

    found = at_the_same_time(write, lambda: sum(outbox.collect() for _ in range(20)))[1]
    assert found + outbox.collect() == 20


def test_two_changes_of_one_state_are_one_change_and_one_refusal(
    members: dict[str, Institution], signed_in: Callable[..., Caller]
) -> None:
    caller = signed_in("long-beach")
    made = caller.post("webhooks", NEW)
    path, tag = f"webhooks/{made.json()['webhook']}", made["ETag"]
    calls = [lambda: send(caller, "PATCH", path, {"active": False}, **{"If-Match": tag}).status_code] * 2
    assert sorted(at_the_same_time(*calls)) == [200, 412]


def test_registering_at_the_same_time_is_registering_once(
    members: dict[str, Institution], signed_in: Callable[..., Caller]
) -> None:
    caller = signed_in("long-beach")
    assert at_the_same_time(*[lambda: caller.post("webhooks", NEW).status_code] * 3) == [201] * 3
    assert Webhook.objects.count() == 1


def test_a_token_does_not_outlive_the_key_that_a_change_is_taking_away(
    members: dict[str, Institution],
    keystores: dict[str, Keystore],
    ask_token: Callable[..., Any],
    assertion: Callable[..., str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The assertion is verified while the change is written but not committed, for longer than the server takes to
    look for transactions that wait for each other; a token that has expired is there to be forgotten."""
    expired = clock.now() - timedelta(seconds=1)
    AccessToken.objects.issue("expired", institution=members["zurich"], scopes="node", expires=expired)
    written, answered = threading.Event(), threading.Event()
    change_key = institutions.change_key

    def slowly(*, token: str) -> Any:
        change = change_key(token=token)
        written.set()
        answered.wait(2)  # or the other waits for us
        return change

    monkeypatch.setattr(institutions, "change_key", slowly)
    change = build_change(
        selectors.key_history(members["zurich"]),
        kind="client",
        key=None,
        ground="compromise",
        issued=clock.now(),
        offline=keystores["zurich"].offline,
    )

    def revoke() -> int:
        body = {"change": change}
        return int(Client().post("/api/v1/key-changes", body, content_type="application/json").status_code)

    def ask() -> int:
        assert written.wait(10)
        try:
            return int(ask_token(assertion("zurich")).status_code)
        finally:
            answered.set()

    assert at_the_same_time(revoke, ask) == [201, 401]
    assert not AccessToken.objects.exists()


def test_a_sender_that_is_killed_during_the_call_has_it_made_again(
    webhook: Webhook, server: HttpsServer, settings: Any
) -> None:
    """With SIGKILL, in a process of its own."""
    arrived, go_on = threading.Event(), threading.Event()

    def hold(_: Received) -> Said:
        arrived.set()
        go_on.wait(20)
        return Said()

    server.says = hold
    entry = happen()
    with _sender(settings) as sender:
        assert arrived.wait(60)
        sender.send_signal(signal.SIGKILL)
        assert sender.wait() == -signal.SIGKILL
    go_on.set()
    delivery = Delivery.objects.get()
    assert (delivery.state, delivery.entry, delivery.attempts) == ("queued", entry.index, 1)
    Webhook.objects.update(next_call=clock.now())
    with _sender(settings) as sender:
        assert sender.wait(60) == 0
    assert [each.headers["webhook-id"] for each in server.received] == [f"msg_{delivery.uuid}"] * 2
    assert Delivery.objects.get().state == "delivered"


def _sender(settings: Any) -> "subprocess.Popen[bytes]":
    used = settings.DATABASES["default"]
    user, host = f"{used['USER']}:{used['PASSWORD']}", f"{used['HOST'].replace('/', '%2F')}:{used['PORT']}"
    environment = os.environ | {
        "CONCORDAT_DATABASE_URL": f"postgres://{user}@{host}/{connection.settings_dict['NAME']}",
        "CONCORDAT_STATE": str(settings.STATE_DIR),
        "CONCORDAT_KEYS": str(settings.KEYS_DIR),
        "CONCORDAT_OUTBOUND_PRIVATE": "true",
        "CONCORDAT_OUTBOUND_CA": settings.OUTBOUND_CA,
    }
    return subprocess.Popen([sys.executable, "manage.py", "shell", "-c", ONE_ROUND], cwd=ROOT, env=environment)
