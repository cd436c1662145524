"""The `concordat` command: the main job typed by hand, output for people and machines, and errors one can act on."""

import csv
import json
import re
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import httpx
import numpy as np
import pytest
import time_machine
from click.testing import CliRunner, Result
from django.db import transaction
from fhir.resources.R4B import get_fhir_model_class
from sklearn.ensemble import RandomForestClassifier
from sklearn.neural_network import MLPClassifier

from concordat import canonical, clock
from concordat.client import api as client_api
from concordat.client.cli import main
from concordat.client.governance import CheckedDefinition
from concordat.client.home import ClientHome
from concordat.definition import OPENED
from concordat.design import check_design
from concordat.enrolment import verify_enrolment
from concordat.events import Event
from concordat.fields import plain
from concordat.importers import from_sklearn
from concordat.reasons import Refused
from concordat.schema import FeatureSchema
from governance.models import Institution, Study
from ledger import selectors as ledger
from ledger.services.record import record
from tests.concordat.client.conftest import FOLDER, PERSON, PURPOSE, RECORD, SCHEMA, STUDY, Run, World, machine
from tests.support import balp

BUDGETS = {"jobs_a_day": 10, "jobs": 100, "scalars": 10_000}
UUIDS = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
ASKED = ("--purpose", PURPOSE, "--person", PERSON)


def give_consent(run: Run, tmp_path: Path) -> str:
    form = tmp_path / "form.md"
    form.write_text("I agree.")
    options = ["--subject", uuid4(), "--study", "chest-pain", "--purpose", PURPOSE, "--form", form, "--until", "P1Y"]
    return str(machine(run("consent", "give", *options, output="json"))["consent"])


def test_the_main_job_by_hand(world: World, agreed: CheckedDefinition, run: Run, tmp_path: Path) -> None:
    consent = give_consent(run, tmp_path)
    asked = machine(
        run(
            *(
                "predict",
                "--definition",
                agreed.digest,
                *ASKED,
                "--consent",
                consent,
            ),
            *("--fhir", FOLDER / "bundle.json", "--no-wait"),
            output="json",
        )
    )
    assert asked["state"] == "authorised"
    world.compute(agreed)
    assert machine(run("watch", asked["request"], output="json"))["state"] == "recorded"
    opened = machine(run("open", asked["request"], "--viewer", "clinician", output="json"))
    shown = run("open", asked["request"], "--viewer", "clinician")
    assert "Predicted probability" in shown.stdout
    assert "verified in the log" in shown.stdout
    told = tmp_path / "result.fhir.json"
    assert machine(run("fhir", "result", asked["request"], told, output="json")) == {"file": str(told)}
    content = json.loads(told.read_text())
    assert told.stat().st_mode & 0o777 == 0o600
    kinds = [entry["resource"]["resourceType"] for entry in content["entry"]]
    assert kinds == ["RiskAssessment", "Observation", "Provenance"]
    assert content["entry"][0]["resource"]["prediction"][0]["probabilityDecimal"] == pytest.approx(
        100 * float(opened["explanation"]["probability"]), abs=0.01
    )
    for entry in content["entry"]:
        get_fhir_model_class(entry["resource"]["resourceType"]).model_validate(entry["resource"])
    signers = [each["who"]["identifier"]["value"] for each in content["entry"][2]["resource"]["signature"]]
    assert sorted(signers) == ["budapest", "cleveland", "long-beach", "notary", "zurich"]
    job = json.loads(run("fhir", "task", asked["request"]).stdout)
    assert (job["status"], job["businessStatus"]["coding"][0]["code"]) == ("completed", "recorded")
    study = json.loads(run("fhir", "study", agreed.digest).stdout)
    assert study["identifier"][0]["value"] == "chest-pain"
    assert json.loads(run("fhir", "subject", consent).stdout)["status"] == "on-study"
    assert json.loads(run("fhir", "capability").stdout)["fhirVersion"] == "4.0.1"
    audit = world.homes["long-beach"].audit
    events = [json.loads(line) for line in audit.read_text().splitlines()]
    assert [balp.profile(each) for each in events] == [
        "PatientRead",
        "AuthZconsent",
        "PrivacyDisclosure.Source",
    ]
    assert audit.stat().st_mode & 0o777 == 0o600
    numbers = set(re.findall(r"[0-9.]+", UUIDS.sub("", audit.read_text())))  # a random one may hold any digits
    assert not {"144", "122", opened["explanation"]["probability"]} & numbers
    file = tmp_path / "disclosure.json"
    assert run("disclose", asked["request"], file).exit_code == 0
    assert set(json.loads(file.read_text())["outputs"]) == {"cleveland", "budapest", "zurich"}
    again = run("disclose", asked["request"], file)
    assert (again.exit_code, "is there already" in again.stderr) == (2, True)
    disclosed = json.loads(audit.read_text().splitlines()[-1])
    assert disclosed["entity"][1]["what"]["type"] == "DocumentReference"
    opened_record = tmp_path / "with-record.json"
    assert run("disclose", asked["request"], opened_record, "--with-record").exit_code == 0
    bundle = tmp_path / "dossier.zip"
    assert run("dossier", opened["record"], bundle).exit_code == 0
    verified = run("verify", bundle, "--disclosure", file, output="json")
    checks = {check["name"]: check["status"] for check in json.loads(verified.stdout)["checks"]}
    for name in ("bundle", "checkpoint", "inclusion", "keys", "receipts", "disclosure"):
        assert checks[name] == "passed", name
    verified = run("verify", bundle, "--disclosure", opened_record, output="json")
    sentences = {check["name"]: check["sentence"] for check in json.loads(verified.stdout)["checks"]}
    assert "input and result fit every commitment" in sentences["disclosure"]
    assert (checks["study"], verified.exit_code) == ("failed", 1), "no board has signed in this miniature"
    other = tmp_path / "other.npz"
    np.savez(other, weights=np.zeros(2))
    replayed = run("verify", bundle, "--disclosure", opened_record, "--replay", other, output="json")
    checks = {check["name"]: check["reason"] for check in json.loads(replayed.stdout)["checks"]}
    assert checks["replay"] == "replay-model-other"
    for option, value in (("--replay", file), ("--tsa", file), ("--rpc", "localhost:8545")):
        wrong = run("verify", bundle, option, value)
        assert (wrong.exit_code, option in wrong.stderr) == (2, True), wrong.stderr


def test_a_scikit_learn_forest_is_imported_asked_and_explained_in_probability(
    world: World, run: Run, tmp_path: Path
) -> None:
    schema = FeatureSchema.from_json(SCHEMA)
    with (FOLDER / "uci_heart_4_hospitals.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))[:300]
    patients = np.array([schema.encode_row(schema.from_row(row)).vector for row in rows])
    forest = RandomForestClassifier(10, max_depth=3, random_state=0).fit(patients, [row["num"] != "0" for row in rows])
    imported = from_sklearn(forest)
    agreed = world.agree(imported.kind, tensors=imported.tensors, target="probability")
    shown = run("definition", "show", agreed.digest).stdout
    assert "one prediction and its explanation in probability" in shown
    listed = run("definition", "show", agreed.digest, "--features").stdout
    assert "trestbps" in listed
    assert "18 to 110 a" in listed
    named = machine(run("definition", "show", agreed.digest, "--features", output="json"))["features"]
    assert [each["name"] for each in named] == [each.name for each in schema.features]
    assert "(forest)" in shown

    values = tmp_path / "record.json"
    values.write_text(json.dumps(RECORD | {"exang": True, "oldpeak": 2.5}))
    options = ["--definition", agreed.digest, *ASKED, "--consent", give_consent(run, tmp_path), "--json", values]
    request = machine(run("predict", *options, "--no-wait", output="json"))["request"]
    world.compute(agreed)
    opened = machine(run("open", request, "--viewer", "clinician", output="json"))["explanation"]
    record = schema.encode_row(json.loads(values.read_text())).vector
    assert opened["target"] == "probability"
    assert opened["log_odds"] is None
    assert float(opened["prediction"]) == pytest.approx(forest.predict_proba(record[None])[0, 1], abs=1e-4)
    text = run("open", request, "--viewer", "clinician").stdout
    assert "Method: probability, reference-contrast LIME." in text
    assert " points [" in text
    assert "log-odds" not in text


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_a_scikit_learn_network_of_several_classes_is_imported_asked_and_explained_class_by_class(
    world: World, run: Run, tmp_path: Path
) -> None:
    schema = FeatureSchema.from_json(SCHEMA)
    with (FOLDER / "uci_heart_4_hospitals.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))[:300]
    patients = np.array([schema.encode_row(schema.from_row(row)).vector for row in rows])
    severity = np.array(["none", "mild", "severe", "severe", "severe"])[[int(row["num"]) for row in rows]]
    network = MLPClassifier((16,), alpha=1.0, max_iter=150, random_state=0).fit(patients, severity)
    imported = from_sklearn(network)
    named = {"kind": imported.kind, "tensors": imported.tensors, "classes": imported.classes}
    opened = [*OPENED["explain"], "what_ifs"]
    agreed = world.agree(**named, opened=opened, what_ifs=1, canaries=2, budgets=BUDGETS)
    assert "mild, none, severe" in run("definition", "show", agreed.digest).stdout

    values = tmp_path / "record.json"
    values.write_text(json.dumps(RECORD | {"exang": True, "oldpeak": 2.5}))
    consent = give_consent(run, tmp_path)
    options = ["--definition", agreed.digest, *ASKED, "--consent", consent, "--json", values]
    asked = run("predict", *options, "--what-if", "exang=FALSE", "--no-wait", output="json")
    request = machine(asked)["request"]
    world.compute(agreed)
    answer = machine(run("open", request, "--viewer", "clinician", output="json"))
    record = schema.encode_row(json.loads(values.read_text())).vector
    other = schema.encode_row(json.loads(values.read_text()) | {"exang": False}).vector
    now, then = (
        dict(zip(network.classes_, each, strict=True)) for each in network.predict_proba(np.array([record, other]))
    )
    classes = answer["explanation"]["classes"]
    found = {each["class"]: float(each["probability"]) for each in classes}
    assert list(found) == sorted(now, key=lambda name: -now[name])
    assert found == pytest.approx(now, abs=2e-4)
    (what_if,) = answer["what_ifs"]
    assert {name: float(each) for name, each in what_if["probabilities"].items()} == pytest.approx(then, abs=2e-4)

    first, second, third = found
    text = run("open", request, "--viewer", "clinician").stdout
    assert f"{first}: factors in log-odds of “{first}” against the average of all classes" in text
    assert f"{second}: factors in" in text
    assert f"{third}: factors in" not in text

    again = machine(run("what-if", request, "exang=FALSE", "--no-wait", output="json"))
    assert (again["state"], again["request"] != request) == ("authorised", True)
    assert "What the model would predict, if only this were different:" in text
    text = run("open", request, "--viewer", "clinician", "--class", third).stdout
    assert f"{third}: factors in" in text
    assert f"{first}: factors in" not in text
    refused = run("open", request, "--viewer", "clinician", "--class", "fatal")
    assert (refused.exit_code, "There is no class “fatal”" in refused.stderr) == (1, True)
    assert run("consent", "withdraw", consent).exit_code == 0
    assert run("what-if", request, "exang=FALSE", "--no-wait").exit_code == 1


def test_probabilities_of_several_classes_are_refused_with_what_there_is(world: World) -> None:
    with pytest.raises(Refused, match="“mlp-classes” is explained in: log-odds") as caught:
        world.agree("mlp-classes", target="probability", budgets=BUDGETS)
    assert caught.value.field == "target"


def test_a_request_can_be_taken_back(agreed: CheckedDefinition, run: Run, tmp_path: Path) -> None:
    options = [
        "predict",
        "--definition",
        agreed.digest,
        *ASKED,
        "--consent",
        give_consent(run, tmp_path),
    ]
    asked = machine(run(*options, "--fhir", FOLDER / "bundle.json", "--no-wait", output="json"))
    for _ in range(2):  # a cancelled job again is no harm
        assert machine(run("cancel", asked["request"], output="json"))["state"] == "cancelled"
    assert run("watch", asked["request"]).exit_code == 1


def test_login_compares_the_coordinators_list_with_the_pins(world: World, run: Run) -> None:
    home = world.homes["long-beach"]
    others = {slug: each.token for slug, each in home.pins.enrolments.items() if slug != "zurich"}
    home.pin(canonical.encode(plain(home.pins.document) | {"enrolments": others}))
    verdicts = machine(run("login", output="json"))["institutions"]
    assert (verdicts["zurich"], verdicts["budapest"]) == ("not pinned", "pinned")


def test_a_definition_is_shown_with_its_consequences(agreed: CheckedDefinition, run: Run) -> None:
    text = run("definition", "show", agreed.digest).stdout
    for expected in ("chest-pain", "cleveland, budapest, zurich", "dealer notary", PURPOSE, "3 of", "in log-odds"):
        assert expected in text
    assert agreed.content["extraction"]["statement"] in " ".join(text.split())


def test_a_revocation_counts_at_once(agreed: CheckedDefinition, run: Run) -> None:
    assert run("definition", "revoke", agreed.digest, home="zurich").exit_code == 0
    shown = machine(run("definition", "show", agreed.digest, output="json"))
    assert (shown["state"], shown["votes"]["zurich"]) == ("revoked", False)
    early = run("definition", "approve", agreed.digest, "--seconds", 0, home="zurich", output="json")
    assert (early.exit_code, json.loads(early.stderr)["error"]["reason"]) == (75, "vote-pending")
    assert machine(run("definition", "show", agreed.digest, output="json"))["votes"]["zurich"] is True


@pytest.mark.parametrize("seconds", ["nan", "inf", "-1", "1e400", "100000"])
def test_a_wait_has_an_end(agreed: CheckedDefinition, run: Run, seconds: str) -> None:
    result = run("definition", "approve", agreed.digest, "--seconds", seconds)
    assert result.exit_code == 2
    assert "'--seconds'" in result.stderr


def test_a_record_may_come_as_a_row_or_as_json(agreed: CheckedDefinition, run: Run, tmp_path: Path) -> None:
    consent = give_consent(run, tmp_path)
    base = [
        "predict",
        "--definition",
        agreed.digest,
        *ASKED,
        "--consent",
        consent,
        "--no-wait",
    ]
    values = tmp_path / "record.json"
    values.write_text(json.dumps(RECORD))
    table = tmp_path / "table.csv"
    with table.open("w", newline="") as file:
        writer = csv.DictWriter(file, [feature.name for feature in FeatureSchema.from_json(SCHEMA).features])
        writer.writeheader()
        writer.writerows([{}, {name: _cell(value) for name, value in RECORD.items()}])
    for source in (["--json", values], ["--csv", table, "--row", 2]):
        assert machine(run(*base, *source, output="json"))["state"] == "authorised"


def test_a_withdrawn_consent_is_said_with_a_remedy(
    world: World, agreed: CheckedDefinition, run: Run, tmp_path: Path
) -> None:
    consent = give_consent(run, tmp_path)
    assert run("consent", "withdraw", consent).exit_code == 0
    options = [
        "predict",
        "--definition",
        agreed.digest,
        *ASKED,
        "--consent",
        consent,
    ]
    result = run(*options, "--fhir", FOLDER / "bundle.json")
    assert result.exit_code == 1
    assert "The person has withdrawn consent." in result.stderr
    assert "Remedy: Respect it: nothing is computed." in result.stderr
    assert result.stdout == ""
    unwaited = run(*options, "--fhir", FOLDER / "bundle.json", "--no-wait", output="json")
    answer, error = json.loads(unwaited.stdout), json.loads(unwaited.stderr)["error"]
    assert (unwaited.exit_code, answer["state"], answer["request"] != "") == (1, "refused", True)
    assert answer["reason"] == error["reason"] == "consent-withdrawn"
    checked = json.loads(world.homes["long-beach"].audit.read_text().splitlines()[-1])
    assert (checked["meta"]["profile"][0].rpartition(".")[2], checked["outcome"]) == ("AuthZconsent", "8")


def test_a_parent_consents_until_the_child_comes_of_age(
    world: World, agreed: CheckedDefinition, run: Run, tmp_path: Path
) -> None:
    form, assent = tmp_path / "form.md", tmp_path / "assent.md"
    form.write_text("I agree for my child.")
    assent.write_text("I want to take part.")
    options = ["consent", "give", "--subject", uuid4(), "--study", "chest-pain", "--purpose", PURPOSE, "--form", form]
    options += ["--until", (clock.now() + timedelta(days=30)).strftime("%Y-%m-%d"), "--signer", "parent"]
    majority = ["--reconsent", (clock.now() + timedelta(days=20)).strftime("%Y-%m-%d")]
    for missing, field in ((majority, "signer.assent"), (["--assent", assent], "reconsent")):
        result = run(*options, *missing, output="json")
        assert json.loads(result.stderr)["error"]["field"] == field
    consent = machine(run(*options, *majority, "--assent", assent, output="json"))["consent"]
    statement = machine(run("consent", "show", consent, output="json"))["statement"]
    assert statement["signer"] == {"capacity": "parent", "assent": canonical.digest(assent.read_bytes())}
    assert machine(run("consent", "capacity", consent, "--why", "majority", output="json")) == {"lapsed": consent}
    asked = ["predict", "--definition", agreed.digest, *ASKED, "--consent", consent, "--fhir", FOLDER / "bundle.json"]
    result = run(*asked, output="json")
    assert json.loads(result.stderr)["error"]["reason"] == "reconsent-needed"


def test_a_consent_comes_and_goes_as_a_fhir_resource(agreed: CheckedDefinition, run: Run, tmp_path: Path) -> None:
    first = give_consent(run, tmp_path)
    resource = machine(run("consent", "show", first, "--fhir", output="json"))
    assert (resource["resourceType"], resource["status"]) == ("Consent", "active")
    other = str(uuid4())
    resource["identifier"][0]["value"] = f"urn:uuid:{other}"
    file = tmp_path / "consent.json"
    file.write_text(json.dumps(resource))
    assert machine(run("consent", "give", "--fhir", file, output="json")) == {"consent": other}
    assert run("consent", "withdraw", other).exit_code == 0
    assert machine(run("consent", "show", other, "--fhir", output="json"))["status"] == "inactive"
    assert run("consent", "give", "--fhir", file, "--study", "chest-pain").exit_code == 2
    assert run("consent", "give", "--study", "chest-pain").exit_code == 2
    resource["organization"][0]["identifier"]["value"] = "zurich"
    file.write_text(json.dumps(resource))
    error = json.loads(run("consent", "give", "--fhir", file, output="json").stderr)["error"]
    assert (error["reason"], error["field"]) == ("wrong-institution", "organization")


def test_a_research_study_becomes_the_draft_of_a_protocol(
    world: World, agreed: CheckedDefinition, run: Run, tmp_path: Path
) -> None:
    found, file = tmp_path / "research-study.json", tmp_path / "protocol.json"
    found.write_text(run("fhir", "study", agreed.digest).stdout)
    told = machine(run("study", "draft", file, "--fhir", found, output="json"))
    known = json.loads(file.read_text())
    assert known["study"] == STUDY
    assert {each["field"] for each in told["left"]} >= {"computed", "risks", "population", "sections"}
    assert run("study", "draft", file, "--fhir", found).exit_code == 2, "nothing is replaced"
    shown = run("study", "draft", tmp_path / "again.json", "--fhir", found)
    assert "Left to fill in" in shown.stdout
    assert "review_months" in shown.stdout
    early = json.loads(run("study", "submit", file, output="json").stderr)["error"]
    assert early["reason"] == "field-missing"
    assert early["field"] in {each["field"] for each in told["left"]}
    for content, reason in (("[]", "file-unreadable"), ("{", "file-unreadable"), ("{}", "field-invalid")):
        found.write_text(content)
        refused = run("study", "draft", tmp_path / "none.json", "--fhir", found, output="json")
        assert json.loads(refused.stderr)["error"]["reason"] == reason
    assert not (tmp_path / "none.json").exists()


def test_emergent_use_is_refused_and_says_what_to_do(agreed: CheckedDefinition, run: Run, tmp_path: Path) -> None:
    options = ["predict", "--definition", agreed.digest, *ASKED, "--consent", give_consent(run, tmp_path)]
    result = run(*options, "--fhir", FOLDER / "bundle.json", "--urgency", "emergent")
    assert result.exit_code == 1
    assert "A secure job is not an emergency service." in result.stderr
    assert "Treat the patient by local guidelines" in result.stderr


def test_on_another_ground_the_subject_is_named_and_no_consent(world: World, run: Run, tmp_path: Path) -> None:
    agreed = world.agree(ground="care")
    options = ["predict", "--definition", agreed.digest, *ASKED, "--fhir", FOLDER / "bundle.json", "--no-wait"]
    asked = machine(run(*options, "--subject", uuid4(), output="json"))
    assert asked["state"] == "authorised"
    for wrong, field in ((["--consent", uuid4()], "consent"), ([], "subject")):
        error = json.loads(run(*options, *wrong, output="json").stderr)["error"]
        assert (error["reason"], error["field"]) == ("field-invalid", field)


def test_a_bad_value_is_named_and_nothing_is_sent(agreed: CheckedDefinition, run: Run, tmp_path: Path) -> None:
    consent = give_consent(run, tmp_path)
    values = tmp_path / "record.json"
    values.write_text(json.dumps({**RECORD, "age": 900}))
    options = [
        "predict",
        "--definition",
        agreed.digest,
        *ASKED,
        "--consent",
        consent,
    ]
    result = run(*options, "--json", values, output="json")
    error = json.loads(result.stderr)["error"]
    assert (result.exit_code, error["reason"], error["field"]) == (1, "value-out-of-range", "age")
    assert "900" not in result.output


@pytest.mark.parametrize("option", ["--fhir", "--json", "--csv"])
def test_a_file_that_is_broken_is_named(agreed: CheckedDefinition, run: Run, tmp_path: Path, option: str) -> None:
    broken = tmp_path / "broken.file"
    broken.write_bytes(b'{"resourceType": \xff')
    options = [
        "predict",
        "--definition",
        agreed.digest,
        *ASKED,
        "--consent",
        give_consent(run, tmp_path),
    ]
    result = run(*options, option, broken)
    assert (result.exit_code, "broken.file" in result.stderr) == (1, True)
    assert "Check that it is the file you meant" in result.stderr


def test_a_mistyped_record_number_is_noticed_before_anybody_is_asked(run: Run, tmp_path: Path) -> None:
    def nobody(request: httpx.Request) -> httpx.Response:
        raise AssertionError(request.url)

    client_api.Session.keywords.update(transport=httpx.MockTransport(nobody))
    result = run("dossier", "C-0000029-9", tmp_path / "dossier.zip")
    assert (result.exit_code, "record-number-invalid" in result.stderr) == (1, True)


def init(folder: Path, *options: str) -> Result:
    asked = ["--slug", "geneva", "--name", "Geneva", "--jurisdiction", "CH", "--coordinator", "https://c.example"]
    return CliRunner().invoke(main, ["--home", str(folder), *options, "init", *asked])


def test_an_institution_without_a_node_is_founded_once(tmp_path: Path) -> None:
    made = init(tmp_path / "home")
    enrolment = verify_enrolment(made.stdout.strip())
    assert (enrolment.institution, enrolment.document["roles"]) == ("geneva", ["requester"])
    assert ClientHome(tmp_path / "home").keys.load().identity.public == enrolment.identity
    again = init(tmp_path / "home")
    assert (again.exit_code, "home-taken" in again.stderr) == (1, True)


def test_keys_may_be_encrypted(tmp_path: Path) -> None:
    secret = tmp_path / "passphrase"
    secret.write_text("correct horse\n")
    assert init(tmp_path / "home", "--passphrase-file", str(secret)).exit_code == 0
    assert ClientHome(tmp_path / "home", "correct horse").keys.load()
    with pytest.raises(Refused, match="passphrase"):
        ClientHome(tmp_path / "home").keys.load()


def test_pinning_prints_whose_keys_they_are(world: World, run: Run) -> None:
    home = world.homes["long-beach"]
    keys = machine(run("pin", home.directory / "pins.json", output="json"))["keys"]
    assert home.pins.enrolment("zurich").identity.kid in keys["zurich"]
    assert home.pins.coordinator.kid in keys["coordinator"]


def test_the_command_starts_as_a_program() -> None:
    done = subprocess.run([sys.executable, "-m", "concordat.client", "--version"], capture_output=True, check=True)
    assert done.stdout.startswith(b"concordat, version")


def test_what_may_succeed_later_has_an_exit_code_of_its_own(world: World, run: Run) -> None:
    def down(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("down")

    client_api.Session.keywords.update(transport=httpx.MockTransport(down), sleep=lambda seconds: None)
    result = run("login")
    assert result.exit_code == 75
    assert "The coordinator cannot be reached." in result.stderr


def test_exactly_one_record_is_asked_for(run: Run) -> None:
    result = run("predict", "--definition", "sha256:" + "0" * 64, *ASKED, "--consent", "c")
    assert result.exit_code == 2
    assert "exactly one of --fhir, --ehr, --omop, --csv and --json" in result.stderr


def test_no_patients_id_stands_in_a_command_line(run: Run, tmp_path: Path) -> None:
    asked = ("predict", "--definition", "sha256:" + "0" * 64, *ASKED, "--consent", "c")
    (tmp_path / "patient").write_text("\n")
    for options, said in (
        (("--ehr",), "Give the patient's id in a file"),
        (("--ehr", "--patient-file", tmp_path / "patient"), "one line is expected"),
        (("--json", tmp_path / "patient", "--patient-file", tmp_path / "patient"), "--patient-file goes with --ehr"),
        (("--ehr", "p1"), "unexpected extra argument"),
    ):
        result = run(*asked, *options)
        assert (result.exit_code, said in result.stderr) == (2, True), result.stderr


@pytest.mark.parametrize("command", [[], *([name] for name in main.commands)])
def test_every_command_explains_itself(command: list[str]) -> None:
    result = CliRunner().invoke(main, [*command, "--help"])
    assert result.exit_code == 0
    assert len(result.stdout.splitlines()) > 4


def _cell(value: object) -> str:
    return str(value).upper() if isinstance(value, bool) else str(value)


def test_a_document_is_attached_to_a_study(world: World, run: Run, tmp_path: Path) -> None:
    members = {each.slug: each for each in Institution.objects.all()}
    study = Study.objects.create(slug=STUDY, title="Chest pain", institution=members["cleveland"], created=clock.now())
    study.sites.set([members["cleveland"], members["zurich"]])
    file = tmp_path / "agreement.pdf"
    file.write_bytes(b"%PDF-1.7 agreement")
    options = [STUDY, file, "--kind", "data-use-agreement"]
    attached = machine(run("study", "attach", *options, "--until", "2999-01-01", home="cleveland", output="json"))
    assert attached["digest"] == canonical.digest(file.read_bytes())
    assert (attached["institution"], attached["expires"]) == ("cleveland", "2999-01-01T23:59:59Z")
    with time_machine.travel(datetime(2090, 2, 28, 12, tzinfo=UTC)):
        later = machine(run("study", "attach", *options, "--until", "P2Y1D", home="cleveland", output="json"))
        wrong = run("study", "attach", *options, "--until", "P1H", home="cleveland")
    assert later["expires"] == "2092-02-29T23:59:59Z"
    assert (wrong.exit_code, "A duration reads like P1Y" in wrong.stderr) == (2, True)
    refused = run("study", "attach", *options, home="cleveland")
    assert (refused.exit_code, "expires" in refused.stderr) == (1, True)
    charter = run("study", "attach", STUDY, file, "--kind", "charter", "--of-the-study", home="cleveland")
    assert charter.stdout.strip() == attached["digest"]
    assert run("study", "attach", STUDY, file, "--kind", "charter", "--of-the-study", home="zurich").exit_code == 1
    file.write_bytes(b"\x7fELF")
    assert "PDF, PNG, JPEG" in run("study", "attach", *options, home="cleveland").stderr


def test_a_person_is_exported_and_then_erased(world: World, run: Run, tmp_path: Path) -> None:
    subject = uuid4()
    with transaction.atomic():
        record(
            event=Event.CONSENT_GIVEN,
            public={"study": STUDY, "institution": "long-beach", "consent": str(uuid4())},
            private={"subject": str(subject), "statement": "signed"},
            subject=subject,
        )
    file = tmp_path / "answer.json"
    assert run("subject", "export", subject, file).exit_code == 0
    (held,) = json.loads(file.read_text())["entries"]
    assert held["private"]["statement"] == "signed"
    assert file.stat().st_mode & 0o077 == 0
    account, paper = tmp_path / "account.json", tmp_path / "account.pdf"
    told = run("subject", "disclosures", subject, account, "--pdf", paper, "--since", f"{clock.now():%Y-%m-%d}")
    assert told.stdout == f"Written: {account}\nWritten: {paper}\n"
    given = canonical.decode(account.read_bytes())
    assert (given["subject"], given["erased"]) == (str(subject), None)
    assert ledger.entries(event=Event.SUBJECT_ACCOUNTED).count() == 1
    assert paper.read_bytes().startswith(b"%PDF")
    assert paper.stat().st_mode & 0o077 == 0
    too_far = run("subject", "disclosures", subject, tmp_path / "no.json", "--since", "2001-01-01")
    assert (too_far.exit_code, "Field:  since" in too_far.stderr) == (1, True)
    assert run("subject", "erase", subject, "--ground", "objection").exit_code == 1  # asked first
    erased = run("subject", "erase", subject, "--ground", "objection", "--yes")
    assert erased.stdout.startswith("Erased; recorded as C-")
    assert run("subject", "export", subject, tmp_path / "again.json").exit_code == 1
    assert run("subject", "disclosures", subject, tmp_path / "erased.json").exit_code == 0
    assert canonical.decode((tmp_path / "erased.json").read_bytes())["erased"]["ground"] == "objection"


def test_a_design_of_limes_sampler_is_made_where_the_training_data_are(run: Run, tmp_path: Path) -> None:
    schema, table, file = FOLDER / "schema.json", FOLDER / "uci_heart_4_hospitals.csv", tmp_path / "design.json"
    answer = machine(run("design", "lime-tabular", schema, table, file, "--samples", 100, "--seed", 5, output="json"))
    document = canonical.decode(file.read_bytes())
    plan = check_design(document, FeatureSchema.from_json(SCHEMA))
    assert (answer["design"], answer["seed"], answer["impossible"]) == (plan.digest, "5", "0.0000")
    assert plan.n == 99
    assert (
        "Seed 5; 0.0% of the 99 rows"
        in run("design", "lime-tabular", schema, table, tmp_path / "again.json", "--samples", 100, "--seed", 5).stdout
    )
    assert "is there already" in run("design", "lime-tabular", schema, table, file).output
    broken = tmp_path / "broken.csv"
    broken.write_text("age\n12\n")
    refused = run("design", "lime-tabular", schema, broken, tmp_path / "none.json")
    assert refused.exit_code == 1
    assert "The table has no column sex." in refused.output
