"""The outbox on a real chain with the real contracts: outages, crashes, reorganisations, a restored backup."""

from dataclasses import replace

import pytest
from django.db import IntegrityError

from concordat import clock
from concordat.canonical import digest
from concordat.keystore import Keystore
from concordat.reasons import Reason, Refused
from concordat.votes import Domain, Vote
from concordat.votes import write as sign_vote
from ledger import selectors, tasks
from ledger.chain.client import ChainClient
from ledger.chain.signers import LocalSigner
from ledger.models import Anchor, ChainAccount, ChainTransaction
from ledger.selectors import EntryStatus
from ledger.services import anchoring
from ledger.services.publish import publish

pytestmark = pytest.mark.django_db

FAR = 4_000_000_000


def refusal(call=anchoring.send):
    with pytest.raises(Refused) as refused:
        call()
    return refused.value.reason


def the_anchor(sequence=1):
    return Anchor.objects.get(sequence=sequence).transaction


@pytest.fixture
def published(contracts, write):
    """One head in the outbox; call it for more."""

    def more(count=3):
        write(count)
        return publish()

    more()
    return more


@pytest.fixture
def vote(institution, contracts):
    """An institution's signed vote for this registry."""

    def signed(approve=True, nonce=0, deadline=FAR):
        about = Vote(digest(b"a definition"), approve, institution.chain.address, nonce, deadline)
        domain = Domain(contracts.chain_id, contracts.registry_address)
        return sign_vote(about, "zurich", institution.chain, domain=domain)

    return signed


def test_a_head_goes_to_the_chain_and_becomes_final(published):
    head = selectors.latest_checkpoint()
    assert anchoring.send()
    assert selectors.status(0) is EntryStatus.SENT
    anchoring.settle()
    assert selectors.status(0) is EntryStatus.FINAL
    found = anchoring.chain_client().anchored(1)
    assert (found.root, found.size) == (bytes(head.root), head.size)
    assert the_anchor().block == found.block


def test_the_contract_accepts_each_next_head_by_its_consistency_proof(published):
    tasks.anchor()
    for count in (1, 4, 300):
        published(count)
        tasks.anchor()
    assert [anchor.transaction.state for anchor in Anchor.objects.all()] == ["final"] * 4
    assert anchoring.chain_client().head().sequence == 4
    assert ChainAccount.objects.get().nonce == anchoring.chain_client().transaction_nonce(
        ChainAccount.objects.get().address
    )


def test_without_a_chain_it_stays_queued_and_says_why(published, settings):
    url, settings.CHAIN_RPC = settings.CHAIN_RPC, "http://127.0.0.1:1"
    tasks.anchor()
    assert refusal() is Reason.CHAIN_UNAVAILABLE
    waiting = selectors.outbox()
    assert (waiting.waiting, waiting.reason) == (1, "chain-unavailable")
    assert waiting.oldest is not None
    published()  # the service goes on
    settings.CHAIN_RPC = url
    tasks.anchor()
    assert selectors.outbox().waiting == 0
    assert anchoring.chain_client().head().size == 6


def test_after_a_crash_the_same_bytes_are_sent_again(published, monkeypatch):
    def crash(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(ChainClient, "broadcast", crash)
        with pytest.raises(KeyboardInterrupt):
            anchoring.send()
    stored = the_anchor()
    assert (stored.state, anchoring.chain_client().head()) == ("sent", None)
    tasks.anchor()
    assert (the_anchor().state, bytes(the_anchor().raw), the_anchor().hash) == ("sent", stored.raw, stored.hash)
    tasks.anchor()
    assert the_anchor().state == "final"


def test_sending_again_what_the_chain_has_is_no_error(published):
    anchoring.send()
    assert not anchoring.send()
    anchoring.settle()
    assert the_anchor().state == "final"


def test_a_reorganisation_puts_a_mined_anchor_back_to_sent(published, settings, monkeypatch):
    settings.CHAIN_CONFIRMATIONS = 1000
    anchoring.send()
    anchoring.settle()
    assert the_anchor().state == "mined"
    with monkeypatch.context() as patch:
        patch.setattr(ChainClient, "receipt", lambda *_: None)
        anchoring.settle()
    assert (the_anchor().state, the_anchor().block, the_anchor().block_hash) == ("sent", None, "")
    anchoring.send()
    anchoring.settle()
    assert the_anchor().state == "mined"


def test_another_block_hash_is_not_final_at_once(published, settings):
    settings.CHAIN_CONFIRMATIONS = 1000
    anchoring.send()
    anchoring.settle()
    ChainTransaction.objects.update(block_hash="0x" + "11" * 32)
    settings.CHAIN_CONFIRMATIONS = 1
    anchoring.settle()
    assert the_anchor().state == "mined"
    anchoring.settle()
    assert the_anchor().state == "final"


def test_a_head_that_is_on_the_chain_already_counts_as_sent(published):
    """The database lost the end of its outbox, but not the log."""
    tasks.anchor()
    block = the_anchor().block
    ChainTransaction.objects.update(state="queued", raw=None, nonce=None, account=None, hash="", block=None)
    assert anchoring.send()
    assert (the_anchor().state, the_anchor().hash, the_anchor().block) == ("mined", "", block)
    anchoring.settle()
    assert the_anchor().state == "final"


def test_a_database_behind_the_chain_stops_everything(published, vote):
    """A backup was restored: the chain has seen more of the log than the database knows."""
    tasks.anchor()
    published()
    tasks.anchor()
    Anchor.objects.get(sequence=2).delete()
    restored = the_anchor()
    restored.state, restored.raw, restored.nonce, restored.hash = "queued", None, None, ""
    restored.save()
    anchoring.queue_vote(vote())
    assert refusal() is Reason.CHAIN_AHEAD
    assert the_anchor().reason == "chain-ahead"
    tasks.anchor()
    assert not ChainTransaction.objects.filter(kind="vote").exclude(state="queued").exists()


def test_a_log_other_than_the_anchored_one_is_never_anchored_over_it(published, monkeypatch):
    tasks.anchor()
    published()
    real = ChainClient.head
    monkeypatch.setattr(ChainClient, "head", lambda client: replace(real(client), root=bytes(31) + b"x"))
    assert refusal() is Reason.ANCHOR_MISMATCH
    assert the_anchor(2).state == "queued"


def test_another_chain_is_refused(published, settings):
    settings.CHAIN_ID = 4711
    assert refusal() is Reason.CHAIN_WRONG
    assert the_anchor().state == "queued"


def test_votes_go_the_same_way(vote, contracts):
    anchoring.queue_vote(vote())
    tasks.anchor()
    assert ChainTransaction.objects.get().state == "final"
    assert anchoring.chain_client().authorisation(digest(b"a definition")).authorised


def test_votes_of_one_institution_arrive_in_their_order(vote, contracts):
    for nonce, approve in enumerate((True, False, True)):
        anchoring.queue_vote(vote(approve, nonce))
    tasks.anchor()
    assert [row.state for row in ChainTransaction.objects.all()] == ["final"] * 3
    rows = [anchoring.chain_client().receipt(row.hash).block for row in ChainTransaction.objects.order_by("id")]
    assert rows == sorted(set(rows))
    assert anchoring.chain_client().authorisation(digest(b"a definition")).authorised


@pytest.mark.parametrize("name", ["ANCHOR_ADDRESS", "REGISTRY_ADDRESS"])
@pytest.mark.parametrize("address", ["", "0x1234", "somewhere"])
def test_what_is_no_address_of_a_contract_is_refused_by_name(contracts, settings, name, address):
    setattr(settings, name, address)
    with pytest.raises(Refused, match=f"{Reason.CHAIN_WRONG}.*CONCORDAT_{name}"):
        anchoring.chain_client()


@pytest.mark.django_db
def test_an_anchor_never_fails_for_good():
    with pytest.raises(IntegrityError):
        ChainTransaction.objects.create(kind="anchor", state="failed", created=clock.now())


def test_a_vote_that_the_registry_refuses_holds_nobody_up(vote, published):
    refused = anchoring.queue_vote(vote(nonce=5))
    good = anchoring.queue_vote(vote())
    tasks.anchor()
    refused.refresh_from_db()
    good.refresh_from_db()
    assert (refused.state, refused.reason, refused.detail) == ("failed", "chain-reverted", "nonce")
    assert good.state == the_anchor().state == "final"


def test_a_used_up_nonce_sends_the_transaction_back_to_be_signed_anew(published, contracts, settings, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(ChainClient, "broadcast", lambda *_: None)
        anchoring.send()
    lost = the_anchor()
    client, account = anchoring.chain_client(), Keystore(settings.KEYS_DIR).chain
    other = LocalSigner(account).sign(
        {
            "to": account.address,
            "value": 0,
            "gas": 21_000,
            "maxFeePerGas": 2 * 10**9,
            "maxPriorityFeePerGas": 10**9,
            "nonce": lost.nonce,
            "chainId": contracts.chain_id,
        }
    )
    client.broadcast(other)
    tasks.anchor()
    assert the_anchor().state == "queued"
    tasks.anchor()
    assert the_anchor().state == "final"
    assert the_anchor().nonce == lost.nonce + 1
