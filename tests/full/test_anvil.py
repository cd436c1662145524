"""Contracts, client and outbox on a chain that is not our own, Foundry's anvil: their tests, collected once more.

Here anvil makes a block of each transaction, as the embedded chain does; in `tests/ledger/test_reorganisation.py` it
mines by the clock.
"""

# ruff: noqa: F401, F403, F811  (the tests and fixtures of other modules)
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from eth_account.signers.local import LocalAccount

from concordat.keystore import Keystore
from ledger.chain.client import ChainClient
from ledger.chain.deploy import Deployment
from ledger.chain.types import SignedTransaction
from tests.ledger.chain.conftest import client, client_of_url, deployed, keys
from tests.ledger.chain.test_client import *
from tests.ledger.chain.test_client import test_another_chain_is_refused as test_the_client_refuses_another_chain
from tests.ledger.chain.test_deploy import *
from tests.ledger.conftest import anchored, contracts, institution, write
from tests.ledger.test_anchoring import *
from tests.support.anvil import Anvil, anvil

pytestmark = [pytest.mark.full, pytest.mark.django_db]


@pytest.fixture(scope="module")
def chain(keys: list[LocalAccount]) -> Iterator[Anvil]:
    with anvil(fund=keys[0].address) as running:
        yield running


@pytest.fixture(scope="module")
def devchain(chain: Anvil, _state: Path) -> str:
    chain.ask("anvil_setBalance", Keystore(_state / "keys").chain.address, hex(10**21))
    return chain.url


@pytest.fixture(autouse=True)
def _mined_when_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    """Anvil answers a moment before it makes the block."""
    send = ChainClient.broadcast

    def send_and_wait(client: ChainClient, signed: SignedTransaction) -> None:
        send(client, signed)
        deadline = time.monotonic() + 10
        while client.receipt(signed.hash) is None:
            assert time.monotonic() < deadline, "anvil made no block"
            time.sleep(0.01)

    monkeypatch.setattr(ChainClient, "broadcast", send_and_wait)


def test_finality_is_a_depth_or_what_the_chain_calls_final(
    chain: Anvil, deployed: Deployment, client_of_url: Callable[..., ChainClient]
) -> None:
    latest = chain.block
    finalised = [client_of_url(chain.url, deployed, finality=f).finalised_block() for f in (0, 2, 10**6)]
    assert finalised == [latest, latest - 2, 0]
    tagged = int(chain.ask("eth_getBlockByNumber", "finalized", False)["number"], 16)
    assert client_of_url(chain.url, deployed, finality="finalized").finalised_block() == tagged < latest
