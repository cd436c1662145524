"""The owner recalls its model from its own folder; everybody's client verifies what the coordinator says of it."""

from pathlib import Path
from typing import Any

import pytest

from concordat import clock
from concordat.client import governance, predict, recalls
from concordat.client.governance import CheckedDefinition
from concordat.reasons import Reason, Refused
from concordat.recall import CLASSES, WHY, Recall
from concordat.recall import recall as sign
from concordat.signatures import peek
from governance.models import ModelRecall
from tests.concordat.client.conftest import PERSON, PURPOSE, VALUES, Run, World, machine

SAID: dict[str, Any] = {"reason": "bias-found", "classification": "II", "advice": "Do not use it for people over 75."}


def recall(world: World, agreed: CheckedDefinition, by: str = "cleveland", **changes: Any) -> Recall:
    return recalls.recall(world.homes[by], world.api(by), agreed.content["model"], **SAID | changes)


def refused(call: Any) -> Reason:
    with pytest.raises(Refused) as caught:
        call()
    return caught.value.reason


def test_it_is_kept_here_and_shown_to_everybody_with_what_the_owner_said(
    world: World, agreed: CheckedDefinition
) -> None:
    model, home, api = agreed.content["model"], world.homes["long-beach"], world.api("long-beach")
    assert recalls.fetch_model(home, api, model).recall is None
    said = recall(world, agreed)
    assert recalls.own(world.homes["cleveland"].directory, model).exists()
    assert recalls.fetch_model(home, api, model).recall == said
    assert governance.fetch_definition(home, api, agreed.digest).recall == said
    (listed,) = world.session("long-beach").get("models")["items"]
    shown = listed["recall"]
    assert {name: shown[name] for name in SAID} == SAID
    assert peek(shown["statement"])[1] == said


def test_nothing_is_prepared_or_approved_with_it_any_more(world: World, agreed: CheckedDefinition) -> None:
    recall(world, agreed)
    home, api = world.homes["long-beach"], world.api("long-beach")
    definition = governance.fetch_definition(home, api, agreed.digest)
    asked = {"purpose": PURPOSE, "person": PERSON, "consent": world.consent()}
    assert refused(lambda: predict.prepare(home, definition, VALUES, **asked)) is Reason.MODEL_RECALLED
    assert refused(lambda: governance.vote(home, api, agreed.digest, approve=True)) is Reason.MODEL_RECALLED
    assert governance.vote(home, api, agreed.digest, approve=False)


def test_given_twice_it_is_the_same_statement_and_other_words_are_refused(
    world: World, agreed: CheckedDefinition
) -> None:
    assert recall(world, agreed) == recall(world, agreed)
    assert refused(lambda: recall(world, agreed, classification="I")) is Reason.CONFLICT
    assert ModelRecall.objects.get().classification == "II"


def test_what_the_coordinator_did_not_get_is_sent_by_the_same_command(
    world: World, agreed: CheckedDefinition, monkeypatch: pytest.MonkeyPatch
) -> None:
    api = world.api("cleveland")

    def lost(*_: Any) -> Any:
        raise Refused(Reason.COORDINATOR_UNAVAILABLE)

    home, model = world.homes["cleveland"], agreed.content["model"]
    with monkeypatch.context() as away:
        away.setattr(api, "recall_model", lost)
        assert refused(lambda: recalls.recall(home, api, model, **SAID)) is Reason.COORDINATOR_UNAVAILABLE
    assert not ModelRecall.objects.exists()
    recalls.recall(home, api, model, **SAID)
    assert ModelRecall.objects.get().statement == recalls.own(home.directory, model).read_text()


def test_another_s_model_is_not_recalled_and_our_node_is_told_nothing(world: World, agreed: CheckedDefinition) -> None:
    assert refused(lambda: recall(world, agreed, by="long-beach")) is Reason.WRONG_INSTITUTION
    assert not (world.homes["long-beach"].directory / "recalled").exists()


def test_a_recall_that_the_owner_did_not_sign_is_not_believed(world: World, agreed: CheckedDefinition) -> None:
    model, home = agreed.content["model"], world.homes["long-beach"]
    key = world.homes["zurich"].keys.identity
    forged = sign(model=model, institution="cleveland", **SAID, time=clock.now(), key=key)
    check = recalls.check
    assert refused(lambda: check(home, {"statement": forged}, model=model, owner="cleveland")) is Reason.KEY_UNKNOWN


def test_by_hand(world: World, agreed: CheckedDefinition, run: Run, tmp_path: Path) -> None:
    model, advice = agreed.content["model"], tmp_path / "advice.txt"
    advice.write_text(SAID["advice"] + "\n")
    command = ["model", "recall", model, "--reason", "bias-found", "--class", "II", "--advice", advice]
    asked = run(*command, home="cleveland")
    assert asked.exit_code == 1  # nobody says yes
    for said in ("heart 1 of cleveland", WHY["bias-found"], CLASSES["II"], SAID["advice"], agreed.digest):
        assert said in asked.stderr.split("Recall it?")[0].replace("\n", " ")
    assert "cleveland owns this model" in run(*command).output
    assert not ModelRecall.objects.exists()
    done = machine(run(*command, "--yes", home="cleveland", output="json"))
    assert done["recall"]["advice"] == SAID["advice"]
    shown = run("model", "show", model)
    assert "heart 1" in shown.output
    assert f"The owner's advice: {SAID['advice']}" in shown.output
    assert "Do not use it for people over 75." in run("definition", "show", agreed.digest).output.replace("\n", "")
    for content, reason in ((b"Other words.", "conflict"), (b"\xff", "field-invalid")):
        advice.write_bytes(content)
        again = run(*command, "--yes", home="cleveland")
        assert (again.exit_code, f"[{reason}]" in again.output) == (1, True)
