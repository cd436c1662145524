"""What of an explanation is shown, in which order, and drawn how."""

import json
import xml.etree.ElementTree as ElementTree
from dataclasses import replace
from decimal import Decimal
from typing import Any, ClassVar

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from concordat.bedside import chart, limits, view
from concordat.bedside.documents import Documents
from concordat.bedside.limits import Attribute
from concordat.bedside.percent import exact
from concordat.bedside.percent import percent as percentage
from concordat.canonical import digest
from concordat.model_card import ATTRIBUTES, ModelCard
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
    assert percentage(probability) == percent


DECIMALS = st.decimals(0, 1, places=4).map(str)
THRESHOLDS = st.decimals(0, 1, places=6).map(str)


class TestAPercentageBesideTheThreshold:
    @pytest.mark.parametrize(
        ("probability", "threshold", "said"),
        [
            ("0.2004", "0.2", "20.04 %"),
            ("0.1996", "0.2", "19.96 %"),
            ("0.2", "0.2", "20.0 %"),
            ("0.7310", "0.2", "73.1 %"),
            ("0.0004", "0.2", "< 0.1 %"),
            ("0.0004", "0.0005", "0.04 %"),
            ("0.0004", "0", "0.04 %"),
            ("0.9996", "0.9995", "99.96 %"),
            ("0.9996", "0.5", "> 99.9 %"),
            ("0.9999", "1", "99.99 %"),
        ],
    )
    def test_has_the_decimals_that_tell_them_apart(self, probability: str, threshold: str, said: str) -> None:
        assert percentage(probability, threshold) == said

    @given(DECIMALS, THRESHOLDS)
    @example("0.1000", "0.1004")
    @example("1.0000", "0.9999")
    def test_stands_on_the_side_on_which_the_probability_is(self, probability: str, threshold: str) -> None:
        said, value, limit = percentage(probability, threshold), Decimal(probability), Decimal(threshold)
        written = exact(threshold).removesuffix(" %")
        assert Decimal(written) == 100 * limit
        if said.startswith("<"):
            low, high = Decimal(0), Decimal("0.1")
        elif said.startswith(">"):
            low, high = Decimal("99.9"), Decimal(100)
        else:
            low = high = Decimal(said.removesuffix(" %"))
            assert (low == 0, low == 100) == (value == 0, value == 1)
        for end in {low, high} if low == high else {low + Decimal("1e-9"), high - Decimal("1e-9")}:
            assert (end < 100 * limit, end > 100 * limit) == (value < limit, value > limit)


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
    CARD: ClassVar[ModelCard] = {
        "v": 1,
        "model": "sha256:" + "0" * 64,
        "institution": "cleveland",
        "sequence": 3,
        "attributes": {"funding": ["A state.", "A firm."], "out_of_scope": ["Children."]},
        "time": "2026-03-02T10:00:00Z",
    }

    def documents(self, hospital: Hospital, **changes: Any) -> Documents:
        checked = hospital.definition
        known = Documents(checked.content, checked.protocol, checked.schema, checked.manifest, "The Clinic")
        return replace(known, **changes)

    def told(self, hospital: Hospital, **changes: Any) -> dict[str, Attribute]:
        found = limits.attributes(self.documents(hospital, **changes), hospital.config)
        assert len(found) == 9
        return {each.name: each for _, attributes in found for each in attributes}

    def test_what_the_documents_state_and_what_they_do_not(self, hospital: Hospital) -> None:
        told = self.told(hospital)
        assert "The Clinic; model heart, version 1" in told["Developer"].agreed
        assert told["Variables about the person"].agreed == "Age, Sex"
        assert "Not for urgent decisions" in told["Out of scope"].agreed
        assert told["Out of scope"].missing == "Otherwise not stated."
        for name in ("Funding", "External validation: data", "Representativeness of the training data", "Updates"):
            assert (told[name].agreed, told[name].owner, told[name].missing) == ("", (), limits.NOT_STATED)
        assert limits.card_words(self.documents(hospital)) == "The Clinic, the model's owner, signed no model card."

    def test_every_attribute_of_a_card_has_its_place(self, hospital: Hospital) -> None:
        full = self.CARD | {"attributes": {name: [f"On {name}."] for name in ATTRIBUTES}}
        told = self.told(hospital, card=full)
        assert {each.title: f"On {name}." for name, each in ATTRIBUTES.items()} == {
            name: each.owner[0] for name, each in told.items() if each.owner
        }

    def test_what_the_owner_states_stands_beside_what_is_agreed_on(self, hospital: Hospital) -> None:
        told = self.told(hospital, card=self.CARD)
        assert told["Funding"].owner == ("A state.", "A firm.")
        assert "Not for urgent decisions" in told["Out of scope"].agreed
        assert (told["Out of scope"].owner, told["Out of scope"].missing) == (("Children.",), "")
        assert told["Updates"].missing == limits.NOT_STATED
        assert "model card 3 on 2026-03-02." in limits.card_words(self.documents(hospital, card=self.CARD))

    def test_what_could_not_be_verified_is_not_called_not_stated(self, hospital: Hospital) -> None:
        told = self.told(hospital, card_doubt="The owner's model card could not be verified: by no key.")
        assert told["Funding"].missing == told["Out of scope"].missing == limits.NOT_KNOWN

    def test_agreed_audits_are_named(self, hospital: Hospital) -> None:
        audit = {"kind": "fairness", "method": "equal opportunity", "every_days": 90}
        told = self.told(hospital, definition={**hospital.definition.content, "audits": [audit]})
        assert "equal opportunity" in told["Monitoring of fairness"].agreed
        assert "every 90 days" in told["All audits agreed on"].agreed
        assert told["Monitoring of validity"].agreed == ""
