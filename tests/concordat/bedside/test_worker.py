"""What happens ahead of time, and that nothing is sent as two whatever dies in between."""

import stat
from typing import Any

import httpx
import pytest
from django.db import connection

from compute.models import Display, Job
from concordat import ring
from concordat.bedside import worker as work
from concordat.bedside.items import Items
from concordat.bedside.receipts import Receipts
from concordat.bedside.store import FILE, Store
from concordat.client import predict
from concordat.client.work import Work
from concordat.events import Event
from concordat.explanation import sigmoid
from concordat.reasons import Reason, Refused
from ledger.models import LogEntry
from ledger.services.publish import publish
from tests.concordat.bedside.conftest import Hospital, probability
from tests.concordat.client.conftest import VALUES
from tests.concordat.client.test_resume import Killed, LosesAnswers
from tests.support.bedside import PATIENT, running


def test_a_record_is_sent_computed_opened_and_kept(hospital: Hospital) -> None:
    item = hospital.enqueue()
    assert item.state == "waiting"
    hospital.worker().round()
    assert hospital.items.of(item.id).state == "sent"
    hospital.world.compute(hospital.definition)
    hospital.worker().round()
    found = hospital.items.of(item.id)
    assert found.state == "open"
    assert found.result is not None
    prediction, _ = hospital.world.in_the_clear(
        hospital.definition, [hospital.definition.schema.encode_row(VALUES).vector]
    )
    expected = sigmoid(ring.decode(prediction, ring.RESULT_BITS)[0])
    assert probability(found) == pytest.approx(expected, abs=1e-3)
    assert found.result["record"].startswith("C-")
    assert len(found.result["explanation"]["factors"]) == len(hospital.definition.design.groups)


def test_the_same_record_asked_for_twice_is_computed_once(hospital: Hospital) -> None:
    consent = hospital.world.consent()
    first, second = hospital.enqueue(consent=consent), hospital.enqueue(consent=consent)
    other = hospital.enqueue(consent=consent, age=64)
    assert first.id == second.id != other.id


@pytest.mark.parametrize("place", ["prepared", "sent", "submitted"])
def test_killed_anywhere_it_goes_on_and_sends_nothing_twice(
    hospital: Hospital, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    item = hospital.enqueue()

    def die(*_: Any, **__: Any) -> Any:
        raise Killed

    with monkeypatch.context() as patch:
        if place == "prepared":  # prepared, and nothing sent
            patch.setattr(predict, "submit", die)
        elif place == "sent":  # the coordinator's answer never arrived
            hospital.world.transport = LosesAnswers(hospital.world.transport, Killed)
        else:  # its answer arrived, and the store does not know
            patch.setattr(Items, "sent", die)
        with pytest.raises(Killed):
            hospital.worker().round()
    assert Job.objects.count() == (0 if place == "prepared" else 1)
    hospital.worker().round()
    assert Job.objects.count() == 1
    assert str(Job.objects.get().request_uuid) == item.id
    assert len(list(hospital.home.work.iterdir())) == 1
    hospital.world.compute(hospital.definition)
    hospital.worker().round()
    assert hospital.items.of(item.id).state == "open"


def test_what_was_left_half_made_was_never_sent_and_is_made_anew(hospital: Hospital) -> None:
    item = hospital.enqueue()
    (hospital.home.work / item.id).mkdir(parents=True)
    (hospital.home.work / item.id / "output.key").write_bytes(b"half")
    hospital.worker().round()
    assert Work.of(hospital.home.work, item.id).job


def test_only_one_worker_is_at_work(hospital: Hospital) -> None:
    with (
        hospital.store.only_worker(),
        pytest.raises(Refused, match=f"^{Reason.WORKER_RUNNING}: The store is {hospital.home.directory}/"),
        Store(hospital.home.directory).only_worker(),
    ):
        pass
    with hospital.store.only_worker():
        pass


def test_a_coordinator_that_is_away_is_no_failure_and_no_sign_of_life(hospital: Hospital) -> None:
    item, there = hospital.enqueue(), hospital.world.transport

    class Away(httpx.BaseTransport):
        def handle_request(self, request: httpx.Request) -> httpx.Response:
            raise httpx.ConnectError("away")

    hospital.world.transport = Away()
    hospital.worker().round()
    assert hospital.items.of(item.id).state == "waiting"
    assert work.last_seen(hospital.store) is None
    hospital.world.transport = there
    hospital.worker().round()
    assert hospital.items.of(item.id).state == "sent"
    assert work.last_seen(hospital.store) is not None


def test_what_the_coordinator_refuses_has_failed_for_that_reason(hospital: Hospital) -> None:
    item = hospital.enqueue(consent="0b6e7f0e-6a43-4c5f-8a3b-5d1e0c9f7a21")
    hospital.worker().round()
    assert (found := hospital.items.of(item.id)).state == "failed"
    assert found.reason in list(Reason)


def test_what_is_retracted_before_it_came_is_taken_back(hospital: Hospital) -> None:
    item = hospital.enqueue()
    hospital.worker().round()
    hospital.items.retract(request=item.id, why="wrong-patient")
    hospital.worker().round()
    assert Job.objects.get().state == "cancelled"
    assert not hospital.items.unfinished()


def test_receipts_are_signed_once_and_logged_once_however_often_they_are_handed_in(
    hospital: Hospital, monkeypatch: pytest.MonkeyPatch
) -> None:
    item, receipts = hospital.opened(), Receipts(hospital.store)
    for _ in range(3):
        receipts.note(item, template="t", rendered="what was shown", viewer="clinician", decision="shown")
    receipts.note(item, template="t", rendered="kept back", viewer="clinician", decision="suppressed", threshold="0.2")

    def die(*_: Any) -> Any:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(Receipts, "_set", die)  # signed, and the signature not kept
        with pytest.raises(Killed):
            hospital.worker().round()
    hospital.worker().round()
    with hospital.store.write() as db:  # handed in, and the store does not know
        db.execute("UPDATE receipt SET state = 'queued'")
    hospital.worker().round()
    assert Display.objects.count() == LogEntry.objects.filter(event=Event.RESULT_DISPLAYED).count() == 2
    assert [each.state for each in receipts.of(item)] == ["logged", "logged"]


def test_a_receipt_of_what_was_never_computed_stays_here_and_says_so(hospital: Hospital) -> None:
    item, receipts = hospital.enqueue(), Receipts(hospital.store)
    receipts.note(item, template="t", rendered="x", viewer="clinician", decision="retracted", reason="wrong-patient")
    hospital.items.retract(request=item.id, why="wrong-patient")
    hospital.worker().round()
    assert [(each.state, each.why) for each in receipts.of(item)] == [("local", Reason.NOT_FOUND)]


def test_the_store_is_its_owners_alone(hospital: Hospital) -> None:
    hospital.opened()
    files = list(hospital.home.directory.glob("bedside.*"))
    assert {each.name for each in files} >= {FILE, "bedside.lock"} - {"bedside.lock"}
    assert all(stat.S_IMODE(each.stat().st_mode) == 0o600 for each in files if each.suffix != ".json")
    (hospital.home.directory / FILE).chmod(0o640)
    with pytest.raises(Refused, match=f"^{Reason.KEYSTORE_UNSAFE}:"):
        Store(hospital.home.directory)


def test_a_retraction_keeps_its_first_reason(hospital: Hospital) -> None:
    item = hospital.enqueue()
    hospital.items.retract(patient=PATIENT, why="merged")
    (again,) = hospital.items.retract(request=item.id, why="entered-in-error")
    assert again.retraction == "merged"


def test_an_alarm_is_repeated_until_the_log_shows_it(hospital: Hospital, monkeypatch: pytest.MonkeyPatch) -> None:
    item = hospital.enqueue()
    hospital.worker().round()
    hospital.world.compute(hospital.definition, spoil=lambda explanation, place: explanation + (1 << 30))
    hospital.worker().round()  # nobody publishes the alarm's entry
    assert hospital.items.of(item.id).state == "sent"
    publish()
    hospital.worker().round()
    found = hospital.items.of(item.id)
    assert (found.state, found.reason, found.result) == ("failed", Reason.CANARY_FAILED, None)
    assert LogEntry.objects.filter(event=Event.CANARY_FAILED).count() == 1


def test_nothing_that_was_shown_or_kept_back_is_at_the_coordinator(hospital: Hospital) -> None:
    item = hospital.opened("needle-patient")
    with running(hospital.config, hospital.home) as there:
        (card,) = there.cards("needle-patient")
        there.feedback(card["uuid"], "overridden")
    hospital.worker().round()
    assert {each.state for each in Receipts(hospital.store).of(item)} == {"logged"}
    connection.ensure_connection()
    everything = "\n".join(connection.connection.iterdump()) + "".join(
        bytes(entry.leaf).decode() for entry in LogEntry.objects.all()
    )
    assert item.id in everything
    needles = ["needle-patient", "Coronary disease", card["summary"], card["uuid"], card["links"][0]["url"]]
    assert item.result is not None
    needles += [item.result["explanation"]["probability"], item.result["explanation"]["factors"][0]["sentence"]]
    assert [each for each in needles if each in everything] == []


def test_another_request_s_folder_is_not_taken_for_an_item_s(hospital: Hospital) -> None:
    """Whoever chose the id of a question chose that of a request which is there already."""
    first = hospital.opened()
    stray = hospital.enqueue("pat-5678", age=30)
    with hospital.store.write() as db:
        db.execute("UPDATE item SET id = ? WHERE id = ?", ("6f1d1f7e-2c0b-4c3e-9d56-0b7a3a9f5b01", stray.id))
    folder = hospital.home.work / first.id
    folder.rename(hospital.home.work / "6f1d1f7e-2c0b-4c3e-9d56-0b7a3a9f5b01")
    hospital.worker().round()
    found = hospital.items.of("6f1d1f7e-2c0b-4c3e-9d56-0b7a3a9f5b01")
    assert (found.state, found.reason, found.result) == ("failed", Reason.WRONG_STATE, None)


def test_what_was_asked_under_another_definition_is_not_computed_under_this_one(hospital: Hospital) -> None:
    item = hospital.enqueue()
    with hospital.store.write() as db:
        db.execute("UPDATE item SET definition = ?", ("sha256:" + "0" * 64,))
    hospital.worker().round()
    assert (hospital.items.of(item.id).state, hospital.items.of(item.id).reason) == ("failed", Reason.WRONG_STATE)
    assert not Job.objects.exists()
