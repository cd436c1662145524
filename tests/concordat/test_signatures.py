"""Signed documents: one algorithm, one kind, one canonical form, and only by a key that the reader knows."""

import json

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st

from concordat.canonical import b64, encode, unb64
from concordat.reasons import Reason, Refused
from concordat.signatures import SigningKey, VerifyKey, key_id, keyring, peek, sign, verify

KEY = SigningKey.generate()
OTHER = SigningKey.generate()
KEYS = keyring(KEY.public)
PAYLOAD = {"request": "r", "parties": ["a", "b"], "epoch": 3}
TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=8)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=8,
)


def forge(header: dict, payload: bytes, key: SigningKey = KEY) -> str:
    """A token with any header and payload, correctly signed."""
    signed = f"{b64(json.dumps(header).encode())}.{b64(payload)}"
    return f"{signed}.{b64(key.sign(signed.encode()))}"


def header(**changes: object) -> dict:
    return {"alg": "Ed25519", "kid": KEY.kid, "typ": "concordat.ticket+jws"} | changes


def refusal(token: object, kind: str = "ticket", keys: dict = KEYS) -> Reason:
    with pytest.raises(Refused) as refused:
        verify(token, kind=kind, keys=keys)
    return refused.value.reason


@given(st.dictionaries(TEXT, JSON, max_size=4))
def test_what_was_signed_is_what_is_read(payload):
    assert verify(sign(payload, kind="ticket", key=KEY), kind="ticket", keys=KEYS) == payload


def test_the_token_is_a_plain_jws_over_canonical_json():
    token = sign(PAYLOAD, kind="ticket", key=KEY)
    head, body, signature = token.split(".")
    assert json.loads(unb64(head)) == header()
    assert unb64(body) == encode(PAYLOAD)
    KEY.private.public_key().verify(unb64(signature), f"{head}.{body}".encode())
    assert peek(token) == (header(), PAYLOAD)


def test_the_key_id_is_the_thumbprint_of_rfc_8037():
    # RFC 8037, appendices A.1 and A.3
    seed = unb64("nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A")
    key = SigningKey(Ed25519PrivateKey.from_private_bytes(seed))
    assert key.public.b64 == "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"
    assert key.kid == key_id(key.public.b64) == "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"


def test_a_document_of_one_kind_never_passes_for_another():
    assert refusal(sign(PAYLOAD, kind="receipt", key=KEY)) is Reason.SIGNATURE_INVALID


def test_an_unknown_key_is_told_from_a_bad_signature():
    assert refusal(sign(PAYLOAD, kind="ticket", key=OTHER)) is Reason.KEY_UNKNOWN
    impostor = forge(header(), encode(PAYLOAD), OTHER)
    assert refusal(impostor) is Reason.SIGNATURE_INVALID


@pytest.mark.parametrize(
    "changes",
    [
        {"alg": "none"},
        {"alg": "HS256"},
        {"alg": "EdDSA"},
        {"typ": "JWT"},
        {"crit": ["x"], "x": 1},
        {"b64": False},
        {"jwk": {"kty": "OKP", "crv": "Ed25519", "x": OTHER.public.b64}},
    ],
)
def test_any_other_header_is_refused_however_well_signed(changes):
    assert refusal(forge(header(**changes), encode(PAYLOAD))) is Reason.SIGNATURE_INVALID


@pytest.mark.parametrize(
    "payload",
    [
        b'{"a": 1}',
        b'{"b":1,"a":2}',
        b'{"a":1,"a":1}',
        b'{"a":1.5}',
        b'{"a":1e0}',
        b'["a"]',
        b'"a"',
        b"",
        b'{"a":"\\u0061"}',
    ],
)
def test_a_payload_out_of_canonical_form_is_refused_however_well_signed(payload):
    assert refusal(forge(header(), payload)) is Reason.MALFORMED


@given(st.data())
@settings(max_examples=200)
def test_no_altered_token_verifies(data):
    token = sign(PAYLOAD, kind="ticket", key=KEY)
    place = data.draw(st.integers(0, len(token) - 1))
    letter = data.draw(st.sampled_from("ABab01-_.=+/ \n").filter(lambda letter: letter != token[place]))
    assert refusal(token[:place] + letter + token[place + 1 :]) in {
        Reason.MALFORMED,
        Reason.SIGNATURE_INVALID,
        Reason.KEY_UNKNOWN,
    }


@pytest.mark.parametrize("token", ["", "a.b", "a.b.c.d", "..", None, 7, sign(PAYLOAD, kind="ticket", key=KEY) + "="])
def test_what_is_no_token_is_refused(token):
    assert refusal(token) is Reason.MALFORMED


@pytest.mark.parametrize("kid", [None, 7, ["x"], {}])
def test_a_key_id_that_is_no_text_names_no_key(kid):
    assert refusal(forge(header(kid=kid), encode(PAYLOAD))) is Reason.KEY_UNKNOWN


def test_public_keys_are_32_bytes():
    assert VerifyKey.from_b64(KEY.public.b64) == KEY.public
    with pytest.raises(Refused):
        VerifyKey(b"short")


def test_a_private_key_does_not_show_itself():
    assert b64(KEY.private.private_bytes_raw()) not in repr(KEY)
    assert "SigningKey(" not in repr(KEY)
