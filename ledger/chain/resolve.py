"""Carries out what a consortium's members resolved; anyone with an account may, and can do nothing else.

    python -m ledger.chain.resolve relay  VOTE…                              members' signed votes
    python -m ledger.chain.resolve enact  --joining 0x… --leaving 0x… --quorum N   a membership change
    python -m ledger.chain.resolve seal   --successor 0x…                    ends the anchor log; its successor begins

each after `--rpc URL --chain-id N --registry 0x… --log 0x… --keys DIR`. DIR is the keystore whose chain key pays. What
was done already is not done again, so that a command that was cut off is simply given once more.
"""

import argparse
import sys
import time
from pathlib import Path

from web3.types import TxParams

from concordat import canonical, votes
from concordat.keystore import Keystore
from concordat.reasons import Reason, Refused
from concordat.votes import VoteDocument
from ledger.chain.client import ChainClient
from ledger.chain.deploy import MINING_SECONDS
from ledger.chain.signers import LocalSigner, Signer

_PAUSE = 0.5


def relay(client: ChainClient, key: Signer, document: VoteDocument) -> bool:
    """Relay a member's signed vote. Answers whether it had to be sent: False if the registry has it already.

    Raises Refused: VOTE_INVALID for a vote that its member did not sign for this registry; what the client refuses.
    """
    vote = votes.verify(document, domain=client.domain)
    if client.vote_nonce(vote.institution) > vote.nonce and _stands(client, vote):
        return False
    built = client.build_vote_by_sig(relayer=key.address, vote=vote, signature=document["signature"])
    _send(client, key, built)
    return True


def enact(client: ChainClient, key: Signer, *, joining: str, leaving: str, quorum: int) -> None:
    """Carry out a membership change. Raises Refused(CHAIN_REVERTED) with the registry's reason, `quorum missing` also
    for one that was carried out before."""
    _send(client, key, client.build_enact(sender=key.address, joining=joining, leaving=leaving, quorum=quorum))


def seal(old: ChainClient, new: ChainClient, key: Signer, *, last: int = 0) -> None:
    """End a log in favour of its successor, at the head that members voted on, and let that begin.

    Raises Refused: CHAIN_REVERTED with the contract's reason, such as `quorum missing` or `sealed`.
    """
    if old.succession().sealed_to != new.anchor_address:
        _send(old, key, old.build_seal(sender=key.address, successor=new.anchor_address, last=last))
    if not new.succession().begun:
        _send(new, key, new.build_begin(sender=key.address))


def _stands(client: ChainClient, vote: votes.Vote) -> bool:
    return client.authorisation(vote.definition).approvals.get(vote.institution) is vote.approve


def _send(client: ChainClient, key: Signer, transaction: TxParams) -> None:
    signed = key.sign(transaction)
    client.broadcast(signed)
    until = time.monotonic() + MINING_SECONDS
    while (receipt := client.receipt(signed.hash)) is None:
        if time.monotonic() > until:
            raise Refused(Reason.CHAIN_UNAVAILABLE, detail=f"The transaction {signed.hash} is in no block yet.")
        time.sleep(_PAUSE)
    if not receipt.succeeded:
        raise Refused(Reason.CHAIN_REVERTED, detail=f"The transaction {signed.hash} was refused in its block.")


def main(arguments: list[str] | None = None) -> int:
    """Entry point; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m ledger.chain.resolve", description="Carry out resolutions.")
    parser.add_argument("--rpc", required=True, metavar="URL")
    parser.add_argument("--chain-id", type=int, required=True)
    parser.add_argument("--registry", required=True, metavar="ADDRESS")
    parser.add_argument("--log", required=True, metavar="ADDRESS", help="the anchor log that is in use")
    parser.add_argument("--keys", type=Path, required=True, metavar="DIR")
    verbs = parser.add_subparsers(dest="verb", required=True)
    relaying = verbs.add_parser("relay", help="relay members' signed votes")
    relaying.add_argument("votes", type=Path, nargs="+", metavar="VOTE")
    enacting = verbs.add_parser("enact", help="carry out a membership change")
    enacting.add_argument("--joining", default="", metavar="ADDRESS")
    enacting.add_argument("--leaving", default="", metavar="ADDRESS")
    enacting.add_argument("--quorum", type=int, required=True)
    sealing = verbs.add_parser("seal", help="end the anchor log; its successor begins")
    sealing.add_argument("--successor", required=True, metavar="ADDRESS")
    sealing.add_argument("--last", type=int, default=0, help="as members voted on it")
    options = parser.parse_args(arguments)

    def client(log: str) -> ChainClient:
        return ChainClient(options.rpc, options.chain_id, log, options.registry)

    try:
        key = LocalSigner(Keystore(options.keys).chain)
        if options.verb == "relay":
            documents = [(path, votes.read_document(canonical.decode(path.read_bytes()))) for path in options.votes]
            for path, document in sorted(documents, key=lambda each: each[1]["nonce"]):
                sent = relay(client(options.log), key, document)
                sys.stdout.write(f"{path}: {'relayed' if sent else 'stands already'}\n")
        elif options.verb == "enact":
            change = {"joining": options.joining, "leaving": options.leaving, "quorum": options.quorum}
            enact(client(options.log), key, **change)
            sys.stdout.write("The membership is changed.\n")
        else:
            seal(client(options.log), client(options.successor), key, last=options.last)
            sys.stdout.write(f"{options.log} is sealed. Set CONCORDAT_ANCHOR_ADDRESS to {options.successor}.\n")
    except (Refused, OSError) as error:
        parser.exit(1, f"{error}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
