"""An institution's vote on what its consortium's contracts are to do: checked on chain, and signed here.

The signed vote is a file. Anyone with an account may relay it (`python -m ledger.chain.resolve relay`), so that no
operator can keep a consortium from changing its members or from leaving a log.
"""

from concordat import clock, votes
from concordat.client.ballots import Ballots, Cast
from concordat.client.governance import VOTE_DEADLINE
from concordat.client.home import ClientHome
from concordat.reasons import Reason, Refused
from concordat.resolution import Proposal, Resolution, examine
from concordat.rpc import Rpc, address_word
from concordat.votes import VoteDocument


def propose(home: ClientHome, rpc: str, resolution: Resolution) -> Proposal:
    """How a resolution stands, under the registry that we pinned. `rpc` is a JSON-RPC address that we trust.

    Raises Refused as `concordat.resolution.examine` does.
    """
    return examine(resolution, Rpc(rpc), home.pins.domain)


def vote(home: ClientHome, rpc: str, proposal: Proposal, *, approve: bool) -> VoteDocument:
    """Our signed vote, good for seven days, on exactly the proposal that was looked at; the record keeps it.

    It follows whatever else we signed and nobody has relayed yet: the registry takes them in this order only.

    Raises:
        Refused: VOTE_INVALID where our chain key is no member's, or for a nonce far ahead of our own record;
            WRONG_STATE for a resolution that was carried out; CHAIN_UNAVAILABLE.
    """
    key = home.keys.chain
    if proposal.done:
        raise Refused(Reason.WRONG_STATE, detail="It was carried out already.")
    if key.address not in proposal.approvals:
        raise Refused(Reason.VOTE_INVALID, detail=f"The chain key {key.address} is not a member's.")
    ballots, domain = Ballots(home.directory), home.pins.domain
    hint = Rpc(rpc).number(domain.registry, "nonces(address)", address_word(key.address))
    deadline = int((clock.now() + VOTE_DEADLINE).timestamp())
    nonce = ballots.after_outstanding(hint, now=int(clock.now().timestamp()))
    ballots.add(Cast(nonce=nonce, definition=proposal.digest, approve=approve, deadline=deadline))
    return votes.write(
        votes.Vote(
            definition=proposal.digest,
            approve=approve,
            institution=key.address,
            nonce=nonce,
            deadline=deadline,
        ),
        home.institution,
        key,
        domain=domain,
    )
