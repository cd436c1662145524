"""What is asked for a patient: what is the same, what is current, and what does not come back."""

import pytest

from concordat.bedside.items import Items
from concordat.bedside.store import Store
from concordat.reasons import Reason, Refused
from tests.concordat.bedside.conftest import Hospital
from tests.concordat.client.conftest import PERSON, VALUES
from tests.support.bedside import PATIENT, taken

TAKEN = taken(VALUES)


def ask(hospital: Hospital, patient: str = PATIENT, **changes: object) -> str:
    values = VALUES | changes
    return hospital.items.put(patient=patient, values=values, taken=TAKEN, person=PERSON, consent="", subject="").id


class TestWhatIsAskedLast:
    def test_is_current_also_where_it_was_asked_before(self, hospital: Hospital) -> None:
        """A mistake was asked for in between: whoever asks for the right values again gets those."""
        first, mistaken = ask(hospital), ask(hospital, age=20)
        again = ask(hospital)
        latest = hospital.items.latest(PATIENT)
        assert latest is not None
        assert latest.id == again
        assert len({first, mistaken, again}) == 3

    def test_twice_is_one(self, hospital: Hospital) -> None:
        assert ask(hospital) == ask(hospital)

    def test_under_another_definition_is_another(self, hospital: Hospital) -> None:
        first = ask(hospital)
        other = Items(hospital.store, "sha256:" + "0" * 64)
        again = other.put(patient=PATIENT, values=VALUES, taken=TAKEN, person=PERSON, consent="", subject="")
        assert again.id != first


class TestWhatWasRetracted:
    @pytest.mark.parametrize("why", ["wrong-patient", "entered-in-error"])
    def test_does_not_come_back_with_the_same_values(self, hospital: Hospital, why: str) -> None:
        ask(hospital)
        hospital.items.retract(patient=PATIENT, why=why)
        with pytest.raises(Refused, match=f"^{Reason.WRONG_STATE}:.*Correct the record"):
            ask(hospital)
        assert ask(hospital, age=64)

    def test_as_merged_is_not_asked_for_under_the_old_id(self, hospital: Hospital) -> None:
        ask(hospital)
        hospital.items.retract(patient=PATIENT, why="merged", into="pat-5678")
        with pytest.raises(Refused, match=f"^{Reason.WRONG_STATE}:"):
            ask(hospital, age=64)
        assert ask(hospital, "pat-5678")


class TestAQuestion:
    def test_changes_something(self, hospital: Hospital) -> None:
        about = hospital.items.of(ask(hospital))
        with pytest.raises(Refused, match=f"^{Reason.FIELD_INVALID}:"):
            hospital.items.ask(about, {}, once="6f1d1f7e-2c0b-4c3e-9d56-0b7a3a9f5b01")

    def test_has_an_id_of_its_own(self, hospital: Hospital) -> None:
        about = hospital.items.of(ask(hospital))
        for once in (about.id, hospital.items.ask(about, {"age": 50}, once="6f1d1f7e-2c0b-4c3e-9d56-0b7a3a9f5b01").id):
            with pytest.raises(Refused, match="Ask the question anew"):
                hospital.items.ask(about, {"age": 51}, once=once)


def test_what_is_forgotten_while_somebody_reads_is_said_to_be_there_still(hospital: Hospital) -> None:
    ask(hospital)
    store = Store(hospital.home.directory, patience=0.1)
    with store.read() as reading:
        reading.execute("BEGIN")
        reading.execute("SELECT * FROM item").fetchone()
        with pytest.raises(Refused, match=f"^{Reason.CONFLICT}:"):
            Items(store, hospital.config["definition"]).forget(PATIENT)
    Items(store, hospital.config["definition"]).forget(PATIENT)
    assert not [
        file for file in hospital.home.directory.glob("bedside.sqlite3*") if PATIENT.encode() in file.read_bytes()
    ]
