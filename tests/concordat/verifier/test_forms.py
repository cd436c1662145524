"""The same answer in every form: JSON of a stated shape, and the W3C's provenance as others read it."""

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from prov.model import ProvAgent, ProvDocument, ProvElement, ProvEntity, ProvRelation

from concordat import canonical
from concordat.verifier import Options, bundle, prov, verify
from concordat.verifier.__main__ import main
from concordat.verifier.forms import FORMS

pytestmark = pytest.mark.django_db

SCHEMA = json.loads((Path(__file__).parents[3] / "docs/reference/dossier.schema.json").read_text())


@pytest.fixture
def answers(made: Any) -> dict[str, Any]:
    disclosed = Options(disclosure=canonical.encode(made.decision.disclosure))
    return {
        "closed": verify(made.data).to_json(),
        "disclosed": verify(made.data, disclosed).to_json(),
        "changed": verify(made.data[:-1]).to_json(),
    }


# --- JSON


def test_json_is_canonical_and_has_the_documented_shape(answers: dict[str, Any], made: Any) -> None:
    for answer in answers.values():
        written = FORMS["json"].write(answer)
        assert canonical.encode(canonical.decode(written)) == written
        jsonschema.validate(json.loads(written), SCHEMA)
    jsonschema.validate(json.loads(made.files[bundle.JSON]), SCHEMA)


@pytest.mark.parametrize("field", ["v", "holds", "checks", "story"])
def test_the_shape_leaves_nothing_out(answers: dict[str, Any], field: str) -> None:
    fewer = {name: value for name, value in answers["closed"].items() if name != field}
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(fewer, SCHEMA)


def test_only_the_answer_names_the_bundle_which_cannot_name_itself(answers: dict[str, Any], made: Any) -> None:
    assert answers["closed"]["bundle"] == canonical.digest(made.data)
    assert canonical.decode(made.files[bundle.JSON])["bundle"] is None


# --- PROV


def provenance(answer: Any) -> ProvDocument:
    return ProvDocument.deserialize(content=FORMS["prov"].write(answer).decode(), format="json")


def labels(document: ProvDocument, kind: type[ProvElement]) -> set[str]:
    return {str(label) for each in document.get_records(kind) for label in each.get_attribute("prov:label")}


def test_provenance_is_read_by_another_program_and_written_again_unchanged(answers: dict[str, Any]) -> None:
    for answer in answers.values():
        document = provenance(answer)
        assert ProvDocument.deserialize(content=document.serialize(format="json"), format="json") == document


def test_every_relation_is_between_records_that_are_there(answers: dict[str, Any]) -> None:
    document = provenance(answers["disclosed"])
    known = {each.identifier for each in document.get_records(ProvElement)}
    ends = {value for each in document.get_records(ProvRelation) for _, value in each.formal_attributes if value}
    assert ends
    assert {str(each) for each in ends} <= {str(each) for each in known}


def test_who_did_what_is_in_it(answers: dict[str, Any]) -> None:
    answer, document = answers["disclosed"], provenance(answers["disclosed"])
    story = answer["story"]
    agents, entities = labels(document, ProvAgent), labels(document, ProvEntity)
    assert {"cleveland", "budapest", "zurich", "notary", "long-beach"} <= agents
    assert {f"{review['name']}, {review['role']}" for review in story["allowed"]["reviews"]} <= agents
    assert {f"The receipt of {node['node']}, {node['role']}" for node in story["computed"]["nodes"]} <= entities
    assert {"heart, version 1", "What was to be computed", "The requester's display receipt"} <= entities
    names = {str(each.identifier) for each in document.get_records(ProvElement)}
    assert {
        story["computed"]["digest"],
        story["allowed"]["definition"],
        answer["bundle"],
        f"job:{story['computed']['job']}",
        f"record:{story['record']}",
    } <= names


def test_of_a_dossier_that_does_not_hold_nothing_is_told_but_that(answers: dict[str, Any]) -> None:
    told = prov.document(answers["changed"])
    assert set(told) == {"prefix", "entity"}
    assert [each["concordat:holds"] for each in told["entity"].values()] == ["false"]  # type: ignore[union-attr, index, call-overload]


# --- the command


def test_the_command_writes_every_form(made: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    good = tmp_path / "good.zip"
    good.write_bytes(made.data)
    answer = verify(made.data).to_json()
    for name in ("html", "pdf", "prov"):
        assert main([str(good), f"--{name}", str(tmp_path / name)]) == 0
        assert (tmp_path / name).read_bytes() == FORMS[name].write(answer)
    capsys.readouterr()
    assert main([str(good), "--json"]) == 0
    assert capsys.readouterr().out.encode() == FORMS["json"].write(answer) + b"\n"
