"""The coordinator's chain key: made once, kept as it is configured, and the same account all along."""

import os
from pathlib import Path

import pytest
from django.core.management import call_command

from concordat.keystore import Keystore
from concordat.reasons import Reason, Refused
from ledger import signing
from ledger.chain.signers import RemoteSigner

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def keys(settings, tmp_path) -> Path:
    settings.STATE_DIR = settings.KEYS_DIR = tmp_path / "keys"
    return settings.KEYS_DIR


@pytest.fixture
def passphrase(settings, tmp_path) -> Path:
    file = tmp_path / "passphrase"
    file.write_text("a long passphrase\n")
    file.chmod(0o600)
    settings.CHAIN_PASSPHRASE_FILE = str(file)
    return file


def test_without_a_passphrase_the_key_lies_in_the_key_folder(keys, capsys):
    call_command("create_keys")
    assert signing.signer().address == Keystore(keys).chain.address
    assert Keystore(keys).chain.address in capsys.readouterr().out


def test_with_a_passphrase_it_lies_in_a_keystore_alone(keys, passphrase, capsys):
    call_command("create_keys")
    address = signing.signer().address
    assert address in capsys.readouterr().out
    assert sorted(file.name for file in keys.iterdir() if "chain" in file.name) == ["chain.json"]
    call_command("create_keys")
    assert signing.signer().address == address


def test_a_plain_key_moves_into_the_keystore_and_remains_the_same_account(keys, settings, passphrase):
    settings.CHAIN_PASSPHRASE_FILE = ""
    call_command("create_keys")
    plain = signing.signer().address
    settings.CHAIN_PASSPHRASE_FILE = str(passphrase)
    call_command("create_keys")
    assert signing.signer().address == plain
    assert not (keys / "chain.pem").exists()


@pytest.mark.parametrize("when", ["before the keystore", "before the plain key is gone"])
def test_a_move_that_was_cut_off_is_finished_by_the_next(keys, settings, passphrase, monkeypatch, when):
    settings.CHAIN_PASSPHRASE_FILE = ""
    call_command("create_keys")
    plain = signing.signer().address
    settings.CHAIN_PASSPHRASE_FILE = str(passphrase)
    with monkeypatch.context() as patch:
        what = (signing, "write_keystore") if when == "before the keystore" else (Keystore, "remove")
        patch.setattr(*what, lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            call_command("create_keys")
    call_command("create_keys")
    assert signing.signer().address == plain
    assert not (keys / "chain.pem").exists()


def test_a_plain_key_of_another_account_is_left_alone(keys, passphrase):
    call_command("create_keys")
    address = signing.signer().address
    Keystore(keys).create(["chain"])
    call_command("create_keys")
    assert (signing.signer().address, (keys / "chain.pem").exists()) == (address, True)


@pytest.mark.parametrize("spoil", ["missing", "empty", "open to others", "another"])
def test_a_passphrase_that_cannot_be_used_is_named_and_never_shown(passphrase, spoil):
    call_command("create_keys")
    {
        "missing": lambda: passphrase.unlink(),
        "empty": lambda: passphrase.write_text("\n"),
        "open to others": lambda: passphrase.chmod(0o644),
        "another": lambda: passphrase.write_text("a wrong passphrase"),
    }[spoil]()
    with pytest.raises(Refused, match=Reason.KEYSTORE_UNSAFE) as refused:
        signing.signer()
    assert "wrong" not in str(refused.value)
    assert "a long" not in str(refused.value)


def test_a_keystore_that_was_replaced_is_read_again(keys, passphrase):
    call_command("create_keys")
    before = signing.signer().address
    (keys / "chain.json").unlink()
    signing.create()
    os.utime(keys / "chain.json", ns=(1, 1))
    assert signing.signer().address != before


def test_for_a_service_that_keeps_the_key_none_is_made(keys, settings):
    settings.CHAIN_SIGNER_URL, settings.CHAIN_SIGNER_ADDRESS = "https://signer.example", "0x" + "1" * 40
    call_command("create_keys")
    assert signing.signer() == RemoteSigner("https://signer.example", "0x" + "1" * 40)
    assert not [file for file in keys.iterdir() if "chain" in file.name]
