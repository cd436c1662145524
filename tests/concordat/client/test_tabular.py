"""An explanation with LIME's own tabular sampler from the training data to the verified disclosure.

Coordinator, clients, seals and commitments are real, and so is the protocol that the parties run on their shares, in
lock-step in this process.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pytest
from sklearn.linear_model import Ridge

from compute.engine.execution import prepare
from compute.models import Job
from compute.node.engine_job import party_part
from concordat import canonical, design, model, ring, what_if
from concordat.canonical import unb64
from concordat.client import canaries, predict
from concordat.client.api import Api
from concordat.client.governance import CheckedDefinition
from concordat.client.home import ClientHome
from concordat.client.work import Work
from concordat.definition import opens
from concordat.fields import read
from concordat.reasons import Reason, Refused
from concordat.request import peek_request
from concordat.ring import Ring
from concordat.verifier.disclosure import Disclosure, open_record
from tests.concordat.client.conftest import PARTIES, PERSON, PURPOSE, RECORD, World
from tests.support.parties import together
from tests.support.tabular import document, encoded, lime, table

VALUES = {**RECORD, "age": 63, "chol": 310, "cp": "non-anginal"}


@pytest.fixture
def tabular(world: World) -> CheckedDefinition:
    return world.agree(plan=document(samples=120), opened=opens("explain", mirrored=False, what_ifs=1), what_ifs=1)


@pytest.fixture
def home(world: World) -> ClientHome:
    return world.homes["long-beach"]


@pytest.fixture
def api(world: World) -> Api:
    return world.api("long-beach")


@pytest.fixture
def work(world: World, tabular: CheckedDefinition, home: ClientHome) -> Work:
    questions = [what_if.parse("chol-=100", tabular.schema, VALUES)]
    return predict.prepare(
        home, tabular, VALUES, purpose=PURPOSE, person=PERSON, consent=world.consent(), what_ifs=questions
    )


def engine(world: World, tabular: CheckedDefinition) -> Any:
    """What a job's engines compute of one record, from what each node is given."""

    def compute(documents: Mapping[str, Mapping[str, Any]], shares: Sequence[Ring]) -> tuple[Ring, Ring]:
        starts: list[Any] = []
        for party, share in zip(PARTIES, shares, strict=True):
            given, key = documents[party], world.homes[party].keys.sealing
            tensors = model.open_share(given["model_share"], tabular.manifest, party, key)
            part = party_part(
                tabular.manifest,
                tabular.content,
                design=given["design"],
                schema=given["schema"],
                weights=b"".join(ring.to_bytes(tensors[each["name"]]) for each in tabular.manifest["tensors"]),
                records=[ring.to_bytes(share)],
            )
            starts += prepare(part)  # type: ignore[arg-type]
        results = together(lambda party: starts[party.rank](party)).results
        assert all(found["outside"] == 0 for found in results)
        prediction, explanation = (
            ring.combine([getattr(found["explained"], part).numpy() for found in results])
            for part in ("prediction", "explanation")
        )
        return prediction, explanation

    return compute


@pytest.fixture
def finished(world: World, tabular: CheckedDefinition, api: Api, work: Work) -> Work:
    predict.submit(work, api)
    world.compute(tabular, engine=engine(world, tabular))
    return work


def test_what_is_opened_is_what_lime_says(
    world: World, tabular: CheckedDefinition, home: ClientHome, api: Api, finished: Work
) -> None:
    """Of the same model in the clear; a canary went with it and came back right."""
    opened = predict.open_result(home, api, finished)
    codes = design.training.codes(tabular.schema, tabular.schema.encode_row(VALUES).vector)
    found = lime(table()).explain_instance(
        codes,
        lambda rows: model.forward("mlp", world.tensors, encoded(rows)),
        num_features=len(codes),
        num_samples=120,
        model_regressor=Ridge(alpha=1.0),
    )
    names = [each.name for each in tabular.schema.features]
    expected = {names[place]: value for place, value in found.local_exp[1]}
    factors = {factor.group: factor for factor in opened.explanation.factors}
    assert {name: factor.coefficient for name, factor in factors.items()} == pytest.approx(expected, abs=1e-3)
    assert opened.explanation.r_squared == pytest.approx(found.score, abs=2e-3)
    assert opened.explanation.prediction == pytest.approx(found.predicted_value, abs=1e-3)
    assert "compared with values that are not above" in factors["age"].sentence
    assert opened.explanation.to_json()["method"] == "lime tabular (quartiles)"
    lower = tabular.schema.encode_row({**VALUES, "chol": 210}).vector
    log_odds = model.forward("mlp", world.tensors, lower[None])[0]
    assert opened.what_ifs[0].probability == pytest.approx(1 / (1 + np.exp(-log_odds)), abs=1e-3)

    extraction, plan = tabular.content["extraction"], tabular.design
    assert extraction is not None
    assert "other linear functions" in extraction["statement"]
    for openings in finished.content["openings"]:  # a canary has as many numbers as the record
        assert {len(unb64(each["share"])) for each in openings.values()} == {8 * (2 * len(plan.columns) + plan.secrets)}

    record = disclosed(tabular, finished)  # with it, a reviewer has seen that the operator was the design's
    np.testing.assert_allclose(record, tabular.schema.encode_row(VALUES).vector, atol=1e-4)  # type: ignore[arg-type]


def disclosed(tabular: CheckedDefinition, work: Work) -> np.ndarray | None:
    disclosure = read(predict.disclose(work, with_record=True), Disclosure)
    return open_record(disclosure, peek_request(work.content["token"]), tabular.content, tabular.design)


def test_a_canary_whose_result_was_changed_raises_the_alarm(
    world: World, tabular: CheckedDefinition, home: ClientHome, api: Api, work: Work
) -> None:
    own = work.content["place"]
    predict.submit(work, api)
    world.compute(
        tabular,
        engine=engine(world, tabular),
        spoil=lambda explanation, place: explanation + np.int64((place != own) << 18),
    )
    with pytest.raises(Refused) as caught:
        predict.open_result(home, api, work)
    assert caught.value.reason is Reason.CANARY_FAILED
    assert Job.objects.get().state == "withheld"


def test_a_requester_that_made_its_explanation_up_is_found_out(
    world: World, tabular: CheckedDefinition, home: ClientHome, api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It shares an operator without the row of the first feature, so that age never matters. Nodes cannot tell."""
    genuine = canaries._batch

    def flattering(*arguments: Any) -> canaries.Batch:
        batch = genuine(*arguments)
        batch.secrets[batch.place][: tabular.design.n] = 0
        return batch

    monkeypatch.setattr(canaries, "_batch", flattering)
    work = predict.prepare(home, tabular, VALUES, purpose=PURPOSE, person=PERSON, consent=world.consent())
    predict.submit(work, api)
    world.compute(tabular, engine=engine(world, tabular))
    (age,) = [each for each in predict.open_result(home, api, work).explanation.factors if each.group == "age"]
    assert age.coefficient == pytest.approx(0, abs=1e-4)
    with pytest.raises(Refused) as caught:
        disclosed(tabular, work)
    assert caught.value.reason is Reason.OPERATOR_FALSE


def test_a_design_for_another_schema_or_another_seed_is_not_registered(world: World) -> None:
    altered = canonical.decode(canonical.encode(document(samples=120)))
    assert isinstance(altered, dict)
    with pytest.raises(Refused) as caught:
        world.agree(plan={**altered, "seed": "4"})
    assert (caught.value.reason, caught.value.field) == (Reason.FIELD_INVALID, "bins")
