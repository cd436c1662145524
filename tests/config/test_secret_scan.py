"""What looks like a secret in a committed file stops lint, unless it is listed as none."""

from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from config import secret_scan


@pytest.fixture
def key() -> str:
    private = Ed25519PrivateKey.generate()
    return private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


def test_a_private_key_is_found_until_it_is_listed(tmp_path: Path, key: str) -> None:
    (tmp_path / "node.pem").write_text(key)
    found = secret_scan.scan(["node.pem"], tmp_path)
    assert list(secret_scan.unlisted(found, {})) == ["node.pem: Private Key"]
    assert not list(secret_scan.unlisted(found, found))


def test_what_is_listed_of_one_file_is_not_of_another(tmp_path: Path, key: str) -> None:
    for name in ("one.pem", "other.pem"):
        (tmp_path / name).write_text(key)
    listed = secret_scan.scan(["one.pem"], tmp_path)
    found = secret_scan.scan(["one.pem", "other.pem"], tmp_path)
    assert list(secret_scan.unlisted(found, listed)) == ["other.pem: Private Key"]


def test_what_is_listed_may_move_to_another_line(tmp_path: Path) -> None:
    (tmp_path / "settings.py").write_text(text := 'password = "h7Gf-2kd9-Ls0q"\n')
    listed = secret_scan.scan(["settings.py"], tmp_path)
    (tmp_path / "settings.py").write_text("# first\n\n" + text)
    assert listed["settings.py"]
    assert not list(secret_scan.unlisted(secret_scan.scan(["settings.py"], tmp_path), listed))


def test_the_list_does_not_hold_what_was_found(tmp_path: Path) -> None:
    (tmp_path / "settings.py").write_text('password = "h7Gf-2kd9-Ls0q"\n')
    assert "h7Gf" not in str(secret_scan.scan(["settings.py"], tmp_path))
