"""Private keys lie in files that only their owner can read, and are never overwritten."""

import os
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from concordat import sealing
from concordat.keystore import KINDS, Keystore
from concordat.reasons import Reason, Refused


@pytest.fixture
def home(tmp_path):
    return tmp_path / "institution" / "keys"


@pytest.fixture
def keystore(home):
    return Keystore(home).create()


def refused(use) -> str:
    with pytest.raises(Refused) as refusal:
        use()
    assert refusal.value.reason is Reason.KEYSTORE_UNSAFE
    return refusal.value.detail


def test_files_and_folder_are_for_their_owner_alone(keystore, home):
    assert home.stat().st_mode & 0o777 == 0o700
    assert {path.name for path in home.iterdir()} == {f"{kind}.pem" for kind in KINDS}
    assert {path.stat().st_mode & 0o777 for path in home.iterdir()} == {0o600}


def test_a_generous_umask_changes_nothing(home):
    before = os.umask(0)
    try:
        Keystore(home).create(["identity"])
    finally:
        os.umask(before)
    assert home.stat().st_mode & 0o777 == 0o700
    assert (home / "identity.pem").stat().st_mode & 0o777 == 0o600


def test_keys_read_back_are_the_keys_created(keystore, home):
    again = Keystore(home).load()
    assert again.public() == keystore.public()
    sealed = sealing.seal(keystore.public()["sealing"], b"share", context={})
    assert sealing.open(again.sealing, sealed, context={}) == b"share"
    assert keystore.identity.public.verify(b"m", again.identity.sign(b"m"))
    assert again.chain.address == keystore.public()["chain"]


def test_every_key_is_its_own(tmp_path, keystore):
    other = Keystore(tmp_path / "other").create()
    assert keystore.identity.public != keystore.offline.public
    halves = [str(half) for keys in (keystore, other) for half in keys.public().values()]
    assert len(set(halves)) == 2 * len(KINDS)


def test_creating_again_keeps_what_is_there_and_adds_what_is_missing(home):
    first = Keystore(home).create(["identity", "chain"])
    assert first.kinds == ("identity", "chain")
    second = Keystore(home).create()
    assert second.kinds == KINDS
    assert second.public()["identity"] == first.public()["identity"]


def test_several_creating_at_once_agree_on_one_key(home):
    barrier = threading.Barrier(4)

    def create(_):
        barrier.wait()
        return Keystore(home).create(["identity"]).identity.kid

    with ThreadPoolExecutor(4) as pool:
        assert len(set(pool.map(create, range(4)))) == 1
    assert [path.name for path in home.iterdir()] == ["identity.pem"]


def test_the_client_key_is_an_es384_jwk_and_its_public_half_holds_no_secret(keystore):
    public = keystore.public()["client"]
    assert {name: public[name] for name in ("kty", "crv", "alg", "use")} == {
        "kty": "EC",
        "crv": "P-384",
        "alg": "ES384",
        "use": "sig",
    }
    assert public["kid"] == keystore.client.thumbprint()
    assert "d" not in public
    assert keystore.client.is_private


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o660])
def test_a_key_file_that_others_can_reach_is_refused(keystore, home, mode):
    (home / "identity.pem").chmod(mode)
    assert "identity.pem" in refused(lambda: Keystore(home).identity)
    assert Keystore(home).offline
    refused(lambda: Keystore(home).load())


def test_a_folder_that_others_can_reach_is_refused(keystore, home):
    home.chmod(0o750)
    assert "keys" in refused(lambda: Keystore(home).identity)
    refused(lambda: Keystore(home).create())


def test_keys_of_another_user_are_refused(keystore, home, monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: home.stat().st_uid + 1)
    assert "belong" in refused(lambda: Keystore(home).identity)


def test_a_missing_key_is_named(home):
    assert "offline" in refused(lambda: Keystore(home).create(["identity"]).offline)
    assert "identity" in refused(lambda: Keystore(home / "nowhere").identity)


def test_a_passphrase_encrypts_every_file_and_is_needed(home):
    keystore = Keystore(home, "correct horse battery staple").create()
    for path in home.iterdir():
        assert path.read_bytes().count(b"BEGIN ENCRYPTED PRIVATE KEY") == path.read_bytes().count(b"BEGIN")
    assert Keystore(home, "correct horse battery staple").load().public() == keystore.public()
    for kind in KINDS:
        assert kind in refused(lambda kind=kind: getattr(Keystore(home, "wrong"), kind))
        assert kind in refused(lambda kind=kind: getattr(Keystore(home), kind))


def test_a_plain_file_does_not_pass_where_a_passphrase_is_set(keystore, home):
    refused(lambda: Keystore(home, "passphrase").identity)


@pytest.mark.parametrize("content", [b"", b"text", b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"])
def test_a_damaged_file_is_refused(keystore, home, content):
    (home / "identity.pem").write_bytes(content)
    refused(lambda: Keystore(home).identity)


@pytest.mark.parametrize(
    ("kind", "other"),
    [
        ("identity", "chain"),
        ("chain", "client"),
        ("client", "chain"),
        ("sealing", "offline"),
        ("client", "identity"),
    ],
)
def test_a_key_of_another_kind_in_the_file_is_refused(keystore, home, kind, other):
    (home / f"{kind}.pem").write_bytes((home / f"{other}.pem").read_bytes())
    refused(lambda: getattr(Keystore(home), kind))


def test_files_are_ordinary_pem(keystore, home):
    key = load_pem_private_key((home / "identity.pem").read_bytes(), None)
    assert key.public_key() == keystore.identity.private.public_key()
