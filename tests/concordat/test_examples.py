"""The example study: its documents are canonical, fit together, and say what the readers of the demo rely on."""

import csv
import json
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
import time_machine

from concordat import canonical, clock, definition, design, model, model_card, protocol
from concordat.client import records
from concordat.data_use import Answer, match
from concordat.law import check_gdpr
from concordat.schema import FeatureSchema
from concordat.sealing import SealingKey
from concordat.signatures import SigningKey

HEART = Path(__file__).parents[2] / "examples" / "heart_disease"


def load(name):
    return canonical.decode((HEART / name).read_text())


def test_the_definition_template_makes_a_valid_definition():
    template = load("definition.template.json")
    schema = FeatureSchema.from_json(load("schema.json"))
    owner = SigningKey.generate()
    token, _ = model.publish(
        model="heart",
        version="1",
        owner="cleveland",
        kind="mlp",
        schema=schema.digest,
        columns=len(schema.columns),
        tensors={name: np.zeros(shape) for name, shape in model.KINDS["mlp"].shapes(len(schema.columns))},
        party_keys={party: SealingKey.generate().public for party in template["parties"]},
        key=owner,
    )
    manifest = model.check_manifest(token, {"cleveland": {owner.kid: owner.public}})
    document = {
        **template,
        "protocol": canonical.digest(load("protocol.json")),
        "schema": schema.digest,
        "model": canonical.digest(manifest),
        "design": canonical.digest(design.build(schema, seed=template["study"])),
    }
    groups = len(schema.groups)
    document["extraction"] = definition.extraction_of(document, manifest, groups)
    assert definition.check(document, manifest=manifest, groups=groups, mirrored=True)["requesters"] == ["long-beach"]


def test_the_card_s_numbers_are_those_of_the_data():
    attributes = model_card.read_attributes(load("card.json"))
    with (HEART / "uci_heart_4_hospitals.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))

    def counted(hospital):
        here = [row for row in rows if row["dataset"] == hospital]
        ages, men = sorted(int(row["age"]) for row in here), sum(row["sex"] == "Male" for row in here)
        return len(here), men, len(here) - men, ages[0], ages[-1], sum(int(row["num"]) > 0 for row in here)

    everybody, men, women, youngest, oldest, ill = counted("Cleveland")
    assert f"All {everybody} rows of the hospital Cleveland" in attributes["training_criteria"][0]
    assert attributes["training_representativeness"][0] == (
        f"Of the {everybody} people {men} are men and {women} women, aged {youngest} to {oldest}. "
        f"Coronary disease was found in {ill} of them."
    )
    everybody, men, women, youngest, oldest, ill = counted("VA Long Beach")
    there = f"{men} men and {women} women, aged {youngest} to {oldest}, with disease in {ill} of {everybody}"
    assert there in attributes["training_relevance"][0]
    features = [each["name"] for each in load("schema.json")["features"]]
    assert not [row for row in rows if row["dataset"] == "Cleveland" and not all(row[each] for each in features)]


def test_the_definition_stays_within_the_protocol():
    protocol, template = load("protocol.json"), load("definition.template.json")
    assert protocol["study"] == template["study"]
    assert set(template["requesters"]) <= set(protocol["requesters"])
    assert set(template["purposes"]) <= set(protocol["purposes"])
    assert {*template["parties"], *template["requesters"]} == set(protocol["sites"])
    assert template["valid_until"] <= protocol["valid_until"]


def test_the_study_goes_on_and_its_patient_is_read_for_decades():
    file, schema = HEART / "bundle.json", FeatureSchema.from_json(load("schema.json"))
    now = records.read_fhir(file, schema).values
    with time_machine.travel(datetime(2090, 1, 1, tzinfo=UTC)):
        assert records.read_fhir(file, schema).values == now
        for name in ("protocol.json", "definition.template.json", "audit.template.json", "training.template.json"):
            assert clock.parse(load(name)["valid_until"]) > clock.now(), name


def test_the_protocol_is_in_order_and_states_its_grounds():
    document = protocol.check(load("protocol.json"))
    check_gdpr(document["bases"], {"long-beach": "US"})
    assert document["bases"][0]["ground"] == "consent"
    assert {"adults", "adults-without-capacity"} == set(document["population"])


def test_the_terms_of_the_data_allow_the_use():
    protocol, template = load("protocol.json"), load("definition.template.json")
    assert set(template["data_use"]) <= set(protocol["data_use"]["study"])
    for each in protocol["data_use"]["datasets"]:
        assert match(template["data_use"], each["terms"]).answer is Answer.ALLOWED


def test_the_budget_is_for_the_patients_of_the_study():
    budgets, schema = load("definition.template.json")["budgets"], FeatureSchema.from_json(load("schema.json"))
    template = load("definition.template.json")
    assert budgets["jobs"] == 200
    assert budgets["scalars"] == 200 * definition.opened_scalars(template, len(schema.groups))


def test_who_signs_the_protocol_signs_its_full_text():
    headings = {section["heading"] for section in load("protocol.json")["sections"]}
    assert {"Population", "Procedures", "Risks and what is done about them", "Data use", "Review"} <= headings


@pytest.mark.parametrize("name", ["ATTRIBUTION.md", "README.md", "consent-form.md"])
def test_the_data_is_attributed_and_the_study_named(name):
    text = (HEART / name).read_text()
    expected = {
        "ATTRIBUTION.md": "10.24432/C52P4X",
        "README.md": "ATTRIBUTION.md",
        "consent-form.md": "withdraw",
    }
    assert expected[name] in text


def test_every_standardisation_is_public_and_every_feature_worded():
    document = json.loads((HEART / "schema.json").read_text())
    for feature in document["features"]:
        assert feature["words"]
        assert feature["codes"]
        if feature["kind"] == "number":
            assert feature["unit"]
            assert float(feature["scale"]) > 0
