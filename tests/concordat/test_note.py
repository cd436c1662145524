"""Signed notes as C2SP specifies them, by the specification's own example."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from concordat import note
from concordat.note import SignatureType
from concordat.reasons import Reason, Refused
from concordat.signatures import VerifyKey

# https://c2sp.org/signed-note, “Example”
VKEY = "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k"
NOTE = (
    "This is an example message.\n\n"
    "— example.com/foo Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM=\n"
)
KEY = VerifyKey(base64.b64decode(VKEY.rsplit("+", 1)[1])[1:])
NAMES = st.text(st.characters(exclude_categories=["C", "Z"], exclude_characters="+"), min_size=1, max_size=20)


def test_the_specification_s_example_verifies_under_its_key():
    parsed = note.parse(NOTE)
    (signature,) = parsed.signatures
    assert parsed.text == "This is an example message.\n"
    assert signature.is_by("example.com/foo", note.key_id("example.com/foo", SignatureType.ED25519, KEY))
    assert KEY.verify(parsed.text.encode(), signature.value)


def test_a_verifier_key_is_written_as_the_specification_writes_it():
    assert note.vkey("example.com/foo", SignatureType.ED25519, KEY) == VKEY


def test_one_key_has_another_id_under_another_name_or_for_another_kind_of_signature():
    ids = {note.key_id(name, kind, KEY) for name in ("a", "b") for kind in SignatureType}
    assert len(ids) == 4
    assert (SignatureType.ED25519, SignatureType.COSIGNATURE) == (1, 4)


@given(NAMES, st.binary(min_size=4, max_size=4), st.binary(min_size=1, max_size=100))
def test_a_line_reads_back(name, key_id, value):
    (signature,) = note.parse_lines(note.line(name, key_id, value))
    assert (signature.name, signature.key_id, signature.value) == (name, key_id, value)


def test_the_text_is_everything_before_the_last_empty_line():
    assert note.parse("one\n\ntwo\n\n" + NOTE.split("\n\n")[1]).text == "one\n\ntwo\n"


@pytest.mark.parametrize("lines", ["", "\n", "— a AAAAAAAA", "— a AAAAAAAA\n\n", "— a AAAAAAA\n", "- a AAAAAAAA\n"])
def test_what_are_no_signature_lines_is_refused(lines):
    with pytest.raises(Refused) as refusal:
        note.parse_lines(lines)
    assert refusal.value.reason is Reason.CHECKPOINT_INVALID
