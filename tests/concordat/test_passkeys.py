"""A passkey's assertion counts for one statement, one site and one credential, with its holder present and verified."""

import hashlib
import json

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from fido2 import cbor
from fido2.cose import ES256, ES384, RS256, CoseKey, EdDSA
from fido2.server import Fido2Server
from fido2.webauthn import (
    Aaguid,
    AttestationObject,
    AttestedCredentialData,
    AuthenticatorData,
    PublicKeyCredentialRpEntity,
)
from hypothesis import given
from hypothesis import strategies as st

from concordat.canonical import b64, unb64
from concordat.passkeys import SoftwarePasskey, challenge, public_key, verify_assertion, verify_registration
from concordat.reasons import Reason, Refused

RP_ID, ORIGIN = "localhost", "http://localhost:8000"
STATEMENT = {"record": "sha256:" + "0" * 64, "meaning": "approved", "nonce": "n"}


@pytest.fixture
def passkey():
    return SoftwarePasskey.create(RP_ID, ORIGIN)


def verify(passkey, assertion, **changes):
    expected = {
        "credential": passkey.credential,
        "key": passkey.key,
        "challenge": challenge(STATEMENT),
        "rp_id": RP_ID,
        "origin": ORIGIN,
    }
    return verify_assertion(assertion, **(expected | changes))


def refused(passkey, assertion, **changes) -> str:
    with pytest.raises(Refused) as refusal:
        verify(passkey, assertion, **changes)
    assert refusal.value.reason is Reason.PASSKEY_INVALID
    return refusal.value.detail


def make(passkey, *, client=None, flags=0x05, rp_id=RP_ID, counter=7, sign=None):
    """An assertion with any content, correctly signed."""
    members = {"type": "webauthn.get", "challenge": b64(challenge(STATEMENT)), "origin": ORIGIN} | (client or {})
    client_data = json.dumps(members).encode()
    data = hashlib.sha256(rp_id.encode()).digest() + bytes([flags]) + counter.to_bytes(4, "big")
    signed = data + hashlib.sha256(client_data).digest()
    signature = sign(signed) if sign else passkey.private.sign(signed, ec.ECDSA(hashes.SHA256()))
    return {
        "credential": passkey.credential,
        "client_data": b64(client_data),
        "authenticator_data": b64(data),
        "signature": b64(signature),
    }


def test_an_assertion_verifies_and_tells_the_signature_counter(passkey):
    assert verify(passkey, passkey.assertion(challenge(STATEMENT))) == 1
    assert verify(passkey, passkey.assertion(challenge(STATEMENT))) == 2
    assert verify(passkey, make(passkey)) == 7


def test_an_independent_relying_party_accepts_the_software_passkey(passkey):
    server = Fido2Server(
        PublicKeyCredentialRpEntity(id=RP_ID, name="test"), verify_origin=lambda origin: origin == ORIGIN
    )
    credential = AttestedCredentialData.create(
        Aaguid.NONE, unb64(passkey.credential), CoseKey.parse(cbor.decode(unb64(passkey.key)))
    )
    options, state = server.authenticate_begin([credential], user_verification="required")
    assertion = passkey.assertion(options.public_key.challenge)
    response = {
        "id": passkey.credential,
        "rawId": passkey.credential,
        "type": "public-key",
        "response": {
            "clientDataJSON": assertion["client_data"],
            "authenticatorData": assertion["authenticator_data"],
            "signature": assertion["signature"],
        },
    }
    assert server.authenticate_complete(state, [credential], response).credential_id == unb64(passkey.credential)


def test_the_challenge_is_the_hash_of_the_canonical_statement():
    text = b'{"meaning":"approved","nonce":"n","record":"sha256:' + b"0" * 64 + b'"}'
    assert challenge(STATEMENT) == hashlib.sha256(text).digest()


def test_another_statement_is_refused(passkey):
    assertion = passkey.assertion(challenge(STATEMENT))
    other = challenge(STATEMENT | {"meaning": "rejected"})
    assert "another statement" in refused(passkey, assertion, challenge=other)


def test_another_site_or_page_is_refused(passkey):
    assertion = passkey.assertion(challenge(STATEMENT))
    assert "another site" in refused(passkey, assertion, rp_id="concordat.example")
    assert "another page" in refused(passkey, assertion, origin="https://localhost:8000")
    assert "another page" in refused(passkey, make(passkey, client={"origin": ORIGIN + ".evil.example"}))
    assert "another page" in refused(passkey, make(passkey, client={"crossOrigin": True}))


def test_another_passkey_is_refused(passkey):
    other = SoftwarePasskey.create(RP_ID, ORIGIN)
    assertion = passkey.assertion(challenge(STATEMENT))
    assert "another passkey" in refused(other, assertion)
    assert "does not belong" in refused(passkey, assertion, key=other.key)


@pytest.mark.parametrize("flags", [0x00, 0x01, 0x04])
def test_presence_and_verification_are_both_needed(passkey, flags):
    assert "present and verified" in refused(passkey, make(passkey, flags=flags))


def test_a_registration_does_not_pass_for_a_signature(passkey):
    refused(passkey, make(passkey, client={"type": "webauthn.create"}))


@pytest.mark.parametrize("field", ["client_data", "authenticator_data", "signature"])
def test_altered_bytes_are_refused(passkey, field):
    assertion = passkey.assertion(challenge(STATEMENT))
    for place in (0, -2, -1):
        raw = bytearray(unb64(assertion[field]))
        raw[place] ^= 1
        refused(passkey, assertion | {field: b64(bytes(raw))})


@pytest.mark.parametrize("data", [b"", b"x", b"\0" * 36, hashlib.sha256(RP_ID.encode()).digest() + b"\xc5" + bytes(30)])
def test_authenticator_data_that_cannot_be_read_is_refused(passkey, data):
    refused(passkey, passkey.assertion(challenge(STATEMENT)) | {"authenticator_data": b64(data)})


@pytest.mark.parametrize("data", [b"", b"[]", b"{}", b"\xff", b"[" * 100_000, b'{"type":"webauthn.get"}'])
def test_client_data_that_cannot_be_read_is_refused(passkey, data):
    refused(passkey, passkey.assertion(challenge(STATEMENT)) | {"client_data": b64(data)})


def test_missing_and_unknown_fields_are_named(passkey):
    assertion = passkey.assertion(challenge(STATEMENT))
    for altered, reason in (
        ({k: v for k, v in assertion.items() if k != "signature"}, Reason.FIELD_MISSING),
        (assertion | {"extra": "x"}, Reason.FIELD_UNKNOWN),
        (assertion | {"signature": 1}, Reason.FIELD_INVALID),
    ):
        with pytest.raises(Refused) as refusal:
            verify(passkey, altered)
        assert refusal.value.reason is reason


def test_ed25519_and_rsa_authenticators_are_accepted_too(passkey):
    ed25519 = Ed25519PrivateKey.generate()
    key = b64(cbor.encode(dict(EdDSA.from_cryptography_key(ed25519.public_key()))))
    assert verify(passkey, make(passkey, sign=ed25519.sign), key=key) == 7
    windows = rsa.generate_private_key(65537, 2048)
    key = b64(cbor.encode(dict(RS256.from_cryptography_key(windows.public_key()))))
    signer = lambda data: windows.sign(data, padding.PKCS1v15(), hashes.SHA256())  # noqa: E731
    assert verify(passkey, make(passkey, sign=signer), key=key) == 7


@given(st.binary(max_size=80), st.sampled_from([0x05, 0x45, 0x85, 0xC5]))
def test_no_bytes_of_a_key_or_an_extension_do_more_than_be_refused(data, flags):
    passkey = SoftwarePasskey.create(RP_ID, ORIGIN)
    assertion = passkey.assertion(challenge(STATEMENT))
    refused(passkey, assertion, key=b64(data))
    raw = hashlib.sha256(RP_ID.encode()).digest() + bytes([flags]) + bytes(4) + data
    refused(passkey, assertion | {"authenticator_data": b64(raw)})


@pytest.mark.parametrize(
    "members",
    [
        dict(ES384.from_cryptography_key(ec.generate_private_key(ec.SECP384R1()).public_key())),
        {1: 1, 3: -7, -1: 1, -2: b"x" * 32, -3: b"y" * 32},  # an elliptic-curve algorithm on another type of key
        {1: 2, 3: 0},
        {1: 2},
        {},
        [1, 2],
        "text",
        7,
    ],
)
def test_any_other_key_is_refused(members):
    with pytest.raises(Refused) as refusal:
        public_key(b64(cbor.encode(members)))
    assert refusal.value.reason is Reason.PASSKEY_INVALID


def test_a_point_off_the_curve_is_refused(passkey):
    off = dict(ES256.from_cryptography_key(passkey.private.public_key())) | {-2: b"\1" * 32}
    refused(passkey, passkey.assertion(challenge(STATEMENT)), key=b64(cbor.encode(off)))


# --- registration


def register(passkey, registration=None, **changes):
    made = registration or passkey.registration(challenge(STATEMENT))
    expected = {"challenge": challenge(STATEMENT), "rp_id": RP_ID, "origin": ORIGIN} | changes
    return verify_registration(made, **expected)


def refused_registration(passkey, registration=None, **changes):
    with pytest.raises(Refused) as refusal:
        register(passkey, registration, **changes)
    assert refusal.value.reason in (Reason.PASSKEY_INVALID, Reason.MALFORMED)
    return refusal.value.detail


def test_a_registration_tells_the_credential_and_its_public_key(passkey):
    credential, key = register(passkey)
    assert (credential, key) == (passkey.credential, passkey.key)
    assert verify(passkey, passkey.assertion(challenge(STATEMENT)), key=key) == 1


def test_a_registration_is_for_one_challenge_site_and_page(passkey):
    assert "another challenge" in refused_registration(passkey, challenge=bytes(32))
    assert "another site" in refused_registration(passkey, rp_id="concordat.example")
    assert "another page" in refused_registration(passkey, origin="https://localhost:8000")


def test_a_signature_does_not_pass_for_a_registration(passkey):
    assertion, made = passkey.assertion(challenge(STATEMENT)), passkey.registration(challenge(STATEMENT))
    assert "making" in refused_registration(passkey, made | {"client_data": assertion["client_data"]})
    data = unb64(assertion["authenticator_data"])
    keyless = b64(cbor.encode({"fmt": "none", "attStmt": {}, "authData": data}))
    assert "no passkey" in refused_registration(passkey, made | {"attestation_object": keyless})


@pytest.mark.parametrize("flag", [AuthenticatorData.FLAG.UP, AuthenticatorData.FLAG.UV])
def test_a_registration_needs_presence_and_verification(passkey, flag):
    made = passkey.registration(challenge(STATEMENT))
    raw = bytearray(AttestationObject(unb64(made["attestation_object"])).auth_data)
    raw[32] &= ~flag
    attestation = b64(cbor.encode({"fmt": "none", "attStmt": {}, "authData": bytes(raw)}))
    assert "present and verified" in refused_registration(passkey, made | {"attestation_object": attestation})


@given(st.binary(max_size=80))
def test_no_bytes_of_a_registration_do_more_than_be_refused(data):
    passkey = SoftwarePasskey.create(RP_ID, ORIGIN)
    made = passkey.registration(challenge(STATEMENT))
    for field in ("client_data", "attestation_object"):
        refused_registration(passkey, made | {field: b64(data)})
    raw = hashlib.sha256(RP_ID.encode()).digest() + b"\x45" + bytes(4) + data
    attestation = b64(cbor.encode({"fmt": "none", "attStmt": {}, "authData": raw}))
    refused_registration(passkey, made | {"attestation_object": attestation})
