"""What was written of a result to a FHIR server is taken back by `concordat fhir retract`; the server is a double."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from concordat.bedside.items import Items
from concordat.bedside.store import Store
from concordat.client.ehr import RETRACT
from concordat.client.governance import CheckedDefinition
from concordat.client.home import ClientHome
from concordat.client.work import Work
from tests.concordat.client.conftest import FOLDER, PERSON, Run, World, machine
from tests.concordat.client.test_cli import ASKED, give_consent, on_a_server
from tests.support import balp
from tests.support.fhir_server_double import CLIENT, FhirServerDouble, fhir_server_double


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


class TestTakingBackWhatWasWritten:
    def test_marks_it_as_an_error_and_says_who_and_why(self, sent: Sent) -> None:
        assert sent.refused("fhir", "retract", sent.request, "--why", "merged", "--person", PERSON)["reason"] == (
            "not-found"
        ), "nothing was written yet"
        machine(sent.run("fhir", "send", sent.request, output="json"))
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

    def test_is_audited_without_a_value_and_given_again_does_nothing(self, sent: Sent) -> None:
        machine(sent.run("fhir", "send", sent.request, output="json"))
        machine(sent.take_back())
        event = json.loads(sent.home.audit.read_text().splitlines()[-1])
        assert (balp.profile(event), balp.violations(event)) == ("PatientUpdate", [])
        assert PERSON in json.dumps(event)
        audited, there = sent.home.audit.read_text(), list(sent.server.resources)
        assert machine(sent.take_back("merged")) == {"retracted": []}
        assert (sent.home.audit.read_text(), sent.server.resources) == (audited, there)

    def test_leaves_the_record_that_it_was_computed_from_as_it_is(self, sent: Sent) -> None:
        machine(sent.run("fhir", "send", sent.request, output="json"))
        inputs = [each for each in sent.server.resources if each["id"][0] == "r"]
        machine(sent.take_back())
        assert [each for each in sent.server.resources if each["id"][0] == "r"] == inputs

    def test_means_that_it_is_neither_shown_nor_written_again(self, sent: Sent, tmp_path: Path) -> None:
        machine(sent.run("fhir", "send", sent.request, output="json"))
        machine(sent.take_back())
        for command in (
            ["open", sent.request, "--viewer", "clinician"],
            ["fhir", "send", sent.request],
            ["fhir", "result", sent.request, tmp_path / "result.json"],
            ["what-if", sent.request, "trestbps=120"],
        ):
            error = sent.refused(*command)
            assert (error["reason"], error["field"]) == ("wrong-state", "request")
            assert "taken back in the health record" in error["detail"]

    def test_waits_until_the_bedside_has_taken_it_back(self, sent: Sent) -> None:
        machine(sent.run("fhir", "send", sent.request, output="json"))
        items = sent.at_the_bedside()
        error = sent.refused("fhir", "retract", sent.request, "--why", "wrong-patient", "--person", PERSON)
        assert "concordat bedside retract" in error["detail"]
        assert {each["status"] for each in sent.of("RiskAssessment")} == {"final"}
        items.retract(request=sent.request, why="wrong-patient")
        assert len(machine(sent.take_back())["retracted"]) == 3

    def test_overwrites_nothing_that_was_changed_meanwhile(self, sent: Sent, monkeypatch: pytest.MonkeyPatch) -> None:
        machine(sent.run("fhir", "send", sent.request, output="json"))
        searched, server = sent.server.search, sent.server

        def changed_after(kind: str, form: dict[str, str]) -> dict[str, Any]:
            answer = searched(kind, form)
            server.resources = [
                each | {"meta": {"versionId": "9"}} if each["resourceType"] == kind else each
                for each in server.resources
            ]
            return answer

        with monkeypatch.context() as patch:
            patch.setattr(server, "search", changed_after)
            error = sent.refused("fhir", "retract", sent.request, "--why", "merged", "--person", PERSON)
        assert (error["reason"], "412" in error["detail"]) == ("ehr-refused", True)
        assert {each["status"] for each in sent.of("RiskAssessment")} == {"final"}
        machine(sent.run("open", sent.request, "--viewer", "clinician", output="json"))
        assert len(machine(sent.take_back())["retracted"]) == 3

    def test_through_trouble_is_done_once(self, sent: Sent) -> None:
        machine(sent.run("fhir", "send", sent.request, output="json"))
        sent.server.troubles = [(503, {"Retry-After": "0"}), (502, {})]
        machine(sent.take_back())
        assert [each["meta"]["versionId"] for each in sent.of("RiskAssessment")] == ["2"]

    def test_is_only_done_at_the_server_that_the_record_came_from(self, sent: Sent) -> None:
        config = json.loads((sent.home.directory / "ehr.json").read_text())
        other = config | {"base": "https://elsewhere.example.org/fhir"}
        (sent.home.directory / "ehr.json").write_text(json.dumps(other))
        error = sent.refused("fhir", "retract", sent.request, "--why", "merged", "--person", PERSON)
        assert (error["reason"], error["field"]) == ("wrong-state", "request")

    def test_is_listed_with_what_was_sent_and_what_the_bedside_says(self, sent: Sent) -> None:
        def listed() -> list[dict[str, Any]]:
            found: list[dict[str, Any]] = machine(sent.run("fhir", "written", output="json"))["written"]
            return found

        assert listed() == []
        machine(sent.run("fhir", "send", sent.request, output="json"))
        (first,) = listed()
        assert (first["request"], first["definition"]) == (sent.request, sent.definition)
        assert (first["bedside"], first["taken_back"]) == ("", "")
        machine(sent.run("fhir", "send", sent.request, output="json"))
        assert listed() == [first]
        sent.at_the_bedside().retract(request=sent.request, why="merged")
        machine(sent.take_back("merged"))
        assert listed() == [first | {"bedside": "merged", "taken_back": "merged"}]
        assert "merged" in sent.run("fhir", "written").stdout

    def test_what_may_have_been_written_is_listed_and_taken_back_too(
        self, sent: Sent, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The answer was lost, or the command was killed."""
        sent.server.troubles = [(500, {})]
        assert sent.run("fhir", "send", sent.request).exit_code != 0
        assert machine(sent.run("fhir", "written", output="json"))["written"] == [], "the look before it failed"
        write = sent.server.transaction

        def lost(bundle: dict[str, Any]) -> dict[str, Any]:
            write(bundle)
            return {"resourceType": "Bundle"}

        with monkeypatch.context() as patch:
            patch.setattr(sent.server, "transaction", lost)
            assert sent.run("fhir", "send", sent.request).exit_code != 0
        assert len(machine(sent.run("fhir", "written", output="json"))["written"]) == 1
        assert len(machine(sent.take_back())["retracted"]) == 3

    def test_for_what_only_ended_is_no_option(self, sent: Sent) -> None:
        assert sent.take_back("consent-withdrawn").exit_code == 2
