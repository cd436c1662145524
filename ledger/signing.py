"""The coordinator's signer on chain, as it is configured: remote, in a keystore that a passphrase opens, or plain."""

from functools import lru_cache
from pathlib import Path

from django.conf import settings

from concordat.files import read_private
from concordat.keystore import Keystore
from concordat.reasons import Reason, Refused
from ledger.chain.signers import LocalSigner, RemoteSigner, Signer, open_keystore, write_keystore

FILE = "chain.json"
"""The keystore's name in the key folder."""


def signer() -> Signer:
    """Who signs for the coordinator. Raises Refused(KEYSTORE_UNSAFE) for a key that is missing, exposed, not opened."""
    if settings.CHAIN_SIGNER_URL:
        return RemoteSigner(
            settings.CHAIN_SIGNER_URL,
            settings.CHAIN_SIGNER_ADDRESS,
            authority=settings.CHAIN_SIGNER_AUTHORITY,
            client=settings.CHAIN_SIGNER_CLIENT,
        )
    keys = Path(settings.KEYS_DIR)
    if not settings.CHAIN_PASSPHRASE_FILE:
        return LocalSigner(Keystore(keys).chain)
    path = keys / FILE
    changed = path.stat().st_mtime_ns if path.exists() else 0
    return _opened(path, changed, passphrase())


def passphrase() -> str:
    """What opens the keystore. Raises Refused(KEYSTORE_UNSAFE) if its file is missing, empty or open to others."""
    path = Path(settings.CHAIN_PASSPHRASE_FILE)
    try:
        found = read_private(path).decode().rstrip("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise Refused(Reason.KEYSTORE_UNSAFE, detail="The chain key's passphrase cannot be read.") from error
    if not found:
        raise Refused(Reason.KEYSTORE_UNSAFE, detail="The chain key's passphrase is empty.")
    return found


def create() -> None:
    """Make the coordinator's chain key where there is none; none is made for a remote signer.

    With a passphrase a plain key that is there already is moved into the keystore, and remains the same account.
    """
    if settings.CHAIN_SIGNER_URL:
        return
    keys = Keystore(settings.KEYS_DIR)
    path = keys.directory / FILE
    if settings.CHAIN_PASSPHRASE_FILE and not path.exists():
        write_keystore(path, keys.create(["chain"]).chain, passphrase())
    if not settings.CHAIN_PASSPHRASE_FILE:
        keys.create(["chain"])
    elif "chain" in keys.kinds and keys.chain.address == signer().address:
        keys.remove("chain")


@lru_cache(maxsize=4)
def _opened(path: Path, _changed: int, words: str) -> LocalSigner:
    return LocalSigner(open_keystore(path, words))
