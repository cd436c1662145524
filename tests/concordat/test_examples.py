"""The example study: its documents are canonical, fit together, and say what the readers of the demo rely on."""

import json
from pathlib import Path

import numpy as np
import pytest

from concordat import canonical, definition, design, model
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
    assert definition.check(document, manifest=manifest)["requesters"] == ["long-beach"]


def test_protocol_and_definition_name_the_same_study_and_places():
    protocol, template = load("protocol.json"), load("definition.template.json")
    sites = {site["institution"]: site["jurisdiction"] for site in protocol["sites"]}
    named = {*template["parties"], template["dealer"], *template["requesters"]}
    assert protocol["study"] == template["study"]
    assert named == set(sites)
    assert {sites[name] for name in named} == set(template["jurisdictions"])


def test_every_site_with_patients_or_data_has_a_reviewing_board():
    protocol = load("protocol.json")
    reviewed = [site for each in protocol["review"]["arrangements"] for site in each["reviews_for"]]
    assert sorted(reviewed) == ["budapest", "cleveland", "long-beach", "zurich"]


@pytest.mark.parametrize("name", ["ATTRIBUTION.md", "README.md", "consent-form.md"])
def test_the_data_is_attributed_and_the_study_named(name):
    text = (HEART / name).read_text()
    expected = {"ATTRIBUTION.md": "10.24432/C52P4X", "README.md": "ATTRIBUTION.md", "consent-form.md": "withdraw"}
    assert expected[name] in text


def test_every_standardisation_is_public_and_every_feature_worded():
    document = json.loads((HEART / "schema.json").read_text())
    for feature in document["features"]:
        assert feature["words"]
        assert feature["codes"]
        if feature["kind"] == "number":
            assert feature["unit"]
            assert float(feature["scale"]) > 0
