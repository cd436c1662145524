"""What was written of a result to a FHIR server is taken back by `concordat fhir retract`; the server is a double."""

import json
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest

from concordat import clock
from concordat.bedside.items import Items
from concordat.bedside.store import Store
from concordat.client import predict
from concordat.client.ehr import RETRACT, Ehr
from concordat.client.governance import CheckedDefinition
from concordat.client.home import ClientHome
from concordat.client.work import Work
from concordat.reasons import Reason
from tests.concordat.client.conftest import FOLDER, PERSON, Run, World, machine
from tests.concordat.client.test_cli import ASKED, give_consent
from tests.concordat.client.test_cli_records import on_a_server
from tests.support import balp
from tests.support.fhir_server_double import CLIENT, FhirServerDouble, fhir_server_double

ONCE = "0b6e7f0e-6a43-4c5f-8a3b-5d1e0c9f7a29"


@dataclass
class Sent:
    """A result that stands at a FHIR server, in the home's own words."""

    server: FhirServerDouble
    home: ClientHome
    request: str
    run: Run
    definition: str

    def of(self, kind: str) -> list[dict[str, Any]]:
        """What was written of this type; the Observations of the record are others."""
        return [each for each in self.server.resources if each["resourceType"] == kind and each["id"][0] != "r"]

    def listed(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = machine(self.run("fhir", "written", output="json"))["written"]
        return found

    def state(self) -> str:
        (found,) = self.listed()
        return str(found["state"])

    def question(self) -> Work:
        """What was asked about the record, as if it had been answered with the same."""
        work, question = Work.of(self.home.work, self.request), Work(self.home.work / ONCE)
        shutil.copytree(work.folder, question.folder)
        content = work.content | {"request": ONCE, "about": self.request}
        (question.folder / "request.json").write_text(json.dumps(content))
        return question

    def question_written(self) -> None:
        """It was sent, too: the server has resources of its own of it."""
        sent = []
        for each in (*self.of("RiskAssessment"), *self.of("Observation")):
            identifier = {"system": "urn:ietf:rfc:3986", "value": f"urn:uuid:{uuid4()}"}
            own = f"q{uuid4().hex}"  # with r begin the record's
            self.server.resources.append(each | {"id": own, "identifier": [identifier]})
            sent.append({"type": each["resourceType"], "identifier": identifier})
        content = json.dumps({"since": clock.rfc3339(clock.now()), "resources": sent})
        self.question().folder.joinpath("written").write_text(content)

    def at_the_bedside(self) -> Items:
        """The bedside in the home knows it, too."""
        items, work = Items(Store(self.home.directory), self.definition), Work.of(self.home.work, self.request)
        record = {"values": work.content["values"], "taken": {}, "person": PERSON, "consent": "", "subject": ""}
        items.put(patient="p1", request=self.request, **record)
        return items

    def take_back(self, why: str = "wrong-patient", **options: Any) -> Any:
        return self.run("fhir", "retract", self.request, "--why", why, "--person", PERSON, output="json", **options)

    def refused(self, *command: object) -> dict[str, Any]:
        result = self.run(*command, output="json")
        error: dict[str, Any] = json.loads(result.stderr)["error"]
        assert result.exit_code == 1
        return error


@pytest.fixture
def sent(world: World, agreed: CheckedDefinition, run: Run, tmp_path: Path) -> Iterator[Sent]:
    home, consent = world.homes["long-beach"], give_consent(run, tmp_path)
    content = on_a_server(json.loads((FOLDER / "bundle.json").read_text()))
    (tmp_path / "patient").write_text("p1\n")
    options = ["--definition", agreed.digest, *ASKED, "--consent", consent, "--ehr", "--no-wait"]
    with fhir_server_double(home.keys.client, content) as server:
        config = {"base": server.base, "token": server.token, "client": CLIENT}
        (home.directory / "ehr.json").write_text(json.dumps(config))
        asked = machine(run("predict", *options, "--patient-file", tmp_path / "patient", output="json"))["request"]
        world.compute(agreed)
        assert run("watch", asked).exit_code == 0
        machine(run("open", asked, "--viewer", "clinician", output="json"))
        yield Sent(server, home, asked, run, agreed.digest)


def marked(sent: Sent) -> set[str]:
    return {each["status"] for each in (*sent.of("RiskAssessment"), *sent.of("Observation"))}


def events(sent: Sent) -> list[str]:
    return [balp.profile(json.loads(line)) for line in sent.home.audit.read_text().splitlines()]


class TestTakingBackWhatWasWritten:
    @pytest.fixture(autouse=True)
    def _written(self, sent: Sent) -> None:
        machine(sent.run("fhir", "send", sent.request, output="json"))

    def test_marks_it_as_an_error_and_says_who_and_why(self, sent: Sent) -> None:
        before = {each["id"]: each for each in (*sent.of("RiskAssessment"), *sent.of("Observation"))}
        told = machine(sent.take_back())
        assert len(told["retracted"]) == 3
        after = [*sent.of("RiskAssessment"), *sent.of("Observation")]
        assert len(after) == len(before) == 2
        for each in after:
            assert each["status"] == "entered-in-error"
            assert "another patient's values" in each["note"][-1]["text"]
            same = each | {"status": "final", "note": each["note"][:-1], "meta": {"versionId": "1"}}
            assert same == before[each["id"]]
        (provenance,) = [each for each in sent.of("Provenance") if "reason" in each]
        targets = {each["reference"].partition("/")[2] for each in provenance["target"]}
        assert targets == set(before)
        assert len(sent.of("Provenance")) == 2, "of who computed it stays"
        assert sent.server.given[-1] == set(RETRACT.split())

    def test_leaves_every_digit_of_a_decimal(self, sent: Sent) -> None:
        """How many there are says how precise it is, whoever put it there; some are more than a float has."""
        numbers = ["1.50", "0.1234567890123456789", "12345678901234567.8", "1E+400", "-0.0"]
        there = [{"url": "urn:example", "valueDecimal": Decimal(number)} for number in numbers]
        (assessment,) = sent.of("RiskAssessment")
        sent.server.resources.remove(assessment)
        sent.server.resources.append(assessment | {"extension": there})
        machine(sent.take_back())
        (after,) = sent.of("RiskAssessment")
        assert after["status"] == "entered-in-error"
        assert [str(each["valueDecimal"]) for each in after["extension"]] == numbers

    def test_is_audited_without_a_value(self, sent: Sent) -> None:
        machine(sent.take_back())
        *_, looked, updated = [json.loads(line) for line in sent.home.audit.read_text().splitlines()]
        assert [balp.profile(each) for each in (looked, updated)] == ["PatientRead", "PatientUpdate"]
        assert balp.violations(looked) == balp.violations(updated) == []
        assert PERSON in json.dumps(updated)
        assert updated["entity"][1]["what"]["display"] == "Observation, RiskAssessment"

    def test_given_again_does_nothing_and_for_another_reason_is_refused(self, sent: Sent) -> None:
        machine(sent.take_back())
        there = list(sent.server.resources)
        assert machine(sent.take_back()) == {"retracted": []}
        error = sent.refused("fhir", "retract", sent.request, "--why", "merged", "--person", PERSON)
        assert (error["reason"], error["field"]) == ("wrong-state", "why")
        assert sent.server.resources == there
        assert events(sent).count("PatientUpdate") == 1
        assert Work.of(sent.home.work, sent.request).taken_back == {"why": "wrong-patient", "done": True}

    def test_reads_and_changes_nothing_of_the_record_that_it_was_computed_from(self, sent: Sent) -> None:
        inputs = [each for each in sent.server.resources if each["id"][0] == "r"]
        begun = len(sent.server.seen)
        machine(sent.take_back())
        assert [each for each in sent.server.resources if each["id"][0] == "r"] == inputs
        assert all("identifier" in form for _, path, form in sent.server.seen[begun:] if path.endswith("_search"))

    @pytest.mark.parametrize(
        "changes",
        [{"basis": []}, {"basis": [{"reference": "https://public.example.org/fhir/Observation/1"}]}, {"code": {}}],
        ids=["no basis", "elsewhere", "another code"],
    )
    def test_finds_it_whatever_the_hospital_made_of_it(self, sent: Sent, changes: dict[str, Any]) -> None:
        ours = {each["id"] for each in (*sent.of("RiskAssessment"), *sent.of("Observation"))}
        sent.server.resources = [each | changes if each["id"] in ours else each for each in sent.server.resources]
        machine(sent.take_back())
        assert marked(sent) == {"entered-in-error"}

    def test_says_what_of_it_the_server_does_not_find(self, sent: Sent) -> None:
        (assessment,) = sent.of("RiskAssessment")
        sent.server.resources.remove(assessment)
        error = sent.refused("fhir", "retract", sent.request, "--why", "wrong-patient", "--person", PERSON)
        assert error["reason"] == "not-found"
        assert f"RiskAssessment {assessment['identifier'][0]['value']}" in error["detail"]
        assert marked(sent) == {"entered-in-error"}, "the rest is taken back"
        assert sent.state() == "begun"

    def test_means_that_it_is_neither_shown_nor_written_again(self, sent: Sent, tmp_path: Path) -> None:
        """Nor is what was asked about its record, sent or not."""
        sent.question().folder.joinpath("written").unlink()
        machine(sent.take_back())
        for command in (
            ["open", sent.request, "--viewer", "clinician"],
            ["open", ONCE, "--viewer", "clinician"],
            ["fhir", "send", sent.request],
            ["fhir", "result", sent.request, tmp_path / "result.json"],
            ["what-if", sent.request, "trestbps=120"],
        ):
            error = sent.refused(*command)
            assert (error["reason"], error["field"]) == ("wrong-state", "request")
            assert "taken back in the health record" in error["detail"]

    def test_takes_what_was_asked_about_it_along(self, sent: Sent) -> None:
        sent.question_written()
        assert len(machine(sent.take_back())["retracted"]) == 6
        assert marked(sent) == {"entered-in-error"}
        assert "taken back in the health record" in sent.refused("open", ONCE, "--viewer", "clinician")["detail"]

    @pytest.mark.parametrize("lost", ["a part of it", "all of it"])
    def test_does_so_though_the_server_does_not_find_it_any_more(self, sent: Sent, lost: str) -> None:
        gone = [*sent.of("RiskAssessment"), *(sent.of("Observation") if lost == "all of it" else [])]
        sent.question_written()
        for each in gone:
            sent.server.resources.remove(each)
        error = sent.refused("fhir", "retract", sent.request, "--why", "wrong-patient", "--person", PERSON)
        assert [each["identifier"][0]["value"] in error["detail"] for each in gone] == [True] * len(gone)
        assert marked(sent) == {"entered-in-error"}
        assert Work(sent.home.work / ONCE).taken_back == {"why": "wrong-patient", "done": True}

    def test_does_so_though_only_that_was_sent(self, sent: Sent) -> None:
        sent.question_written()
        Work.of(sent.home.work, sent.request).folder.joinpath("written").unlink()
        assert len(machine(sent.take_back())["retracted"]) == 3
        for command in (["open", sent.request, "--viewer", "clinician"], ["fhir", "send", sent.request]):
            assert sent.refused(*command)["reason"] == "wrong-state", "nor is the record's own result shown"

    def test_waits_until_the_bedside_has_taken_it_back(self, sent: Sent) -> None:
        items = sent.at_the_bedside()
        error = sent.refused("fhir", "retract", sent.request, "--why", "model-recalled", "--person", PERSON)
        assert f"concordat bedside retract --request {sent.request}" in error["detail"]
        assert marked(sent) == {"final"}
        items.retract(request=sent.request, why="model-recalled")
        assert len(machine(sent.take_back("model-recalled"))["retracted"]) == 3

    def test_does_not_wait_for_a_bedside_that_never_shows_it(self, sent: Sent) -> None:
        items = sent.at_the_bedside()
        items.failed(items.of(sent.request), Reason.MODEL_RECALLED)
        assert len(machine(sent.take_back("model-recalled"))["retracted"]) == 3

    def test_overwrites_nothing_that_was_changed_meanwhile(self, sent: Sent, monkeypatch: pytest.MonkeyPatch) -> None:
        searched, server = sent.server.search, sent.server

        def changed_after(kind: str, form: dict[str, str]) -> dict[str, Any]:
            answer = searched(kind, form)
            server.resources = [
                each | {"meta": {"versionId": str(uuid4().int)}} if each["resourceType"] == kind else each
                for each in server.resources
            ]
            return answer

        with monkeypatch.context() as patch:
            patch.setattr(server, "search", changed_after)
            error = sent.refused("fhir", "retract", sent.request, "--why", "merged", "--person", PERSON)
        assert (error["reason"], "412" in error["detail"]) == ("ehr-refused", True)
        assert (marked(sent), sent.state()) == ({"final"}, "begun")
        assert "PatientUpdate" not in events(sent)
        assert "merged" in sent.refused("open", sent.request, "--viewer", "clinician")["detail"], "nor is it shown"
        assert len(machine(sent.take_back("wrong-patient"))["retracted"]) == 3, "nothing was done for that reason"
        assert sent.state() == "done"

    def test_by_somebody_else_meanwhile_is_not_called_ours(self, sent: Sent, monkeypatch: pytest.MonkeyPatch) -> None:
        searched, server = sent.server.search, sent.server

        def marked_after(kind: str, form: dict[str, str]) -> dict[str, Any]:
            answer = searched(kind, form)
            other = {"meta": {"versionId": str(uuid4().int)}, "status": "entered-in-error"}
            server.resources = [each | other if each["resourceType"] == kind else each for each in server.resources]
            return answer

        with monkeypatch.context() as patch:
            patch.setattr(server, "search", marked_after)
            assert machine(sent.take_back()) == {"retracted": []}
        assert (marked(sent), sent.state()) == ({"entered-in-error"}, "done")
        assert "PatientUpdate" not in events(sent)

    @pytest.mark.parametrize("number", ["1E+9999999999999999999", "1" * 5000])
    def test_of_a_number_that_cannot_be_read_is_refused(
        self, sent: Sent, monkeypatch: pytest.MonkeyPatch, number: str
    ) -> None:
        odd = json.dumps({"resourceType": "Bundle", "entry": [], "total": 0})[:-1] + f', "number": {number}}}'
        response = httpx.Response(200, content=odd.encode(), request=httpx.Request("POST", sent.server.base))
        with monkeypatch.context() as patch:
            patch.setattr(httpx.Client, "request", lambda *_, **__: response)
            result = sent.run("fhir", "retract", sent.request, "--why", "merged", "--person", PERSON, output="json")
        assert json.loads(result.stderr)["error"]["reason"] == "ehr-unavailable"

    def test_of_two_versions_in_one_answer_is_refused(self, sent: Sent, monkeypatch: pytest.MonkeyPatch) -> None:
        searched = sent.server.search

        def twice(kind: str, form: dict[str, str]) -> dict[str, Any]:
            answer = searched(kind, form)
            older = [{"resource": each["resource"] | {"meta": {"versionId": "0"}}} for each in answer["entry"]]
            return answer | {"entry": answer["entry"] + older}

        with monkeypatch.context() as patch:
            patch.setattr(sent.server, "search", twice)
            assert sent.take_back().exit_code == 75
        assert marked(sent) == {"final"}

    def test_that_breaks_off_leaves_an_audit_of_what_was_read(
        self, sent: Sent, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        before, searched = len(events(sent)), sent.server.search

        def only_assessments(kind: str, form: dict[str, str]) -> dict[str, Any]:
            return searched(kind, form) | ({"entry": []} if kind == "Observation" else {})

        with monkeypatch.context() as patch:
            patch.setattr(sent.server, "search", only_assessments)
            assert sent.take_back().exit_code == 1
        assert events(sent)[before:] == ["PatientRead"]
        looked = json.loads(sent.home.audit.read_text().splitlines()[-1])
        assert looked["entity"][1]["what"]["display"] == "RiskAssessment"

    def test_through_trouble_is_done_once(self, sent: Sent) -> None:
        sent.server.troubles = [(503, {"Retry-After": "0"}), (502, {})]
        machine(sent.take_back())
        assert [each["meta"]["versionId"] for each in sent.of("RiskAssessment")] == ["2"]

    @pytest.mark.parametrize("answer", ["cut", {}, {"entry": [{"response": "200 OK"}] * 3}], ids=str)
    def test_is_done_though_the_answer_is_lost(
        self, sent: Sent, monkeypatch: pytest.MonkeyPatch, answer: str | dict[str, Any]
    ) -> None:
        write = sent.server.transaction

        def lost(bundle: dict[str, Any]) -> dict[str, Any]:
            write(bundle)
            if isinstance(answer, str):
                raise ConnectionAbortedError
            return {"resourceType": "Bundle", **answer}

        with monkeypatch.context() as patch:
            patch.setattr(sent.server, "transaction", lost)
            told = machine(sent.take_back())["retracted"]
        assert [place.partition("/")[0] for place in told] == ["RiskAssessment", "Observation"], "what was looked at"
        assert len(sent.of("Provenance")) == 2
        assert [each["meta"]["versionId"] for each in sent.of("RiskAssessment")] == ["2"]
        assert (sent.state(), events(sent).count("PatientUpdate")) == ("done", 1)

    def test_killed_after_the_server_has_done_it_goes_on_where_it_was(
        self, sent: Sent, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def killed(*_: object) -> None:
            raise KeyboardInterrupt

        write = sent.server.transaction
        with monkeypatch.context() as patch:
            patch.setattr(Ehr, "write", lambda ehr, bundle: killed(write(bundle)))
            assert sent.take_back().exit_code == 130
        assert (marked(sent), sent.state()) == ({"entered-in-error"}, "begun")
        sent.refused("open", sent.request, "--viewer", "clinician")
        assert machine(sent.take_back()) == {"retracted": []}
        assert (sent.state(), events(sent).count("PatientUpdate")) == ("done", 1)

    def test_of_what_somebody_else_has_marked_changes_nothing_and_says_nothing(self, sent: Sent) -> None:
        ours = {each["id"] for each in (*sent.of("RiskAssessment"), *sent.of("Observation"))}
        sent.server.resources = [
            each | {"status": "entered-in-error"} if each["id"] in ours else each for each in sent.server.resources
        ]
        assert machine(sent.take_back()) == {"retracted": []}
        assert "PatientUpdate" not in events(sent)
        assert len(sent.of("Provenance")) == 1
        sent.refused("open", sent.request, "--viewer", "clinician")

    def test_of_what_is_half_marked_audits_the_other_half(self, sent: Sent) -> None:
        (assessment,) = sent.of("RiskAssessment")
        sent.server.resources.remove(assessment)
        sent.server.resources.append(assessment | {"status": "entered-in-error"})
        assert len(machine(sent.take_back())["retracted"]) == 2
        event = json.loads(sent.home.audit.read_text().splitlines()[-1])
        assert (balp.profile(event), event["entity"][1]["what"]["display"]) == ("PatientUpdate", "Observation")

    def test_what_is_not_ours_is_not_touched_whatever_the_server_answers(
        self, sent: Sent, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        searched = sent.server.search
        (assessment,) = sent.of("RiskAssessment")
        foreign = [
            assessment | {"resourceType": "Patient", "id": "p1"},
            assessment | {"resourceType": "Anna Muster 1950", "id": "p1"},
            assessment | {"id": "../Patient/p1"},
            assessment | {"id": "other", "identifier": [{"system": "urn:other", "value": "1"}]},
            {"resourceType": "RiskAssessment"},
        ]

        def more(kind: str, form: dict[str, str]) -> dict[str, Any]:
            answer = searched(kind, form)
            answer["entry"] += [{"resource": each} for each in foreign] * 2 + answer["entry"]
            return answer

        with monkeypatch.context() as patch:
            patch.setattr(sent.server, "search", more)
            assert len(machine(sent.take_back())["retracted"]) == 3
        assert "Muster" not in sent.home.audit.read_text()

    def test_is_only_done_at_the_server_that_the_record_came_from(self, sent: Sent) -> None:
        config = json.loads((sent.home.directory / "ehr.json").read_text())
        other = config | {"base": "https://elsewhere.example.org/fhir"}
        (sent.home.directory / "ehr.json").write_text(json.dumps(other))
        error = sent.refused("fhir", "retract", sent.request, "--why", "merged", "--person", PERSON)
        assert (error["reason"], error["field"]) == ("wrong-state", "request")

    def test_for_what_only_ended_is_no_option(self, sent: Sent) -> None:
        assert sent.take_back("consent-withdrawn").exit_code == 2


class TestWhatIsTakenBackWhileACommandWaits:
    """For the log, or for the health record; each of them may take its time."""

    @pytest.fixture
    def _meanwhile(self, sent: Sent, monkeypatch: pytest.MonkeyPatch) -> None:
        def opened(*arguments: Any, **options: Any) -> Any:
            sent.at_the_bedside().retract(request=sent.request, why="wrong-patient")
            return open_result(*arguments, **options)

        open_result = predict.open_result
        monkeypatch.setattr(predict, "open_result", opened)

    @pytest.mark.usefixtures("_meanwhile")
    def test_is_not_shown(self, sent: Sent) -> None:
        assert "another patient's values" in sent.refused("open", sent.request, "--viewer", "clinician")["detail"]

    @pytest.mark.usefixtures("_meanwhile")
    def test_is_not_written_to_a_file(self, sent: Sent, tmp_path: Path) -> None:
        error = sent.refused("fhir", "result", sent.request, tmp_path / "result.json")
        assert (error["reason"], (tmp_path / "result.json").exists()) == ("wrong-state", False)

    @pytest.mark.usefixtures("_meanwhile")
    def test_is_not_sent(self, sent: Sent) -> None:
        assert sent.refused("fhir", "send", sent.request)["reason"] == "wrong-state"
        assert (sent.of("RiskAssessment"), sent.listed()) == ([], [])

    def test_is_not_sent_though_only_the_last_look_tells(self, sent: Sent, monkeypatch: pytest.MonkeyPatch) -> None:
        commands = sys.modules["concordat.client.cli.fhir"]
        found = commands._check_not_wrong

        def looked(ehr: Ehr, work: Work) -> None:
            found(ehr, work)
            sent.at_the_bedside().retract(request=sent.request, why="wrong-patient")

        monkeypatch.setattr(commands, "_check_not_wrong", looked)
        assert sent.refused("fhir", "send", sent.request)["reason"] == "wrong-state"
        assert (sent.of("RiskAssessment"), sent.listed()) == ([], [])


class TestWhatWasWritten:
    def test_is_listed_with_what_became_of_it(self, sent: Sent) -> None:
        assert sent.listed() == []
        assert sent.refused("fhir", "retract", sent.request, "--why", "merged", "--person", PERSON)["reason"] == (
            "not-found"
        )
        machine(sent.run("fhir", "send", sent.request, output="json"))
        (first,) = sent.listed()
        assert (first["request"], first["definition"]) == (sent.request, sent.definition)
        assert (first["bedside"], first["taken_back"], first["state"]) == ("", "", "")
        machine(sent.run("fhir", "send", sent.request, output="json"))
        assert sent.listed() == [first]
        sent.at_the_bedside().retract(request=sent.request, why="merged")
        machine(sent.take_back("merged"))
        assert sent.listed() == [first | {"bedside": "merged", "taken_back": "merged", "state": "done"}]
        assert "merged" in sent.run("fhir", "written").stdout

    def test_may_have_been_written_though_the_answer_was_lost(
        self, sent: Sent, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        sent.server.troubles = [(500, {})]
        assert sent.run("fhir", "send", sent.request).exit_code != 0
        assert sent.listed() == [], "the look before it failed"
        write = sent.server.transaction

        def lost(bundle: dict[str, Any]) -> dict[str, Any]:
            write(bundle)
            return {"resourceType": "Bundle"}

        with monkeypatch.context() as patch:
            patch.setattr(sent.server, "transaction", lost)
            assert sent.run("fhir", "send", sent.request).exit_code != 0
        assert len(sent.listed()) == 1
        assert len(machine(sent.take_back())["retracted"]) == 3
