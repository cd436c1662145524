"""Transactions that no block takes: replaced by the same with higher fees, on a chain whose blocks the test makes."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from eth_utils.address import to_checksum_address
from hexbytes import HexBytes

from concordat import clock
from concordat.accounts import TypedTransaction
from concordat.keystore import Keystore
from concordat.reasons import Reason, Refused
from ledger import tasks
from ledger.chain.client import GWEI, ChainClient
from ledger.chain.deploy import deploy
from ledger.models import Anchor, ChainTransaction
from ledger.services import anchoring
from ledger.services.publish import publish
from tests.support.anvil import CHAIN_ID, Anvil, anvil

pytestmark = [pytest.mark.full, pytest.mark.django_db]


class Market:
    """A chain that mines when it is told to, at the base fee that it is told."""

    def __init__(self, chain: Anvil) -> None:
        self.chain = chain

    def mine(self, base_fee: int) -> None:
        self.chain.ask("anvil_setNextBlockBaseFeePerGas", hex(base_fee))
        self.chain.ask("evm_mine")


@pytest.fixture
def market(settings: Any, institution: Keystore, write: Any) -> Iterator[Market]:
    """With our contracts, configured in the settings, and a head to be anchored."""
    account = Keystore(settings.KEYS_DIR).chain
    with anvil(fund=account.address) as running:
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
        settings.CHAIN_PATIENCE, settings.WITNESS_SECONDS = 60, 0
        running.ask("evm_setAutomine", False)
        write(3)
        publish()
        yield Market(running)


@pytest.fixture
def stuck(market: Market) -> ChainTransaction:
    """An anchor whose fee is below what the blocks ask."""
    anchoring.send()
    market.mine(fees(the_anchor())[0] + GWEI)
    anchoring.settle()
    return the_anchor()


def the_anchor() -> ChainTransaction:
    return Anchor.objects.get().transaction


def fees(row: ChainTransaction) -> tuple[int, int]:
    assert row.raw is not None
    sent = TypedTransaction.from_bytes(HexBytes(bytes(row.raw))).as_dict()
    return int(sent["maxFeePerGas"]), int(sent["maxPriorityFeePerGas"])


@pytest.fixture
def after_a_while(stuck: ChainTransaction, monkeypatch: pytest.MonkeyPatch) -> None:
    then = clock.now() + timedelta(seconds=61)
    monkeypatch.setattr(clock, "now", lambda: then)


def test_it_is_left_alone_as_long_as_a_block_may_still_take_it(stuck: ChainTransaction) -> None:
    anchoring.send()
    assert (the_anchor().state, the_anchor().hash) == ("sent", stuck.hash)
    assert stuck.attempts.count() == 1


@pytest.mark.usefixtures("after_a_while")
class TestAfterAWhile:
    def test_the_same_goes_out_with_the_same_nonce_and_fees_that_a_node_takes(
        self, market: Market, stuck: ChainTransaction
    ) -> None:
        anchoring.send()
        replaced = the_anchor()
        assert (replaced.nonce, replaced.hash != stuck.hash) == (stuck.nonce, True)
        assert all(new >= old * 1.125 for new, old in zip(fees(replaced), fees(stuck), strict=True))
        market.mine(fees(stuck)[0] + GWEI)
        tasks.anchor()
        assert (the_anchor().state, the_anchor().hash) == ("final", replaced.hash)
        head = anchoring.chain_client().head()
        assert head is not None
        assert (head.sequence, head.size) == (1, 3)

    def test_it_is_not_replaced_again_at_once(self, stuck: ChainTransaction) -> None:
        anchoring.send()
        anchoring.send()
        assert stuck.attempts.count() == 2

    @pytest.mark.usefixtures("stuck")
    def test_the_earlier_one_counts_where_that_was_mined(
        self, market: Market, stuck: ChainTransaction, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with monkeypatch.context() as patch:
            patch.setattr(ChainClient, "broadcast", lambda *_: None)  # the dearer one is lost on the way
            anchoring.send()
        assert the_anchor().hash != stuck.hash
        market.mine(1)
        market.chain.ask("eth_sendRawTransaction", "0x" + bytes(stuck.raw or b"").hex())  # anvil had forgotten it
        market.mine(1)
        anchoring.settle()
        assert (the_anchor().state, the_anchor().hash, bytes(the_anchor().raw or b"")) == (
            "final",
            stuck.hash,
            bytes(stuck.raw or b""),
        )
        assert not anchoring.send()

    def test_a_crash_before_it_goes_out_loses_and_doubles_nothing(
        self, market: Market, stuck: ChainTransaction, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        broadcast = ChainClient.broadcast

        def crash_at_the_second(client: ChainClient, signed: Any) -> None:
            if signed.hash != stuck.hash:
                raise KeyboardInterrupt
            broadcast(client, signed)

        with monkeypatch.context() as patch:
            patch.setattr(ChainClient, "broadcast", crash_at_the_second)
            with pytest.raises(KeyboardInterrupt):
                anchoring.send()
        stored = the_anchor()
        anchoring.send()
        assert the_anchor().hash == stored.hash
        market.mine(fees(stuck)[0] + GWEI)
        anchoring.settle()
        assert (the_anchor().state, the_anchor().hash) == ("final", stored.hash)

    def test_no_more_is_offered_than_is_allowed(self, market: Market, stuck: ChainTransaction, settings: Any) -> None:
        settings.CHAIN_MAX_FEE = fees(stuck)[0] // GWEI
        with pytest.raises(Refused, match=Reason.CHAIN_TOO_DEAR):
            anchoring.send()
        assert (the_anchor().state, the_anchor().hash, the_anchor().reason) == ("sent", stuck.hash, "chain-too-dear")
        market.mine(1)
        with pytest.raises(Refused, match=Reason.CHAIN_TOO_DEAR):
            anchoring.send()  # sends it once more before that
        market.mine(1)
        anchoring.settle()
        assert (the_anchor().state, the_anchor().reason) == ("final", "")


@pytest.mark.usefixtures("after_a_while")
class TestWhatAHigherFeeDoesNotHelp:
    def test_a_chain_that_makes_no_blocks(self, market: Market, write: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        Anchor.objects.get().transaction.attempts.update(block=market.chain.block)
        before = the_anchor().hash
        anchoring.send()
        assert the_anchor().hash == before

    def test_a_node_that_does_not_take_it_for_another_reason(
        self, market: Market, stuck: ChainTransaction, settings: Any
    ) -> None:
        market.mine(1)
        market.chain.ask("anvil_setBalance", Keystore(settings.KEYS_DIR).chain.address, "0x1")
        anchoring.send()
        assert (the_anchor().hash, the_anchor().reason) == (stuck.hash, "chain-reverted")

    def test_another_account(self, stuck: ChainTransaction, settings: Any, tmp_path: Any) -> None:
        settings.KEYS_DIR = Keystore(tmp_path / "other").create(["chain"]).directory
        anchoring.send()
        assert (the_anchor().hash, the_anchor().reason) == (stuck.hash, "signer-refused")


@pytest.mark.usefixtures("after_a_while")
def test_a_dearer_one_that_a_node_refuses_while_the_cheaper_waits_is_not_taken_for_lost(
    market: Market, stuck: ChainTransaction, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The endpoint counts the waiting one among the account's transactions; no block has it."""
    market.mine(1)
    market.chain.ask("eth_sendRawTransaction", "0x" + bytes(stuck.raw or b"").hex())

    def refused(*_: object) -> None:
        raise Refused(Reason.CHAIN_REVERTED, detail="replacement transaction underpriced")

    with monkeypatch.context() as patch:
        patch.setattr(ChainClient, "broadcast", refused)
        anchoring.send()
    assert the_anchor().state == "sent"
    market.mine(1)
    anchoring.settle()
    assert (the_anchor().state, the_anchor().hash) == ("final", stuck.hash)


def test_what_is_too_dear_from_the_first_is_not_signed(market: Market, settings: Any) -> None:
    settings.CHAIN_MAX_FEE = 10
    market.mine(11 * GWEI)
    with pytest.raises(Refused, match=Reason.CHAIN_TOO_DEAR):
        anchoring.send()
    assert (the_anchor().state, the_anchor().reason) == ("queued", "chain-too-dear")
    assert not the_anchor().attempts.exists()
    market.mine(GWEI)
    assert anchoring.send()
    assert fees(the_anchor())[0] <= 10 * GWEI


def test_a_service_that_keeps_the_key_signs_anchors_and_their_replacements(
    market: Market, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Here anvil is that service as well: it signs for its own accounts."""
    url, operator = market.chain.url, Keystore(settings.KEYS_DIR).chain
    settings.CHAIN_SIGNER_ADDRESS = str(to_checksum_address(market.chain.ask("eth_accounts")[0]))
    settings.CHAIN_SIGNER_URL = url
    market.chain.ask("evm_setAutomine", True)
    made = deploy(
        rpc_url=url,
        chain_id=CHAIN_ID,
        deployer=operator,
        submitters=[settings.CHAIN_SIGNER_ADDRESS],
        institutions=[operator.address],
        quorum=1,
    )
    settings.ANCHOR_ADDRESS, settings.REGISTRY_ADDRESS = made.anchor_address, made.registry_address
    market.chain.ask("evm_setAutomine", False)
    anchoring.send()
    sent = the_anchor()
    market.mine(fees(sent)[0] + GWEI)
    then = clock.now() + timedelta(seconds=61)
    monkeypatch.setattr(clock, "now", lambda: then)
    anchoring.send()
    market.mine(fees(sent)[0] + GWEI)
    tasks.anchor()
    assert the_anchor().state == "final"
    assert the_anchor().hash != sent.hash
    assert the_anchor().account is not None
    assert the_anchor().account.address == settings.CHAIN_SIGNER_ADDRESS
