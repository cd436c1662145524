"""The contracts' addresses are checksummed where they come in: votes and dossiers name them in one way only."""

import os
import subprocess
import sys

import pytest

PROGRAM = "from config import settings; print(settings.REGISTRY_ADDRESS)"


@pytest.mark.parametrize(
    ("given", "read"),
    [
        ("0x5fbdb2315678afecb367f032d93f642f64180aa3", "0x5FbDB2315678afecb367f032d93F642f64180aa3"),
        ("0x5FbDB2315678afecb367f032d93F642f64180aa3", "0x5FbDB2315678afecb367f032d93F642f64180aa3"),
        ("", ""),
        ("somewhere", "somewhere"),  # refused, by name, where it is used
    ],
)
def test_an_address_has_its_checksum(given: str, read: str) -> None:
    environment = {**os.environ, "CONCORDAT_REGISTRY_ADDRESS": given}
    done = subprocess.run([sys.executable, "-c", PROGRAM], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == read
