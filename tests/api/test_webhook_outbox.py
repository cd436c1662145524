"""Messages arrive at least once, whatever breaks in between, and who does not answer is left alone in time."""

import threading
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db import transaction
from time_machine import TimeMachineFixture

from api.models import Delivery, Webhook
from api.tasks import webhooks
from api.webhooks import endpoints, outbox
from api.webhooks.outbox import DELAYS, DISABLED_AFTER, KEPT, PAUSE, TAKEN
from compute.models import Job
from concordat import clock
from concordat.client.webhooks import Memory, Receiver
from concordat.events import Event
from concordat.keystore import Keystore
from concordat.reasons import Reason, Refused
from config.celery import app
from governance.models import Institution
from tests.api.conftest import JOB
from tests.api.test_webhooks import happen
from tests.support.certificates import make_certificates
from tests.support.https import HttpsServer, Received, Said, https_server


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    make_certificates(folder := tmp_path_factory.mktemp("tls") / "here")
    return folder


@pytest.fixture
def server(certificates: Path, settings: Any) -> Iterator[HttpsServer]:
    settings.OUTBOUND_PRIVATE, settings.OUTBOUND_CA = True, str(certificates / "ca.pem")
    with https_server(certificates) as running:
        yield running


@pytest.fixture
def webhook(objects: Job, members: dict[str, Institution], server: HttpsServer) -> Webhook:
    return endpoints.register(
        institution=members["long-beach"], url=f"{server.url}/told", events=["prediction.recorded", "job.ended"]
    )


@pytest.fixture
def receiver(_state: Path, tmp_path: Path) -> Receiver:
    return Receiver(Keystore(_state / "keys").identity.public, Memory(tmp_path / "seen.sqlite3"))


def later(time_machine: TimeMachineFixture, by: timedelta) -> None:
    time_machine.move_to(clock.now() + by)


def go() -> int:
    outbox.collect()
    return outbox.send_due(clock.now())


def test_what_happens_arrives_signed_and_once(webhook: Webhook, server: HttpsServer, receiver: Receiver) -> None:
    entry = happen()
    assert (go(), go()) == (1, 0)
    (seen,) = server.received
    assert (seen.method, seen.path, seen.headers["content-type"]) == ("POST", "/told", "application/json")
    with receiver.receive(seen.headers, seen.content) as message:
        assert message["type"] is Event.PREDICTION_RECORDED
        assert message["data"]["index"] == entry.index
        assert message["data"]["job"] == JOB
    with pytest.raises(Refused) as caught, receiver.receive(seen.headers, seen.content):
        pytest.fail("a replay was let in")
    assert caught.value.reason is Reason.MESSAGE_REPLAYED


def test_what_happened_before_the_registration_is_not_told(
    objects: Job, members: dict[str, Institution], server: HttpsServer
) -> None:
    happen()
    endpoints.register(institution=members["long-beach"], url=server.url, events=["prediction.recorded"])
    assert go() == 0


def test_a_deed_that_is_taken_back_is_not_told(webhook: Webhook, server: HttpsServer) -> None:
    with transaction.atomic():
        happen()
        transaction.set_rollback(True)
    assert go() == 0


def test_a_failure_is_tried_again_ever_more_seldom_and_given_up(
    webhook: Webhook, server: HttpsServer, time_machine: TimeMachineFixture
) -> None:
    time_machine.move_to(start := clock.now())
    server.says = lambda _: Said(status=500)
    happen()
    assert go() == 0
    for attempt, delay in enumerate(DELAYS, start=1):
        delivery = Delivery.objects.get()
        assert (delivery.state, delivery.attempts) == ("queued", attempt)
        assert 0.8 * delay <= delivery.next_attempt - clock.now() <= 1.2 * delay
        time_machine.move_to(delivery.next_attempt - timedelta(seconds=1))
        go()
        assert len(server.received) == attempt
        time_machine.move_to(delivery.next_attempt)
        go()
        assert len(server.received) == attempt + 1
    assert Delivery.objects.get().state == "given-up"
    assert clock.now() - start < timedelta(days=4)
    assert len({each.headers["webhook-id"] for each in server.received}) == 1
    webhook.refresh_from_db()
    assert (webhook.state, webhook.last_failure, webhook.failing_since) == ("active", "500", start)


def test_every_attempt_has_a_time_and_a_signature_of_its_own(
    webhook: Webhook, server: HttpsServer, receiver: Receiver, time_machine: TimeMachineFixture
) -> None:
    time_machine.move_to(clock.now())
    server.says = lambda _: Said(status=500)
    happen()
    go()
    server.says = lambda _: Said()
    later(time_machine, timedelta(hours=1))
    assert go() == 1
    with receiver.receive(server.received[1].headers, server.received[1].content) as message:
        assert message["data"]["job"] == JOB
    with pytest.raises(Refused) as caught, receiver.receive(server.received[0].headers, server.received[0].content):
        pytest.fail("an attempt of an hour ago was let in")
    assert caught.value.reason is Reason.EXPIRED


def test_a_success_ends_a_failure(webhook: Webhook, server: HttpsServer, time_machine: TimeMachineFixture) -> None:
    time_machine.move_to(clock.now())
    server.says = lambda _: Said(status=302, headers={"Location": "https://elsewhere.example/"})
    happen()
    go()
    webhook.refresh_from_db()
    assert webhook.last_failure == "302"
    server.says = lambda _: Said(status=204, content=b"")
    later(time_machine, timedelta(seconds=10))
    assert go() == 1
    webhook.refresh_from_db()
    assert (webhook.failing_since, webhook.last_failure, webhook.last_success) == (None, "", clock.now())


def test_who_fails_for_days_is_disabled_until_the_institution_says_otherwise(
    webhook: Webhook, server: HttpsServer, time_machine: TimeMachineFixture
) -> None:
    time_machine.move_to(start := clock.now())
    server.says = lambda _: Said(status=500)
    happen()
    go()
    time_machine.move_to(start + DISABLED_AFTER - PAUSE)
    happen()
    go()
    webhook.refresh_from_db()
    assert webhook.state == "active"
    time_machine.move_to(start + DISABLED_AFTER)
    happen()
    go()
    webhook.refresh_from_db()
    assert webhook.state == "disabled"
    assert not Delivery.objects.filter(state="queued").exists()
    sent = len(server.received)
    happen()
    go()
    assert len(server.received) == sent
    endpoints.change(webhook, events=None, active=True)
    server.says = lambda _: Said()
    assert go() == 0, "what happened meanwhile is not told"
    happen()
    assert go() == 1


def test_who_says_that_it_is_gone_is_disabled_at_once(webhook: Webhook, server: HttpsServer) -> None:
    server.says = lambda _: Said(status=410)
    happen()
    go()
    webhook.refresh_from_db()
    assert (webhook.state, webhook.last_failure) == ("disabled", "410")


def test_a_private_address_is_not_called(webhook: Webhook, server: HttpsServer, settings: Any) -> None:
    settings.OUTBOUND_PRIVATE = False
    happen()
    assert go() == 0
    assert server.received == []
    webhook.refresh_from_db()
    assert webhook.last_failure == "address-forbidden"


def test_one_that_fails_does_not_hold_up_the_others(
    webhook: Webhook, members: dict[str, Institution], server: HttpsServer, time_machine: TimeMachineFixture
) -> None:
    time_machine.move_to(clock.now())
    endpoints.register(institution=members["long-beach"], url=f"{server.url}/other", events=["prediction.recorded"])
    server.says = lambda request: Said(status=500 if request.path == "/told" else 200)
    for _ in range(3):
        happen()
    assert go() == 3
    assert [each.path for each in server.received].count("/told") == 1, "who fails is not tried again in this round"


def test_silent_ones_with_much_before_them_do_not_hold_up_the_others(
    objects: Job, members: dict[str, Institution], server: HttpsServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Twice as many as a round has time for, registered before."""
    monkeypatch.setattr(outbox, "_SECONDS", 1.0)
    monkeypatch.setattr(outbox, "ROUND_SECONDS", 1.5)
    over = threading.Event()

    def silent(request: Received) -> Said:
        if request.path != "/told":
            over.wait(60)
        return Said()

    server.says = silent
    for path in ("silent/0", "silent/1", "silent/2", "silent/3", "told"):
        events = ["prediction.recorded" if path == "told" else "model.described"]
        endpoints.register(institution=members["long-beach"], url=f"{server.url}/{path}", events=events)
    for _ in range(10):
        happen(Event.MODEL_DESCRIBED)
    happen()
    assert sum(go() for _ in range(3)) == 1
    over.set()


def test_who_goes_on_failing_is_called_every_two_minutes_whatever_waits(
    webhook: Webhook, server: HttpsServer, time_machine: TimeMachineFixture
) -> None:
    time_machine.move_to(clock.now())
    server.says = lambda _: Said(status=500)
    for _ in range(30):
        happen()
        go()
        later(time_machine, timedelta(seconds=10))
    assert len(server.received) == 4, "after 10 seconds, then 2 minutes each"


def test_one_message_of_a_webhook_is_under_way_at_a_time(
    webhook: Webhook, members: dict[str, Institution], server: HttpsServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    endpoints.register(institution=members["long-beach"], url=f"{server.url}/other", events=["model.described"])
    happen(), happen(), happen(Event.MODEL_DESCRIBED)
    real, meanwhile = outbox._send, list[int]()

    def send(delivery: Delivery, now: Any) -> str:
        monkeypatch.setattr(outbox, "_send", real)
        meanwhile.append(outbox.send_due(clock.now()))
        return real(delivery, now)

    monkeypatch.setattr(outbox, "_send", send)
    assert go() == 2
    assert meanwhile == [1]
    assert [each.path for each in server.received] == ["/other", "/told", "/told"]


class Killed(BaseException):
    """As if the process had been killed: nothing catches it."""


def _kill_in(monkeypatch: pytest.MonkeyPatch, where: Any, name: str, *, after: bool) -> None:
    real = getattr(where, name)

    def killed(*arguments: Any, **named: Any) -> Any:
        if after:
            real(*arguments, **named)
        raise Killed

    monkeypatch.setattr(where, name, killed)


MOMENTS: dict[str, tuple[Any, str, bool]] = {
    "while it looks whom it concerns": (outbox, "concerning", False),
    "before it is taken": (outbox, "_take", False),
    "when it has been taken": (outbox, "_take", True),
    "before it is signed": (outbox.format_, "sign", False),
    "before the call": (outbox.outbound, "call", False),
    "when it has arrived": (outbox.outbound, "call", True),
    "before it is marked": (outbox, "_settle", False),
    "when it has been marked": (outbox, "_settle", True),
}


@pytest.mark.parametrize("moment", MOMENTS.values(), ids=MOMENTS)
def test_a_sender_killed_at_any_moment_loses_nothing(
    webhook: Webhook, server: HttpsServer, time_machine: TimeMachineFixture, moment: tuple[Any, str, bool]
) -> None:
    time_machine.move_to(clock.now())
    entries = [happen(), happen()]
    where, name, after = moment
    with pytest.MonkeyPatch.context() as patched:
        _kill_in(patched, where, name, after=after)
        with pytest.raises(Killed):
            go()
    go()
    later(time_machine, TAKEN)
    go()
    ids = {each.headers["webhook-id"] for each in server.received}
    indexes = {f'"index":{entry.index},'.encode() for entry in entries}
    assert len(ids) == 2
    assert all(any(index in each.content for each in server.received) for index in indexes)
    assert not Delivery.objects.exclude(state="delivered").exists()
    assert len(server.received) <= 3


def test_a_webhook_that_is_removed_while_it_is_called_is_no_trouble(webhook: Webhook, server: HttpsServer) -> None:
    real = outbox._send

    def remove_meanwhile(delivery: Delivery, now: Any) -> str:
        failure = real(delivery, now)
        endpoints.remove(Webhook.objects.get())
        return failure

    happen()
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(outbox, "_send", remove_meanwhile)
        go()
    assert not Delivery.objects.exists()


def test_what_was_delivered_is_known_for_a_month(
    webhook: Webhook, server: HttpsServer, time_machine: TimeMachineFixture
) -> None:
    time_machine.move_to(start := clock.now())
    happen()
    go()
    time_machine.move_to(start + KEPT - timedelta(seconds=1))
    go()
    assert Delivery.objects.count() == 1
    time_machine.move_to(start + KEPT)
    go()
    assert Delivery.objects.count() == 0


def test_a_long_log_is_looked_at_in_pieces(
    webhook: Webhook, server: HttpsServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbox, "AT_ONCE", 2)
    for _ in range(5):
        happen()
    assert [outbox.collect() for _ in range(4)] == [2, 2, 1, 0]


def test_neither_the_address_nor_the_message_is_logged(
    webhook: Webhook, server: HttpsServer, capsys: pytest.CaptureFixture[str]
) -> None:
    server.says = lambda _: Said(status=500)
    happen()
    go()
    written = "".join(capsys.readouterr())
    assert "/told" not in written
    assert JOB not in written


def test_the_task_does_both(webhook: Webhook, server: HttpsServer) -> None:
    happen()
    webhooks()
    assert len(server.received) == 1
    assert {each["task"] for each in app.conf.beat_schedule.values()} >= {webhooks.name}
