"""A result in a health record is taken back: marked as an error, and otherwise left as the server has it."""

import base64
from typing import Any

import pytest

from concordat import clock
from concordat.display import BY_HAND, ENDINGS, RETRACTIONS
from concordat.fhir.retraction import bears, read_retraction
from concordat.reasons import Reason, Refused
from concordat.signatures import SigningKey, keyring
from tests.support.fhir_out import KEY, NOW, PERSON, REQUEST, SUBJECT, classes, explanation, stored, taken_back

LONG_BEACH = {"system": "urn:concordat:institution", "value": "long-beach"}
IDENTIFIER = {"system": "urn:ietf:rfc:3986", "value": f"urn:uuid:{REQUEST}"}
RESOURCE: dict[str, Any] = {"resourceType": "RiskAssessment", "id": "a1", "identifier": [IDENTIFIER]}
GENERATED = {"status": "generated", "div": "<div>final</div>"}


def resources(bundle: dict[str, Any], kind: str) -> list[dict[str, Any]]:
    return [each["resource"] for each in bundle["entry"] if each["resource"]["resourceType"] == kind]


def refusal(**changes: Any) -> Refused:
    assessment, factors = stored(explanation())
    with pytest.raises(Refused) as caught:
        taken_back([assessment | changes, factors])
    return caught.value


class TestWhatIsOurs:
    def test_is_what_bears_the_identifier(self) -> None:
        assert bears(RESOURCE, "RiskAssessment", IDENTIFIER)
        others = [{"system": "urn:other", "value": "1"}, "odd", IDENTIFIER]
        assert bears(RESOURCE | {"identifier": others}, "RiskAssessment", IDENTIFIER)

    @pytest.mark.parametrize(
        "changes",
        [
            {"identifier": [{"system": "urn:other", "value": f"urn:uuid:{REQUEST}"}]},
            {"identifier": [{"system": "urn:ietf:rfc:3986", "value": f"urn:uuid:{SUBJECT}"}]},
            {"identifier": IDENTIFIER},
            {"identifier": None},
            {"resourceType": "Patient"},
            {"resourceType": ["RiskAssessment"]},
            {"id": "../Patient/p1"},
            {"id": ""},
            {"id": ["a1"]},
        ],
        ids=str,
    )
    def test_is_nothing_else(self, changes: dict[str, Any]) -> None:
        assert not bears(RESOURCE | changes, "RiskAssessment", IDENTIFIER)


class TestTakingBack:
    @pytest.mark.parametrize("answer", [explanation(), classes()], ids=["one probability", "classes"])
    def test_changes_the_status_and_adds_a_note_and_nothing_else(self, answer: Any) -> None:
        bundle = taken_back(stored(answer))
        note = {"time": clock.rfc3339(NOW), "text": f"Taken back. {BY_HAND['wrong-patient']}."}
        expected = [
            each | {"status": "entered-in-error", "note": [*each.get("note", []), note]} for each in stored(answer)
        ]
        assert [entry["resource"] for entry in bundle["entry"][:-1]] == expected

    def test_is_signed_by_the_institution_with_the_versions_that_it_found(self) -> None:
        found = stored(explanation())
        found[1] |= {"meta": {}}
        (provenance,) = resources(taken_back(found, why="merged"), "Provenance")
        (signature,) = provenance["signature"]
        assert signature["who"] == {"type": "Organization", "identifier": LONG_BEACH}
        token = base64.b64decode(signature["data"]).decode()
        assert read_retraction(token, {"long-beach": keyring(KEY.public)}) == {
            "v": 1,
            "request": REQUEST,
            "institution": "long-beach",
            "person": PERSON,
            "why": "merged",
            "time": "2026-03-02T09:00:00Z",
            "server": "https://ehr.example.org/fhir",
            "versions": ["RiskAssessment/r0/_history/3", "Observation/r1"],
        }
        with pytest.raises(Refused) as caught:
            read_retraction(token, {"long-beach": keyring(SigningKey.generate().public)})
        assert caught.value.reason is Reason.KEY_UNKNOWN

    def test_overwrites_only_the_version_that_was_read(self) -> None:
        how = taken_back(stored(explanation()))["entry"][0]["request"]
        assert how == {"method": "PUT", "url": "RiskAssessment/r0", "ifMatch": 'W/"3"'}
        unversioned = [{**each, "meta": {}} for each in stored(explanation())]
        how = taken_back(unversioned)["entry"][0]["request"]
        assert "ifMatch" not in how, "of a server without versions none is named"

    def test_leaves_out_a_narrative_that_a_server_made_of_the_rest(self) -> None:
        assessment, factors = stored(explanation())
        own = {"status": "additional", "div": "<div>seen by Dr. K.</div>"}
        bundle = taken_back([assessment | {"text": GENERATED}, factors | {"text": own}])
        told = [entry["resource"].get("text") for entry in bundle["entry"][:-1]]
        assert told == [None, own]

    def test_has_a_provenance_of_who_and_why(self) -> None:
        bundle = taken_back(stored(classes()))
        (resource,) = resources(bundle, "Provenance")
        assert bundle["entry"][-1]["request"] == {"method": "PUT", "url": f"Provenance/{resource['id']}"}
        targets = [each["reference"] for each in resource["target"]]
        assert targets == ["RiskAssessment/r0", "Observation/r1", "Observation/r2", "Observation/r3"]
        assert resource["reason"][0]["coding"] == [{"system": "urn:concordat:retraction", "code": "wrong-patient"}]
        assert resource["activity"]["coding"][0]["code"] == "NULLIFY"
        (who,) = resource["agent"]
        assert PERSON in who["who"]["identifier"]["value"]
        assert who["onBehalfOf"]["identifier"]["value"] == "long-beach"

    def test_of_what_was_taken_back_before_does_nothing(self) -> None:
        done = [entry["resource"] for entry in taken_back(stored(classes()))["entry"][:-1]]
        assert taken_back(done)["entry"] == []

    def test_speaks_only_for_what_it_changes(self) -> None:
        """Somebody else may have marked the rest."""
        marked, *others = stored(classes())
        bundle = taken_back([marked | {"status": "entered-in-error"}, *others])
        (provenance,) = resources(bundle, "Provenance")
        assert [each["reference"] for each in provenance["target"]] == [
            "Observation/r1",
            "Observation/r2",
            "Observation/r3",
        ]

    def test_of_the_same_changes_has_one_provenance_and_of_others_another(self) -> None:
        def name(found: list[dict[str, Any]], **changes: Any) -> str:
            return str(resources(taken_back(found, **changes), "Provenance")[0]["id"])

        first = name(stored(classes()))
        assert name(stored(classes()), why="merged") == first
        assert name(stored(classes())[:1]) != first
        assert name([each | {"meta": {"versionId": "4"}} for each in stored(classes())]) != first

    @pytest.mark.parametrize("list_", ["tag", "security"])
    @pytest.mark.parametrize("code", ["SUBSETTED", "REDACTED", "MASKED"])
    def test_of_what_is_not_shown_whole_is_refused(self, list_: str, code: str) -> None:
        """Written back, the rest would be lost; the version does not tell."""
        refused = refusal(meta={"versionId": "3", list_: [{"code": code}]})
        assert refused.reason is Reason.EHR_REFUSED

    @pytest.mark.parametrize(
        "changes",
        [
            {"meta": "3"},
            {"meta": []},
            {"meta": None},
            {"meta": {"versionId": 3}},
            {"meta": {"versionId": "3/1"}},
            {"note": "seen"},
            {"note": ["seen"]},
        ],
        ids=str,
    )
    def test_of_what_no_resource_can_be_is_refused(self, changes: dict[str, Any]) -> None:
        assert refusal(**changes).reason is Reason.EHR_REFUSED


def test_what_only_ended_is_no_reason() -> None:
    """A result that was used while its consent held stays in the record of what was done."""
    assert set(BY_HAND) - set(RETRACTIONS) == {"model-recalled"}
    assert "consent-withdrawn" in set(ENDINGS) - set(BY_HAND)
