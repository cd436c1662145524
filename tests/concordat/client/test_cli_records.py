"""Where the record of a prediction comes from by the `concordat` command, what is written down of that, and where a
result goes: files, a FHIR server (a double), OMOP tables."""

import json
import sqlite3
from pathlib import Path
from typing import Any
from uuid import uuid4

from fhir.resources.R4B import get_fhir_model_class
from joserfc.jwk import ECKey

from compute.models import Job
from concordat.bedside.items import Items
from concordat.bedside.store import Store
from concordat.client.governance import CheckedDefinition
from concordat.client.work import Work
from concordat.definition import OPENED
from tests.concordat.client.conftest import FOLDER, PERSON, Run, World, machine
from tests.concordat.client.test_cli import ASKED, give_consent
from tests.support import balp
from tests.support.fhir_server_double import CLIENT, fhir_server_double


def test_what_was_read_from_a_bundle_is_shown_and_kept_without_the_values(
    world: World, agreed: CheckedDefinition, run: Run, tmp_path: Path
) -> None:
    consent = give_consent(run, tmp_path)
    content = json.loads((FOLDER / "bundle.json").read_text())
    content["entry"] += [{"resource": {"resourceType": "Encounter"}}] * 3
    file = tmp_path / "bundle.json"
    file.write_text(json.dumps(content))
    options = ["predict", "--definition", agreed.digest, *ASKED, "--consent", consent, "--fhir", file, "--no-wait"]
    shown = run(*options)
    assert shown.exit_code == 0, shown.stderr
    assert "144 mmHg" in shown.stderr
    assert "2026-03-02T08:40" in shown.stderr
    assert "Left out: 3 × Encounter: the feature schema does not ask for it." in shown.stderr
    asked = machine(run(*options, output="json"))
    work = Work.of(world.homes["long-beach"].work, asked["request"])
    assert work.origins["items"] == asked["reading"]["items"]
    (origin,) = [each for each in work.origins["items"] if each["feature"] == "trestbps"]
    assert (origin["resource"], origin["unit"], origin["taken"]) == ("Observation", "mm[Hg]", "2026-03-02T08:40:00Z")
    assert asked["reading"]["left_out"][0]["count"] == 3
    aged = [{name: said for name, said in each.items() if name != "age_hours"} for each in asked["reading"]["items"]]
    assert "144" not in json.dumps([aged, asked["reading"]["left_out"]]), "in an age it may stand one day"


def test_who_has_left_the_study_by_the_health_record_is_refused_before_anything_is_sent(
    world: World, agreed: CheckedDefinition, run: Run, tmp_path: Path
) -> None:
    consent = give_consent(run, tmp_path)
    content = json.loads((FOLDER / "bundle.json").read_text())
    told = json.loads(run("fhir", "subject", consent).stdout)
    content["entry"].append({"resource": told})
    file = tmp_path / "bundle.json"
    options = ["predict", "--definition", agreed.digest, *ASKED, "--consent", consent, "--fhir", file, "--no-wait"]
    told["status"] = "withdrawn"
    file.write_text(json.dumps(content))
    error = json.loads(run(*options, output="json").stderr)["error"]
    assert (error["reason"], error["field"]) == ("not-in-study", f"entry.{len(content['entry']) - 1}.resource.status")
    home = world.homes["long-beach"]
    (event,) = [json.loads(line) for line in home.audit.read_text().splitlines()]
    kinds = [each["what"].get("display") for each in event["entity"]]
    assert kinds == [None, "Observation, Patient, ResearchSubject"], "the file was read, and no request came of it"
    assert not list(home.work.glob("*/request.json"))
    assert not Job.objects.exists()
    told["status"] = "on-study"
    file.write_text(json.dumps(content))
    asked = machine(run(*options, output="json"))
    assert len(Work.of(home.work, asked["request"]).origins["participation"]) == 1
    assert "ResearchSubject" in home.audit.read_text().splitlines()[1]


def test_a_record_comes_from_a_fhir_server_and_the_result_goes_back(
    world: World, agreed: CheckedDefinition, run: Run, tmp_path: Path
) -> None:
    home, consent = world.homes["long-beach"], give_consent(run, tmp_path)
    content = json.loads((FOLDER / "bundle.json").read_text())
    (key,) = json.loads(run("fhir", "jwks").stdout)["keys"]
    assert "d" not in key
    (tmp_path / "patient").write_text("p1\n")
    options = ["predict", "--definition", agreed.digest, *ASKED, "--consent", consent, "--ehr", "--no-wait"]
    options += ["--patient-file", tmp_path / "patient"]
    assert "no ehr.json" in run(*options).stderr
    with fhir_server_double(ECKey.import_key(key), on_a_server(content)) as server:
        config = {"base": server.base, "token": server.token, "client": CLIENT}
        (home.directory / "ehr.json").write_text(json.dumps(config))
        asked = machine(run(*options, output="json"))
        world.compute(agreed)
        assert run("watch", asked["request"]).exit_code == 0
        early = json.loads(run("fhir", "send", asked["request"], output="json").stderr)["error"]
        assert early["reason"] == "not-found", "nobody has opened it"
        machine(run("open", asked["request"], "--viewer", "clinician", output="json"))
        first = machine(run("fhir", "send", asked["request"], output="json"))
        assert machine(run("fhir", "send", asked["request"], output="json")) == first
        (assessment,) = [each for each in server.resources if each["resourceType"] == "RiskAssessment"]
        audited = home.audit.read_text()
        for wrong, why in (
            ({"r1": {"status": "entered-in-error"}}, "entered in error"),
            ({"p1": {"link": [{"type": "replaced-by", "other": {"reference": "Patient/p2"}}]}}, "merged"),
        ):
            there, server.resources = server.resources, [each | wrong.get(each["id"], {}) for each in server.resources]
            refused = json.loads(run("fhir", "send", asked["request"], output="json").stderr)["error"]
            assert refused["reason"] == "wrong-state"
            assert why in refused["detail"]
            server.resources = there
        assert home.audit.read_text() == audited, "nothing was disclosed"
    assert assessment["subject"]["reference"] == "Patient/p1"
    known = {each.get("reference") for each in assessment["basis"]}
    assert {f"Observation/r{number}" for number in range(1, 9)} <= known
    disclosed = json.loads(home.audit.read_text().splitlines()[-1])
    assert server.base in json.dumps(disclosed)


def test_what_the_bedside_has_taken_back_is_neither_shown_nor_written(world: World, run: Run, tmp_path: Path) -> None:
    agreed = world.agree(what_ifs=1, opened=[*OPENED["explain"], "what_ifs"])
    home, consent = world.homes["long-beach"], give_consent(run, tmp_path)
    options = ["--definition", agreed.digest, *ASKED, "--consent", consent, "--fhir", FOLDER / "bundle.json"]
    asked = machine(run("predict", *options, "--no-wait", output="json"))
    world.compute(agreed)
    assert run("watch", asked["request"]).exit_code == 0
    opening = ["open", asked["request"], "--viewer", "clinician"]
    machine(run(*opening, output="json"))
    items, work = Items(Store(home.directory), agreed.digest), Work.of(home.work, asked["request"])
    items.put(
        patient="p1",
        values=work.content["values"],
        taken={},
        person=PERSON,
        consent=consent,
        subject="",
        request=work.request,
    )
    machine(run(*opening, output="json"))
    question = machine(run("what-if", work.request, "trestbps=120", "--no-wait", output="json"))["request"]
    world.compute(agreed, of=question)
    assert run("watch", question).exit_code == 0
    items.retract(request=work.request, why="wrong-patient")
    commands = (
        opening,
        ["fhir", "result", work.request, tmp_path / "result.json"],
        ["what-if", work.request, "trestbps=120"],
        ["what-if", question, "trestbps=130"],
        ["open", question, "--viewer", "clinician"],
    )
    for command in commands:
        refused = run(*command, output="json")
        error = json.loads(refused.stderr)["error"]
        assert (refused.exit_code, error["reason"], error["field"]) == (1, "wrong-state", "request")
        assert "another patient's values" in error["detail"]
    assert not (tmp_path / "result.json").exists()


def test_a_record_that_was_read_at_the_server_and_refused_is_audited_too(
    world: World, agreed: CheckedDefinition, run: Run, tmp_path: Path
) -> None:
    home, consent = world.homes["long-beach"], give_consent(run, tmp_path)
    (tmp_path / "patient").write_text("p1\n")
    options = ["predict", "--definition", agreed.digest, *ASKED, "--ehr", "--patient-file", tmp_path / "patient"]
    content = [each for each in on_a_server(json.loads((FOLDER / "bundle.json").read_text())) if each["id"] != "r1"]
    with fhir_server_double(home.keys.client, content) as server:
        config = {"base": server.base, "token": server.token, "client": CLIENT}
        (home.directory / "ehr.json").write_text(json.dumps(config))
        for nobody in ([], ["--consent", uuid4()]):
            assert "consent-missing" in run(*options, *nobody, output="json").stderr
        assert server.seen == [], "nothing is read of somebody who has not consented"
        refused = json.loads(run(*options, "--consent", consent, output="json").stderr)["error"]
    assert (refused["reason"], refused["field"]) == ("feature-missing", "cp")
    (event,) = [json.loads(line) for line in home.audit.read_text().splitlines()]
    assert event["meta"]["profile"][0].endswith("PatientRead")
    assert [each["what"].get("display") for each in event["entity"]] == [None, "Observation, Patient"]
    assert server.base in json.dumps(event)
    get_fhir_model_class("AuditEvent").model_validate(event)


def test_so_is_one_that_was_read_from_a_file(world: World, agreed: CheckedDefinition, run: Run, tmp_path: Path) -> None:
    consent, content = give_consent(run, tmp_path), json.loads((FOLDER / "bundle.json").read_text())
    del content["entry"][1]
    content["entry"].append({"resource": {"resourceType": "Anna Kovács"}})
    (tmp_path / "bundle.json").write_text(json.dumps(content))
    options = ["predict", "--definition", agreed.digest, *ASKED, "--consent", consent]
    refused = run(*options, "--fhir", tmp_path / "bundle.json", output="json")
    assert json.loads(refused.stderr)["error"]["reason"] == "feature-missing"
    (event,) = [json.loads(line) for line in world.homes["long-beach"].audit.read_text().splitlines()]
    assert (balp.profile(event), balp.violations(event)) == ("PatientRead", [])
    assert event["entity"][1]["what"]["display"] == "Observation, Patient", "and not what calls itself a type"
    unread = run(*options, "--fhir", tmp_path / "none.json", output="json")
    assert unread.exit_code != 0
    assert len(world.homes["long-beach"].audit.read_text().splitlines()) == 1, "of nothing nothing was read"


def test_a_record_comes_from_omop_tables_and_nothing_names_the_person(
    world: World, agreed: CheckedDefinition, run: Run, tmp_path: Path
) -> None:
    home, consent = world.homes["long-beach"], give_consent(run, tmp_path)
    with sqlite3.connect(tmp_path / "cdm.sqlite3") as connection:
        connection.executescript((FOLDER / "omop.sql").read_text())
    (tmp_path / "person").write_text("person_source_value=P-0001\n")
    options = ["predict", "--definition", agreed.digest, *ASKED, "--consent", consent, "--no-wait"]
    assert run(*options, "--omop", "warehouse").exit_code == 2
    assert run(*options, "--omop-person", tmp_path / "person").exit_code == 2
    options += ["--omop-person", tmp_path / "person"]
    assert "no omop.json" in run(*options, "--omop", "warehouse").stderr
    url = f"sqlite:///{tmp_path}/cdm.sqlite3"
    source = {"url": url, "zone": "UTC", "vocabularies": {"urn:concordat:heart-disease": "Heart disease"}}
    (home.directory / "omop.json").write_text(json.dumps({"sources": {"warehouse": source}}))
    for name, reason in (
        ("elsewhere", "not-found"),
        ("postgresql://reader:secret@db.example.org/cdm", "field-invalid"),
        (url, "code-unknown"),
    ):
        told = run(*options, "--omop", name, output="json").stderr
        assert json.loads(told)["error"]["reason"] == reason
        assert "secret" not in told
    assert not home.audit.exists(), "nothing was read of anybody"
    with sqlite3.connect(tmp_path / "cdm.sqlite3") as connection:
        there = connection.execute("SELECT * FROM observation").fetchall()
        connection.execute("DELETE FROM observation")
    told = run(*options, "--omop", "warehouse", output="json").stderr
    assert json.loads(told)["error"]["reason"] == "feature-missing"
    (event,) = [json.loads(line) for line in home.audit.read_text().splitlines()]
    assert (balp.profile(event), balp.violations(event)) == ("PatientRead", [])
    assert event["entity"][1]["what"]["display"] == "measurement, person"
    with sqlite3.connect(tmp_path / "cdm.sqlite3") as connection:
        connection.executemany(f"INSERT INTO observation VALUES ({', '.join('?' * len(there[0]))})", there)
    asked = machine(run(*options, "--omop", "warehouse", output="json"))
    (origin,) = [each for each in asked["reading"]["items"] if each["feature"] == "trestbps"]
    assert (origin["resource"], origin["unit"]) == ("measurement", "mm[Hg]")
    audited = home.audit.read_text().splitlines()[-2]
    assert "urn:concordat:omop:warehouse" in audited
    assert "measurement, observation, person" in audited
    assert '"Bundle"' not in audited
    world.compute(agreed)
    assert run("watch", asked["request"]).exit_code == 0
    machine(run("open", asked["request"], "--viewer", "clinician", output="json"))
    machine(run("fhir", "result", asked["request"], tmp_path / "result.json", output="json"))
    result = json.loads((tmp_path / "result.json").read_text())
    (assessment,) = [
        each["resource"] for each in result["entry"] if each["resource"]["resourceType"] == "RiskAssessment"
    ]
    get_fhir_model_class("RiskAssessment").model_validate(assessment)
    assert {"Observation"} == {each.get("type", "Observation") for each in assessment["basis"]}
    told = run(*options, "--omop", "warehouse")
    files = [*home.directory.rglob("*"), tmp_path / "result.json"]
    written = [each.read_bytes() for each in files if each.is_file()]
    assert not [each for each in (told.stdout.encode(), told.stderr.encode(), *written) if b"P-0001" in each]


def on_a_server(bundle: dict[str, Any]) -> list[dict[str, Any]]:
    """The Bundle's resources with the ids that a server gives."""
    found = [{**entry["resource"], "id": f"r{number}"} for number, entry in enumerate(bundle["entry"])]
    found[0]["id"] = "p1"
    for resource in found[1:]:
        resource["subject"] = {"reference": "Patient/p1"}
    return found


def test_a_result_is_not_sent_to_a_server_that_the_record_did_not_come_from(
    agreed: CheckedDefinition, run: Run, tmp_path: Path
) -> None:
    options = ["predict", "--definition", agreed.digest, *ASKED, "--consent", give_consent(run, tmp_path)]
    asked = machine(run(*options, "--fhir", FOLDER / "bundle.json", "--no-wait", output="json"))
    error = json.loads(run("fhir", "send", asked["request"], output="json").stderr)["error"]
    assert (error["reason"], error["field"]) == ("wrong-state", "request")
