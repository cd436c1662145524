"""What goes out in FHIR: valid R4, complete, by stable names, and with nothing that does not belong there."""

import base64
import copy
import json
from pathlib import Path

import pytest
from fhir.resources.R4B import get_fhir_model_class
from hypothesis import given
from hypothesis import strategies as st

from concordat import protocol
from concordat.fhir import audit, capability, names, reader
from concordat.fhir.result import result_bundle
from concordat.fhir.task import STATUS
from concordat.reasons import Reason
from concordat.states import AVAILABLE, JobState, ended
from tests.support import balp, fhir_out
from tests.support.fhir_out import about, classes, everything, explanation, factor, job

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
        documented = {f"urn:concordat:{name}" for name in (*names.SYSTEMS, *names.EXTENSIONS)} | {
            "urn:concordat:file",
            "urn:concordat:omop:warehouse",
        }
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
        assert [each["outcome"] for each in fhir_out.audits() if balp.profile(each) == "AuthZconsent"] == ["0", "8"]

    def test_say_it_where_no_resource_was_used(self):
        assert fhir_out.audits()[1]["entity"][1]["what"] == {"type": "Bundle", "display": audit.NONE}

    def test_say_that_no_request_came_of_a_read(self):
        read, *_, refused, _ = fhir_out.audits()
        assert {**refused, "entity": []} == {**read, "entity": [], "agent": refused["agent"]}
        assert [each["type"]["code"] for each in refused["entity"]] == ["1", "2"]
        assert [each["type"]["code"] for each in read["entity"]] == ["1", "2", "XrequestId"]

    def test_are_what_their_profiles_of_BALP_ask_for(self):
        """Each of the profiles that the table has is written."""
        assert {balp.profile(each) for each in fhir_out.audits()} == set(balp.PROFILES)
        assert [each for event in fhir_out.audits() for each in balp.violations(event)] == []

    @pytest.mark.parametrize("event", fhir_out.audits(), ids=balp.profile)
    def test_are_not_any_more_without_anything_that_is_needed(self, event):
        rules = balp.PROFILES[balp.profile(event)]
        for name in rules.needed:
            assert balp.violations({each: said for each, said in event.items() if each != name}), name
        for name, slices in (("agent", rules.agents), ("entity", rules.entities)):
            for number, part in enumerate(event[name]):
                less = {**event, name: [*event[name][:number], *event[name][number + 1 :]]}
                known = [each for each in slices.values() if each.kind in balp.codes(part["type"])]
                assert bool(balp.violations(less)) is any(each.least for each in known)
                for path in {path.split(".")[0] for each in known for path in each.needed}:
                    bare = {each: said for each, said in part.items() if each != path}
                    assert balp.violations({**less, name: [*less[name], bare]})

    @pytest.mark.parametrize(
        ("place", "change", "said"),
        [
            (0, lambda event: event["agent"].append(event["agent"][0]), "agent:client: 2 of them"),
            (0, lambda event: event["entity"].append(event["entity"][0]), "entity:patient: 2 of them"),
            (0, lambda event: event["entity"].append(event["entity"][1]), "entity:data: 2 of them"),
            (0, lambda event: event["agent"][2].update(network={"address": "localhost"}), "agent:user.network"),
            (0, lambda event: event["agent"][2].update(requestor=False), "agent:user.requestor"),
            (0, lambda event: event.update(outcome="8"), "outcome"),
            (0, lambda event: event["entity"][0]["what"].update(type="Group"), "entity:patient.what"),
            (3, lambda event: event["agent"][3].update(who={"display": "another"}), "agent:authorizer.who"),
            (3, lambda event: event["agent"][2].update(name="Cleveland"), "agent:userorg.name"),
            (3, lambda event: event["entity"].append({"type": {"code": "9"}}), "entity: of no slice"),
            (3, lambda event: event.update(modifierExtension=[]), "modifierExtension"),
            (5, lambda event: event["source"].update(observer={"display": "another"}), "agent:source.who"),
            (5, lambda event: event["subtype"].append(event["subtype"][0]), "subtype"),
        ],
    )
    def test_are_held_against_slices_and_invariants(self, place, change, said):
        event = copy.deepcopy(fhir_out.audits()[place])
        change(event)
        (found,) = balp.violations(event)
        assert found.startswith(said)


def test_the_capability_statement_names_what_is_read_and_written_and_nothing_else():
    listed = {each["type"]: each["documentation"] for each in capability.capability_statement()["rest"][0]["resource"]}
    assert set(capability.READ) == {*reader.READ, "Consent"}
    assert {kind for kind, said in listed.items() if "Read:" in said} == set(capability.READ)
    assert {kind for kind, said in listed.items() if "Written:" in said} == set(capability.WRITTEN)


def test_a_name_that_is_not_documented_cannot_be_used():
    with pytest.raises(ValueError, match="not documented"):
        names.system("invented")
