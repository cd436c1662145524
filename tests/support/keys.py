"""The keys of a coordinator, as `manage.py create_keys` makes them, without a database."""

import secrets
from pathlib import Path

from concordat.files import write_private
from concordat.keystore import Keystore


def coordinator_keys(folder: Path) -> Keystore:
    """Identity, chain and master key in a new folder."""
    keystore = Keystore(folder).create(["identity", "chain"])
    write_private(folder / "master.key", secrets.token_bytes(32), replace=False)
    return keystore
