"""A sealed value opens with the recipient's key in its own context; everything else fails in the same way."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from concordat import sealing
from concordat.canonical import b64, unb64
from concordat.reasons import Reason, Refused
from concordat.sealing import SealingKey, seal, sealing_key_id

KEY = SealingKey.generate()
CONTEXT = {"label": "input", "party": "cleveland", "request": "sha256:" + "0" * 64}
SEALED = seal(KEY.public, b"a share", context=CONTEXT)


def refusal(sealed: str = SEALED, key: SealingKey = KEY, context: dict = CONTEXT) -> tuple[Reason, str]:
    with pytest.raises(Refused) as refused:
        sealing.open(key, sealed, context=context)
    return refused.value.reason, str(refused.value)


@given(st.binary(max_size=2000))
@settings(max_examples=25)
def test_what_was_sealed_is_what_opens(plaintext):
    sealed = seal(KEY.public, plaintext, context=CONTEXT)
    assert sealing.open(KEY, sealed, context=CONTEXT) == plaintext
    assert len(unb64(sealed)) == len(plaintext) + 1136


def test_the_order_of_the_contexts_fields_does_not_matter_but_every_value_does():
    assert sealing.open(KEY, SEALED, context=dict(reversed(CONTEXT.items()))) == b"a share"
    for field in CONTEXT:
        assert refusal(context=CONTEXT | {field: "other"})[0] is Reason.SEAL_BROKEN
        assert refusal(context={k: v for k, v in CONTEXT.items() if k != field})[0] is Reason.SEAL_BROKEN


def test_wrong_key_wrong_context_and_altered_bytes_cannot_be_told_apart():
    raw = bytearray(unb64(SEALED))
    raw[-1] ^= 1
    answers = {
        refusal(key=SealingKey.generate()),
        refusal(context=CONTEXT | {"party": "zurich"}),
        refusal(sealed=b64(bytes(raw))),
        refusal(sealed=b64(bytes(raw[:100]))),
        refusal(sealed=""),
        refusal(sealed="not base64!"),
    }
    assert [reason for reason, _ in answers] == [Reason.SEAL_BROKEN]


@pytest.mark.parametrize("half", ["mlkem", "x25519"])
def test_both_halves_of_the_hybrid_key_are_needed(half):
    stolen = SealingKey(**{"mlkem": KEY.mlkem, "x25519": KEY.x25519, half: getattr(SealingKey.generate(), half)})
    assert refusal(key=stolen)[0] is Reason.SEAL_BROKEN


@given(st.integers(0, len(unb64(SEALED)) * 8 - 1))
@settings(max_examples=60)
def test_no_altered_bit_goes_unnoticed(bit):
    raw = bytearray(unb64(SEALED))
    raw[bit // 8] ^= 1 << bit % 8
    assert refusal(sealed=b64(bytes(raw)))[0] is Reason.SEAL_BROKEN


def test_sealing_twice_gives_different_bytes():
    assert seal(KEY.public, b"a share", context=CONTEXT) != SEALED


@pytest.mark.parametrize(
    "public",
    [
        "",
        "AA",
        "!",
        b64(bytes(1216)),
        KEY.public[:-4],
        b64(b"\xff" * 1184 + unb64(KEY.public)[1184:]),
    ],
)
def test_what_is_no_sealing_key_is_refused(public):
    with pytest.raises(Refused) as refused:
        seal(public, b"a share", context=CONTEXT)
    assert refused.value.reason is Reason.MALFORMED


def test_key_ids_are_stable_and_tell_keys_apart():
    assert KEY.kid == sealing_key_id(KEY.public)
    assert KEY.kid != SealingKey.generate().kid
