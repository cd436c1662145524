"""A result in a health record is taken back: marked as an error, and otherwise left as the server has it."""

from typing import Any

import pytest

from concordat import clock
from concordat.display import ENDINGS, RETRACTIONS
from concordat.fhir.result import own
from concordat.fhir.retraction import (
    REASONS,
    assessment_identifier,
    is_assessment,
    is_factors,
    rests_on,
    retraction_bundle,
)
from tests.support.fhir_out import NOW, PERSON, REQUEST, classes, explanation, retraction, stored

OTHER = "6f1d1f7e-2c0b-4c3e-9d56-0b7a3a9f5aff"
BASE = "https://ehr.example.org/fhir"


def entries(bundle: dict[str, Any], kind: str) -> list[dict[str, Any]]:
    return [each for each in bundle["entry"] if each["resource"]["resourceType"] == kind]


class TestWhatIsFound:
    @pytest.mark.parametrize("answer", [explanation(), classes()], ids=["one probability", "classes"])
    def test_is_every_resource_of_the_request(self, answer: Any) -> None:
        assessment, *factors = stored(answer)
        assert assessment["identifier"][0] == assessment_identifier(REQUEST)
        assert is_assessment(assessment, REQUEST)
        assert [is_factors(each, REQUEST) for each in factors] == [True] * len(factors)

    def test_is_nothing_of_another_request(self) -> None:
        assessment, factors = stored(explanation())
        assert not is_assessment(assessment, OTHER)
        assert not is_factors(factors, OTHER)
        assert not is_assessment(factors, REQUEST)

    def test_is_no_observation_that_only_bears_the_identifier(self) -> None:
        _, factors = stored(explanation())
        assert not is_factors({**factors, "code": {"coding": []}}, REQUEST)
        assert not is_factors({**factors, "identifier": [own(REQUEST, "assessment")]}, REQUEST)

    def test_is_looked_for_where_the_assessment_refers_to(self) -> None:
        said = ["Observation/r1", "Condition/c1", f"{BASE}/Observation/r2", "https://elsewhere.example/Observation/r3"]
        assessment = {"basis": [*({"reference": each} for each in said), {"display": "a value"}, "odd"]}
        assert list(rests_on(assessment, base=BASE)) == ["r1", "r2"]


class TestTakingBack:
    BUNDLE = retraction_bundle(stored(classes()), retraction())

    def test_changes_the_status_and_adds_a_note_and_nothing_else(self) -> None:
        for entry, before in zip(self.BUNDLE["entry"], stored(classes()), strict=False):
            after = dict(entry["resource"])
            note = after["note"].pop()
            assert after == {**before, "status": "entered-in-error"}
            assert note == {"time": clock.rfc3339(NOW), "text": f"Taken back. {REASONS['wrong-patient']}."}

    def test_overwrites_only_the_version_that_was_read(self) -> None:
        (how,) = [each["request"] for each in entries(self.BUNDLE, "RiskAssessment")]
        assert how == {"method": "PUT", "url": "RiskAssessment/r0", "ifMatch": 'W/"3"'}
        unversioned = [{**each, "meta": {}} for each in stored(explanation())]
        (how,) = [each["request"] for each in entries(retraction_bundle(unversioned, retraction()), "RiskAssessment")]
        assert "ifMatch" not in how, "of a server without versions none is named"

    def test_has_a_provenance_of_who_and_why(self) -> None:
        (entry,) = entries(self.BUNDLE, "Provenance")
        resource = entry["resource"]
        assert entry["request"]["url"] == f"Provenance/{resource['id']}"
        targets = [each["reference"] for each in resource["target"]]
        assert targets == ["RiskAssessment/r0", "Observation/r1", "Observation/r2", "Observation/r3"]
        assert resource["reason"][0]["coding"] == [{"system": "urn:concordat:retraction", "code": "wrong-patient"}]
        assert PERSON in resource["agent"][0]["who"]["identifier"]["value"]

    def test_of_what_was_taken_back_before_does_nothing(self) -> None:
        done = [
            entry["resource"] for entry in self.BUNDLE["entry"] if entry["resource"]["resourceType"] != "Provenance"
        ]
        assert retraction_bundle(done, retraction())["entry"] == []
        half = [done[0], *stored(classes())[1:]]
        assert len(entries(retraction_bundle(half, retraction()), "Observation")) == 3

    def test_its_provenance_is_the_same_resource_whenever_it_is_made(self) -> None:
        again = retraction_bundle(stored(classes()), retraction(why="merged"))
        assert again["entry"][-1]["request"] == self.BUNDLE["entry"][-1]["request"]


def test_what_only_ended_is_no_reason() -> None:
    """A result that was used while its consent held stays in the record of what was done."""
    assert set(REASONS) - set(RETRACTIONS) == {"model-recalled"}
    assert "consent-withdrawn" in set(ENDINGS) - set(REASONS)
