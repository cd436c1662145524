"""Cosignatures to the byte of C2SP tlog-cosignature; those of nobody we know are passed over, false ones refused."""

import base64
import hashlib
import struct
from datetime import UTC, datetime

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st

from concordat import checkpoint, cosignature, note
from concordat.checkpoint import Checkpoint
from concordat.note import SignatureType
from concordat.reasons import Reason, Refused
from concordat.signatures import SigningKey

ORIGIN = "example.com/behind-the-sofa"
BODY = f"{ORIGIN}\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n"
TIME = datetime.fromtimestamp(1679315147, UTC)
LOG = SigningKey(Ed25519PrivateKey.from_private_bytes(bytes(range(32))))
KEY = SigningKey(Ed25519PrivateKey.from_private_bytes(bytes(range(32, 64))))
NAME = f"{ORIGIN}/witnesses/zurich"

# The head and time of the specification's example, signed with these keys by another implementation, aics-tlog 0.2.1
NOTE = (
    f"{BODY}\n— {ORIGIN} H1no9Vbha/V7K+0nOUyOYWY2eeqkJO0R/8eVdJBP1U6klJ63rYHH36AjiNbqMeYZ5wXtNMpYFqOQG4s/igFrnBBp3AU=\n"
)
LINE = (
    f"— {NAME} "
    "dR4UQgAAAABkGFDL6ade/xdmW0GepsICyPher/bBsso0aCocxkD4MgnQ2J3N/61CxrucC0uO4wzUWe3K7XvjkEYtewKXIfP/U7l4Cw==\n"
)
VKEY = f"{NAME}+751e1442+BCmsuuFBvMrwsi4alNNNC8c2HlJtC/4SyJeUvJMilm3X"

# The example in the specification itself; its witness's key is not published, but its bytes say their time.
EXAMPLE = "jWbPPwAAAABkGFDLEZMHwSRaJNiIDoe9DYn/zXcrtPHeolMI5OWXEhZCB9dlrDJsX3b2oyin1nPZqhf5nNo0xUe+mbIUBkBIfZ+qnA=="

WITNESSES = {"zurich": KEY.public}


def read(text, witnesses=WITNESSES):
    return cosignature.verify(text, witnesses, origin=ORIGIN)


def refusal(text):
    with pytest.raises(Refused) as caught:
        read(text)
    return caught.value.reason, caught.value.field


def test_they_are_those_of_another_implementation_byte_for_byte():
    assert checkpoint.sign(checkpoint.verify(NOTE, {ORIGIN: LOG.public}), LOG, ORIGIN) == NOTE
    assert cosignature.cosign(BODY, KEY, NAME, TIME) == LINE
    assert note.vkey(NAME, SignatureType.COSIGNATURE, KEY.public) == VKEY


def test_the_bytes_are_those_that_the_specification_describes():
    blob = base64.b64decode(LINE.split(" ")[2])
    key_id, (seconds,), signature = blob[:4], struct.unpack(">Q", blob[4:12]), blob[12:]
    assert key_id == hashlib.sha256(NAME.encode() + b"\n\x04" + KEY.public.raw).digest()[:4]
    assert seconds == 1679315147
    KEY.private.public_key().verify(signature, f"cosignature/v1\ntime {seconds}\n{BODY}".encode())
    published = base64.b64decode(EXAMPLE)
    assert (len(published), struct.unpack(">Q", published[4:12])) == (len(blob), (seconds,))


def test_a_cosigned_note_says_who_saw_it_and_when_and_is_the_log_s_as_before():
    found = read(NOTE + LINE)
    assert (found["zurich"].time, found["zurich"].line) == (TIME, LINE)
    assert checkpoint.verify(NOTE + LINE, {ORIGIN: LOG.public}).size == 20852163


def test_extension_lines_are_cosigned_too():
    body = BODY + "extension\n"
    line = cosignature.cosign(body, KEY, NAME, TIME)
    assert read(f"{body}\n{line}")["zurich"].time == TIME
    assert refusal(f"{BODY}\n{line}") == (Reason.COSIGNATURE_INVALID, "zurich")


def test_a_key_that_is_not_the_witness_s_is_passed_over():
    stranger = SigningKey.generate()
    lines = cosignature.cosign(BODY, stranger, NAME, TIME) + cosignature.cosign(BODY, KEY, f"{NAME}2", TIME)
    assert read(NOTE + lines) == {}
    assert set(read(NOTE + lines + LINE)) == {"zurich"}


def test_a_witness_counts_once_by_its_latest_line():
    later = cosignature.cosign(BODY, KEY, NAME, datetime.fromtimestamp(1679315999, UTC))
    for lines in (LINE + later, later + LINE):
        assert read(NOTE + lines)["zurich"].line == later


def test_neither_a_checkpoint_s_signature_nor_a_bare_one_passes_for_a_cosignature():
    for value in (KEY.sign(BODY.encode()), bytes(8) + KEY.sign(cosignature.message(BODY, 0)), b"x"):
        line = note.line(NAME, cosignature.key_id(NAME, KEY.public), value)
        assert refusal(NOTE + line) == (Reason.COSIGNATURE_INVALID, "zurich")
    as_log = note.line(NAME, note.key_id(NAME, SignatureType.ED25519, KEY.public), KEY.sign(BODY.encode()))
    assert read(NOTE + as_log) == {}


def test_a_cosignature_does_not_pass_for_the_log_s_signature():
    with pytest.raises(Refused):
        checkpoint.verify(f"{BODY}\n{cosignature.cosign(BODY, LOG, ORIGIN, TIME)}", {ORIGIN: LOG.public})


@pytest.mark.parametrize("seconds", [0, 2**63 - 1, 2**63, 2**64 - 1])
def test_a_time_that_is_none_is_refused(seconds):
    value = struct.pack(">Q", seconds) + KEY.sign(cosignature.message(BODY, seconds))
    assert refusal(NOTE + note.line(NAME, cosignature.key_id(NAME, KEY.public), value))[0] is Reason.COSIGNATURE_INVALID


@given(st.integers(4, 75), st.integers(0, 7))
@settings(max_examples=60)
def test_no_bit_of_a_cosignature_can_be_changed(byte, bit):
    blob = bytearray(base64.b64decode(LINE.split(" ")[2]))
    blob[byte] ^= 1 << bit
    line = f"— {NAME} {base64.b64encode(blob).decode()}\n"
    assert refusal(NOTE + line) == (Reason.COSIGNATURE_INVALID, "zurich")


@given(st.integers(0, 2**40), st.binary(min_size=32, max_size=32))
@settings(max_examples=30)
def test_it_is_for_one_head_only(size, root):
    other = Checkpoint(ORIGIN, size, root)
    assert refusal(f"{other.body}\n{LINE}") == (Reason.COSIGNATURE_INVALID, "zurich")
