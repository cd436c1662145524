"""What goes out in FHIR: valid R4, complete, by stable names, and with nothing that does not belong there."""

import base64
import json
from pathlib import Path

import pytest
from fhir.resources.R4B import get_fhir_model_class
from hypothesis import given, settings
from hypothesis import strategies as st

from concordat import protocol
from concordat.fhir import capability, names, reader
from concordat.fhir.result import result_bundle
from concordat.fhir.task import STATUS
from concordat.reasons import Reason
from concordat.states import AVAILABLE, JobState, ended
from tests.support import fhir_out
from tests.support.fhir_out import REQUEST, about, classes, everything, explanation, factor, job

ROOT = Path(__file__).parents[3]
PROTOCOL = protocol.check(json.loads((ROOT / "examples/heart_disease/protocol.json").read_text()))
ALL = everything(PROTOCOL)


def walk(value):
    yield value
    for each in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from walk(each)


def ids(resource):
    return resource["resourceType"]


def resources(bundle, kind):
    return [each["resource"] for each in bundle["entry"] if each["resource"]["resourceType"] == kind]


def extensions(element):
    return {each["url"].rpartition(":")[2]: each for each in element["extension"]}


@pytest.mark.parametrize("resource", ALL, ids=ids)
class TestEveryResource:
    def test_is_what_the_classes_of_R4B_accept(self, resource):
        get_fhir_model_class(resource["resourceType"]).model_validate(resource)

    @pytest.mark.full
    def test_is_valid_by_R4s_own_schema(self, resource):
        assert fhir_out.errors(resource) == []

    def test_uses_no_name_of_ours_that_is_not_documented(self, resource):
        documented = {f"urn:concordat:{name}" for name in (*names.SYSTEMS, *names.EXTENSIONS)} | {"urn:concordat:file"}
        used = {each for each in walk(resource) if isinstance(each, str) and each.startswith("urn:concordat:")}
        assert used <= documented

    def test_is_of_a_type_that_the_capability_statement_names(self, resource):
        kinds = {each["resource"]["resourceType"] for each in resource.get("entry", [])} or {resource["resourceType"]}
        assert kinds <= set(capability.WRITTEN) | {"CapabilityStatement"}


@pytest.mark.full
def test_the_schema_finds_what_is_wrong():
    assert fhir_out.errors({**job(JobState.FINAL), "status": "maybe"})
    assert fhir_out.errors({**job(JobState.FINAL), "unknown": 1})
    broken = result_bundle(explanation(), about())
    broken["entry"][1]["resource"]["status"] = 3
    assert fhir_out.errors(broken)


class TestAResult:
    BUNDLE = result_bundle(explanation(), about())

    def test_says_the_probability_as_a_percentage(self):
        (assessment,) = resources(self.BUNDLE, "RiskAssessment")
        (prediction,) = assessment["prediction"]
        assert prediction["probabilityDecimal"] == pytest.approx(100 * explanation().probability, abs=1e-4)
        assert prediction["outcome"] == {"text": "Whether a coronary artery is narrowed."}

    def test_rests_on_the_resources_that_were_used_and_on_no_other(self):
        (assessment,) = resources(self.BUNDLE, "RiskAssessment")
        factors = [
            entry["fullUrl"] for entry in self.BUNDLE["entry"] if entry["resource"]["resourceType"] == "Observation"
        ]
        known = [each.get("reference") for each in assessment["basis"]]
        assert known == ["Observation/r1", "Condition/c1", None, *factors]
        (observation,) = resources(self.BUNDLE, "Observation")
        assert [each["type"] for each in observation["derivedFrom"]] == ["Observation", "Observation"]

    def test_has_a_component_for_each_factor(self):
        (observation,) = resources(self.BUNDLE, "Observation")
        pressure, cholesterol, *fit = observation["component"]
        said = extensions(pressure)
        assert pressure["valueQuantity"]["value"] == 0.53
        assert pressure["valueQuantity"]["unit"] == "log-odds"
        ends = said["factor-interval"]["valueRange"]
        assert (ends["low"]["value"], ends["high"]["value"]) == (0.43, 0.63)
        assert said["factor-value"]["valueString"] == "144 mmHg"
        assert [each["code"] for each in pressure["code"]["coding"]] == ["8480-6", "trestbps"]
        assert extensions(cholesterol)["factor-imputed"]["valueBoolean"] is True
        assert [each["code"]["coding"][0]["code"] for each in fit] == ["adjusted-r-squared", "reliable", "impossible"]

    def test_of_several_classes_has_them_all(self):
        bundle = result_bundle(classes(), about())
        (assessment,) = resources(bundle, "RiskAssessment")
        told = [(each["outcome"]["text"], each["probabilityDecimal"]) for each in assessment["prediction"]]
        assert told == [("healthy", 60.0), ("ill", 30.0), ("very ill", 10.0)]
        found = [each["code"]["coding"][1]["code"] for each in resources(bundle, "Observation")]
        assert found == ["healthy", "ill", "very ill"]

    def test_whose_explanation_is_unreliable_gives_no_factor_as_the_reason(self):
        (assessment,) = resources(result_bundle(explanation(reliable=False), about()), "RiskAssessment")
        assert "UNRELIABLE" in assessment["prediction"][0]["rationale"]
        assert "raises" not in assessment["prediction"][0]["rationale"]

    def test_is_vouched_for_by_every_signature(self):
        (provenance,) = resources(self.BUNDLE, "Provenance")
        signed = [
            (each["who"]["identifier"]["value"], base64.b64decode(each["data"])) for each in provenance["signature"]
        ]
        assert signed == [("long-beach", b"e30.e30.c2ln"), ("cleveland", b"e30.e30.YQ"), ("notary", b"e30.e30.Yg")]
        (log,) = provenance["extension"]
        said = {each["url"]: next(value for name, value in each.items() if name != "url") for each in log["extension"]}
        assert said == {"origin": "concordat.example.org/log", "entry": 42, "size": 50}
        targets = {each["reference"] for each in provenance["target"]}
        assert targets == {entry["fullUrl"] for entry in self.BUNDLE["entry"]} - {self.BUNDLE["entry"][-1]["fullUrl"]}

    def test_has_the_same_names_whenever_it_is_written_so_that_no_server_has_it_twice(self):
        assert result_bundle(explanation(), about()) == self.BUNDLE
        other = result_bundle(explanation(), about(request="0b6e7f0e-6a43-4c5f-8a3b-5d1e0c9f7a21"))
        assert not {each["fullUrl"] for each in other["entry"]} & {each["fullUrl"] for each in self.BUNDLE["entry"]}
        for entry in self.BUNDLE["entry"]:
            how = entry["request"]
            assert how["method"] == "PUT" or how["ifNoneExist"].startswith("identifier=urn:ietf:rfc:3986|urn:uuid:")

    def test_names_the_patient_where_the_record_came_from_a_server_and_by_pseudonym_always(self):
        (assessment,) = resources(self.BUNDLE, "RiskAssessment")
        assert assessment["subject"]["reference"] == "Patient/p1"
        (other,) = resources(result_bundle(explanation(), about(patient="urn:uuid:x")), "RiskAssessment")
        assert "reference" not in other["subject"]
        assert assessment["subject"]["identifier"] == other["subject"]["identifier"]

    @settings(deadline=None)
    @given(st.floats(-30, 30), st.floats(-5, 5), st.booleans())
    def test_is_valid_for_any_numbers(self, prediction, coefficient, imputed):
        told = explanation(prediction=prediction, factors=(factor("x", coefficient, imputed=imputed),))
        bundle = result_bundle(told, about())
        json.loads(json.dumps(bundle, allow_nan=False))
        (assessment,) = resources(bundle, "RiskAssessment")
        assert 0 <= assessment["prediction"][0]["probabilityDecimal"] <= 100
        for resource in (each["resource"] for each in bundle["entry"]):
            get_fhir_model_class(resource["resourceType"]).model_validate(resource)


class TestAJob:
    def test_has_a_status_in_every_state(self):
        assert set(STATUS) == set(JobState)

    def test_is_completed_exactly_where_its_result_can_be_opened(self):
        assert {state for state, status in STATUS.items() if status == "completed"} == AVAILABLE

    @pytest.mark.parametrize("state", [state for state in JobState if ended(state)])
    def test_that_has_ended_without_a_result_says_so(self, state):
        assert STATUS[state] in ("rejected", "failed", "cancelled")

    def test_says_why_it_ended_and_in_which_state_it_is(self):
        refused = job(JobState.REFUSED, reason=Reason.CONSENT_WITHDRAWN)
        assert refused["statusReason"]["text"] == "The person has withdrawn consent."
        assert refused["businessStatus"]["coding"][0]["code"] == "refused"
        assert "output" not in refused
        assert job(JobState.FINAL)["output"][0]["valueIdentifier"]["value"] == "C-0000042-3"


class TestAuditEvents:
    def test_name_persons_by_pseudonym_and_hold_no_value(self):
        for event in fhir_out.audits():
            assert fhir_out.SUBJECT in json.dumps(event)
            assert not {"valueQuantity", "valueString", "query", "detail"} & {
                name for each in walk(event) if isinstance(each, dict) for name in each
            }

    def test_say_whether_a_consent_permitted_it(self):
        _, permitted, denied, _ = fhir_out.audits()
        assert (permitted["outcome"], denied["outcome"]) == ("0", "8")

    def test_have_what_the_profiles_of_BALP_ask_for(self):
        read, checked, _, disclosed = fhir_out.audits()
        for event, needed in ((read, {"110152", "110153", "IRCP"}), (disclosed, {"110152", "110153", "IRCP"})):
            assert {agent["type"]["coding"][0]["code"] for agent in event["agent"]} == needed
            assert [agent["requestor"] for agent in event["agent"]].count(True) == 1
            assert event["entity"][0]["role"]["code"] == "1"
        assert [entity["type"]["code"] for entity in read["entity"]] == ["1", "2", "XrequestId"]
        for event in (checked, disclosed):
            (ours,) = [each for each in event["agent"] if each["type"]["coding"][0]["code"] in ("authserver", "110153")]
            assert ours["who"] == event["source"]["observer"]
        assert {agent["type"]["coding"][0]["code"] for agent in checked["agent"]} == {
            "110150",
            "IRCP",
            "PROV",
            "authserver",
        }
        assert checked["entity"][1]["what"]["identifier"]["value"] == f"urn:uuid:{REQUEST}"


def test_the_capability_statement_names_what_is_read_and_written_and_nothing_else():
    listed = {each["type"]: each["documentation"] for each in capability.capability_statement()["rest"][0]["resource"]}
    assert set(capability.READ) == {*reader.READ, "Consent"}
    assert {kind for kind, said in listed.items() if "Read:" in said} == set(capability.READ)
    assert {kind for kind, said in listed.items() if "Written:" in said} == set(capability.WRITTEN)


def test_a_name_that_is_not_documented_cannot_be_used():
    with pytest.raises(ValueError, match="not documented"):
        names.system("invented")
