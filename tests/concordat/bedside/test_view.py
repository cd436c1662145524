"""What of an explanation is shown, in which order, and drawn how."""

import json
import xml.etree.ElementTree as ElementTree
from typing import Any

import pytest

from concordat.bedside import cards, chart, limits, view
from concordat.bedside.config import Config
from concordat.bedside.documents import Documents
from concordat.canonical import digest
from concordat.schema import FeatureSchema
from tests.concordat.bedside.conftest import Hospital
from tests.concordat.client.conftest import FOLDER

DOCUMENT = json.loads((FOLDER / "schema.json").read_text())


def schema(**relevance: str) -> FeatureSchema:
    features = [
        {**each, **({"relevance": relevance[each["name"]]} if each["name"] in relevance else {})}
        for each in DOCUMENT["features"]
    ]
    return FeatureSchema.from_json(DOCUMENT | {"features": features})


def factor(group: str, coefficient: float, **changes: Any) -> dict[str, Any]:
    return {
        "group": group,
        "label": group.title(),
        "value": "1",
        "coefficient": f"{coefficient:.4f}",
        "low": f"{coefficient - 0.1:.4f}",
        "high": f"{coefficient + 0.1:.4f}",
        "direction": "raises" if coefficient > 0 else "lowers",
        "imputed": False,
        "sentence": f"{group} does something.",
    } | changes


def told(*factors: dict[str, Any], target: str = "log-odds") -> dict[str, Any]:
    return {"target": target, "factors": list(factors)}


def test_at_most_five_the_strongest_first() -> None:
    names = [each["name"] for each in DOCUMENT["features"]][:7]
    all_of_them = told(*(factor(name, (-1) ** place * 0.1 * place) for place, name in enumerate(names)))
    assert [each.label for each in view.factors(all_of_them, schema())] == [name.title() for name in names[:1:-1]]


def test_where_two_effects_are_written_the_same_what_can_be_changed_comes_first() -> None:
    relevant = schema(chol="modifiable", age="context", exang="actionable")
    same = told(
        factor("age", 0.304), factor("fbs", 0.303), factor("exang", -0.302), factor("chol", 0.301), factor("cp", 0.31)
    )
    assert [each.label for each in view.factors(same, relevant)] == ["Cp", "Chol", "Exang", "Age", "Fbs"]
    assert [each.relevant for each in view.factors(same, relevant)] == [
        *("not stated", "can be changed", "can be acted on", "cannot be changed", "not stated")
    ]


def test_a_schema_that_says_nothing_of_relevance_keeps_its_digest() -> None:
    assert schema().digest == digest(DOCUMENT)
    assert schema(chol="modifiable").digest != digest(DOCUMENT)


@pytest.mark.parametrize(
    ("probability", "people", "percent"),
    [
        ("0.004", "fewer than 1", "0.4 %"),
        ("0.0004", "fewer than 1", "< 0.1 %"),
        ("0", "fewer than 1", "0.0 %"),
        ("0.124", "12", "12.4 %"),
        ("0.997", "more than 99", "99.7 %"),
        ("0.99951", "more than 99", "> 99.9 %"),
    ],
)
def test_nobody_and_everybody_are_never_said_of_what_is_only_next_to_it(
    probability: str, people: str, percent: str
) -> None:
    assert view.of_a_hundred(probability) == people
    assert cards.percent(probability) == percent


def test_effects_in_probability_are_percentage_points() -> None:
    (shown,) = view.factors(told(factor("age", 0.0421), target="probability"), schema())
    assert (shown.size, shown.interval) == ("+4.2 points", "-5.8 to +14.2")


def test_a_chart_is_xml_that_says_everything_in_words_and_escapes_it() -> None:
    hostile = factor("age", 0.5, label="<script>alert(1)</script>", value='"&')
    drawn = chart.draw(
        view.factors(told(hostile, factor("cp", -0.2), factor("fbs", 0.0, low=None, high=None)), schema()), "log-odds"
    )
    tree = ElementTree.fromstring(drawn)
    assert not list(tree.iter("script"))
    assert "style=" not in drawn
    described = tree.findtext("desc") or ""
    assert "raises it, +0.50" in described
    assert "lowers it, -0.20" in described
    bars = [each.attrib["class"] for each in tree.iter("rect")]
    assert bars == ["raises", "lowers", "lowers"]
    left, right = 0.0, float(tree.attrib["viewBox"].split()[2])
    for bar in tree.iter("rect"):
        assert left <= float(bar.attrib["x"])
        assert float(bar.attrib["x"]) + float(bar.attrib["width"]) <= right


def test_an_explanation_without_factors_is_drawn_too() -> None:
    assert ElementTree.fromstring(chart.draw([], "log-odds")).tag == "svg"


class TestLimitsOfUse:
    @pytest.fixture
    def stated(self, hospital: Hospital) -> dict[str, str]:
        checked = hospital.definition
        documents = Documents(checked.content, checked.protocol, checked.schema, checked.manifest)
        return self.flat(documents, hospital.config)

    def flat(self, documents: Documents, config: Config) -> dict[str, str]:
        return {name: value for _, attributes in limits.attributes(documents, config) for name, value in attributes}

    def test_what_the_documents_state_and_what_they_do_not(self, stated: dict[str, str]) -> None:
        assert "cleveland; model heart, version 1" in stated["Developer"]
        assert stated["Variables about the person"] == "Age, Sex"
        assert "Not for urgent decisions" in stated["Out of scope"]
        for name in ("Funding", "External validation", "Representativeness of the training data", "Updates"):
            assert stated[name] == limits.NOT_STATED

    def test_agreed_audits_are_named(self, hospital: Hospital) -> None:
        checked = hospital.definition
        audit = {"kind": "fairness", "method": "equal opportunity", "every_days": 90}
        content: Any = {**checked.content, "audits": [audit]}
        stated = self.flat(Documents(content, checked.protocol, checked.schema, checked.manifest), hospital.config)
        assert "equal opportunity" in stated["Audits agreed on"]
        assert "every 90 days" in stated["Monitoring"]
