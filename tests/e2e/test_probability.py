"""A forest answers with a probability, and so it is explained: from scikit-learn to a verified dossier, by real
processes in the consortium of the main job."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from sklearn.ensemble import RandomForestClassifier

from concordat import canonical
from concordat.client import governance, predict
from concordat.client.follow import once_there
from concordat.importers import from_sklearn
from concordat.reasons import Reason, Refused
from config.demo import review
from config.demo.consortium import CLEVELAND, HOSPITALS, LONG_BEACH, NODES
from config.demo.reference import Reference, explain
from config.demo.story import ANCHOR_SECONDS, Story
from config.demo.training import Trained, encode, labels, read_rows
from config.demo.world import write_policy
from tests.e2e.conftest import Demo
from tests.support.needles import files, leaks

pytestmark = [pytest.mark.demo, pytest.mark.xdist_group("demo"), pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def forest(demo: Demo) -> Iterator[Story]:
    """The stages once more, with another model in the same study; the result is opened."""
    story = Story(demo.world, demo.story.screen)
    rows = read_rows(demo.world.folder(CLEVELAND) / "data.csv")
    estimator = RandomForestClassifier(20, max_depth=3, random_state=0).fit(encode(rows, story.schema), labels(rows))
    imported = from_sklearn(estimator)
    story.trained["forest"] = Trained(imported.kind, estimator, dict(imported.tensors))
    story.publish(story.trained["forest"])
    story.definition = story._register("forest", disclosure="none", target="probability")
    story.seal_canaries("forest", "probability")
    allowed = {"definitions": [demo.story.definition, story.definition]}
    for member in NODES:
        write_policy(demo.world, member, {**story._policy(), **allowed})
    story._vote(HOSPITALS)
    story.give_consent()

    home, api = demo.world.home(LONG_BEACH), demo.world.api(LONG_BEACH)
    story.work = story.prepare()
    predict.submit(story.work, api)
    predict.wait(story.work, api, seconds=90)
    story.opened = once_there(partial(predict.open_result, home, api, story.work), seconds=ANCHOR_SECONDS)
    predict.show(home, api, story.work, story.opened, viewer="clinician", decision="shown")
    story.secrets.add_record(story.schema, story.work)
    story.secrets.add_result(story.opened.explanation)
    yield story
    for member in NODES:
        write_policy(demo.world, member, demo.story._policy())


@pytest.fixture(scope="module")
def plain(demo: Demo, forest: Story) -> Reference:
    checked = governance.fetch_definition(demo.world.home(LONG_BEACH), demo.world.api(LONG_BEACH), forest.definition)
    record = forest.schema.encode_row(forest.work.content["values"])  # type: ignore[union-attr]
    return explain(forest.trained["forest"], checked.design, record.vector, "probability")


def test_a_forest_has_no_definition_in_log_odds(forest: Story) -> None:
    with pytest.raises(Refused) as caught:
        forest._register("forest", disclosure="none", target="log-odds")
    assert (caught.value.reason, caught.value.field) == (Reason.FIELD_INVALID, "target")


def test_prediction_and_explanation_are_those_of_the_plaintext(forest: Story, plain: Reference) -> None:
    found = forest.opened.explanation  # type: ignore[union-attr]
    assert (found.target, found.log_odds) == ("probability", None)
    assert found.prediction == pytest.approx(plain.probability, abs=2e-5)
    by_group = {factor.group: factor.coefficient for factor in found.factors}
    coefficients = [by_group[group] for group in forest.schema.groups]
    assert np.abs(plain.coefficients).max() > 0.05
    assert coefficients == pytest.approx(plain.coefficients.tolist(), abs=1e-5)
    assert found.intercept == pytest.approx(plain.intercept, abs=2e-5)
    assert found.r_squared == pytest.approx(plain.r_squared, abs=1e-3)


def test_it_is_shown_in_percentage_points(forest: Story) -> None:
    opened = forest.opened
    assert opened is not None
    assert f"Predicted probability  {opened.explanation.prediction:.1%}\n" in opened.text
    assert " points [" in opened.text
    assert "log-odds" not in opened.text
    strongest = opened.explanation.factors[0]
    assert f"by {100 * abs(strongest.coefficient):.1f} percentage points" in strongest.sentence


def test_its_dossier_is_verified_and_says_the_same(demo: Demo, forest: Story, tmp_path: Path) -> None:
    forest.anchor()
    assert forest.work is not None
    assert forest.opened is not None
    bundle, disclosure, page = (tmp_path / name for name in ("dossier.zip", "disclosure.json", "dossier.html"))
    bundle.write_bytes(demo.world.api(LONG_BEACH).dossier(forest.report.record))
    disclosure.write_bytes(canonical.encode(predict.disclose(forest.work)))
    answer = review.verify(demo.world.stack, bundle, disclosure=disclosure, html=page)
    assert answer["holds"] is True
    assert {check["name"]: check["status"] for check in answer["checks"]}["disclosure"] == "passed"
    assert (answer["story"]["computed"]["kind"], answer["story"]["computed"]["target"]) == ("forest", "probability")
    shown, told = forest.opened.explanation.to_json(), answer["story"]["result"]
    for name in ("target", "prediction", "log_odds", "probability", "intercept", "adjusted_r_squared", "reliable"):
        assert told[name] == shown[name]
    ends = ("coefficient", "low", "high")
    assert [[each[name] for name in ends] for each in told["factors"]] == [
        [each[name] for name in ends] for each in shown["factors"]
    ]
    assert all(float(each["low"]) <= float(each["coefficient"]) <= float(each["high"]) for each in shown["factors"])
    assert "95% interval" in page.read_text()
    assert "Factors, in probability (0.01 is a percentage point)" in page.read_text()


def test_nothing_secret_of_it_stands_where_it_must_not(demo: Demo, forest: Story) -> None:
    """Of the parameters a sample; those of few digits or few bits, such as a leaf of 0.8125, stand anywhere."""
    tensors = forest.trained["forest"].tensors
    parameters = [float(each) for name in ("thresholds", "leaves") for each in np.ravel(tensors[name])]
    own = [each for each in parameters if round(each, 3) != each and each * 2**16 % 1]
    secret = [own[::4], forest.secrets.record, forest.secrets.result]
    assert len(own[::4]) > 20
    assert leaks(secret, [("shown", forest.opened.text.encode() + repr(forest.secrets.result).encode())])  # type: ignore[union-attr]
    places = [("the broker's traffic", "\n".join(demo.traffic).encode())]
    places += [*files(demo.state / "coordinator"), *files(demo.world.stack.logs)]
    for member in NODES:
        places += files(demo.world.folder(member))
    assert leaks(secret, places) == []
