"""`concordat bedside`, typed by hand."""

import json
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import click
import httpx
import pytest
from click.testing import CliRunner, Result

from compute.models import Job
from concordat import clock
from concordat.bedside.config import FILE
from concordat.bedside.receipts import Receipts
from concordat.bedside.store import FILE as STORE
from concordat.bedside.store import Store
from concordat.client import api as client_api
from concordat.client.cli import main
from concordat.client.cli.bedside import bedside
from concordat.events import Event
from ledger.models import LogEntry
from tests.concordat.bedside.conftest import Hospital
from tests.concordat.client.conftest import FOLDER, PERSON, PURPOSE, VALUES, World
from tests.support.bedside import PATIENT, Ehr, configured

Run = Callable[..., Result]
ROOT = Path(__file__).parents[3]


@pytest.fixture
def run(hospital: Hospital, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.setattr(client_api, "Session", partial(client_api.Session, transport=hospital.world.transport))

    def invoke(*arguments: object, patient: str = "", output: str = "json") -> Result:
        """A `patient` comes by standard input, as no argument may name one."""
        whole = ["--home", str(hospital.home.directory), "--output", output, "bedside", *map(str, arguments)]
        named = ["--patient-file", "-"] if patient else []
        return CliRunner().invoke(main, [*whole, *named], input=f"{patient}\n")

    return invoke


def asked(result: Result) -> str:
    assert result.exit_code == 0, result.output
    return str(json.loads(result.stdout)["request"])


@pytest.fixture
def values(tmp_path: Path) -> Path:
    file = tmp_path / "values.json"
    file.write_text(json.dumps(VALUES))
    return file


def test_a_bundle_of_another_patient_than_the_one_who_is_named_is_refused(
    hospital: Hospital, run: Run, tmp_path: Path
) -> None:
    bundle = json.loads((FOLDER / "bundle.json").read_text())
    patient = next(each["resource"] for each in bundle["entry"] if each["resource"]["resourceType"] == "Patient")
    patient["id"] = "somebody-else"
    (tmp_path / "bundle.json").write_text(json.dumps(bundle))
    options = ("--person", PERSON, "--consent", hospital.world.consent())
    result = run("enqueue", "--fhir", tmp_path / "bundle.json", *options, patient=PATIENT)
    assert (result.exit_code, json.loads(result.stderr)["error"]["field"]) == (1, "patient")
    assert hospital.items.latest(PATIENT) is None


def test_values_from_the_future_are_refused(hospital: Hospital, run: Run, values: Path) -> None:
    later = f"{clock.now() + timedelta(days=1):%Y-%m-%dT%H:%M:%SZ}"
    options = ("--person", PERSON, "--consent", hospital.world.consent())
    result = run("enqueue", "--json", values, "--taken", later, *options, patient=PATIENT)
    assert json.loads(result.stderr)["error"]["field"] == "taken"


def test_from_a_bundle_to_an_open_result(hospital: Hospital, run: Run, tmp_path: Path) -> None:
    bundle = json.loads((FOLDER / "bundle.json").read_text())
    bundle["entry"][0]["resource"]["id"] = PATIENT
    (tmp_path / "bundle.json").write_text(json.dumps(bundle))
    consent = hospital.world.consent()
    options = ("--person", PERSON, "--consent", consent, "--fhir", tmp_path / "bundle.json")
    request = asked(run("enqueue", *options))
    assert asked(run("enqueue", *options)) == request
    assert run("work", "--once").exit_code == 0
    hospital.world.compute(hospital.definition)
    assert run("work", "--once").exit_code == 0
    item = hospital.items.of(request)
    assert (item.state, item.patient) == ("open", PATIENT)
    assert item.taken["cp"] == "2026-03-02T08:40:00Z"
    assert item.oldest <= clock.parse("2026-03-02T08:40:00Z")
    assert Job.objects.count() == 1


def test_values_say_when_they_were_taken_and_whose_they_are(hospital: Hospital, run: Run, values: Path) -> None:
    ask = partial(run, "enqueue", "--person", PERSON, "--consent", hospital.world.consent(), "--json", values)
    now = clock.rfc3339(clock.now())
    assert ask(patient=PATIENT).exit_code == 2
    assert ask("--taken", now).exit_code == 2
    item = hospital.items.of(asked(ask("--taken", now, patient=PATIENT)))
    assert set(item.taken.values()) == {now}


def test_a_record_that_cannot_be_computed_on_is_refused_at_once_and_without_its_value(
    hospital: Hospital, run: Run, tmp_path: Path
) -> None:
    (tmp_path / "values.json").write_text(json.dumps(VALUES | {"trestbps": 98765}))
    result = run(
        *("enqueue", "--person", PERSON, "--consent", hospital.world.consent()),
        *("--json", tmp_path / "values.json", "--taken", clock.rfc3339(clock.now())),
        patient=PATIENT,
    )
    assert result.exit_code == 1
    assert json.loads(result.stderr)["error"]["field"] == "trestbps"
    assert "98765" not in result.output
    assert hospital.items.latest(PATIENT) is None


def test_what_is_retracted_gets_a_receipt_in_the_log_if_it_had_a_result(hospital: Hospital, run: Run) -> None:
    opened, waiting = hospital.opened(), hospital.enqueue(age=70)
    answer = json.loads(run("retract", "--why", "entered-in-error", patient=PATIENT).stdout)
    assert answer == {"retracted": [opened.id, waiting.id], "receipts": [opened.id]}
    assert json.loads(run("retract", "--why", "merged", patient=PATIENT).stdout) == answer
    run("work", "--once")
    said = Receipts(hospital.store).of(opened)
    assert [(each.decision, each.reason, each.state) for each in said] == [("retracted", "entered-in-error", "logged")]
    assert LogEntry.objects.filter(event=Event.RESULT_DISPLAYED).count() == 1


def test_a_recall_that_the_worker_has_not_heard_of_is_taken_back_by_hand(hospital: Hospital, run: Run) -> None:
    opened = hospital.opened()
    with hospital.store.write() as db:
        db.execute("UPDATE item SET source = 'https://ehr.example.org/fhir' WHERE id = ?", (opened.id,))
    told = run("retract", "--request", opened.id, "--why", "model-recalled", output="text").stdout
    assert "concordat fhir retract" in told, "the server may have it, too"
    assert [(each.decision, each.reason) for each in Receipts(hospital.store).of(opened)] == [
        ("retracted", "model-recalled")
    ]
    assert run("retract", "--request", opened.id, "--why", "consent-withdrawn").exit_code == 2


def test_a_merge_takes_both_patients_results_back(hospital: Hospital, run: Run) -> None:
    hospital.enqueue()
    hospital.enqueue("survivor", age=70)
    both = run("retract", "--into-file", "-", "--why", "merged", patient=f"{PATIENT}\nsurvivor")
    answer = json.loads(both.stdout)
    assert len(answer["retracted"]) == 2
    for patient in (PATIENT, "survivor"):
        found = hospital.items.latest(patient)
        assert found is not None
        assert found.retraction == "merged"
    assert run("retract", "--into-file", "-", "--why", "wrong-patient", patient=PATIENT).exit_code == 2
    assert run("retract", "--why", "wrong-patient").exit_code == 2
    assert run("retract", "--request", PERSON, "--why", "wrong-patient").exit_code == 1


def test_served_by_the_command_itself_on_loopback_with_no_token_in_its_output(hospital: Hospital, run: Run) -> None:
    hospital.opened()
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    address, ehr = f"http://127.0.0.1:{port}", Ehr()
    config = dict(hospital.config) | {"address": address}
    config["ehrs"] = [{"issuer": "https://ehr.example.org", "jwks": ehr.jwks, "origins": []}]
    (hospital.home.directory / FILE).write_text(json.dumps(config))
    command = [sys.executable, "-m", "concordat.client", "--home", str(hospital.home.directory)]
    with subprocess.Popen(
        [*command, "bedside", "serve"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, cwd=ROOT
    ) as process:
        try:
            link = json.loads(run("link", patient=PATIENT).stdout)["link"]
            page = _until_answered(link)
            assert page.status_code == 303
            assert httpx.get(f"{address}/cds-services").status_code == 401
        finally:
            process.terminate()
            output = process.communicate(timeout=20)[0].decode()
    assert link.rsplit("/", 1)[1] not in output
    assert PATIENT not in output


def test_it_says_so_when_it_listens_where_its_address_does_not_lead(hospital: Hospital) -> None:
    (hospital.home.directory / FILE).write_text(json.dumps(hospital.config))
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "concordat.client", "--home", str(hospital.home.directory)]
    with subprocess.Popen(
        [*command, "bedside", "serve", "--port", str(port)], stderr=subprocess.PIPE, text=True, cwd=ROOT
    ) as process:
        assert process.stderr
        assert f"http://127.0.0.1:8460 leads to port 8460, and this listens on {port}." in process.stderr.readline()
        process.terminate()


def test_killed_in_the_middle_of_a_write_the_store_is_whole(hospital: Hospital) -> None:
    script = (
        "import os, sys; from pathlib import Path; from concordat.bedside.store import Store\n"
        "with Store(Path(sys.argv[1])).write() as db:\n"
        "    db.execute(\"INSERT INTO document VALUES ('half', 'done')\"); os.kill(os.getpid(), 9)\n"
    )
    ended = subprocess.run([sys.executable, "-c", script, str(hospital.home.directory)], cwd=ROOT, check=False)
    assert ended.returncode == -9
    with Store(hospital.home.directory).read() as db:
        assert db.execute("SELECT count(*) FROM document WHERE name = 'half'").fetchone()[0] == 0
        assert db.execute("PRAGMA integrity_check").fetchone()[0] == "ok"
    assert (hospital.home.directory / STORE).exists()


def test_the_small_client_needs_neither_django_nor_torch_for_it() -> None:
    script = (
        "import sys, concordat.bedside.app, concordat.bedside.worker, concordat.client.cli\n"
        "print([name for name in ('django', 'torch', 'celery', 'web3') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "[]"


class TestAPatientsId:
    """Everybody on a machine reads the arguments of everybody's processes."""

    def test_is_no_argument_of_any_command(self) -> None:
        options = {option for each in bedside.commands.values() for one in each.params for option in one.opts}
        assert options >= {"--patient-file", "--into-file"}
        assert not options & {"--patient", "--into"}
        assert not [one for each in bedside.commands.values() for one in each.params if isinstance(one, click.Argument)]

    def test_comes_from_a_file_too(self, hospital: Hospital, run: Run, tmp_path: Path) -> None:
        item = hospital.opened()
        (tmp_path / "patient").write_text(f"{PATIENT}\n")
        answer = json.loads(run("forget", "--yes", "--patient-file", tmp_path / "patient").stdout)
        assert answer == {"forgotten": [item.id]}

    def test_that_is_missing_is_asked_for_and_never_taken_for_everybody(self, hospital: Hospital, run: Run) -> None:
        item = hospital.opened()
        for arguments in (["forget", "--yes"], ["retract", "--why", "merged"], ["link"]):
            result = run(*arguments)
            assert result.exit_code == 2
            assert "--patient-file" in result.stderr
        (empty := hospital.home.directory / "empty").write_text("\n")
        assert run("forget", "--yes", "--patient-file", empty).exit_code == 2
        assert hospital.items.of(item.id) == item

    def test_is_not_deleted_without_a_word(self, hospital: Hospital, run: Run) -> None:
        item = hospital.opened()
        result = run("forget", patient=PATIENT)
        assert result.exit_code == 1
        assert hospital.items.of(item.id) == item


def _until_answered(link: str) -> Any:
    until = time.monotonic() + timedelta(seconds=20).total_seconds()
    while time.monotonic() < until:
        try:
            return httpx.get(link, follow_redirects=False)
        except httpx.ConnectError:
            time.sleep(0.1)
    raise AssertionError("nobody answers")


def test_what_is_forgotten_is_in_no_byte_of_the_store(hospital: Hospital, run: Run) -> None:
    item = hospital.opened("needle-patient")
    question = hospital.items.ask(item, {"chol": 180.0}, once="0b6e7f0e-6a43-4c5f-8a3b-5d1e0c9f7a29")
    Receipts(hospital.store).note(item, template="t", rendered="needle-text", viewer="clinician", decision="shown")
    kept = hospital.enqueue(age=70)
    answer = json.loads(run("forget", "--yes", patient="needle-patient").stdout)
    assert answer == {"forgotten": [question.id, item.id]}
    files = list(hospital.home.directory.glob(f"{STORE}*"))
    assert files
    assert not any(b"needle" in file.read_bytes() or item.id.encode() in file.read_bytes() for file in files)
    assert hospital.items.of(kept.id) == kept
    assert json.loads(run("forget", "--yes", patient="needle-patient").stdout) == {"forgotten": []}


def test_a_model_of_several_classes_is_refused_before_anything_is_asked_or_served(
    world: World, away: None, values: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever writes it into bedside.json is told so, and by which field, at the first command that asks."""
    definition = world.agree("mlp-classes", budgets={"jobs_a_day": 10, "jobs": 100, "scalars": 9999})
    home = world.homes["long-beach"]
    configured(home, definition.digest, PURPOSE)
    monkeypatch.setattr(client_api, "Session", partial(client_api.Session, transport=world.transport))
    asking = ("enqueue", "--person", PERSON, "--json", str(values), "--taken", clock.rfc3339(clock.now()))
    for arguments in (
        (*asking, "--patient-file", "-"),
        ("work", "--once"),
        ("serve",),
        ("link", "--patient-file", "-"),
    ):
        whole = ["--home", str(home.directory), "--output", "json", "bedside", *arguments]
        result = CliRunner().invoke(main, whole, input=PATIENT)
        assert result.exit_code == 1, result.output
        error = json.loads(result.stderr)["error"]
        assert (error["reason"], error["field"]) == ("kind-not-allowed", "definition")
        assert "several classes" in error["detail"]
    assert not Job.objects.exists()
