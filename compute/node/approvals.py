"""Institutions' votes on a definition, counted by this node itself against the chain addresses that it pinned."""

from collections.abc import Mapping, Sequence

from compute.node.seen_votes import SeenVotes
from concordat import votes
from concordat.definition import Definition
from concordat.pins import Pins
from concordat.reasons import Reason, Refused
from concordat.votes import Vote, VoteDocument, precedence


def check_approved(
    ballot: Sequence[VoteDocument],
    *,
    digest: str,
    definition: Definition,
    owner: str,
    own: str,
    pins: Pins,
    seen: SeenVotes,
) -> None:
    """The definition is approved by its quorum and, besides, by the model's owner and this node's own institution.

    The last vote of an institution counts, by nonce. A ballot without one that was `seen` before is refused. A vote on
    anything else, or by anyone who is not pinned under that address, is an error and not a vote that is left out: the
    coordinator passed it on as one. A dealer that the quorum does not name need not vote, its institution speaks
    through the policy file; but it may revoke.

    Raises:
        Refused: VOTE_INVALID; DEFINITION_NOT_APPROVED without the owner's approval or our own, or after our own
            revocation; QUORUM_MISSING.
    """
    last = _last(ballot, digest=digest, pins=pins)
    seen.check(digest, last, addresses=pins.addresses)
    standing = {institution: document["approve"] for institution, document in last.items()}
    if standing.get(own) is False:
        raise Refused(Reason.DEFINITION_NOT_APPROVED, detail="This node's own institution has revoked its approval.")
    if own not in standing and has_vote(own, definition):
        raise Refused(Reason.DEFINITION_NOT_APPROVED, detail="This node's own institution has not approved.")
    if standing.get(owner) is not True:
        raise Refused(Reason.DEFINITION_NOT_APPROVED, detail=f"The model's owner, {owner}, does not approve.")
    quorum = definition["quorum"]
    approving = sum(standing.get(institution, False) for institution in set(quorum["of"]))
    if approving < quorum["needed"]:
        raise Refused(Reason.QUORUM_MISSING, detail=f"{approving} of {quorum['needed']} needed approvals are there.")


def has_vote(institution: str, definition: Definition) -> bool:
    """Whether the institution has to approve: it computes, or belongs to the quorum."""
    return institution in definition["parties"] or institution in definition["quorum"]["of"]


def _last(ballot: Sequence[VoteDocument], *, digest: str, pins: Pins) -> Mapping[str, VoteDocument]:
    last: dict[str, VoteDocument] = {}
    for document in ballot:
        institution = document["institution"]
        if document["definition"] != digest:
            raise Refused(Reason.VOTE_INVALID, detail="A vote is on another definition.", field="definition")
        if pins.addresses.get(institution) != document["address"]:
            raise Refused(Reason.VOTE_INVALID, detail="A vote is not from a pinned address.", field=institution)
        vote = Vote(digest, document["approve"], document["address"], document["nonce"], document["deadline"])
        votes.check(vote, document["signature"], domain=pins.domain)
        if institution not in last or precedence(document) > precedence(last[institution]):
            last[institution] = document
    return last
