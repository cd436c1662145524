"""Who signs what goes to the chain: an account in this process, or a service that keeps the key.

A local account comes from a key folder, or from a keystore of version 3 (Web3 Secret Storage, scrypt) that a passphrase
opens. A remote one is any service with `eth_signTransaction`, such as Web3Signer in front of a KMS or an HSM, or Clef.
Its answer counts only if it is the very transaction that was asked for, signed by the account that was named.
"""

import json
import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, cast

import httpx
from eth_utils.crypto import keccak
from hexbytes import HexBytes
from web3.types import TxParams

from concordat import canonical
from concordat.accounts import Account, LocalAccount, TypedTransaction
from concordat.files import read_private, write_private
from concordat.reasons import Reason, Refused
from concordat.votes import HALF_ORDER
from ledger.chain.types import SignedTransaction

DYNAMIC_FEES = 2
"""The type of transaction (EIP-1559) that a chain with a fee market takes."""

_SECONDS = 20.0


class Signer(Protocol):
    """Signs one account's transactions, and sends none."""

    @property
    def address(self) -> str:
        """The account, with its checksum."""

    def sign(self, transaction: TxParams) -> SignedTransaction:
        """The transaction, signed. Raises Refused: SIGNER_UNAVAILABLE, SIGNER_REFUSED."""


@dataclass(frozen=True)
class LocalSigner:
    """An account whose key this process holds; no endpoint sees it."""

    account: LocalAccount

    @property
    def address(self) -> str:
        return str(self.account.address)

    def sign(self, transaction: TxParams) -> SignedTransaction:
        return _signed(self.account.sign_transaction(cast(dict[str, Any], transaction)).raw_transaction)


@dataclass(frozen=True)
class RemoteSigner:
    """A service at `url` that keeps the key of `address`. `authority` is a PEM file with its certificate authority,
    `client` one with our own certificate and key; empty for the system's authorities, and for none of ours."""

    url: str
    address: str
    authority: str = ""
    client: str = ""

    def sign(self, transaction: TxParams) -> SignedTransaction:
        if "maxFeePerGas" not in transaction:
            raise Refused(Reason.SIGNER_REFUSED, detail="Only transactions with dynamic fees are signed remotely.")
        asked = {"value": 0, **transaction, "from": self.address, "type": DYNAMIC_FEES}
        raw = self._ask({name: _json(value) for name, value in asked.items()})
        del asked["from"]
        try:
            signed = TypedTransaction.from_bytes(raw)
            same = signed.hash() == TypedTransaction.from_dict(asked).hash()
            sender = Account.recover_transaction(raw)
        except Exception as error:  # a service may send anything, and its parsers may raise anything
            raise _refused("Its answer is no signed transaction.") from error
        if not same or sender != self.address:
            raise _refused("It signed another transaction, or as another account.")
        if signed.vrs()[2] > HALF_ORDER:
            raise _refused("Its signature is not in the one form that chains accept (EIP-2).")
        return _signed(raw)

    def _ask(self, transaction: dict[str, Any]) -> HexBytes:
        call = {"jsonrpc": "2.0", "id": 1, "method": "eth_signTransaction", "params": [transaction]}
        try:
            with httpx.Client(verify=self._tls(), timeout=_SECONDS) as http:
                answer = canonical.decode(http.post(self.url, json=call).raise_for_status().content)
        except (httpx.HTTPError, httpx.InvalidURL, OSError, Refused) as error:
            raise Refused(Reason.SIGNER_UNAVAILABLE, detail=type(error).__name__) from error
        result = answer.get("result") if isinstance(answer, dict) else None
        raw = result.get("raw") if isinstance(result, dict) else result  # Clef answers an object
        try:
            return HexBytes(cast(str, raw))
        except (TypeError, ValueError) as error:
            raise _refused("It did not sign.") from error

    def _tls(self) -> ssl.SSLContext:
        context = ssl.create_default_context(cafile=self.authority or None)
        if self.client:
            context.load_cert_chain(self.client)
        return context


def write_keystore(path: Path, account: LocalAccount, passphrase: str) -> None:
    """Keep an account's key in a keystore of version 3 (mode 0600). Raises FileExistsError rather than replace one."""
    content = json.dumps(Account.encrypt(account.key, passphrase)).encode()
    write_private(path, content, replace=False)


def open_keystore(path: Path, passphrase: str) -> LocalAccount:
    """The account in a keystore of version 3; takes about a second. Raises Refused(KEYSTORE_UNSAFE)."""
    try:
        account: LocalAccount = Account.from_key(Account.decrypt(read_private(path).decode(), passphrase))
    except FileNotFoundError as error:
        raise Refused(Reason.KEYSTORE_UNSAFE, detail=f"There is no “{path.name}” in the key folder.") from error
    except (ValueError, KeyError, TypeError) as error:
        detail = f"“{path.name}” does not open with this passphrase, or is damaged."
        raise Refused(Reason.KEYSTORE_UNSAFE, detail=detail) from error
    return account


def _json(value: object) -> object:
    if isinstance(value, int):
        return hex(value)
    return "0x" + value.hex() if isinstance(value, bytes) else value


def _signed(raw: bytes) -> SignedTransaction:
    return SignedTransaction(raw=bytes(raw), hash="0x" + keccak(raw).hex())


def _refused(detail: str) -> Refused:
    return Refused(Reason.SIGNER_REFUSED, detail=detail)
