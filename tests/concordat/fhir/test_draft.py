"""A hospital's ResearchStudy becomes the draft of a protocol: what it says, and by name all that it does not."""

import copy
import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from concordat import clock, protocol
from concordat.fhir.draft import FIELDS, STATUSES, draft
from concordat.fhir.study import research_study
from concordat.reasons import Reason, Refused
from tests.support.bundles import BASE

PROTOCOL = protocol.check(json.loads((Path(__file__).parents[3] / "examples/heart_disease/protocol.json").read_text()))
NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
HERE = "urn:concordat:institution"
NEVER = ["computed", "opened", "risks", "data_use", "population", "requesters", "purposes", "bases", "attachments"]
NEVER += ["review_months"]


def institution(value, **changes):
    return {"identifier": {"system": HERE, "value": value}, **changes}


def study(**changes):
    """As a hospital's system may have one; None takes an element away."""
    whole = {
        "resourceType": "ResearchStudy",
        "status": "active",
        "identifier": [
            {"system": "http://clinicaltrials.gov", "value": "NCT0001"},
            {"system": "urn:concordat:study", "value": "chest-pain"},
        ],
        "title": "Chest pain, explained",
        "description": "A feasibility study.",
        "contact": [{"name": "Study office", "telecom": [{"system": "email", "value": "office@cleveland.example"}]}],
        "condition": [{"text": "Chest pain"}, {"coding": [{"code": "1"}, {"code": "2", "display": "Angina"}]}],
        "objective": [{"name": "To tell who needs angiography"}],
        "sponsor": institution("cleveland"),
        "principalInvestigator": {"display": "Ada Lovelace"},
        "site": [institution("cleveland"), institution("zurich"), institution("cleveland")],
        "period": {"start": "2026", "end": "2027-06-30T22:00:00+02:00"},
        **changes,
    }
    return {name: said for name, said in whole.items() if said is not None}


def made(**changes):
    return draft(study(**changes), now=NOW)


def left(**changes):
    return {each.field: each.why for each in made(**changes).left}


def refusal(resource):
    with pytest.raises(Refused) as caught:
        draft(resource, now=NOW)
    return caught.value


def test_what_it_says_stands_in_the_protocols_own_terms():
    found = made()
    assert found.document == {
        "v": 2,
        "study": "chest-pain",
        "title": "Chest pain, explained",
        "institution": "cleveland",
        "contact": "Study office, office@cleveland.example",
        "summary": "A feasibility study.",
        "sections": [{"heading": "What is studied", "text": "Chest pain\nAngina\nTo tell who needs angiography"}],
        "sites": ["cleveland", "zurich"],
        "valid_until": "2027-06-30T20:00:00Z",
    }
    assert set(found.document) == {"v", *FIELDS}


def test_what_it_does_not_say_is_named_field_by_field():
    assert set(left()) == {*NEVER, "sections"}
    bare = {"resourceType": "ResearchStudy", "status": "in-review"}
    found = draft(bare, now=NOW)
    assert found.document == {"v": 2}
    assert {each.field for each in found.left} == set(protocol.Protocol.__required_keys__) - {"v"}
    assert [each.field for each in found.left] == [
        name for name in protocol.Protocol.__annotations__ if name in {each.field for each in found.left}
    ]


def test_who_leads_it_in_person_is_nowhere():
    found = made()
    assert "Ada" not in json.dumps([found.document, [each.why for each in found.left]])
    assert found.passed_over == ("principalInvestigator",)


def test_completed_by_hand_it_is_a_protocol_and_before_it_is_refused():
    found = made()
    with pytest.raises(Refused) as caught:
        protocol.check(found.document)
    assert caught.value.reason is Reason.FIELD_MISSING
    rest = {name: PROTOCOL[name] for name in (*NEVER, "sections")}
    site = {"sites": PROTOCOL["sites"]}
    assert protocol.check({**found.document, **rest, **site})["study"] == "chest-pain"


ORGANIZATION = {"resourceType": "Organization", "id": "o", "identifier": [institution("zurich")["identifier"]]}
LOCATION = {
    "resourceType": "Location",
    "id": "l",
    "managingOrganization": {"reference": "#o"},
    "position": {"longitude": 8.5, "latitude": 47.4},
}


class TestInstitutions:
    @pytest.mark.parametrize("reference", ["#o", "#l"])
    def test_may_be_contained_and_behind_a_location(self, reference):
        found = made(site=[institution("cleveland"), {"reference": reference}], contained=[ORGANIZATION, LOCATION])
        assert found.document["sites"] == ["cleveland", "zurich"]

    def test_may_stand_beside_it_in_a_bundle(self):
        location = {**LOCATION, "managingOrganization": {"reference": f"{BASE}/Organization/o"}}
        resources = [
            ORGANIZATION,
            location,
            study(site=[institution("cleveland"), {"reference": "Location/l"}]),
            {"resourceType": "OperationOutcome"},
        ]
        entries = [
            {"fullUrl": f"{BASE}/{each['resourceType']}/{each.get('id', 's')}", "resource": each} for each in resources
        ]
        found = draft({"resourceType": "Bundle", "type": "searchset", "entry": entries}, now=NOW)
        assert found.document["sites"] == ["cleveland", "zurich"]

    @pytest.mark.parametrize(
        "site",
        [
            {"display": "Zurich"},
            {"reference": "Location/far"},
            {"identifier": {"system": "urn:other", "value": "zurich"}},
            {"reference": "#o", **institution("budapest")},
        ],
    )
    def test_of_which_one_is_not_known_are_all_left_open(self, site):
        changes = {"site": [institution("cleveland"), site], "contained": [ORGANIZATION]}
        assert "sites" not in made(**changes).document
        assert "site.1" in left(**changes)["sites"]
        assert "cleveland" in left(**changes)["sites"]

    def test_lead_only_what_they_are_a_site_of(self):
        assert "none of the sites" in left(sponsor=institution("budapest"))["institution"]


class TestWhatIsNotCertain:
    @pytest.mark.parametrize(
        ("changes", "field", "why"),
        [
            ({"identifier": [{"system": "urn:concordat:study", "value": each} for each in "ab"]}, "study", "several"),
            ({"identifier": [{"system": "urn:other", "value": "chest-pain"}]}, "study", "none"),
            ({"identifier": [{"system": "urn:concordat:study", "value": "Chest Pain"}]}, "study", "short name"),
            ({"contact": [{"name": "a"}, {"name": "b"}]}, "contact", "several"),
            ({"contact": [{}]}, "contact", "does not say it"),
            ({"description": "x" * 2001}, "summary", "2000 characters"),
            ({"period": {"end": "2027-06-30"}}, "valid_until", "no moment"),
            ({"period": {"end": "2027"}}, "valid_until", "no moment"),
            ({"period": {"start": "2026"}}, "valid_until", "does not say it"),
            ({"period": {"end": "2026-03-02T08:00:00Z"}}, "valid_until", "passed"),
            ({"condition": None, "objective": None}, "sections", "does not say it"),
            ({"sponsor": None}, "institution", "none"),
            ({"site": None}, "sites", "does not say it"),
            ({"title": None}, "title", "does not say it"),
        ],
    )
    def test_is_left_out_and_said_why(self, changes, field, why):
        assert field not in made(**changes).document
        assert why in left(**changes)[field]


class TestWhatIsNoStudyToApprove:
    def test_is_told_by_its_status_which_always_says_whether(self):
        """https://hl7.org/fhir/R4/codesystem-research-study-status.html"""
        assert set(STATUSES) == {
            *("active", "administratively-completed", "approved", "closed-to-accrual", "completed", "disapproved"),
            *("closed-to-accrual-and-intervention", "in-review", "temporarily-closed-to-accrual", "withdrawn"),
            "temporarily-closed-to-accrual-and-intervention",
        }
        for status, why in STATUSES.items():
            if why:
                refused = refusal(study(status=status))
                assert (refused.reason, refused.field) == (Reason.FIELD_INVALID, "status")
                assert why in refused.detail
            else:
                assert made(status=status).document == made().document

    @pytest.mark.parametrize(
        ("resource", "field"),
        [
            (study(status="recruiting"), "status"),
            (study(status=None), "status"),
            (study(modifierExtension=[{"url": "urn:x", "valueBoolean": True}]), "modifierExtension"),
            (study(implicitRules="urn:x"), "implicitRules"),
            (study(unknown=1), "unknown"),
            (study(title=7), "title"),
            (study(site={}), "site"),
            ({"resourceType": "ResearchSubject"}, "resourceType"),
            ({}, "resourceType"),
            ({"resourceType": "Bundle", "type": "searchset"}, "entry"),
            ({"resourceType": "Bundle", "type": "history"}, "type"),
            ({"resourceType": "Bundle", "type": "searchset", "entry": [{"resource": study()}] * 2}, "entry"),
        ],
    )
    def test_is_refused_by_the_element(self, resource, field):
        refused = refusal(copy.deepcopy(resource))
        assert refused.reason is Reason.FIELD_INVALID
        assert refused.field.startswith(field)


words = st.text(st.characters(min_codepoint=33, max_codepoint=0x2FF, exclude_categories=["Cc"]), min_size=1).filter(
    str.strip
)
slugs = st.from_regex(r"[a-z][a-z0-9-]{0,20}", fullmatch=True)
times = st.datetimes(datetime(2026, 3, 3), datetime(2080, 1, 1)).map(  # noqa: DTZ001
    lambda moment: clock.rfc3339(moment.replace(tzinfo=UTC))
)


@given(words, words, slugs, st.lists(slugs, min_size=1, max_size=4, unique=True), times)
def test_what_goes_out_comes_back(title, summary, name, sites, until):
    whole = {**PROTOCOL, "title": title, "summary": summary, "study": name, "sites": sites, "institution": sites[-1]}
    whole["valid_until"] = until
    found = draft(research_study(whole, now=NOW), now=NOW)
    assert found.document == {
        field: whole[field] for field in ("v", "study", "title", "institution", "summary", "sites", "valid_until")
    }
    assert found.passed_over == ()
