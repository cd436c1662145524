"""A consent goes out as a FHIR R4 Consent and comes back as the same statement."""

import copy
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from fhir.resources.R4B.consent import Consent as Resource
from hypothesis import given
from hypothesis import strategies as st

from concordat import clock, consent
from concordat.canonical import digest
from concordat.fhir.consent import ASSENT, from_fhir, to_fhir
from concordat.reasons import Reason, Refused
from concordat.signatures import SigningKey, keyring

KEY = SigningKey.generate()
KEYRING = {"long-beach": keyring(KEY.public)}

slugs = st.from_regex(r"[a-z][a-z0-9-]{0,20}", fullmatch=True)
texts = st.text(
    st.characters(min_codepoint=33, max_codepoint=0x2FF, exclude_categories=["Cc"]), min_size=1, max_size=40
).filter(str.strip)
times = st.datetimes(datetime(2000, 1, 1), datetime(2080, 1, 1)).map(  # noqa: DTZ001
    lambda moment: moment.replace(microsecond=0, tzinfo=UTC)
)
days = st.integers(1, 20_000).map(timedelta)
digests = st.binary(max_size=4).map(lambda content: digest(content.hex()))


@st.composite
def statements(draw):
    begins = draw(times)
    capacity = draw(st.sampled_from(["self", "parent", "representative"]))
    why = "majority" if capacity == "parent" else draw(st.sampled_from(["majority", "capacity"]))
    asked = capacity == "parent" or (capacity == "representative" and draw(st.booleans()))
    token = consent.give(
        consent=str(draw(st.uuids())),
        subject=str(draw(st.uuids())),
        study=draw(slugs),
        purposes=draw(st.lists(slugs, min_size=1, max_size=3, unique=True)),
        institution="long-beach",
        form={"version": draw(texts), "digest": draw(digests), "language": draw(st.sampled_from(["en", "pt-BR"]))},
        signer={"capacity": capacity, "assent": draw(digests) if capacity == "parent" else ""},
        reconsent={"on": clock.rfc3339(begins + draw(days)), "why": why} if asked else None,
        given=begins,
        until=begins + draw(days),
        key=KEY,
    )
    return consent.read_consent(token, KEYRING)


@given(statements())
def test_what_goes_out_comes_back(statement):
    resource = to_fhir(statement)
    Resource.model_validate(resource)
    assert consent.read_consent(consent.give(**from_fhir(resource), key=KEY), KEYRING) == statement


@given(statements())
def test_a_withdrawn_consent_is_inactive_and_is_not_given_again(statement):
    resource = to_fhir(statement, withdrawn=datetime(2081, 1, 1, tzinfo=UTC))
    assert (resource["status"], resource["meta"]["lastUpdated"]) == ("inactive", "2081-01-01T00:00:00Z")
    with pytest.raises(Refused) as caught:
        from_fhir(resource)
    assert (caught.value.reason, caught.value.field) == (Reason.CONSENT_WITHDRAWN, "status")


def parents():
    begins = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
    token = consent.give(
        consent=str(uuid4()),
        subject=str(uuid4()),
        study="chest-pain",
        purposes=["decision-support"],
        institution="long-beach",
        form={"version": "2", "digest": digest("form"), "language": "en"},
        signer={"capacity": "parent", "assent": digest("assent")},
        reconsent={"on": "2030-01-01T00:00:00Z", "why": "majority"},
        given=begins,
        until=begins + timedelta(days=365),
        key=KEY,
    )
    return to_fhir(consent.read_consent(token, KEYRING))


def test_a_parent_signs_as_a_contained_person_beside_the_child_s_assent():
    resource = parents()
    assert resource["performer"] == [{"reference": "#signer"}]
    assert resource["contained"][0]["relationship"][0]["coding"][0]["code"] == "PRN"
    assert {"url": ASSENT, "valueString": digest("assent")} in resource["extension"]


def without(path):
    def spoil(resource):
        *parents, last = path
        for part in parents:
            resource = resource[part]
        del resource[last]

    return spoil


def setting(path, value):
    def spoil(resource):
        *parents, last = path
        for part in parents:
            resource = resource[part]
        resource[last] = value

    return spoil


@pytest.mark.parametrize(
    ("spoil", "field"),
    [
        (setting(["status"], "draft"), "status"),
        (without(["scope"]), "scope"),
        (setting(["scope", "coding", 0, "code"], "treatment"), "scope"),
        (setting(["category", 0, "coding", 0, "code"], "acd"), "category"),
        (without(["patient"]), "patient.identifier"),
        (setting(["patient", "identifier", "system"], "urn:mrn"), "patient.identifier"),
        (setting(["patient", "identifier", "value"], "4711"), "patient.identifier.value"),
        (without(["dateTime"]), "dateTime"),
        (setting(["dateTime"], "2026-03-02"), "dateTime"),
        (without(["organization"]), "organization"),
        (setting(["policyRule", "coding", 0, "system"], "urn:x"), "policyRule.coding"),
        (without(["policyRule", "coding", 0, "version"]), "policyRule.coding.version"),
        (without(["language"]), "language"),
        (without(["performer"]), "performer"),
        (setting(["contained", 0, "relationship", 0, "coding", 0, "code"], "FRND"), "performer"),
        (without(["verification"]), "verification"),
        (without(["provision"]), "provision"),
        (setting(["provision", "type"], "deny"), "provision"),
        (without(["provision", "period"]), "provision.period"),
        (without(["provision", "period", "end"]), "provision.period.end"),
        (without(["provision", "extension"]), "provision.extension"),
        (setting(["provision", "purpose"], [{"system": "urn:x", "code": "HRESCH"}]), "provision.purpose"),
        (setting(["modifierExtension"], [{"url": "urn:x", "valueBoolean": True}]), "modifierExtension"),
        (setting(["extension", 1, "extension", 0, "url"], "from"), "extension(urn:concordat:consent-reconsent).on"),
    ],
)
def test_what_is_missing_or_wrong_is_named_by_its_element(spoil, field):
    resource = copy.deepcopy(parents())
    spoil(resource)
    with pytest.raises(Refused) as caught:
        from_fhir(resource)
    assert caught.value.reason in (Reason.FIELD_INVALID, Reason.FIELD_MISSING)
    assert caught.value.field == field


def test_a_refusal_names_no_value():
    resource = parents()
    resource["patient"]["identifier"]["value"] = "Jane Doe"
    with pytest.raises(Refused) as caught:
        from_fhir(resource)
    assert "Jane" not in str(caught.value)


def test_a_consent_from_elsewhere_gets_an_identifier():
    resource = parents()
    del resource["identifier"]
    assert from_fhir(resource)["consent"] != from_fhir(resource)["consent"]
