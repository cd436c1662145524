"""Messages to institutions' systems: signed as Standard Webhooks says, and believed only then."""

import base64
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from hypothesis import given
from hypothesis import strategies as st

from concordat import webhook
from concordat.client.webhooks import IN_HAND, KEPT, Memory, Receiver
from concordat.events import Event
from concordat.reasons import Reason, Refused
from concordat.signatures import SigningKey
from concordat.webhook import TOLERANCE

KEY = SigningKey.generate()
NOW = datetime(2026, 11, 27, 12, tzinfo=UTC)
ID = "msg_6f1d2f3e-0000-4000-8000-000000000001"
TOLD = {
    "index": 7,
    "record": "C-0000007-0",
    "self": "/api/v1/ledger/entries/7",
    "institution": "",
    "study": "heart",
    "definition": "",
    "model": "",
    "job": "6f1d2f3e-0000-4000-8000-000000000002",
}
BODY = webhook.body(Event.PREDICTION_RECORDED, "2026-11-27T11:59:00Z", TOLD)


def headers(**changes: str | None) -> dict[str, str]:
    made = webhook.sign(ID, BODY, at=NOW, key=KEY) | {f"webhook-{name}": value for name, value in changes.items()}
    return {name: value for name, value in made.items() if value is not None}


def refusal(given: dict[str, str], body: bytes = BODY, *, key: SigningKey = KEY, now: datetime = NOW) -> Refused:
    with pytest.raises(Refused) as caught:
        webhook.verify(given, body, key=key.public, now=now)
    return caught.value


def test_what_was_signed_is_read() -> None:
    received = webhook.verify(headers(), BODY, key=KEY.public, now=NOW)
    assert (received.id, received.message["type"]) == (ID, Event.PREDICTION_RECORDED)
    assert received.message["data"]["index"] == 7


def test_the_signature_is_the_one_of_the_standard() -> None:
    """Verified by hand, as its text says: `v1a`, base64, Ed25519 over id, timestamp and body between full stops."""
    given = headers()
    version, signature = given["webhook-signature"].split(",")
    assert version == "v1a"
    assert given["webhook-timestamp"] == str(int(NOW.timestamp()))
    signed = f"{given['webhook-id']}.{given['webhook-timestamp']}.{BODY.decode()}".encode()
    Ed25519PublicKey.from_public_bytes(KEY.public.raw).verify(base64.b64decode(signature), signed)


def test_names_of_headers_have_no_case() -> None:
    given = {name.title(): value for name, value in headers().items()}
    assert webhook.verify(given, BODY, key=KEY.public, now=NOW)


def test_one_right_signature_among_others_is_enough() -> None:
    """So that a sender can change its key."""
    right = headers()["webhook-signature"]
    assert webhook.verify(headers(signature=f"v1,AAAA v2a,?? {right}"), BODY, key=KEY.public, now=NOW)


@given(st.integers(0, len(BODY) - 1), st.integers(1, 255))
def test_any_other_body_is_refused(place: int, difference: int) -> None:
    other = bytearray(BODY)
    other[place] ^= difference
    assert refusal(headers(), bytes(other)).reason is Reason.SIGNATURE_INVALID


@pytest.mark.parametrize(
    "changes",
    [
        {"id": ID[:-1] + "2"},
        {"timestamp": str(int(NOW.timestamp()) + 1)},
        {"signature": "v1a," + base64.b64encode(bytes(64)).decode()},
        {"signature": "v1a,AAAA"},
        {"signature": "v1a"},
        {"signature": "v1," + headers()["webhook-signature"].partition(",")[2]},
    ],
)
def test_a_changed_header_is_refused(changes: dict[str, str]) -> None:
    assert refusal(headers(**changes)).reason is Reason.SIGNATURE_INVALID


def test_anothers_key_is_refused() -> None:
    assert refusal(headers(), key=SigningKey.generate()).reason is Reason.SIGNATURE_INVALID


@pytest.mark.parametrize("name", ["id", "timestamp", "signature"])
def test_a_missing_header_is_named(name: str) -> None:
    refused = refusal(headers(**{name: None}))
    assert (refused.reason, refused.field) == (Reason.FIELD_MISSING, f"webhook-{name}")


@pytest.mark.parametrize("name", ["webhook-id", "webhook-timestamp", "webhook-signature"])
def test_a_header_that_is_there_twice_is_refused(name: str) -> None:
    """A receiver that remembers by the one what was verified by the other would take a message in again and again."""
    for other in (headers()[name], ID[:-1] + "2"):
        refused = refusal({name.title(): other, **headers()})
        assert (refused.reason, refused.field) == (Reason.FIELD_INVALID, name)


@pytest.mark.parametrize("changes", [{"id": "msg_1"}, {"id": "eyJhbGciOiJFZDI1NTE5In0"}, {"timestamp": "now"}])
def test_a_header_of_another_form_is_named(changes: dict[str, str]) -> None:
    assert refusal(headers(**changes)).field == f"webhook-{next(iter(changes))}"


@pytest.mark.parametrize("away", [TOLERANCE + timedelta(seconds=1), -TOLERANCE - timedelta(seconds=1)])
def test_an_old_attempt_or_one_from_the_future_is_refused(away: timedelta) -> None:
    assert refusal(headers(), now=NOW + away).reason is Reason.EXPIRED
    assert webhook.verify(headers(), BODY, key=KEY.public, now=NOW + away / 2)


def test_no_signed_document_can_pass_for_a_message() -> None:
    """The same key signs JWS and heads of the log; neither begins with `msg_`."""
    assert webhook._signed(ID, "1", b"").startswith(b"msg_")
    assert refusal(headers(id="eyJ")).reason is Reason.FIELD_INVALID


def test_a_message_of_a_later_version_may_say_more() -> None:
    body = webhook.body(Event.KEY_CHANGED, "2026-11-27T11:59:00Z", TOLD | {"new": "x"})
    signed = webhook.sign(ID, body, at=NOW, key=KEY)
    assert webhook.verify(signed, body, key=KEY.public, now=NOW).message["type"] is Event.KEY_CHANGED


class TestReceiver:
    """Each message is dealt with once, also after a restart, and again only if that failed."""

    @pytest.fixture
    def path(self, tmp_path: Path) -> Path:
        return tmp_path / "seen.sqlite3"

    def receiver(self, path: Path, now: datetime = NOW) -> Receiver:
        return Receiver(KEY.public, Memory(path), now=lambda: now)

    def take(self, receiver: Receiver, given: dict[str, str] | None = None) -> Any:
        with receiver.receive(given or headers(), BODY) as message:
            return message

    def test_a_replay_is_refused_also_by_another_process(self, path: Path) -> None:
        self.take(self.receiver(path))
        for receiver in (self.receiver(path), self.receiver(path)):
            with pytest.raises(Refused) as caught:
                self.take(receiver)
            assert caught.value.reason is Reason.MESSAGE_REPLAYED

    def test_another_attempt_at_the_same_message_is_a_replay(self, path: Path) -> None:
        self.take(self.receiver(path))
        later = NOW + timedelta(hours=2)
        with pytest.raises(Refused) as caught:
            self.take(self.receiver(path, later), webhook.sign(ID, BODY, at=later, key=KEY))
        assert caught.value.reason is Reason.MESSAGE_REPLAYED

    def test_what_failed_may_come_again(self, path: Path) -> None:
        with pytest.raises(OSError, match="disk"), self.receiver(path).receive(headers(), BODY):
            raise OSError("the disk is full")
        assert self.take(self.receiver(path))

    def test_a_forged_message_is_not_remembered(self, path: Path) -> None:
        with pytest.raises(Refused), self.receiver(path).receive(headers(timestamp="1"), BODY):
            pytest.fail("it was let in")
        assert self.take(self.receiver(path))

    def test_what_another_has_in_hand_is_refused_until_that_fails(self, path: Path) -> None:
        first, second = self.receiver(path), self.receiver(path)

        def fail() -> None:
            with first.receive(headers(), BODY):
                with pytest.raises(Refused) as caught:
                    self.take(second)
                assert caught.value.reason is Reason.MESSAGE_IN_HAND
                raise OSError("the disk is full")

        with pytest.raises(OSError, match="disk"):
            fail()
        assert self.take(second)

    def test_of_many_that_come_at_once_one_is_let_in(self, path: Path) -> None:
        """Each on a connection of its own to the file, as processes are."""
        receivers = [self.receiver(path) for _ in range(8)]
        barrier, over = threading.Barrier(8), threading.Barrier(8)

        def take(receiver: Receiver) -> str:
            barrier.wait(10)
            try:
                with receiver.receive(headers(), BODY):
                    over.wait(10)
                    return "let in"
            except Refused as refused:
                over.wait(10)
                return refused.reason

        with ThreadPoolExecutor(8) as pool:
            assert sorted(pool.map(take, receivers)) == ["let in"] + [Reason.MESSAGE_IN_HAND] * 7

    def test_what_a_crash_left_in_hand_is_taken_at_the_third_attempt(self, path: Path) -> None:
        Memory(path).take(ID, now=NOW)
        soonest = NOW + 0.8 * timedelta(seconds=5 + 300)  # as docs/how-to/receive-webhooks.md has it
        with pytest.raises(Refused):
            self.take(self.receiver(path, NOW + IN_HAND - timedelta(seconds=1)))
        assert self.take(self.receiver(path, soonest), webhook.sign(ID, BODY, at=soonest, key=KEY))

    def test_who_took_too_long_does_not_let_go_of_what_another_has(self, path: Path) -> None:
        memory = Memory(path)
        first = memory.take(ID, now=NOW)
        memory.take(ID, now=NOW + IN_HAND)
        memory.drop(ID, first)
        with pytest.raises(Refused):
            memory.take(ID, now=NOW + IN_HAND)

    def test_what_is_long_past_is_forgotten(self, path: Path) -> None:
        self.take(self.receiver(path))
        memory = Memory(path)
        with pytest.raises(Refused) as caught:
            memory.take(ID, now=NOW + KEPT - timedelta(seconds=1))
        assert caught.value.reason is Reason.MESSAGE_REPLAYED
        assert memory.take(ID, now=NOW + KEPT)
