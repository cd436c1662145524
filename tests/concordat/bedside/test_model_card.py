"""What the model's owner states is shown at the bedside as it was verified there; what was not is called so."""

from datetime import timedelta
from html import unescape
from typing import Any

import pytest

from concordat import clock, model_card
from concordat.bedside import documents, limits
from concordat.client import model_cards
from concordat.client.api import Api
from concordat.reasons import Reason, Refused
from tests.concordat.bedside.conftest import Hospital
from tests.concordat.bedside.test_pages import reader
from tests.support.bedside import Running

SAID = {"funding": ["A state, & p < 0.05.", "A firm."], "out_of_scope": ["Children."]}


def describe(hospital: Hospital, **said: Any) -> None:
    world, model = hospital.world, hospital.definition.content["model"]
    model_cards.describe(world.homes["cleveland"], world.api("cleveland"), model, said or SAID)


def looked(hospital: Hospital) -> documents.Documents:
    """What is kept after a worker that has just begun has looked."""
    hospital.worker().round()
    found = documents.kept(hospital.store, hospital.definition.digest)
    assert found is not None
    return found


def handed_out(monkeypatch: pytest.MonkeyPatch, statement: str) -> None:
    monkeypatch.setattr(Api, "card", lambda *_: {"sequence": 9, "statement": statement})


def refuse(reason: Reason) -> Any:
    def call(*_: Any) -> Any:
        raise Refused(reason)

    return call


def test_the_page_has_the_owner_s_words_and_then_those_of_a_newer_card(hospital: Hospital, shown: Running) -> None:
    hospital.opened()
    page = reader(shown).page()
    assert "Cleveland, the model's owner, signed no model card." in unescape(page)
    describe(hospital)
    looked(hospital)
    page = reader(shown).page()
    assert "signed its model card 1 on" in page
    assert "<p>A state, &amp; p &lt; 0.05.</p>\n<p>A firm.</p>" in page
    assert "<p>Children.</p>" in page
    assert "Not stated." in page
    describe(hospital, funding=["Nobody."])
    looked(hospital)
    page = reader(shown).page()
    assert "signed its model card 2 on" in page
    assert "<p>Nobody.</p>" in page
    assert "A firm." not in page


def test_the_patient_is_told_that_the_maker_states_something(hospital: Hospital, shown: Running) -> None:
    hospital.opened()
    assert "the maker of the program" not in reader(shown).page("/patient")
    describe(hospital)
    looked(hospital)
    assert "What the maker of the program, Cleveland, states of it" in reader(shown).page("/patient")


def test_a_card_that_its_owner_did_not_sign_is_not_shown_and_not_called_not_stated(
    hospital: Hospital, shown: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = {"model": hospital.definition.content["model"], "institution": "cleveland", "time": clock.now()}
    key = hospital.world.homes["zurich"].keys.identity
    handed_out(monkeypatch, model_card.describe(**said, sequence=1, attributes=SAID, key=key))
    hospital.opened()
    page = unescape(reader(shown).page())
    assert "The owner's model card could not be verified: " in page
    assert "What it states is not shown." in page
    assert limits.NOT_KNOWN in page
    assert "A firm." not in page
    assert "signed no model card" not in page


@pytest.mark.parametrize("reason", [Reason.COORDINATOR_UNAVAILABLE, Reason.NOT_FOUND])
def test_a_card_that_could_not_be_fetched_keeps_no_result_back_and_is_looked_for_again_soon(
    hospital: Hospital, shown: Running, monkeypatch: pytest.MonkeyPatch, reason: Reason
) -> None:
    describe(hospital)
    worker = hospital.worker()
    with monkeypatch.context() as away:
        away.setattr(Api, "card", refuse(reason))
        worker.round()
        hospital.opened()
        assert "model card could not be fetched: " in unescape(reader(shown).page())
    now = clock.now()
    monkeypatch.setattr(clock, "now", lambda: now + timedelta(minutes=2))
    worker.round()
    assert "<p>A firm.</p>" in reader(shown).page()


@pytest.mark.parametrize("older", [True, False])
def test_an_older_card_or_none_never_takes_the_place_of_a_newer_one(
    hospital: Hospital, shown: Running, monkeypatch: pytest.MonkeyPatch, older: bool
) -> None:
    describe(hospital)
    first = hospital.world.api("long-beach").card(hospital.definition.content["model"])["statement"]
    describe(hospital, funding=["Nobody."])
    hospital.opened()
    handed_out(monkeypatch, first if older else "")
    found = looked(hospital)
    assert found.card is not None
    assert found.card["sequence"] == 2
    page = unescape(reader(shown).page())
    assert "The one that was verified here last is shown." in page
    assert f"hands out {'card 1' if older else 'none'}, and handed out card 2 before" in page
    assert "<p>Nobody.</p>" in page


def test_a_store_from_before_cards_is_read(hospital: Hospital) -> None:
    looked(hospital)
    with hospital.store.write() as db:
        db.execute(
            "UPDATE document SET content = json_remove(content, '$.card', '$.card_doubt') WHERE name = 'documents'"
        )
    found = documents.kept(hospital.store, hospital.definition.digest)
    assert found is not None
    assert (found.card, found.card_doubt) == (None, "")
