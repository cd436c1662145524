"""The outbox to the chain: one sender, one transaction in flight, states queued → sent → mined → final.

The chain is asked outside of database transactions, so a chain that hangs holds nobody up. What is to be sent is signed
and stored first and sent afterwards; after a crash the very same bytes go out again. What no block takes for some time
is replaced by the same with higher fees: every signing is kept, and whichever of them is mined counts.

A head waits some seconds for its witnesses before it is sent, and no longer: a silent institution stops no anchor.
"""

from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db import transaction
from eth_utils.address import is_checksum_address

from concordat import canonical, clock
from concordat.reasons import Reason, Refused
from concordat.votes import Domain, Vote, VoteDocument
from ledger import witnesses
from ledger.chain.client import GWEI, ChainClient
from ledger.chain.types import AnchorHead, Receipt, SignedTransaction
from ledger.models import Anchor, Attempt, ChainAccount, ChainTransaction, LogHead, TransactionKind, TransactionState
from ledger.services import succession
from ledger.signing import signer
from ledger.tree import Tree

_S = TransactionState
_SOON = 2.0


def chain_client(timeout: float = 10.0) -> ChainClient:
    """The configured chain, each question to which may take `timeout` seconds. With `n` confirmations, what lies
    `n - 1` blocks behind its head is final.

    Raises Refused(CHAIN_WRONG) where the contracts' addresses are not configured.
    """
    return ChainClient(
        settings.CHAIN_RPC,
        settings.CHAIN_ID,
        _configured("ANCHOR_ADDRESS"),
        _configured("REGISTRY_ADDRESS"),
        finality=max(0, settings.CHAIN_CONFIRMATIONS - 1),
        max_fee=settings.CHAIN_MAX_FEE * GWEI,
        timeout=timeout,
    )


def registry_domain() -> Domain:
    """The registry that votes are signed for. Raises Refused(CHAIN_WRONG) where its address is not configured."""
    return Domain(settings.CHAIN_ID, _configured("REGISTRY_ADDRESS"))


def registry_nonce(address: str) -> int:
    """The nonce of an address's next vote, as the registry has it; 0 where there is no chain, or none that answers
    soon: what nobody knows cannot be waited for here."""
    if not settings.ANCHOR_ADDRESS:
        return 0
    try:
        return chain_client(timeout=_SOON).vote_nonce(address)
    except Refused:
        return 0


def queue_vote(vote: VoteDocument) -> ChainTransaction:
    """Put an institution's signed vote in the outbox, inside the caller's transaction.

    The registry itself verifies the vote. Whoever queues it has checked it before.
    """
    return ChainTransaction.objects.create(kind=TransactionKind.VOTE, content=dict(vote), created=clock.now())


def send() -> bool:
    """Send the next transaction of the outbox, or again what was sent and is in no block yet.

    Answers whether the outbox has moved on, so that asking again may find more to do.

    Raises:
        Refused: what the chain refuses, also noted on the transaction, which stays queued: CHAIN_UNAVAILABLE,
            CHAIN_WRONG; CHAIN_AHEAD, ANCHOR_MISSING or ANCHOR_MISMATCH when chain and log do not agree, and then
            nothing is sent until somebody has found out why; ANCHOR_LOG_CLOSED; CHAIN_TOO_DEAR, SIGNER_UNAVAILABLE,
            SIGNER_REFUSED.
    """
    client = chain_client()
    unmined = ChainTransaction.objects.filter(state=_S.SENT).order_by("nonce")
    if unmined:
        for sent in unmined:
            _broadcast(client, sent)
            if _stuck(client, sent):
                _replace(client, sent)
        return False
    queued = next((row for row in ChainTransaction.objects.filter(state=_S.QUEUED) if not _waits(row)), None)
    if queued is None:
        return False
    try:
        if queued.kind == TransactionKind.ANCHOR:
            return _send_anchor(client, queued)
        return _send_vote(client, queued)
    except Refused as refused:
        _note(queued, refused)
        raise


def settle() -> None:
    """Look what became of what was sent: mined, final, refused by the contract, or gone with a reorganised block."""
    client = chain_client()
    open_ones = ChainTransaction.objects.filter(state__in=(_S.SENT, _S.MINED)).order_by("id")
    if not open_ones:
        return
    finalised = client.finalised_block()
    for row in open_ones:
        _settle(client, row, finalised)


def _configured(name: str) -> str:
    address: str = getattr(settings, name)
    if not is_checksum_address(address):
        raise Refused(Reason.CHAIN_WRONG, detail=f"CONCORDAT_{name} is not the address of a contract.")
    return address


def _waits(queued: ChainTransaction) -> bool:
    """Whether it is an anchor whose head may still get the cosignatures that it lacks."""
    patience = timedelta(seconds=settings.WITNESS_SECONDS)
    if queued.kind != TransactionKind.ANCHOR or clock.now() - queued.created >= patience:
        return False
    found = witnesses.witnessed(Anchor.objects.select_related("checkpoint").get(transaction=queued).checkpoint)
    return bool(found.of) and not found.enough


def _send_anchor(client: ChainClient, queued: ChainTransaction) -> bool:
    anchor = Anchor.objects.select_related("checkpoint").get(transaction=queued)
    checkpoint = anchor.checkpoint
    succession.check(client)
    head = client.head()
    _check_agreement(client, anchor, head)
    if head is not None and head.sequence >= anchor.sequence:  # it is there already, by a transaction that we lost
        return _move(queued, _S.QUEUED, state=_S.MINED, block=head.block, reason="", detail="")
    size = head.size if head else 0
    account = _account(client)
    built = client.build_anchor(
        submitter=account.address,
        sequence=anchor.sequence,
        previous_root=head.root if head else bytes(32),
        root=bytes(checkpoint.root),
        size=checkpoint.size,
        checkpoint_hash=canonical.digest_bytes(canonical.digest(checkpoint.note.encode())),
        proof=Tree().consistency(size, checkpoint.size) if size else [],
        nonce=account.nonce,
    )
    return _sign_and_send(client, account, queued, built, checkpoint_size=checkpoint.size)


def _check_agreement(client: ChainClient, anchor: Anchor, head: AnchorHead | None) -> None:
    """Whether the chain's head is the log's last anchor, or this very one."""
    if head is None:
        if anchor.sequence != 1:
            raise Refused(Reason.ANCHOR_MISSING, detail="The chain has lost the log's earlier anchors.")
        return
    if head.sequence > anchor.sequence or head.size > LogHead.objects.get(pk=1).size:
        raise Refused(Reason.CHAIN_AHEAD)
    if head.sequence < anchor.sequence - 1:
        raise Refused(Reason.ANCHOR_MISSING, detail=f"Anchor {head.sequence + 1} is not on the chain.")
    known = Anchor.objects.select_related("checkpoint").filter(sequence=head.sequence).first()
    if known is None or bytes(known.checkpoint.root) != head.root:
        ahead = head.sequence == anchor.sequence
        raise Refused(Reason.CHAIN_AHEAD if ahead else Reason.ANCHOR_MISMATCH)


def _send_vote(client: ChainClient, queued: ChainTransaction) -> bool:
    account, vote = _account(client), queued.content
    try:
        built = client.build_vote_by_sig(
            relayer=account.address,
            vote=Vote(vote["definition"], vote["approve"], vote["address"], vote["nonce"], vote["deadline"]),
            signature=vote["signature"],
            nonce=account.nonce,
        )
    except Refused as refused:
        if refused.reason is not Reason.CHAIN_REVERTED:
            raise
        # The registry's answer to this vote: it will not change, and others must not wait behind it.
        return _move(queued, _S.QUEUED, state=_S.FAILED, reason=refused.reason, detail=refused.detail)
    return _sign_and_send(client, account, queued, built)


def _sign_and_send(
    client: ChainClient,
    account: ChainAccount,
    queued: ChainTransaction,
    built: Any,
    *,
    checkpoint_size: int | None = None,
) -> bool:
    """Store the signed bytes under the account's lock, commit, and only then send them."""
    signed, block = signer().sign(built), client.latest_block()
    with transaction.atomic():
        locked = ChainAccount.objects.select_for_update().get(pk=account.pk)
        row = ChainTransaction.objects.select_for_update().get(pk=queued.pk)
        if row.state != _S.QUEUED or locked.nonce > account.nonce:
            return False  # another sender came first
        if checkpoint_size is not None and row.anchor.checkpoint_id != checkpoint_size:
            return True  # a newer checkpoint has taken its place meanwhile; build again
        row.account, row.nonce, row.raw, row.hash = locked, account.nonce, signed.raw, signed.hash
        row.state, row.reason, row.detail = _S.SENT, "", ""
        row.save()
        _keep(row, signed, block)
        locked.nonce = account.nonce + 1
        locked.save(update_fields=["nonce"])
    _broadcast(client, row)
    return True


def _stuck(client: ChainClient, sent: ChainTransaction) -> bool:
    """Whether blocks pass it by, its latest signing having been on its way for a while, for what its fees may be the
    reason. A chain that makes no blocks, or an account without money, is helped by no higher fee."""
    latest = sent.attempts.order_by("-id").first()
    if latest is None or clock.now() - latest.signed < timedelta(seconds=settings.CHAIN_PATIENCE):
        return False
    waits = client.knows(latest.hash) or client.underpaid(bytes(latest.raw))
    return client.latest_block() > latest.block and waits and _mined(client, sent) is None


def _replace(client: ChainClient, sent: ChainTransaction) -> None:
    """Sign the same again with higher fees and the same nonce, store it, and send it."""
    assert sent.raw is not None
    assert sent.account is not None
    by = signer()
    if by.address != sent.account.address:
        detail = f"It waits as {sent.account.address} signed it; only that account can offer more."
        _note(sent, Refused(Reason.SIGNER_REFUSED, detail=detail))
        return
    try:
        dearer = client.dearer(bytes(sent.raw))
        if dearer is None:
            return
        signed, block = by.sign(dearer), client.latest_block()
    except Refused as refused:
        _note(sent, refused)
        raise
    with transaction.atomic():
        row = ChainTransaction.objects.select_for_update().get(pk=sent.pk)
        if (row.state, row.hash) != (_S.SENT, sent.hash):
            return  # another worker saw it mined, or replaced it
        row.raw, row.hash = signed.raw, signed.hash
        row.save(update_fields=["raw", "hash"])
        _keep(row, signed, block)
    _broadcast(client, row)


def _keep(row: ChainTransaction, signed: SignedTransaction, block: int) -> None:
    assert row.nonce is not None
    assert row.account is not None
    Attempt.objects.create(
        transaction=row,
        account=row.account,
        nonce=row.nonce,
        block=block,
        raw=signed.raw,
        hash=signed.hash,
        signed=clock.now(),
    )


def _mined(client: ChainClient, row: ChainTransaction) -> tuple[Receipt, Attempt | ChainTransaction] | None:
    """The one of its signings that a block took, the latest asked for first."""
    assert row.nonce is not None
    signings = row.attempts.filter(nonce=row.nonce, account=row.account).order_by("-id")
    candidates: list[Attempt | ChainTransaction] = [*signings, row]  # of an earlier version it has no attempt
    for each in candidates:
        receipt = client.receipt(each.hash)
        if receipt is not None:
            return receipt, each
    return None


def _broadcast(client: ChainClient, sent: ChainTransaction) -> None:
    assert sent.raw is not None
    assert sent.account is not None
    assert sent.nonce is not None
    try:
        client.broadcast(SignedTransaction(raw=bytes(sent.raw), hash=sent.hash))
    except Refused as refused:
        _note(sent, refused)
        if refused.reason is not Reason.CHAIN_REVERTED:
            raise
        if client.transaction_nonce(sent.account.address) > sent.nonce and _mined(client, sent) is None:
            _requeue(sent, refused)  # another transaction used up the nonce, so this one can never be mined


def _settle(client: ChainClient, row: ChainTransaction, finalised: int) -> None:
    if not row.hash:
        _settle_found(client, row, finalised)
        return
    found = _mined(client, row)
    if found is None:
        _move(row, _S.MINED, state=_S.SENT, block=None, block_hash="")
        return
    receipt, attempt = found
    if not receipt.succeeded:
        refused = Refused(Reason.CHAIN_REVERTED)
        if row.kind == TransactionKind.ANCHOR:
            _requeue(row, refused)  # compared with the chain's head, and told apart, when it is sent again
        else:
            _move(row, row.state, state=_S.FAILED, reason=refused.reason, detail=refused.detail)
    else:
        same = row.block_hash in ("", receipt.block_hash)
        state = _S.FINAL if same and receipt.block <= finalised else _S.MINED
        place = {"block": receipt.block, "block_hash": receipt.block_hash}
        _move(row, row.state, state=state, **place, raw=attempt.raw, hash=attempt.hash, reason="", detail="")


def _settle_found(client: ChainClient, row: ChainTransaction, finalised: int) -> None:
    """An anchor that was found on the chain, without a transaction that we know."""
    found = client.anchored(row.anchor.sequence)
    if found is None or found.root != bytes(row.anchor.checkpoint.root):
        _move(row, row.state, state=_S.QUEUED, block=None)
    elif found.block <= finalised:
        _move(row, row.state, state=_S.FINAL, block=found.block)


def _account(client: ChainClient) -> ChainAccount:
    """The coordinator's account with its next nonce; nothing is in flight when this is asked."""
    address = signer().address
    on_chain = client.transaction_nonce(address)
    account, _ = ChainAccount.objects.get_or_create(address=address, defaults={"nonce": on_chain})
    account.nonce = max(account.nonce, on_chain)
    return account


def _requeue(row: ChainTransaction, refused: Refused) -> None:
    cleared = {"account": None, "nonce": None, "raw": None, "hash": "", "block": None, "block_hash": ""}
    _move(row, row.state, state=_S.QUEUED, reason=refused.reason, detail=refused.detail, **cleared)


def _move(row: ChainTransaction, before: str, **after: Any) -> bool:
    """Change a transaction that is still as it was read, in the state `before`; another worker may have been faster."""
    return bool(ChainTransaction.objects.filter(pk=row.pk, state=before, hash=row.hash).update(**after))


def _note(row: ChainTransaction, refused: Refused) -> None:
    unchanged = ChainTransaction.objects.filter(pk=row.pk, state=row.state, hash=row.hash)
    unchanged.update(reason=refused.reason, detail=refused.detail)
