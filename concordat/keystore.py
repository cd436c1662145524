"""An institution's private keys: one PKCS#8 PEM file each (mode 0600), in one folder (mode 0700).

    identity  Ed25519                signs what the institution says from day to day
    offline   Ed25519                signs the roster of officers; belongs on a machine without a network
    sealing   ML-KEM-768 + X25519    opens what was sealed to the institution (two PEM blocks)
    chain     secp256k1              signs votes and transactions
    client    P-384                  signs machine sign-in (ES384)

With a passphrase the files are encrypted (PBES2: AES-256-CBC under PBKDF2). Its 2048 rounds do not slow an attacker
down, so the passphrase must be a random one, kept in a secret store, and not something that a person remembers.

A folder or file that another user could read is refused, and so is one that belongs to somebody else. No key file is
ever overwritten, except by the successor that the institution's signed key change names:

    next/      successors, from before their change is signed until it is recorded
    retired/   sealing keys that were replaced, by their ids: what was sealed to them must still be opened

Other keys that were replaced are deleted. A backup, or the disk's own spare blocks, may still hold them.
"""

import os
import re
from collections.abc import Iterable
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, get_args

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from joserfc.jwk import ECKey

from concordat.accounts import Account, LocalAccount
from concordat.files import check_private, read_private, sync, write_private
from concordat.reasons import Reason, Refused
from concordat.sealing import SealingKey
from concordat.signatures import SigningKey

Kind = Literal["identity", "offline", "sealing", "chain", "client"]
KINDS: tuple[Kind, ...] = get_args(Kind)

_PEM = re.compile(rb"-----BEGIN [A-Z ]+-----\n.+?\n-----END [A-Z ]+-----\n", re.DOTALL)


class Keystore:
    """The keys in `directory`. Each is read when first used; `load` reads and checks all of them at once.

    Every access raises Refused(KEYSTORE_UNSAFE) for a key that is missing, exposed, or not opened by the passphrase.
    """

    def __init__(self, directory: Path | str, passphrase: str | None = None) -> None:
        self.directory = Path(directory)
        self._passphrase = passphrase.encode() if passphrase else None

    def create(self, kinds: Iterable[Kind] = KINDS) -> "Keystore":
        """Generate those of `kinds` that are not there yet."""
        self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        check_private(self.directory.stat(), self.directory)
        for kind in kinds:
            if not self._path(kind).exists():
                self._write(kind, _generate(kind))
        return self

    def load(self) -> "Keystore":
        """Read every key that is there, so that a bad one shows at the start and not in the middle of a job."""
        for kind in self.kinds:
            getattr(self, kind)
        return self

    @property
    def kinds(self) -> tuple[Kind, ...]:
        """The kinds of key that are there."""
        return tuple(kind for kind in KINDS if self._path(kind).exists())

    @cached_property
    def identity(self) -> SigningKey:
        return SigningKey(self._read("identity", Ed25519PrivateKey))

    @cached_property
    def offline(self) -> SigningKey:
        return SigningKey(self._read("offline", Ed25519PrivateKey))

    @cached_property
    def sealing(self) -> SealingKey:
        return SealingKey(self._read("sealing", MLKEM768PrivateKey), self._read("sealing", X25519PrivateKey))

    @cached_property
    def chain(self) -> LocalAccount:
        key = self._curve_key("chain", ec.SECP256K1)
        account: LocalAccount = Account.from_key(key.private_numbers().private_value.to_bytes(32, "big"))
        return account

    @cached_property
    def client(self) -> ECKey:
        """The private JWK; its `kid` is the RFC 7638 thumbprint."""
        key = self._curve_key("client", ec.SECP384R1)
        return ECKey.import_key(key, {"alg": "ES384", "use": "sig", "kid": ECKey.import_key(key).thumbprint()})

    def public(self) -> dict[Kind, Any]:
        """The public halves of the keys that are there, as an enrolment carries them: base64url, but an EIP-55
        address for `chain` and a JWK for `client`."""
        return {kind: self._public(kind) for kind in self.kinds}

    def encrypt(self, passphrase: str) -> None:
        """Encrypt every key file here, successors and retired ones as well, under another passphrase. Repeatable: files
        that it opens already are left alone. The disk's spare blocks may still hold what was there before.

        Raises Refused(KEYSTORE_UNSAFE) for a file that neither opens; those before it are encrypted by then.
        """
        encryption = BestAvailableEncryption(passphrase.encode())
        for path in sorted(self.directory.rglob("*.pem")):
            blocks = _PEM.findall(read_private(path))
            try:
                for block in blocks:
                    load_pem_private_key(block, passphrase.encode())
            except (ValueError, TypeError):
                keys = self._load(path.stem, blocks)
                write_private(path, _written(keys, encryption), replace=True)
        self._passphrase = passphrase.encode()

    @property
    def successors(self) -> "Keystore":
        """The keys that are to replace those of this keystore: `create` them, name them in a change, `promote` them."""
        return self._below("next")

    def promote(self, kind: Kind) -> None:
        """Put the successor of a kind in its place, once its key change is recorded. Repeatable: without a successor
        there is nothing to do."""
        if kind in self.successors.kinds:
            self._retire(kind)
            self.successors._path(kind).replace(self._path(kind))
            sync(self.directory)
            self.__dict__.pop(kind, None)

    def remove(self, kind: Kind) -> None:
        """Take a key away that was revoked without a successor. Repeatable."""
        self._retire(kind)
        self._path(kind).unlink(missing_ok=True)
        sync(self.directory)
        self.__dict__.pop(kind, None)

    def sealing_key(self, key_id: str) -> SealingKey:
        """The sealing key of that id, in force or retired. Raises Refused(KEY_UNKNOWN)."""
        if "sealing" in self.kinds and self.sealing.kid == key_id:
            return self.sealing
        retired = self._retired(key_id)
        if retired.directory.exists():
            return retired.sealing
        raise Refused(Reason.KEY_UNKNOWN, detail="The key folder never held the sealing key that this was sealed to.")

    def _below(self, *folders: str) -> "Keystore":
        return Keystore(self.directory.joinpath(*folders), self._passphrase.decode() if self._passphrase else None)

    def _retired(self, key_id: str) -> "Keystore":
        return self._below("retired", re.sub(r"[^A-Za-z0-9_-]", "", key_id))

    def _retire(self, kind: Kind) -> None:
        if kind != "sealing" or "sealing" not in self.kinds:
            return
        retired = self._retired(self.sealing.kid)
        for folder in (retired.directory.parent, retired.directory):
            folder.mkdir(mode=0o700, exist_ok=True)
        with suppress(FileExistsError):
            os.link(self._path(kind), retired._path(kind))
        for folder in (retired.directory, retired.directory.parent, self.directory):
            sync(folder)

    def _public(self, kind: Kind) -> Any:
        match kind:
            case "identity" | "offline":
                return getattr(self, kind).public.b64
            case "sealing":
                return self.sealing.public
            case "chain":
                return self.chain.address
            case "client":
                return self.client.as_dict(private=False)

    def _path(self, kind: Kind) -> Path:
        return self.directory / f"{kind}.pem"

    def _write(self, kind: Kind, keys: Iterable[Any]) -> None:
        encryption = BestAvailableEncryption(self._passphrase) if self._passphrase else NoEncryption()
        with suppress(FileExistsError):  # the key that another process has just created counts, for both
            write_private(self._path(kind), _written(keys, encryption), replace=False)

    def _curve_key(self, kind: Kind, curve: type[ec.EllipticCurve]) -> ec.EllipticCurvePrivateKey:
        key: ec.EllipticCurvePrivateKey = self._read(kind, ec.EllipticCurvePrivateKey)
        if not isinstance(key.curve, curve):
            raise _unsafe(f"The file of the key “{kind}” holds another kind of key.")
        return key

    def _read(self, kind: Kind, expected: type) -> Any:
        path = self._path(kind)
        try:
            check_private(self.directory.stat(), self.directory)
            blocks = _PEM.findall(read_private(path))
        except FileNotFoundError as error:
            raise _unsafe(f"There is no key “{kind}” in the key folder.") from error
        for key in self._load(kind, blocks):
            if isinstance(key, expected):
                return key
        raise _unsafe(f"The file of the key “{kind}” holds another kind of key.")

    def _load(self, name: str, blocks: Iterable[bytes]) -> list[Any]:
        try:
            return [load_pem_private_key(block, self._passphrase) for block in blocks]
        except (ValueError, TypeError, UnsupportedAlgorithm) as error:
            raise _unsafe(f"The key “{name}” does not open with this passphrase, or is damaged.") from error


def _written(keys: Iterable[Any], encryption: KeySerializationEncryption) -> bytes:
    return b"".join(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption) for key in keys)


def _generate(kind: Kind) -> Iterable[Any]:
    match kind:
        case "identity" | "offline":
            return (Ed25519PrivateKey.generate(),)
        case "sealing":
            return (MLKEM768PrivateKey.generate(), X25519PrivateKey.generate())
        case "chain":
            return (ec.generate_private_key(ec.SECP256K1()),)
        case "client":
            return (ec.generate_private_key(ec.SECP384R1()),)


def _unsafe(detail: str) -> Refused:
    return Refused(Reason.KEYSTORE_UNSAFE, detail=detail)
