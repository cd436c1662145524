"""Who signs for an account, and what is believed of a service that does. The service's test double answers over real
HTTP what a service may answer; `tests/full/test_fees.py` asks a real one."""

import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
import rlp
from hexbytes import HexBytes
from web3.types import TxParams

from concordat.accounts import Account, LocalAccount
from concordat.reasons import Reason, Refused
from concordat.votes import HALF_ORDER
from ledger.chain.signers import LocalSigner, RemoteSigner, open_keystore, write_keystore

ASKED: TxParams = {
    "chainId": 31338,
    "nonce": 7,
    "to": "0x" + "1" * 40,
    "value": 0,
    "data": "0x0102",
    "gas": 90_000,
    "maxFeePerGas": 3,
    "maxPriorityFeePerGas": 1,
}  # type: ignore[typeddict-item]


@pytest.fixture
def account() -> LocalAccount:
    made: LocalAccount = Account.from_key(b"\x17" * 32)
    return made


@pytest.fixture
def answering() -> Iterator[Callable[[Callable[[dict[str, Any]], Any]], str]]:
    """A service that answers what a function makes of the transaction; its address."""
    servers: list[HTTPServer] = []

    def start(answer: Callable[[dict[str, Any]], Any]) -> str:
        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                call = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                assert call["method"] == "eth_signTransaction"
                content = json.dumps({"jsonrpc": "2.0", "id": call["id"], **answer(call["params"][0])}).encode()
                self.send_response(200)
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *_: object) -> None:
                pass

        server = HTTPServer(("127.0.0.1", 0), Handler)
        servers.append(server)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        return f"http://127.0.0.1:{server.server_port}"

    yield start
    for server in servers:
        server.shutdown()


def honest(account: LocalAccount, **changes: Any) -> Callable[[dict[str, Any]], Any]:
    def answer(transaction: dict[str, Any]) -> Any:
        wanted = {name: value for name, value in transaction.items() if name != "from"} | changes
        return {"result": account.sign_transaction(wanted).raw_transaction.to_0x_hex()}

    return answer


class TestAKeystore:
    def test_opens_with_its_passphrase_as_the_same_account(self, account: LocalAccount, tmp_path: Path) -> None:
        write_keystore(tmp_path / "chain.json", account, "a long passphrase")
        assert open_keystore(tmp_path / "chain.json", "a long passphrase").address == account.address
        content = (tmp_path / "chain.json").read_text()
        assert json.loads(content)["version"] == 3
        assert json.loads(content)["crypto"]["kdf"] == "scrypt"
        assert account.key.hex() not in content

    def test_is_refused_with_another_passphrase_or_damaged_or_open_to_others(
        self, account: LocalAccount, tmp_path: Path
    ) -> None:
        path = tmp_path / "chain.json"
        with pytest.raises(Refused, match=Reason.KEYSTORE_UNSAFE):
            open_keystore(path, "a long passphrase")
        write_keystore(path, account, "a long passphrase")
        with pytest.raises(Refused, match=Reason.KEYSTORE_UNSAFE) as refused:
            open_keystore(path, "another passphrase")
        assert "another" not in str(refused.value)
        path.write_text("{}")
        with pytest.raises(Refused, match=Reason.KEYSTORE_UNSAFE):
            open_keystore(path, "a long passphrase")
        path.chmod(0o644)
        with pytest.raises(Refused, match="nobody else may read it"):
            open_keystore(path, "a long passphrase")

    def test_is_not_overwritten(self, account: LocalAccount, tmp_path: Path) -> None:
        write_keystore(tmp_path / "chain.json", account, "a long passphrase")
        with pytest.raises(FileExistsError):
            write_keystore(tmp_path / "chain.json", account, "another")


class TestAServiceThatKeepsTheKey:
    def test_signs_what_a_local_account_would(self, account: LocalAccount, answering: Any) -> None:
        remote = RemoteSigner(answering(honest(account)), account.address)
        assert remote.sign(ASKED) == LocalSigner(account).sign(ASKED)

    def test_may_answer_with_an_object(self, account: LocalAccount, answering: Any) -> None:
        def clef(transaction: dict[str, Any]) -> Any:
            return {"result": {"raw": honest(account)(transaction)["result"], "tx": {}}}

        assert RemoteSigner(answering(clef), account.address).sign(ASKED) == LocalSigner(account).sign(ASKED)

    @pytest.mark.parametrize(
        "changes",
        [
            {"nonce": 8},
            {"to": "0x" + "2" * 40},
            {"value": 1},
            {"data": "0x0103"},
            {"chainId": 1},
            {"maxFeePerGas": 4},
            {"gas": 90_001},
            {"accessList": [{"address": "0x" + "2" * 40, "storageKeys": []}]},
        ],
    )
    def test_is_not_believed_when_it_signs_something_else(
        self, account: LocalAccount, answering: Any, changes: dict[str, Any]
    ) -> None:
        with pytest.raises(Refused, match=f"{Reason.SIGNER_REFUSED}: .*another transaction"):
            RemoteSigner(answering(honest(account, **changes)), account.address).sign(ASKED)

    def test_is_not_believed_when_no_chain_takes_its_signature(self, account: LocalAccount, answering: Any) -> None:
        def high(transaction: dict[str, Any]) -> Any:
            """The other valid signature, with the high s."""
            raw = HexBytes(honest(account)(transaction)["result"])
            kind, fields = raw[:1], rlp.decode(bytes(raw[1:]))
            order = 2 * HALF_ORDER + 1
            parity = int.from_bytes(fields[-3], "big") ^ 1
            s = order - int.from_bytes(fields[-1], "big")
            fields[-3:] = [bytes([parity]) if parity else b"", fields[-2], s.to_bytes(32, "big")]
            return {"result": "0x" + (kind + rlp.encode(fields)).hex()}

        with pytest.raises(Refused, match=f"{Reason.SIGNER_REFUSED}: .*EIP-2"):
            RemoteSigner(answering(high), account.address).sign(ASKED)

    def test_is_not_believed_when_it_signs_as_somebody_else(self, account: LocalAccount, answering: Any) -> None:
        other = Account.from_key(b"\x18" * 32)
        with pytest.raises(Refused, match=f"{Reason.SIGNER_REFUSED}: .*another account"):
            RemoteSigner(answering(honest(other)), account.address).sign(ASKED)

    @pytest.mark.parametrize(
        "answer",
        [
            {"error": {"code": -32000, "message": "denied"}},
            {"result": None},
            {"result": "0x"},
            {"result": "0x02c0"},
            {"result": "0x03c0"},
            {"result": "nonsense"},
            {"result": [1]},
        ],
    )
    def test_that_does_not_sign_is_told_apart_from_one_that_is_away(
        self, account: LocalAccount, answering: Any, answer: Any
    ) -> None:
        with pytest.raises(Refused, match=Reason.SIGNER_REFUSED):
            RemoteSigner(answering(lambda _: answer), account.address).sign(ASKED)
        with pytest.raises(Refused, match=Reason.SIGNER_UNAVAILABLE):
            RemoteSigner("http://127.0.0.1:1", account.address).sign(ASKED)

    def test_is_asked_for_transactions_with_dynamic_fees_only(self, account: LocalAccount) -> None:
        legacy: Any = {name: value for name, value in ASKED.items() if "Fee" not in name} | {"gasPrice": 3}
        with pytest.raises(Refused, match=Reason.SIGNER_REFUSED):
            RemoteSigner("http://127.0.0.1:1", account.address).sign(legacy)
