"""The outbox on a chain that mines by the clock, as one of several institutions does, and is reorganised for real."""

import time
from collections.abc import Iterator
from typing import Any

import pytest

from concordat.keystore import Keystore
from ledger import selectors, tasks
from ledger.chain.deploy import deploy
from ledger.models import Anchor, ChainTransaction
from ledger.selectors import EntryStatus
from ledger.services.anchoring import chain_client
from ledger.services.publish import publish
from tests.support.anvil import CHAIN_ID, Anvil, anvil

pytestmark = [pytest.mark.full, pytest.mark.django_db]


@pytest.fixture
def ticking(settings: Any, institution: Keystore) -> Iterator[Anvil]:
    """A chain that makes a block every second, with our contracts, configured in the settings."""
    account = Keystore(settings.KEYS_DIR).chain
    with anvil("--block-time", "1", fund=account.address) as running:
        made = deploy(
            rpc_url=running.url,
            chain_id=CHAIN_ID,
            deployer=account,
            submitters=[account.address],
            institutions=[institution.chain.address],
            quorum=1,
        )
        settings.CHAIN_RPC, settings.CHAIN_ID = running.url, CHAIN_ID
        settings.ANCHOR_ADDRESS, settings.REGISTRY_ADDRESS = made.anchor_address, made.registry_address
        yield running


def anchored(state: str) -> list[ChainTransaction]:
    """The anchors' transactions, once the outbox has brought all of them there."""
    deadline = time.monotonic() + 60
    while True:
        tasks.anchor()
        found = [anchor.transaction for anchor in Anchor.objects.select_related("transaction").order_by("sequence")]
        if all(each.state == state for each in found):
            return found
        assert time.monotonic() < deadline, [(each.state, each.reason) for each in found]
        time.sleep(0.2)


def test_an_anchor_waits_for_its_block_and_for_those_that_make_it_final(ticking: Anvil, settings: Any, write: Any):
    settings.CHAIN_CONFIRMATIONS = 3
    write(3)
    head = publish()
    mined = anchored("mined")[0]
    final = anchored("final")[0]
    assert final.block == mined.block
    assert ticking.block >= mined.block + 2
    found = chain_client().anchored(1)
    assert found is not None
    assert (found.root, found.size, found.block) == (bytes(head.root), 3, final.block)


@pytest.mark.parametrize("how", ["anvil_reorg", "anvil_rollback"])
def test_anchors_whose_blocks_are_reorganised_away_come_again(ticking: Anvil, settings: Any, write: Any, how: str):
    settings.CHAIN_CONFIRMATIONS = 1000
    for count in (3, 2):
        write(count)
        publish()
        before = anchored("mined")
    assert selectors.status(4) is EntryStatus.MINED

    depth = ticking.block - before[0].block + 1
    ticking.ask(how, *((depth, []) if how == "anvil_reorg" else (depth,)))
    assert chain_client().head() is None

    tasks.anchor()
    assert selectors.status(4) is EntryStatus.SENT
    after = anchored("mined")
    assert [bytes(each.raw) for each in after] == [bytes(each.raw) for each in before]
    assert [each.block_hash for each in after] != [each.block_hash for each in before]
    settings.CHAIN_CONFIRMATIONS = 1
    assert [each.state for each in anchored("final")] == ["final", "final"]
    head = chain_client().head()
    assert head is not None
    assert (head.sequence, head.size) == (2, 5)
