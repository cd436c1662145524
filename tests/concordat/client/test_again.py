"""Questions about a record that was predicted before."""

from dataclasses import replace

import numpy as np
import pytest

from concordat.client import again, consents, predict
from concordat.client.governance import CheckedDefinition
from concordat.definition import OPENED
from concordat.model import forward
from concordat.reasons import Reason, Refused
from concordat.request import peek_request
from ledger.services.publish import publish
from tests.concordat.client.conftest import PERSON, PURPOSE, VALUES, World


@pytest.fixture
def curious(world: World) -> CheckedDefinition:
    """A definition that allows two what-ifs with a record."""
    return world.agree(what_ifs=2, opened=[*OPENED["explain"], "what_ifs"])


@pytest.fixture
def asked(world: World, curious: CheckedDefinition) -> predict.Work:
    home = world.homes["long-beach"]
    return predict.prepare(home, curious, VALUES, purpose=PURPOSE, person=PERSON, consent=world.consent())


def test_it_is_a_request_of_its_own_on_the_same_grounds(world: World, curious: CheckedDefinition, asked: predict.Work):
    question = again.what_if(world.homes["long-beach"], curious, asked, [{"trestbps": 120.0}])
    before, after = (peek_request(work.content["token"]) for work in (asked, question))
    for name in ("person", "purpose", "subject", "basis", "urgency", "definition"):
        assert after[name] == before[name]  # type: ignore[literal-required]
    assert question.request != asked.request
    assert (question.content["values"], question.content["what_ifs"]) == (VALUES, [{"trestbps": 120.0}])


def test_its_answer_is_the_model_s(world: World, curious: CheckedDefinition, asked: predict.Work):
    home, api = world.homes["long-beach"], world.api("long-beach")
    question = again.what_if(home, curious, asked, [{"trestbps": 120.0}])
    predict.submit(question, api)
    world.compute(curious)
    publish()
    opened = predict.open_result(home, api, question)
    changed = curious.schema.encode_row({**VALUES, "trestbps": 120.0}).vector
    log_odds = forward("mlp", world.tensors, changed[None])[0]
    assert opened.what_ifs[0].probability == pytest.approx(1 / (1 + np.exp(-float(log_odds))), abs=1e-3)


def test_after_a_withdrawal_it_is_refused(world: World, curious: CheckedDefinition, asked: predict.Work):
    home, api = world.homes["long-beach"], world.api("long-beach")
    question = again.what_if(home, curious, asked, [{"trestbps": 120.0}])
    (consent,) = {path.stem for path in home.consents.iterdir()}
    consents.withdraw(home, api, consent)
    assert predict.submit(question, api)["reason"] == Reason.CONSENT_WITHDRAWN


@pytest.mark.parametrize(
    ("changes", "field"), [([], "what_ifs"), ([{"trestbps": 120.0}] * 3, "what_ifs"), ([{"trestbps": 1e6}], "trestbps")]
)
def test_what_cannot_be_asked_is_refused_by_name(
    world: World, curious: CheckedDefinition, asked: predict.Work, changes: list, field: str
):
    with pytest.raises(Refused) as refused:
        again.what_if(world.homes["long-beach"], curious, asked, changes)
    assert refused.value.field == field


def test_another_definition_s_request_is_no_ground(world: World, curious: CheckedDefinition, asked: predict.Work):
    other = replace(curious, digest="sha256:" + "0" * 64)
    with pytest.raises(Refused, match="another definition"):
        again.what_if(world.homes["long-beach"], other, asked, [{"trestbps": 120.0}])
