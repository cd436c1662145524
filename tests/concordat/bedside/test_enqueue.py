"""Where a record that is asked for ahead of time comes from, how urgent it may be, and what is written down of it."""

import json
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from compute.models import Job
from concordat import clock
from concordat.bedside import documents
from concordat.bedside.item import VALUES as PLAIN
from concordat.bedside.item import Item
from concordat.bedside.record import read_fhir
from concordat.client import api as client_api
from concordat.client.cli import main
from concordat.client.work import Work
from concordat.reasons import Reason, Refused
from concordat.request import peek_request
from concordat.schema import FeatureSchema
from tests.concordat.bedside.conftest import Hospital
from tests.concordat.client.conftest import FOLDER, PERSON, VALUES
from tests.concordat.client.test_cli_records import on_a_server
from tests.support import balp
from tests.support.bedside import PATIENT
from tests.support.bundles import BASE, bundle, observation, only, patient, quantity, research_subject
from tests.support.fhir_server_double import CLIENT, FhirServerDouble, fhir_server_double

Run = Callable[..., Result]
SUBJECT = "6f1d1f7e-2c0b-4c3e-9d56-0b7a3a9f5b01"
ONCE = "0b6e7f0e-6a43-4c5f-8a3b-5d1e0c9f7a29"


@pytest.fixture
def run(hospital: Hospital, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.setattr(client_api, "Session", partial(client_api.Session, transport=hospital.world.transport))
    consent = hospital.world.consent()
    fetched = documents.fetch(
        hospital.home, hospital.world.api("long-beach"), hospital.store, hospital.config["definition"]
    )
    assert not fetched.definition["emergent"]

    def invoke(*arguments: object, named: str = PATIENT, output: str = "json") -> Result:
        """With a consent of the patient, who is `named` on standard input."""
        whole = ["--home", str(hospital.home.directory), "--output", output, "bedside", "enqueue"]
        whole += ["--person", PERSON, "--consent", consent, *map(str, arguments)]
        whole += ["--patient-file", "-"] if named else []
        return CliRunner().invoke(main, whole, input=f"{named}\n")

    return invoke


def asked(hospital: Hospital, result: Result) -> Item:
    assert result.exit_code == 0, result.output
    return hospital.items.of(json.loads(result.stdout)["request"])


def refusal(result: Result) -> tuple[str, str]:
    assert result.exit_code == 1, result.output
    error = json.loads(result.stderr)["error"]
    return error["reason"], error["field"]


def audited(hospital: Hospital) -> list[dict[str, Any]]:
    file = hospital.home.audit
    return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []


@contextmanager
def at_a_server(hospital: Hospital) -> Iterator[FhirServerDouble]:
    """The Bundle's patient is `p1` at the FHIR server in ehr.json."""
    content = json.loads((FOLDER / "bundle.json").read_text())
    with fhir_server_double(hospital.home.keys.client, on_a_server(content)) as server:
        config = {"base": server.base, "token": server.token, "client": CLIENT}
        (hospital.home.directory / "ehr.json").write_text(json.dumps(config))
        yield server


class TestUrgency:
    @pytest.fixture
    def values(self, tmp_path: Path) -> tuple[object, ...]:
        (tmp_path / "values.json").write_text(json.dumps(VALUES))
        return "--json", tmp_path / "values.json", "--taken", clock.rfc3339(clock.now())

    def test_that_the_definition_does_not_allow_is_refused_at_once_and_by_its_field(
        self, hospital: Hospital, run: Run, values: tuple[object, ...]
    ) -> None:
        assert refusal(run(*values, "--urgency", "emergent")) == (Reason.EMERGENT_USE_REFUSED, "urgency")
        assert hospital.items.latest(PATIENT) is None
        assert asked(hospital, run(*values)).urgency == "routine"

    def test_that_it_allows_is_kept_and_sent(self, hospital: Hospital, run: Run, values: tuple[object, ...]) -> None:
        allow_emergent(hospital)
        routine, item = asked(hospital, run(*values)), asked(hospital, run(*values, "--urgency", "emergent"))
        assert routine.id != item.id, "how urgent it is makes it another request"
        assert asked(hospital, run(*values, "--urgency", "emergent")).id == item.id
        hospital.worker().round()  # the coordinator knows the definition as it was approved
        token = Work.of(hospital.home.work, item.id).content["token"]
        assert peek_request(token)["urgency"] == "emergent"
        assert Job.objects.get(request_uuid=item.id).reason == Reason.EMERGENT_USE_REFUSED
        question = hospital.items.ask(item, {"chol": 180.0}, once=ONCE)
        assert question.urgency == "emergent"


def allow_emergent(hospital: Hospital) -> None:
    """The definition, as the store holds it."""
    with hospital.store.write() as db:
        (content,) = db.execute("SELECT content FROM document WHERE name = 'documents'").fetchone()
        known = json.loads(content)
        known["definition"]["emergent"] = True
        db.execute("UPDATE document SET content = ? WHERE name = 'documents'", (json.dumps(known),))


class TestARecord:
    def test_comes_from_exactly_one_place(self, run: Run, tmp_path: Path) -> None:
        for options in ((), ("--ehr", "--omop", "warehouse"), ("--omop", "warehouse"), ("--ehr", "--taken", "now")):
            assert run(*options).exit_code == 2

    def test_comes_from_the_health_record_and_its_result_can_go_back(self, hospital: Hospital, run: Run) -> None:
        assert refusal(run("--ehr")) == (Reason.HOME_INCOMPLETE, "home")
        with at_a_server(hospital) as server:
            item = asked(hospital, run("--ehr", named="p1"))
            assert not [path for _, path, _ in server.seen if "p1" in path]
        assert (item.patient, item.server, item.source) == ("p1", server.base, server.base)
        assert item.taken["cp"] == "2026-03-02T08:40:00Z"
        assert "age" not in item.taken
        hospital.worker().round()
        work = Work.of(hospital.home.work, item.id)
        assert work.source == server.base
        assert work.origins["patient"] == "Patient/p1"
        assert {each["reference"] for each in work.origins["items"]} >= {f"Observation/r{number}" for number in (1, 8)}

    @pytest.mark.parametrize("status", ["withdrawn", "on-study"])
    def test_of_somebody_who_has_left_the_study_is_not_asked_about(
        self, hospital: Hospital, run: Run, status: str
    ) -> None:
        with at_a_server(hospital) as server:
            server.resources.append(research_subject(status, id="part"))
            result = run("--ehr", named="p1")
        if status == "on-study":
            assert "ResearchSubject" in json.dumps(audited(hospital))
            assert asked(hospital, result).origins["participation"] == ["ResearchSubject/part"]  # type: ignore[index]
        else:
            reason, field = refusal(result)
            assert reason == Reason.NOT_IN_STUDY
            assert field.endswith("resource.status")
            (read,) = audited(hospital)
            assert "ResearchSubject" in json.dumps(read)
            assert hospital.items.latest("p1") is None

    def test_of_somebody_whom_the_server_does_not_know_is_none(self, hospital: Hospital, run: Run) -> None:
        with at_a_server(hospital):
            assert refusal(run("--ehr", named="p3")) == (Reason.BUNDLE_INVALID, "Patient")
        assert audited(hospital) == []

    @pytest.mark.parametrize("how", ["a value is missing", "the server fails meanwhile", "it was wrong before"])
    def test_that_was_read_and_then_refused_was_read_all_the_same(self, hospital: Hospital, run: Run, how: str) -> None:
        with at_a_server(hospital) as server:
            if how == "a value is missing":
                server.resources = [each for each in server.resources if each["id"] == "p1"]
                expected = Reason.FEATURE_MISSING, "cp"
            elif how == "the server fails meanwhile":
                search = server.search
                server.search = lambda kind, form: search(kind, form) if kind == "Patient" else {}  # type: ignore[method-assign]
                expected = Reason.EHR_UNAVAILABLE, ""
            else:
                item = asked(hospital, run("--ehr", named="p1"))
                hospital.items.retract(request=item.id, why="wrong-patient")
                hospital.home.audit.unlink()
                expected = Reason.WRONG_STATE, "patient"
            error = json.loads(run("--ehr", named="p1").stderr)["error"]
            assert (error["reason"], error["field"]) == expected
            (event,) = audited(hospital)
        assert balp.profile(event) == "PatientRead"
        assert (event["action"], event["outcome"]) == ("R", "0"), "it was read"
        assert event["agent"][1]["network"]["address"] == server.base
        kinds = event["entity"][1]["what"]["display"]
        assert kinds == ("Observation, Patient" if how == "it was wrong before" else "Patient")
        assert len(event["entity"]) == 2, "there is no request"
        assert "p1" not in json.dumps(event)

    def test_comes_from_omop_tables_and_the_health_records_id_with_it(
        self, hospital: Hospital, run: Run, tmp_path: Path
    ) -> None:
        with sqlite3.connect(tmp_path / "cdm.sqlite3") as connection:
            connection.executescript((FOLDER / "omop.sql").read_text())
        source = {"url": f"sqlite:///{tmp_path}/cdm.sqlite3", "zone": "UTC"}
        source |= {"vocabularies": {"urn:concordat:heart-disease": "Heart disease"}}  # type: ignore[dict-item]
        (hospital.home.directory / "omop.json").write_text(json.dumps({"sources": {"warehouse": source}}))
        (tmp_path / "person").write_text("person_source_value=P-0001\n")
        item = asked(hospital, run("--omop", "warehouse", "--omop-person", tmp_path / "person"))
        assert (item.patient, item.source, item.server) == (PATIENT, "urn:concordat:omop:warehouse", "")
        assert item.taken["trestbps"].startswith("2026-")
        both = run("--omop", "warehouse", "--omop-person", "-", named=f"{PATIENT}\nperson_source_value=P-0001")
        assert asked(hospital, both).id == item.id
        (read, _) = audited(hospital)
        assert "urn:concordat:omop:warehouse" in json.dumps(read)
        stored = [each.read_bytes() for each in hospital.home.directory.rglob("*") if each.is_file()]
        assert not [each for each in stored if b"P-0001" in each]

    def test_that_nobody_has_consented_to_is_not_even_read(self, hospital: Hospital, run: Run) -> None:
        with at_a_server(hospital) as server:
            whole = ["--home", str(hospital.home.directory), "--output", "json", "bedside", "enqueue", "--ehr"]
            for more, expected in (([], Reason.CONSENT_MISSING), (["--consent", ONCE], Reason.CONSENT_MISSING)):
                options = ["--person", PERSON, *more, "--patient-file", "-"]
                assert refusal(CliRunner().invoke(main, [*whole, *options], input="p1")) == (expected, "consent")
            assert server.seen == []


class TestAFile:
    @pytest.mark.parametrize(
        ("written", "said"),
        [
            (b'{"resourceType": "Bundle", "entry": [], "entry": [1]}', "stands twice"),
            (b'{"resourceType": "Bundle", "total": NaN}', "NaN"),
            ('{"resourceType": "Bundle"}'.encode("utf-16"), "UTF-8"),
        ],
    )
    def test_that_can_be_read_in_two_ways_is_not_read(self, tmp_path: Path, written: bytes, said: str) -> None:
        (tmp_path / "bundle.json").write_bytes(written)
        with pytest.raises(Refused, match=said) as caught:
            read_fhir(tmp_path / "bundle.json", only("systolic"))
        assert caught.value.reason is Reason.FILE_UNREADABLE

    def test_may_begin_with_a_byte_order_mark(self, tmp_path: Path) -> None:
        content = json.dumps(bundle(observation(valueQuantity=quantity(118.5)))).encode()
        (tmp_path / "bundle.json").write_bytes(b"\xef\xbb\xbf" + content)
        assert read_fhir(tmp_path / "bundle.json", only("systolic")).values == {"systolic": 118.5}


class TestWhoseAFileIs:
    """A patient's id is one server's own: the same id is somebody else at another."""

    SCHEMA: FeatureSchema = only("systolic")

    def read(self, folder: Path, server: str, *, url: str = f"{BASE}/Patient/p1", **who: Any) -> str:
        (folder / "bundle.json").write_text(
            json.dumps(bundle(observation(subject={"reference": url}), who=patient(**who), url=url))
        )
        return read_fhir(folder / "bundle.json", self.SCHEMA, server=server).patient

    def test_is_told_by_the_health_records_own_server(self, tmp_path: Path) -> None:
        assert self.read(tmp_path, BASE) == "p1"

    @pytest.mark.parametrize("server", ["", "https://other.example.org/fhir"])
    def test_is_not_told_by_another_server(self, tmp_path: Path, server: str) -> None:
        assert self.read(tmp_path, server) == ""

    def test_is_told_by_the_id_that_the_file_itself_carries(self, tmp_path: Path) -> None:
        assert self.read(tmp_path, BASE, url=f"urn:uuid:{ONCE}") == "p1"

    def test_is_not_told_by_a_name_within_the_file(self, tmp_path: Path) -> None:
        nobody = {"resourceType": "Patient", "gender": "female", "birthDate": "1961-10-14"}
        url = f"urn:uuid:{ONCE}"
        (tmp_path / "bundle.json").write_text(
            json.dumps(bundle(observation(subject={"reference": url}), who=nobody, url=url))
        )
        assert read_fhir(tmp_path / "bundle.json", self.SCHEMA, server=BASE).patient == ""

    def test_is_for_the_hospital_to_say_where_the_file_names_somebody_elses_patient(
        self, hospital: Hospital, run: Run, tmp_path: Path
    ) -> None:
        content = json.loads((FOLDER / "bundle.json").read_text())
        text = json.dumps(content).replace(content["entry"][0]["fullUrl"], f"{BASE}/Patient/p1")
        (tmp_path / "bundle.json").write_text(text)
        with at_a_server(hospital):
            assert "--patient-file" in run("--fhir", tmp_path / "bundle.json", named="").stderr
            item = asked(hospital, run("--fhir", tmp_path / "bundle.json"))
        assert (item.patient, item.server) == (PATIENT, "")
        hospital.worker().round()
        assert Work.of(hospital.home.work, item.id).source == "", "so that its result is sent to no server"


class TestWhatIsWrittenDown:
    def test_says_who_read_what_and_whether_the_consent_permitted_it(self, hospital: Hospital, run: Run) -> None:
        with at_a_server(hospital) as server:
            item = asked(hospital, run("--ehr", named="p1"))
        (read,) = audited(hospital)
        assert balp.profile(read) == "PatientRead"
        told = json.dumps(read)
        assert server.base in told
        assert item.id in told
        assert PERSON in told
        assert "p1" not in told
        hospital.worker().round()
        hospital.worker().round()
        _, checked = audited(hospital)
        assert (balp.profile(checked), checked["outcome"]) == ("AuthZconsent", "0")

    def test_says_it_of_a_what_if_too(self, hospital: Hospital, run: Run) -> None:
        with at_a_server(hospital):
            item = asked(hospital, run("--ehr", named="p1"))
        hospital.worker().round()
        question = hospital.items.ask(item, {"chol": 180.0}, once=ONCE)
        hospital.worker()._submit(question, Work.of(hospital.home.work, item.id))  # which allows no what-if of its own
        read, _, used, checked = audited(hospital)
        assert [balp.profile(each) for each in (used, checked)] == ["PatientRead", "AuthZconsent"]
        assert question.id in json.dumps(used)
        assert (used["agent"], used["entity"][:2]) == (read["agent"], read["entity"][:2])

    def test_is_nothing_of_plain_values(self, hospital: Hospital, run: Run, tmp_path: Path) -> None:
        """As of `predict`: they are no resources that were read."""
        (tmp_path / "values.json").write_text(json.dumps(VALUES))
        options = ("--json", tmp_path / "values.json", "--taken", clock.rfc3339(clock.now()))
        assert asked(hospital, run(*options)).source == PLAIN
        assert audited(hospital) == []


def test_there_is_no_condition_as_of_the_reading(tmp_path: Path) -> None:
    """That nobody takes a medicine has no date of its own: it is so today."""
    today = clock.now().replace(hour=0, minute=0, second=0)
    (tmp_path / "bundle.json").write_text(json.dumps(bundle()))
    read = read_fhir(tmp_path / "bundle.json", only("metformin"), server=BASE)
    assert read.values == {"metformin": False}
    assert clock.parse(read.taken["metformin"]) == today
    (tmp_path / "bundle.json").write_text(json.dumps(bundle(observation(at=None))))
    with pytest.raises(Refused, match=f"^{Reason.FIELD_INVALID}:"):
        read_fhir(tmp_path / "bundle.json", only("systolic"), server=BASE)


def test_the_same_record_read_again_is_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where it says that there is none of something, which is found out anew each time."""
    (tmp_path / "bundle.json").write_text(json.dumps(bundle()))
    noon, read = clock.now().replace(hour=12), []
    for later in (timedelta(), timedelta(seconds=5)):
        monkeypatch.setattr(clock, "now", lambda moment=noon + later: moment)
        read.append(read_fhir(tmp_path / "bundle.json", only("metformin"), server=BASE))
    assert read[0].taken == read[1].taken
