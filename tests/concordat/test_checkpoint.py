"""Checkpoints are the notes that C2SP specifies, to the byte, and are believed only when a known key signed them."""

import base64
import hashlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from concordat import note
from concordat.checkpoint import Checkpoint, sign, verify
from concordat.note import SignatureType
from concordat.reasons import Reason, Refused
from concordat.signatures import SigningKey, VerifyKey

NAME = "concordat.example/log"
KEY = SigningKey.generate()
KEYS = {NAME: KEY.public}
CHECKPOINT = Checkpoint(NAME, 20852163, hashlib.sha256(b"").digest())
NOTE = sign(CHECKPOINT, KEY, NAME)

# A head of Go's public checksum database and its published verification key.
GO_KEY = VerifyKey(base64.b64decode("Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8")[1:])
GO_NOTE = (
    "go.sum database tree\n31700353\nqINS1GRFhWHwdkUeqLEoP4yEMkTBBzxBkGwGQlVlVcs=\n\n"
    "— sum.golang.org Az3grnmrIUEDFqHzAElIQCPNoRFRAAdFo47fooyWKMHb89k11GJh5zHIfNCOBmwn/C3YI8oW9/C8DJ87F61QqspBYwM=\n"
)


def key_hash(name: str, key: VerifyKey) -> bytes:
    return note.key_id(name, SignatureType.ED25519, key)


def refused(text: str, keys: dict = KEYS) -> str:
    with pytest.raises(Refused) as refusal:
        verify(text, keys)
    assert refusal.value.reason is Reason.CHECKPOINT_INVALID
    return refusal.value.detail


def resign(body: str, key: SigningKey = KEY, name: str = NAME) -> str:
    blob = key_hash(name, key.public) + key.sign(body.encode())
    return f"{body}\n— {name} {base64.b64encode(blob).decode()}\n"


def test_the_bytes_of_a_note():
    body, signature = NOTE.split("\n\n")
    assert body == f"{NAME}\n20852163\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="
    blob = base64.b64decode(signature.removeprefix(f"— {NAME} ").removesuffix("\n"))
    assert blob[:4] == hashlib.sha256(NAME.encode() + b"\n\x01" + KEY.public.raw).digest()[:4]
    KEY.private.public_key().verify(blob[4:], (body + "\n").encode())


def test_a_checkpoint_that_another_implementation_published_verifies():
    assert key_hash("sum.golang.org", GO_KEY).hex() == "033de0ae"
    checkpoint = verify(GO_NOTE, {"sum.golang.org": GO_KEY})
    assert (checkpoint.origin, checkpoint.size) == ("go.sum database tree", 31700353)
    assert "does not belong" in refused(GO_NOTE.replace("31700353", "31700354"), {"sum.golang.org": GO_KEY})


@given(st.integers(0, 2**63 - 1), st.binary(min_size=32, max_size=32))
@settings(max_examples=30)
def test_what_was_signed_is_what_is_read(size, root):
    checkpoint = Checkpoint(NAME, size, root)
    assert verify(sign(checkpoint, KEY, NAME), KEYS) == checkpoint


def test_witnesses_may_add_their_signatures():
    witnesses = "".join(sign(CHECKPOINT, SigningKey.generate(), f"w{i}.example").split("\n\n")[1] for i in range(15))
    long = f"— w.example {base64.b64encode(bytes(5000)).decode()}\n"
    assert verify(NOTE + witnesses + long, KEYS) == CHECKPOINT
    body, own = NOTE.split("\n\n")
    assert verify(f"{body}\n\n{witnesses}{own}", KEYS) == CHECKPOINT


def test_a_rotated_key_of_the_same_name_is_passed_over():
    old = sign(CHECKPOINT, SigningKey.generate(), NAME).split("\n\n")[1]
    assert verify(NOTE + old, KEYS) == CHECKPOINT
    assert "No known key" in refused(sign(CHECKPOINT, SigningKey.generate(), NAME))


def test_one_bad_signature_of_a_known_key_refuses_the_note():
    other = SigningKey.generate()
    bad = base64.b64encode(key_hash("other.example", other.public) + bytes(64)).decode()
    text = f"{NOTE}— other.example {bad}\n"
    assert verify(text, KEYS) == CHECKPOINT
    assert "does not belong" in refused(text, KEYS | {"other.example": other.public})


@given(st.data())
@settings(max_examples=150)
def test_no_altered_note_is_believed(data):
    place = data.draw(st.integers(0, len(NOTE) - 1))
    letter = data.draw(st.sampled_from("0A=+/ \n—é\t").filter(lambda letter: letter != NOTE[place]))
    refused(NOTE[:place] + letter + NOTE[place + 1 :])


@pytest.mark.parametrize(
    "body",
    [
        f"{NAME}\n1\n",
        f"{NAME}\n01\n{'A' * 43}=\n",
        f"{NAME}\n-1\n{'A' * 43}=\n",
        f"{NAME}\n１\n{'A' * 43}=\n",
        f"{NAME}\n9999999999999999999\n{'A' * 43}=\n",
        f"{NAME}\n1\n{'A' * 42}==\n",
        f"{NAME}\n1\n{'A' * 42}B=\n",
        f"{NAME}\n1\n{'A' * 43}\n",
        f"\n1\n{'A' * 43}=\n",
        f"{NAME}\n1\n{'A' * 43}=\n\nextension\n",
    ],
)
def test_a_note_that_is_no_checkpoint_is_refused_however_well_signed(body):
    refused(resign(body))


def test_extension_lines_are_allowed_and_signed():
    assert verify(resign(CHECKPOINT.body + "extension\n"), KEYS) == CHECKPOINT


@pytest.mark.parametrize(
    "text",
    [
        "",
        "\n",
        NOTE[:-1],
        NOTE + "\n",
        NOTE + "x\n",
        CHECKPOINT.body,
        CHECKPOINT.body + "\n",
        NOTE.replace("—", "-"),
        NOTE.replace("\n", "\r\n"),
        NOTE + "— w.example AAAA\n",
        NOTE + "— w+w AAAAAAAA\n",
        NOTE + "— w\u00a0w AAAAAAAA\n",
        NOTE + "— w.example !!!!\n",
        NOTE + "— w.example \n",
        NOTE + "\ud800",
        NOTE + "— w A\n" * 100_000,
    ],
)
def test_what_is_no_note_is_refused(text):
    refused(text)


@pytest.mark.parametrize("name", ["", "a b", "a+b", "a\nb", "a\u2003b"])
def test_such_names_sign_nothing(name):
    with pytest.raises(Refused):
        sign(CHECKPOINT, KEY, name)


@pytest.mark.parametrize(
    "fields", [("", 1, bytes(32)), ("a\nb", 1, bytes(32)), ("a", -1, bytes(32)), ("a", 1, bytes(31))]
)
def test_such_checkpoints_do_not_exist(fields):
    with pytest.raises(Refused):
        Checkpoint(*fields)
