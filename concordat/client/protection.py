"""Key files that the operating system's keyring opens.

The files are encrypted with a random passphrase, and only the keyring holds that: the Secret Service of a Linux
desktop, the Keychain of macOS, the Credential Locker of Windows. Whoever copies the folder, or finds it in a backup,
has nothing.

    keys/keyring    the name of the keyring's entry; not a secret
"""

import secrets
from pathlib import Path
from uuid import uuid4

import keyring
from keyring.backends.fail import Keyring as NoKeyring
from keyring.errors import KeyringError

from concordat.files import write_private
from concordat.keystore import Keystore
from concordat.reasons import Reason, Refused

SERVICE = "concordat"
MARK = "keyring"


def passphrase_of(keys: Path) -> str | None:
    """What opens the key files in this folder; None if the keyring has no part in it.

    Raises Refused(KEYRING_UNAVAILABLE) for a keyring that is locked, away, or has lost the entry.
    """
    mark = keys / MARK
    if not mark.exists():
        return None
    try:
        found = keyring.get_password(SERVICE, mark.read_text())
    except KeyringError as error:
        raise _unavailable(error) from error
    if found is None:
        raise Refused(Reason.KEYRING_UNAVAILABLE, detail="The keyring has no entry for this key folder.")
    return found


def new_passphrase(keys: Path) -> str:
    """A random passphrase that the keyring holds from now on for this folder; the one that it holds already, if any.

    Raises Refused(KEYRING_UNAVAILABLE); nothing is written then.
    """
    found = passphrase_of(keys)
    if found is not None:
        return found
    entry, made = str(uuid4()), secrets.token_urlsafe(32)
    try:
        if isinstance(keyring.get_keyring(), NoKeyring):
            raise Refused(Reason.KEYRING_UNAVAILABLE, detail="This machine has no keyring that is known here.")
        keyring.set_password(SERVICE, entry, made)
    except KeyringError as error:
        raise _unavailable(error) from error
    keys.mkdir(mode=0o700, parents=True, exist_ok=True)
    write_private(keys / MARK, entry.encode(), replace=False)
    return made


def protect(keys: Path, passphrase: str | None) -> None:
    """Encrypt key files that are there under a passphrase of the keyring's. Repeatable: cut off, it goes on.

    Args:
        passphrase: what opens them so far; None if they lie in the clear.

    Raises:
        Refused: KEYRING_UNAVAILABLE; KEYSTORE_UNSAFE for a file that neither passphrase opens.
    """
    Keystore(keys, passphrase).encrypt(new_passphrase(keys))


def _unavailable(error: KeyringError) -> Refused:
    return Refused(Reason.KEYRING_UNAVAILABLE, detail=f"It answers {type(error).__name__}.")
