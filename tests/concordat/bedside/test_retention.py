"""What is deleted when its time is over, and what is held back."""

from datetime import timedelta
from typing import Any

import pytest

from concordat import clock
from concordat.bedside import retention
from concordat.bedside.config import KEEP_DAYS
from concordat.bedside.item import Item
from concordat.bedside.receipts import Receipts
from concordat.bedside.store import FILE, Store
from concordat.reasons import Reason, Refused
from tests.concordat.bedside.conftest import Hospital
from tests.concordat.client.conftest import PERSON, VALUES
from tests.support.bedside import configured, running, taken

ONCE = "0b6e7f0e-6a43-4c5f-8a3b-5d1e0c9f7a29"
TAKEN = taken(VALUES)


def ask(hospital: Hospital, patient: str, *, state: str = "open", result: bool = True) -> Item:
    """Something that was asked, as far as it may have come; nothing of it is computed here."""
    item = hospital.items.put(patient=patient, values=VALUES, taken=TAKEN, person=PERSON, consent="", subject="")
    if state == "open":
        hospital.items.opened(item, {"explanation": {"probability": "0.7310"}} if result else {})
    return hospital.items.of(item.id)


def after(hospital: Hospital, days: float) -> int:
    return retention.purge(hospital.store, hospital.config, now=clock.now() + timedelta(days=days))


def known(hospital: Hospital, item: Item) -> bool:
    try:
        hospital.items.of(item.id)
    except Refused:
        return False
    return True


def told(hospital: Hospital, item: Item, state: str = "logged") -> None:
    Receipts(hospital.store).note(item, template="t", rendered="needle-text", viewer="clinician", decision="shown")
    with hospital.store.write() as db:
        db.execute("UPDATE receipt SET state = ?", (state,))


class TestWhatIsOver:
    def test_is_in_no_byte_of_the_store(self, hospital: Hospital) -> None:
        item = ask(hospital, "needle-patient")
        told(hospital, item)
        with hospital.store.write() as db:
            now = clock.rfc3339(clock.now())
            db.execute("INSERT INTO card VALUES ('c', ?, 'ready', 's', 'needle-card', ?)", (item.id, now))
            db.execute("INSERT INTO link VALUES ('needle-link', ?, 0)", (item.id,))
        assert after(hospital, KEEP_DAYS - 1) == 0
        assert after(hospital, KEEP_DAYS + 1) == 1
        for file in hospital.home.directory.glob(f"{FILE}*"):
            assert b"needle" not in file.read_bytes()
            assert item.id.encode() not in file.read_bytes()

    def test_goes_with_the_questions_about_it(self, hospital: Hospital) -> None:
        item = ask(hospital, "pat-1")
        question = hospital.items.ask(item, {"chol": 180.0}, once=ONCE)
        hospital.items.failed(question, Reason.NODE_SILENT)
        assert after(hospital, KEEP_DAYS + 1) == 2

    def test_is_what_the_hospital_says(self, hospital: Hospital) -> None:
        item = ask(hospital, "pat-1")
        hospital.config = hospital.config | {"keep_days": 7}  # type: ignore[typeddict-item]
        assert after(hospital, 6) == 0
        assert after(hospital, 8) == 1
        assert not known(hospital, item)

    def test_is_deleted_by_the_worker(self, hospital: Hospital) -> None:
        item = ask(hospital, "pat-1")
        with hospital.store.write() as db:
            db.execute("UPDATE item SET asked = ?", (clock.rfc3339(clock.now() - timedelta(days=KEEP_DAYS + 1)),))
        hospital.worker().round()
        assert not known(hospital, item)

    def test_looks_like_a_patient_about_whom_nothing_was_asked_and_discovery_says_for_how_long(
        self, hospital: Hospital
    ) -> None:
        ask(hospital, "pat-1")
        after(hospital, KEEP_DAYS + 1)
        with running(hospital.config, hospital.home) as there:
            assert there.cards("pat-1") == []
            base = f"{there.bedside.address}/cds-services"
            answer = there.get(base, headers={"Authorization": f"Bearer {there.ehr.token(base)}"})
        assert f"in the last {KEEP_DAYS} days" in answer.json()["services"][0]["description"]

    def test_is_overwritten_later_where_somebody_reads(self, hospital: Hospital) -> None:
        """A hook that is being answered is not made to wait, and neither is the worker."""
        ask(hospital, "needle-patient")
        store = Store(hospital.home.directory, patience=0.1)
        with store.read() as reading:
            reading.execute("BEGIN")
            reading.execute("SELECT * FROM item").fetchone()
            assert retention.purge(store, hospital.config, now=clock.now() + timedelta(days=KEEP_DAYS + 1)) == 1
        assert after(hospital, KEEP_DAYS + 1) == 0
        assert not any(b"needle" in file.read_bytes() for file in hospital.home.directory.glob(f"{FILE}*"))


class TestWhatIsHeldBack:
    def test_a_receipt_that_was_not_handed_in_and_what_it_is_about(self, hospital: Hospital) -> None:
        item = ask(hospital, "pat-1")
        told(hospital, item, "queued")
        assert after(hospital, 10 * KEEP_DAYS) == 0
        (row,) = Receipts(hospital.store).of(item)
        assert row.state == "queued"
        told(hospital, item, "logged")
        assert after(hospital, 10 * KEEP_DAYS) == 1

    def test_the_record_that_a_held_question_is_about(self, hospital: Hospital) -> None:
        item = ask(hospital, "pat-1")
        question = hospital.items.ask(item, {"chol": 180.0}, once=ONCE)
        hospital.items.opened(question, {"what_ifs": [{"probability": "0.5"}]})
        told(hospital, question, "queued")
        assert after(hospital, 10 * KEEP_DAYS) == 0
        assert known(hospital, item)

    def test_a_request_that_is_on_its_way(self, hospital: Hospital) -> None:
        item = ask(hospital, "pat-1", state="waiting")
        assert after(hospital, 10 * KEEP_DAYS) == 0
        assert known(hospital, item)

    def test_that_a_record_is_wrong(self, hospital: Hospital) -> None:
        """Its values are gone, and it still does not come back."""
        ask(hospital, "pat-1")
        hospital.items.retract(patient="pat-1", why="entered-in-error")
        ask(hospital, "gone")
        hospital.items.retract(patient="gone", why="merged", into="pat-2")
        assert after(hospital, KEEP_DAYS + 1) == 2
        for patient in ("pat-1", "gone"):
            with pytest.raises(Refused, match=f"^{Reason.WRONG_STATE}:.*Correct the record"):
                ask(hospital, patient)
        hospital.items.forget("pat-1")
        assert ask(hospital, "pat-1")

    def test_nothing_of_what_had_only_ended(self, hospital: Hospital) -> None:
        item = ask(hospital, "pat-1")
        hospital.items.end("study-suspended")
        assert after(hospital, KEEP_DAYS + 1) == 1
        assert ask(hospital, "pat-1").id != item.id


def test_nothing_is_deleted_that_may_still_be_shown(hospital: Hospital) -> None:
    changes: dict[str, Any] = {"keep_days": 1, "stale_after_hours": 24}
    with pytest.raises(Refused) as refused:
        configured(hospital.home, hospital.definition.digest, "p", **changes)
    assert (refused.value.reason, refused.value.field) == (Reason.FIELD_INVALID, "keep_days")
