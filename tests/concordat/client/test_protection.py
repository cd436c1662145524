"""Key files that the operating system's keyring opens: with a real keyring, and where there is none."""

import json
import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from concordat.client.cli import main
from concordat.keystore import KINDS, Keystore
from concordat.reasons import Reason, Refused

ROOT = Path(__file__).parents[3]
FOUND = ["init", "--slug", "geneva", "--name", "Geneva", "--jurisdiction", "CH", "--coordinator", "http://127.0.0.1:1"]


@pytest.fixture
def no_keyring(monkeypatch):
    import keyring
    from keyring.backends.fail import Keyring

    before = keyring.get_keyring()
    keyring.set_keyring(Keyring())
    yield
    keyring.set_keyring(before)


def refusal(result):
    return json.loads(result.stderr)["error"]["reason"]


def concordat(home, *arguments):
    return CliRunner().invoke(main, ["--home", str(home), "--output", "json", *arguments])


class TestWithoutAKeyring:
    pytestmark = pytest.mark.usefixtures("no_keyring")

    def test_none_is_asked_for_and_nothing_is_made(self, tmp_path):
        result = concordat(tmp_path / "home", *FOUND, "--keyring")
        assert refusal(result) == Reason.KEYRING_UNAVAILABLE
        assert not (tmp_path / "home").exists()

    def test_keys_that_lie_in_the_clear_are_left_as_they_are(self, tmp_path):
        keys = Keystore(tmp_path / "keys").create()
        before = {path.name: path.read_bytes() for path in keys.directory.iterdir()}
        assert refusal(concordat(tmp_path, "keys", "protect")) == Reason.KEYRING_UNAVAILABLE
        assert {path.name: path.read_bytes() for path in keys.directory.iterdir()} == before

    def test_keys_that_one_opens_elsewhere_say_so_and_open_with_their_passphrase(self, tmp_path):
        keys = Keystore(tmp_path / "keys", "from a safe").create()
        (keys.directory / "keyring").write_text("an entry of another machine")
        assert refusal(concordat(tmp_path, "keys", "passphrase")) == Reason.KEYRING_UNAVAILABLE
        (tmp_path / "passphrase").write_text("from a safe\n")
        result = concordat(tmp_path, "--passphrase-file", str(tmp_path / "passphrase"), "keys", "show")
        assert refusal(result) == Reason.HOME_INCOMPLETE  # it got past the keys, to the pins that are not there


class TestEncryptingAKeystore:
    def test_reaches_every_key_retired_ones_and_successors_too(self, tmp_path):
        keys = Keystore(tmp_path).create()
        sealing, identity = keys.sealing.kid, keys.identity.public.b64
        keys.successors.create(["sealing", "client"])
        keys.promote("sealing")
        keys.encrypt("another")
        assert not [path for path in tmp_path.rglob("*.pem") if b"ENCRYPTED" not in path.read_bytes()]
        opened = Keystore(tmp_path, "another").load()
        assert opened.identity.public.b64 == identity
        assert opened.sealing_key(sealing).kid == sealing
        assert opened.successors.load().kinds == ("client",)

    def test_is_finished_by_the_next_attempt(self, tmp_path, monkeypatch):
        import concordat.keystore as module

        keys = Keystore(tmp_path).create()
        public, write, written = keys.public(), module.write_private, []

        def crash(*arguments, **options):
            if len(written) == 2:
                raise KeyboardInterrupt
            written.append(write(*arguments, **options))

        with monkeypatch.context() as patch:
            patch.setattr(module, "write_private", crash)
            with pytest.raises(KeyboardInterrupt):
                keys.encrypt("another")
        Keystore(tmp_path).encrypt("another")
        assert Keystore(tmp_path, "another").public() == public

    def test_is_refused_where_neither_passphrase_opens(self, tmp_path):
        Keystore(tmp_path, "first").create()
        with pytest.raises(Refused, match=Reason.KEYSTORE_UNSAFE):
            Keystore(tmp_path, "second").encrypt("third")


SCRIPT = """
set -e
printf 'login password' | gnome-keyring-daemon --unlock --components=secrets > /dev/null
{concordat} --home fresh {found} --keyring > enrolment.jws
{concordat} --home fresh keys passphrase > held
{concordat} --home old keys protect
{concordat} --home old keys protect
{concordat} --home old keys passphrase > old-held
{concordat} --home old keys show || true
"""


@pytest.mark.full
def test_a_real_keyring_opens_them_and_nothing_else_does(tmp_path):
    """GNOME's, over D-Bus, in a session of its own."""
    if not (shutil.which("gnome-keyring-daemon") and shutil.which("dbus-run-session")):
        pytest.skip("gnome-keyring and dbus are not installed")
    plain = Keystore(tmp_path / "old" / "keys").create().public()
    script = SCRIPT.format(
        concordat=f"{shlex.quote(sys.executable)} -m concordat.client", found=" ".join(map(shlex.quote, FOUND))
    )
    done = subprocess.run(
        ["dbus-run-session", "--", "sh", "-c", script],
        cwd=tmp_path,
        env={**os.environ, "HOME": str(tmp_path), "PYTHONPATH": str(ROOT), "XDG_DATA_HOME": str(tmp_path / "data")},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    for home, held in (("fresh", "held"), ("old", "old-held")):
        passphrase, keys = (tmp_path / held).read_text().strip(), tmp_path / home / "keys"
        assert len(passphrase) > 40
        assert Keystore(keys, passphrase).load().kinds == KINDS
        with pytest.raises(Refused, match=Reason.KEYSTORE_UNSAFE):
            Keystore(keys).load()
        found = [path for path in tmp_path.rglob("*") if path.is_file() and passphrase.encode() in path.read_bytes()]
        assert found == [tmp_path / held]
    assert Keystore(tmp_path / "old" / "keys", (tmp_path / "old-held").read_text().strip()).public() == plain
    assert "home-incomplete" in done.stderr  # of `show`: past the keys, without pins
