"""The owner describes its model from its own folder; everybody's client verifies what the coordinator hands out."""

import json
from pathlib import Path
from typing import Any

import pytest

from concordat import clock, model_card
from concordat.client import model_cards
from concordat.client.governance import CheckedDefinition
from concordat.model_card import ModelCard
from concordat.reasons import Reason, Refused
from governance.models import ModelCard as Row
from tests.concordat.client.conftest import Run, World, machine

SAID = {"funding": ["The hospital itself."], "updates": ["None so far.", "None is planned."]}


def describe(world: World, agreed: CheckedDefinition, by: str = "cleveland", **said: Any) -> ModelCard:
    return model_cards.describe(world.homes[by], world.api(by), agreed.content["model"], said or SAID)


def fetch(world: World, agreed: CheckedDefinition) -> ModelCard | None:
    api = world.api("long-beach")
    return model_cards.fetch(world.homes["long-beach"], api, agreed.content["model"], owner="cleveland")


def refused(call: Any) -> Reason:
    with pytest.raises(Refused) as caught:
        call()
    return caught.value.reason


def test_it_is_kept_here_and_everybody_reads_the_newest(world: World, agreed: CheckedDefinition) -> None:
    model = agreed.content["model"]
    assert fetch(world, agreed) is None
    first, second = describe(world, agreed), describe(world, agreed, funding=["A state."])
    assert (first["sequence"], second["sequence"]) == (1, 2)
    assert fetch(world, agreed) == second
    folder = model_cards.own(world.homes["cleveland"].directory, model)
    assert sorted(each.name for each in folder.iterdir()) == ["1", "2"]
    (listed,) = world.session("long-beach").get("models")["items"]
    assert listed["card"] == 2


def test_what_is_stated_already_makes_no_new_card(world: World, agreed: CheckedDefinition) -> None:
    assert describe(world, agreed) == describe(world, agreed)
    assert Row.objects.count() == 1


def test_what_the_coordinator_did_not_get_is_sent_by_the_same_command(
    world: World, agreed: CheckedDefinition, monkeypatch: pytest.MonkeyPatch
) -> None:
    home, api, model = world.homes["cleveland"], world.api("cleveland"), agreed.content["model"]

    def lost(*_: Any) -> Any:
        raise Refused(Reason.COORDINATOR_UNAVAILABLE)

    with monkeypatch.context() as away:
        away.setattr(api, "describe_model", lost)
        assert refused(lambda: model_cards.describe(home, api, model, SAID)) is Reason.COORDINATOR_UNAVAILABLE
    assert not Row.objects.exists()
    model_cards.describe(home, api, model, SAID)
    assert Row.objects.get().statement == (model_cards.own(home.directory, model) / "1").read_text()


def test_after_one_from_another_machine_the_number_goes_on(world: World, agreed: CheckedDefinition) -> None:
    home, model = world.homes["cleveland"], agreed.content["model"]
    elsewhere = {"model": model, "institution": "cleveland", "time": clock.now(), "key": home.keys.identity}
    token = model_card.describe(sequence=7, attributes={"funding": ["A state."]}, **elsewhere)
    world.api("cleveland").describe_model(model, token)
    assert describe(world, agreed)["sequence"] == 8


def test_another_s_model_is_not_described(world: World, agreed: CheckedDefinition) -> None:
    assert refused(lambda: describe(world, agreed, by="long-beach")) is Reason.WRONG_INSTITUTION
    assert not (world.homes["long-beach"].directory / "described").exists()


def test_a_card_that_the_owner_did_not_sign_is_not_believed(
    world: World, agreed: CheckedDefinition, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, home, api = agreed.content["model"], world.homes["long-beach"], world.api("long-beach")
    key = world.homes["zurich"].keys.identity
    said = {"model": model, "institution": "cleveland", "sequence": 1, "attributes": SAID, "time": clock.now()}
    forged = model_card.describe(**said, key=key)
    monkeypatch.setattr(api, "card", lambda _: {"sequence": 1, "statement": forged})
    assert refused(lambda: model_cards.fetch(home, api, model, owner="cleveland")) is Reason.KEY_UNKNOWN


def test_by_hand(world: World, agreed: CheckedDefinition, run: Run, tmp_path: Path) -> None:
    model, file = agreed.content["model"], tmp_path / "card.json"
    assert "signed no card" in run("model", "card", model).output
    asked = run("model", "card", "--template", home="cleveland", output="json")
    empty = json.loads(asked.output)
    assert empty == model_card.template()
    file.write_text(json.dumps(empty | SAID))
    command = ["model", "describe", model, file]
    shown = run(*command, home="cleveland")
    assert shown.exit_code == 1  # nobody says yes
    assert "Stated: Funding, Updates." in shown.output
    assert "Validity in test data" in shown.output.replace("\n", " ")
    assert not Row.objects.exists()
    assert machine(run(*command, "--yes", home="cleveland", output="json"))["card"]["attributes"] == SAID
    told = run("model", "card", model).output
    assert ": the latest, as far as the coordinator says\n" in told
    assert "None is planned." in told
    assert "Not stated: " in told
    assert machine(run("model", "card", model, output="json"))["card"]["sequence"] == 1
    for content, reason in (
        (SAID | {"fundin": ["x"]}, "field-unknown"),
        ({"fundin": ["x"]}, "file-unreadable"),
        (empty, "field-missing"),
        ([], "malformed"),
    ):
        file.write_text(json.dumps(content))
        wrong = run(*command, "--yes", home="cleveland")
        assert (wrong.exit_code, f"[{reason}]" in wrong.output) == (1, True)
    assert run("model", "card").exit_code == 2
