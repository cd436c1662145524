"""The way from a FHIR server and back, against one that is not ours (`tests/support/fhir_server.py`).

What it does otherwise than the standards, or leaves out, is said by the tests of that name; those of
`tests/concordat/client/test_ehr.py` hold the client to the standards there.
"""

# ruff: noqa: F401, F811  (fixtures of other modules)
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from joserfc.jwk import ECKey

from concordat import clock
from concordat.client.ehr import READ, Ehr
from concordat.client.governance import CheckedDefinition
from concordat.fhir import read_bundle
from concordat.fhir.result import result_bundle
from concordat.fhir.statements import VERIFICATION
from concordat.reasons import Reason
from concordat.schema import FeatureSchema
from tests.concordat.bedside.test_watch import Ward, link
from tests.concordat.bedside.test_watch import resources as at_the_ward
from tests.concordat.client.conftest import FOLDER, PERSON, Run, World, agreed, away, machine, run, stage, stages, world
from tests.concordat.client.test_cli import ASKED, give_consent
from tests.concordat.client.test_cli_records import on_a_server
from tests.concordat.client.test_ehr import NOW, PARTICIPANT, SCHEMA, refusal, resources
from tests.support import fhir_out
from tests.support.bundles import code, observation, research_study, research_subject
from tests.support.bundles import patient as person
from tests.support.fhir_server import CLIENT, RETRACT, WRITE, FhirServer, fhir_server

pytestmark = pytest.mark.full

KEY = ECKey.generate_key("P-384", auto_kid=True)
HEART = FeatureSchema.from_json(json.loads((FOLDER / "schema.json").read_text()))
RESULT = result_bundle(fhir_out.explanation(), fhir_out.about())


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FhirServer]:
    """With the patients of `test_ehr`, p1 and p2."""
    with fhir_server(tmp_path_factory.mktemp("fhir"), KEY) as found:
        found.put(resources())
        yield found


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FhirServer]:
    """As it comes; its tokens last for two seconds, and it answers with absolute references, as some servers do."""
    settings = {"server_auth": {"token_lifetime": 2}, "server_behaviour": {"absolute_references": True}}
    with fhir_server(tmp_path_factory.mktemp("fhir"), KEY, listed=(), **settings) as found:
        found.config["subjects"] = False
        found.put(resources())
        yield found


def signed_in(server: FhirServer, scopes: str = READ, **options: Any) -> Ehr:
    key = options.pop("key", KEY)
    return Ehr(server.config, key, scopes=scopes, **options)


def read(server: FhirServer, patient: str, schema: FeatureSchema, **more: Any) -> Any:
    """As if it was read then: how old somebody is, is told by when."""
    with signed_in(server) as ehr:
        found = ehr.patient(patient, schema)
    return read_bundle({**found, "timestamp": clock.rfc3339(NOW)}, schema, now=NOW, **more)


class TestReading:
    def test_finds_components_statements_and_the_medications_that_they_name(self, server: FhirServer) -> None:
        """By `combo-code`, `code` and `_include`, each in the body of a POST to `_search`."""
        values = read(server, "p1", SCHEMA).values
        assert values == {"age": 64, "systolic": 118.0, "diabetes": True, "metformin": True}
        others = read(server, "p2", SCHEMA).values
        assert (others["diabetes"], others["metformin"], others["systolic"] == 118) == (None, False, False)

    def test_finds_the_same_by_absolute_references(self, plain: FhirServer) -> None:
        with signed_in(plain) as ehr:
            found = ehr.patient("p1", SCHEMA)
        subjects = [each["resource"].get("subject", {}).get("reference") for each in found["entry"]]
        assert f"{plain.base}/Patient/p1" in subjects
        assert read_bundle(found, SCHEMA, now=NOW).values["systolic"] == 118

    def test_goes_on_over_every_page(self, server: FhirServer) -> None:
        """We ask for 200 at a time."""
        mine = {"subject": {"reference": "Patient/many"}}
        numbered = [
            {**observation(at=f"2025-{1 + n // 28:02}-{1 + n % 28:02}", **mine), "id": f"many{n}"} for n in range(230)
        ]
        server.put([person(id="many"), *numbered])
        with signed_in(server) as ehr:
            found = ehr.patient("many", SCHEMA)["entry"]
        assert {each["resource"]["id"] for each in found} == {"many", *(f"many{n}" for n in range(230))}

    def test_reads_the_example_as_its_file_is_read(self, server: FhirServer) -> None:
        content = json.loads((FOLDER / "bundle.json").read_text())
        mine = [{**each, "id": f"heart-{each['id']}"} for each in on_a_server(content)]
        for each in mine[1:]:
            each["subject"] = {"reference": "Patient/heart-p1"}
        server.put(mine)
        assert read(server, "heart-p1", HEART).values == read_bundle(content, HEART, now=NOW).values

    def test_of_a_patient_who_is_not_there_finds_nobody(self, server: FhirServer) -> None:
        assert refusal(lambda: read(server, "p3", SCHEMA)).field == "Patient"


class TestResearchSubjects:
    def test_come_with_their_studies(self, server: FhirServer) -> None:
        """By `individual`, and `_include`."""
        study = {"reference": "ResearchStudy/study"}
        someone = {"individual": {"reference": "Patient/left"}, "study": study}
        left = research_subject("withdrawn", "2025", "2025-06", id="gone", **someone)
        server.put([person(id="left"), research_study(id="study"), left])
        asked = refusal(lambda: read(server, "left", SCHEMA, participant=PARTICIPANT))
        assert asked.reason is Reason.NOT_IN_STUDY
        server.put([research_subject(start="2025-07", id="back", **someone)])
        reading = read(server, "left", SCHEMA, participant=PARTICIPANT)
        assert set(reading.participation) == {"ResearchSubject/gone", "ResearchSubject/back"}
        assert read(server, "p1", SCHEMA, participant=PARTICIPANT).participation == ()

    def test_that_it_cannot_search_for_refuse_the_record(self, plain: FhirServer) -> None:
        """As it comes, it passes over the search parameter, and says so."""
        with Ehr({**plain.config, "subjects": True}, KEY, scopes=READ) as ehr:
            assert refusal(lambda: ehr.patient("p1", SCHEMA)).field == "ResearchSubject"


class TestSigningIn:
    def test_with_another_key_or_name_is_refused(self, server: FhirServer) -> None:
        with signed_in(server, key=ECKey.generate_key("P-384", auto_kid=True)) as ehr:
            assert refusal(lambda: ehr.patient("p1", SCHEMA)).detail == "The server answered 401."
        with Ehr({**server.config, "client": "somebody"}, KEY, scopes=READ) as ehr:
            assert refusal(lambda: ehr.patient("p1", SCHEMA)).reason is Reason.EHR_REFUSED

    def test_for_scopes_that_it_is_not_allowed_is_refused(self, server: FhirServer) -> None:
        with signed_in(server, "system/Encounter.read") as ehr:
            assert refusal(lambda: ehr.patient("p1", SCHEMA)).detail == "The server answered 400."

    def test_for_too_few_scopes_reads_nothing(self, server: FhirServer) -> None:
        with signed_in(server, "system/Patient.read system/Condition.read") as ehr:
            refused = refusal(lambda: ehr.patient("p1", SCHEMA))
        assert (refused.reason, refused.detail) == (Reason.EHR_REFUSED, "The server answered 403.")

    def test_is_done_again_when_the_token_has_expired(self, plain: FhirServer) -> None:
        with signed_in(plain) as ehr:
            ehr.patient("p1", SCHEMA)
            ehr._http.auth._until = float("inf")  # type: ignore[union-attr]  # as if the clocks differed
            token = ehr._http.auth._token  # type: ignore[union-attr]
            time.sleep(2.1)
            said = httpx.get(f"{plain.base}/Patient/p1", headers={"Authorization": f"Bearer {token}"})
            assert said.json()["issue"][0]["code"] == "expired"
            assert ehr.patient("p1", SCHEMA)["entry"]


class TestWriting:
    def written(self, server: FhirServer) -> list[str]:
        """Where what was made of the request is."""
        return [
            f"{each['resourceType']}/{each['id']}"
            for kind in ("RiskAssessment", "Observation")
            for entry in RESULT["entry"]
            if entry["resource"]["resourceType"] == kind
            for each in server.resources(kind)
            if entry["resource"]["identifier"][0] in each.get("identifier", [])
        ]

    def test_twice_has_it_there_once(self, server: FhirServer) -> None:
        with signed_in(server, WRITE) as ehr:
            first, again = ehr.write(RESULT), ehr.write(RESULT)
        places = [each.removeprefix(f"{server.base}/").partition("/_history")[0] for each in first]
        assert [each.partition("/_history")[0] for each in again] == [f"{server.base}/{each}" for each in places]
        assert self.written(server) == places[:2]
        (provenance,) = server.resources("Provenance", target=places[0])
        assert provenance["id"] == RESULT["entry"][2]["resource"]["id"]
        assert [each["reference"] for each in provenance["target"]] == places[:2]
        (assessment,) = server.resources("RiskAssessment")
        assert assessment["basis"][-1]["reference"] == places[1], "what names another of the Bundle names it there"

    def test_what_is_broken_is_refused_and_nothing_of_it_is_there(self, server: FhirServer) -> None:
        """That it validates: else none of these tests would say anything of what is written."""
        about = fhir_out.about(request="0b6e7f0e-6a43-4c5f-8a3b-5d1e0c9f7a29")
        bundle = result_bundle(fhir_out.explanation(), about)
        before = len(server.resources("Observation")), len(server.resources("Provenance"))
        del bundle["entry"][2]["resource"]["target"]
        with signed_in(server, WRITE) as ehr:
            assert refusal(lambda: ehr.write(bundle)).detail == "The server answered 400."
        assert (len(server.resources("Observation")), len(server.resources("Provenance"))) == before
        broken = {**observation(), "status": "no-status", "valueQuantity": {"value": "high"}}
        told = server.http.post("Observation", json=broken)
        assert told.status_code == 400
        assert "Observation.valueQuantity" in told.text

    def test_without_the_scope_is_refused(self, server: FhirServer) -> None:
        with signed_in(server) as ehr:
            assert refusal(lambda: ehr.write(RESULT)).detail == "The server answered 403."


class TestTakingBack:
    def test_overwrites_nothing_that_was_changed_since_it_was_read(self, server: FhirServer) -> None:
        """Of a transaction in which one version is another by now, nothing is done."""
        about = fhir_out.about(request="2f6e7f0e-6a43-4c5f-8a3b-5d1e0c9f7a2b")
        sent = [entry["resource"] for entry in result_bundle(fhir_out.explanation(), about)["entry"][:2]]
        with signed_in(server, RETRACT) as ehr:
            ehr.write(result_bundle(fhir_out.explanation(), about))

            def there() -> list[dict[str, Any]]:
                found = [ehr.identified(each["resourceType"], each["identifier"][0]) for each in sent]
                return [each for some in found for each in some]

            found = there()
            assert [each["resourceType"] for each in found] == ["RiskAssessment", "Observation"]
            server.put([found[1]])
            bundle = fhir_out.taken_back(found, request=about.request)
            assert refusal(lambda: ehr.write(bundle)).reason is Reason.EHR_REFUSED
            assert [each["status"] for each in there()] == ["final", "final"]
            bundle = fhir_out.taken_back(there(), request=about.request)
            assert len(ehr.write(bundle)) == 3
            assert [each["status"] for each in there()] == ["entered-in-error"] * 2

    def test_without_the_scope_to_find_it_is_refused(self, server: FhirServer) -> None:
        (assessment, *_) = [entry["resource"] for entry in RESULT["entry"]]
        with signed_in(server, WRITE) as ehr:
            refused = refusal(lambda: ehr.identified("RiskAssessment", assessment["identifier"][0]))
        assert refused.reason is Reason.EHR_REFUSED


class TestWhatThisServerDoesOtherwise:
    def test_it_wants_more_than_a_scope_for_each_type_that_is_written(self, server: FhirServer) -> None:
        """So `ehr.json` has to name another scope. SMART says nothing of transactions."""
        each = "system/RiskAssessment.write system/Observation.write system/Provenance.write"
        with signed_in(server, each) as ehr:
            assert refusal(lambda: ehr.write(RESULT)).detail == "The server answered 403."

    def test_as_it_comes_it_knows_no_risk_assessment_by_its_identifier(self, plain: FhirServer) -> None:
        """R4 lists that search parameter, and a conditional create needs it. Nothing is half written for that."""
        with signed_in(plain, WRITE) as ehr:
            assert refusal(lambda: ehr.write(RESULT)).reason is Reason.EHR_REFUSED
        assert plain.resources("RiskAssessment") == plain.resources("Provenance") == []

    def test_its_next_pages_name_the_patient_in_their_address(self, server: FhirServer) -> None:
        """Where the next page is, the server says: what we asked for in a body, it may put into an address."""
        form = {"patient": "Patient/p1", "_count": "1"}
        page = server.http.post("Observation/_search", data=form).json()
        (following,) = [each["url"] for each in page["link"] if each["relation"] == "next"]
        assert "p1" in following


class TestTheWatch:
    @pytest.fixture
    def ward(self, tmp_path: Path) -> Iterator[tuple[Ward, FhirServer]]:
        ward = Ward(tmp_path / "home")
        with fhir_server(tmp_path / "fhir", ward.home.keys.client) as found:
            found.put(at_the_ward())
            ward.at(found)  # type: ignore[arg-type]
            yield ward, found

    def test_sees_a_merge_and_what_was_entered_in_error(self, ward: tuple[Ward, FhirServer]) -> None:
        there, server = ward
        first, second = there.asked(), there.asked("p2")
        assert there.retraction(first) == there.items.of(second.id).retraction == ""
        server.put([person(id="p2", active=False, link=link("replaced-by", "Patient/p9"))])
        there.due_again()
        assert there.retraction(second) == "merged"
        assert there.items.of(first.id).retraction == ""
        (found,) = [each for each in server.resources("Condition") if each["id"] == "c1"]
        found.pop("clinicalStatus", None)  # as R4's rule con-5 says
        server.put([{**found, "verificationStatus": code(VERIFICATION, "entered-in-error")}])
        there.due_again()
        assert there.retraction(first) == "entered-in-error"
        with signed_in(server, key=there.home.keys.client) as ehr:
            states = {each["id"]: each.get("active") for each in ehr.named("Patient", ["p1", "p2", "p9"])}
        assert states == {"p1": None, "p2": False}


@pytest.mark.django_db
def test_a_record_comes_from_it_and_the_result_goes_back(
    world: World, agreed: CheckedDefinition, run: Run, tmp_path: Path
) -> None:
    home, consent = world.homes["long-beach"], give_consent(run, tmp_path)
    (key,) = json.loads(run("fhir", "jwks").stdout)["keys"]
    (tmp_path / "patient").write_text("p1\n")
    options = ["predict", "--definition", agreed.digest, *ASKED, "--consent", consent, "--ehr", "--no-wait"]
    with fhir_server(tmp_path / "fhir", ECKey.import_key(key)) as server:
        server.put(on_a_server(json.loads((FOLDER / "bundle.json").read_text())))
        (home.directory / "ehr.json").write_text(json.dumps(server.config))
        asked = machine(run(*options, "--patient-file", tmp_path / "patient", output="json"))
        world.compute(agreed)
        assert run("watch", asked["request"]).exit_code == 0
        machine(run("open", asked["request"], "--viewer", "clinician", output="json"))
        for _ in range(2):
            machine(run("fhir", "send", asked["request"], output="json"))
        (assessment,) = server.resources("RiskAssessment", identifier=f"urn:ietf:rfc:3986|urn:uuid:{asked['request']}")
        (provenance,) = server.resources("Provenance", target=f"RiskAssessment/{assessment['id']}")
        take_back = ["fhir", "retract", asked["request"], "--why", "wrong-patient", "--person", PERSON]
        assert len(machine(run(*take_back, output="json"))["retracted"]) == 3
        assert machine(run(*take_back, output="json")) == {"retracted": []}
        (marked,) = server.resources("RiskAssessment", identifier=f"urn:ietf:rfc:3986|urn:uuid:{asked['request']}")
        (factors,) = [each for each in server.resources("Observation") if "document-kind" in json.dumps(each["code"])]
        others = {each["status"] for each in server.resources("Observation") if each["id"] != factors["id"]}
        provenances = server.resources("Provenance", target=f"RiskAssessment/{assessment['id']}")
    assert assessment["subject"]["reference"] == "Patient/p1"
    assert {f"Observation/r{number}" for number in range(1, 9)} <= {each["reference"] for each in assessment["basis"]}
    assert provenance["meta"]["versionId"] == "2", "sent again, it is the same one, in another version"
    assert marked["status"] == factors["status"] == "entered-in-error"
    assert others == {"final"}
    assert {name: said for name, said in marked.items() if name not in ("meta", "status", "note")} == {
        name: said for name, said in assessment.items() if name not in ("meta", "status", "note")
    }
    assert sorted("reason" in each for each in provenances) == [False, True]
