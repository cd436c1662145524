"""An enrolment proves possession of its keys; a roster is believed only from the offline key that was enrolled."""

import pytest

from concordat import clock, signatures
from concordat.canonical import digest
from concordat.enrolment import build_enrolment, build_roster, verify_enrolment, verify_roster
from concordat.keystore import Keystore
from concordat.passkeys import SoftwarePasskey
from concordat.reasons import Reason, Refused
from concordat.signatures import peek

ISSUED = clock.parse("2026-01-31T12:00:00Z")
ADA, BELA = (SoftwarePasskey.create("localhost", "http://localhost:8000") for _ in range(2))


@pytest.fixture(scope="module")
def keys(tmp_path_factory):
    return Keystore(tmp_path_factory.mktemp("cleveland") / "keys").create()


@pytest.fixture(scope="module")
def other(tmp_path_factory):
    return Keystore(tmp_path_factory.mktemp("zurich") / "keys").create()


def enrol(keys, **changes):
    fields = {
        "institution": "cleveland",
        "name": "Cleveland Clinic",
        "jurisdiction": "US",
        "roles": ["owner", "party"],
        "issued": ISSUED,
    }
    return build_enrolment(keys, **(fields | changes))


def officer(passkey=ADA, **changes):
    fields = {
        "officer": "ada",
        "name": "Ada L.",
        "role": "IRB chair",
        "credential": passkey.credential,
        "key": passkey.key,
    }
    return fields | changes


def roster(key, officers=(), institution="cleveland", version=1):
    return build_roster(key, institution=institution, version=version, officers=list(officers), issued=ISSUED)


def reenrol(keys, payload, *, endorse=True):
    """A correctly signed enrolment with any content."""
    claim = {field: value for field, value in payload.items() if field != "possession"}
    if endorse:
        token = signatures.sign({"enrolment": digest(claim)}, kind="possession", key=keys.offline)
        payload = claim | {"possession": token}
    return signatures.sign(payload, kind="enrolment", key=keys.identity)


def refusal(call) -> tuple[Reason, str]:
    with pytest.raises(Refused) as refused:
        call()
    return refused.value.reason, refused.value.field


def test_an_enrolment_reads_back_with_its_keys(keys):
    token = enrol(keys)
    enrolment = verify_enrolment(token)
    assert enrolment.institution == "cleveland"
    assert enrolment.document["roles"] == ["owner", "party"]
    assert enrolment.document["issued"] == "2026-01-31T12:00:00Z"
    assert enrolment.document["keys"] == keys.public()
    assert (enrolment.identity, enrolment.offline) == (keys.identity.public, keys.offline.public)
    assert (enrolment.sealing, enrolment.chain) == (keys.sealing.public, keys.chain.address)
    assert enrolment.token == token


def test_the_private_halves_stay_at_home(keys):
    assert '"d"' not in str(peek(enrol(keys))[1])


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"institution": "Cleveland"}, "institution"),
        ({"name": " "}, "name"),
        ({"jurisdiction": "Ohio"}, "jurisdiction"),
        ({"jurisdiction": "US-OH"}, "jurisdiction"),
        ({"jurisdiction": "US\n"}, "jurisdiction"),
        ({"roles": []}, "roles"),
        ({"roles": ["party", "party"]}, "roles"),
        ({"roles": ["king"]}, "roles.0"),
    ],
)
def test_bad_fields_are_named(keys, changes, field):
    assert refusal(lambda: enrol(keys, **changes)) == (Reason.FIELD_INVALID, field)


def test_only_the_identity_key_inside_can_have_signed(keys, other):
    _, payload = peek(enrol(keys))
    forged = signatures.sign(payload, kind="enrolment", key=other.identity)
    assert refusal(lambda: verify_enrolment(forged))[0] is Reason.KEY_UNKNOWN


def test_nobody_enrols_an_offline_key_that_is_not_theirs(keys, other):
    _, payload = peek(enrol(keys))
    claimed = payload | {"keys": payload["keys"] | {"offline": other.offline.public.b64}}
    assert refusal(lambda: verify_enrolment(reenrol(keys, claimed)))[0] is Reason.KEY_UNKNOWN


def test_the_endorsement_belongs_to_this_very_enrolment(keys):
    _, payload = peek(enrol(keys))
    altered = reenrol(keys, payload | {"name": "Another name"}, endorse=False)
    assert refusal(lambda: verify_enrolment(altered)) == (Reason.DIGEST_MISMATCH, "possession")


def test_identity_and_offline_key_differ(keys):
    _, payload = peek(enrol(keys))
    one = payload | {"keys": payload["keys"] | {"offline": keys.identity.public.b64}}
    claim = {field: value for field, value in one.items() if field != "possession"}
    endorsed = signatures.sign({"enrolment": digest(claim)}, kind="possession", key=keys.identity)
    token = signatures.sign(claim | {"possession": endorsed}, kind="enrolment", key=keys.identity)
    assert refusal(lambda: verify_enrolment(token)) == (Reason.FIELD_INVALID, "keys.offline")


@pytest.mark.parametrize(
    ("kind", "value", "field"),
    [
        ("identity", "AAAA", "keys.identity"),
        ("sealing", "AAAA", "keys.sealing"),
        ("chain", "0x" + "ab" * 20, "keys.chain"),
        ("chain", "0x" + "0" * 40, "keys.chain"),
        ("client", {"kid": "other"}, "keys.client.kid"),
        ("client", {"x": "AAAA"}, "keys.client"),
        ("client", {"crv": "P-256"}, "keys.client.crv"),
        ("client", {"d": "AAAA"}, "keys.client.d"),
    ],
)
def test_every_key_is_checked(keys, kind, value, field):
    _, payload = peek(enrol(keys))
    half = payload["keys"][kind] | value if isinstance(value, dict) else value
    token = reenrol(keys, payload | {"keys": payload["keys"] | {kind: half}})
    reason, named = refusal(lambda: verify_enrolment(token))
    assert named == field
    assert reason is (Reason.FIELD_UNKNOWN if value == {"d": "AAAA"} else Reason.FIELD_INVALID)


def test_a_roster_lists_who_signs_with_which_passkey(keys):
    token = roster(keys.offline, [officer(), officer(BELA, officer="bela")], version=3)
    verified = verify_roster(token, institution="cleveland", offline=keys.offline.public)
    assert verified.document["version"] == 3
    assert verified.officer(BELA.credential)["officer"] == "bela"
    assert verified.officer(ADA.credential)["key"] == ADA.key
    assert refusal(lambda: verified.officer("unlisted"))[0] is Reason.ROSTER_MISSING


def test_only_the_enrolled_offline_key_appoints_officers(keys, other):
    for key in (keys.identity, other.offline):
        assert (
            refusal(lambda key=key: verify_roster(roster(key), institution="cleveland", offline=keys.offline.public))[0]
            is Reason.KEY_UNKNOWN
        )


def test_a_roster_is_for_its_own_institution(keys):
    token = roster(keys.offline, institution="zurich")
    assert (
        refusal(lambda: verify_roster(token, institution="cleveland", offline=keys.offline.public))[0]
        is Reason.WRONG_INSTITUTION
    )


@pytest.mark.parametrize(
    "officers",
    [
        [officer(), officer(officer="bela")],
        [officer(), officer(BELA)],
    ],
)
def test_no_two_officers_share_a_passkey_or_a_handle(keys, officers):
    assert refusal(lambda: roster(keys.offline, officers)) == (Reason.FIELD_INVALID, "officers")


def test_a_roster_takes_no_unreadable_passkey_and_no_version_zero(keys):
    assert refusal(lambda: roster(keys.offline, [officer(key="AAAA")])) == (Reason.FIELD_INVALID, "officers.0.key")
    assert refusal(lambda: roster(keys.offline, version=0)) == (Reason.FIELD_INVALID, "version")
