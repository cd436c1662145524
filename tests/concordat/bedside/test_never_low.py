"""Pending, late, down, failed, out of date, of an earlier model, taken back, ended: on card and page none of them looks
like a low risk, whatever the threshold; and of none of them a receipt says that anything was shown."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from concordat import clock
from concordat.bedside import cards
from concordat.bedside.item import Item
from concordat.bedside.receipts import Receipts
from concordat.reasons import Reason
from tests.concordat.bedside.conftest import Hospital, limit
from tests.concordat.bedside.test_pages import reader
from tests.support.bedside import PATIENT, running

Way = Callable[[Hospital], Item]


def pending(hospital: Hospital) -> Item:
    item = hospital.enqueue()
    hospital.worker().round()
    return item


def late(hospital: Hospital) -> Item:
    item = pending(hospital)
    asked = clock.rfc3339(clock.now() - timedelta(minutes=31))
    with hospital.store.write() as db:
        db.execute("UPDATE item SET asked = ? WHERE id = ?", (asked, item.id))
    return item


def down(hospital: Hospital) -> Item:
    return hospital.enqueue()


def silent(hospital: Hospital) -> Item:
    """The worker was at work, and stopped."""
    item = pending(hospital)
    before = clock.rfc3339(clock.now() - timedelta(minutes=3))
    with hospital.store.write() as db:
        db.execute("UPDATE document SET content = ? WHERE name = 'worker'", (before,))
    return item


def failed(hospital: Hospital) -> Item:
    item = hospital.enqueue()
    hospital.items.failed(item, Reason.NODE_SILENT)
    return item


def stale(hospital: Hospital) -> Item:
    return hospital.opened(hours=25)


def outlived(hospital: Hospital) -> Item:
    """Current by the hospital's hours, and not by the model's feature schema."""
    item = hospital.opened(hours=3)
    limit(hospital, "trestbps", "PT2H")
    return item


def future(hospital: Hospital) -> Item:
    return hospital.opened(hours=-48)


def superseded(hospital: Hospital) -> Item:
    item = hospital.opened()
    hospital.config = hospital.config | {"definition": "sha256:" + "0" * 64}  # type: ignore[typeddict-item]
    return item


def retracted(hospital: Hospital) -> Item:
    item = hospital.opened()
    hospital.items.retract(patient=PATIENT, why="wrong-patient")
    return item


def ended(hospital: Hospital) -> Item:
    item = hospital.opened()
    hospital.items.end("consent-withdrawn")
    return item


WAYS: dict[str, Way] = {
    "being computed": pending,
    "LATE": late,
    "the service is down": down,
    "NOT AVAILABLE, the service is down": silent,
    "the computation failed": failed,
    "OUT OF DATE": stale,
    "OUT OF DATE, ask again": future,
    "OUT OF DATE, ask": outlived,
    "of an earlier model": superseded,
    "retracted, do not use it": retracted,
    "no longer to be used": ended,
}


def lower(config: Any, threshold: str) -> Any:
    return config | {"threshold": threshold}


@pytest.mark.parametrize(("words", "way"), WAYS.items(), ids=lambda each: getattr(each, "__name__", "-"))
def test_on_card_and_page_alike(hospital: Hospital, words: str, way: Way) -> None:
    item = way(hospital)
    for threshold in ("0", "1"):
        with running(lower(hospital.config, threshold), hospital.home) as there:
            (card,) = there.cards()
            own = reader(there)
            page = own.page()
            assert own.http.get(f"{own.path}/patient").status_code == 409
            decided = own.http.post(f"{own.path}/decision", data={"decision": "accepted"})
        assert words in card["summary"]
        assert len(card["summary"]) < 140
        assert cards.NOT_A_RISK in card["detail"]
        assert "suggestions" not in card
        assert words[0].upper() + words[1:] in page or words in page
        assert "This says nothing about the patient's risk: it is neither low nor high" in page
        assert "<button" not in page
        assert "<article" not in page
        assert not decided.is_success
        for text in (card["summary"] + card["detail"], page):
            for number in ("%", "R²", "out of 100", "low risk"):
                assert number not in text
    assert not [each for each in Receipts(hospital.store).of(item) if each.decision in ("shown", "suppressed")]


def test_a_page_whose_store_somebody_else_writes_to_says_no_and_shows_nothing(hospital: Hospital) -> None:
    hospital.opened()
    with running(hospital.config, hospital.home) as there:
        own = reader(there)
        with hospital.store.write():
            answer = own.http.get(own.path)
    assert answer.status_code == 500
    assert "Not possible" in answer.text
    assert "%" not in answer.text


def test_a_page_before_the_definition_is_known_here_says_no_and_shows_nothing(hospital: Hospital) -> None:
    hospital.opened()
    with hospital.store.write() as db:
        db.execute("DELETE FROM document WHERE name = 'documents'")
    with running(hospital.config, hospital.home) as there:
        own = reader(there)
        answer = own.http.get(own.path)
    assert answer.status_code == 409
    assert "%" not in answer.text
