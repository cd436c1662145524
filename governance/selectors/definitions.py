"""Definitions, who has a say in them, and how the votes stand."""

from collections.abc import Sequence

from django.db.models import Max, Prefetch, Q, QuerySet
from django.db.models.fields.json import KT

from concordat.reasons import Reason, Refused
from concordat.votes import precedence
from governance.models import (
    Definition,
    DefinitionVote,
    Institution,
    ProtocolVersion,
)
from governance.models.definition import DefinitionState
from governance.selectors.keys import chain_addresses
from governance.selectors.studies import visible_studies
from ledger.models import TransactionState

_SAY = {"say_parties": "parties", "say_requesters": "requesters", "say_quorum": "quorum__of"}
"""Where a definition lists institutions that have a say in it, and what a query calls the list."""


def definition(digest: str) -> Definition:
    """The definition with its study and votes. Raises Refused(DEFINITION_UNKNOWN)."""
    try:
        return with_votes(Definition.objects.all()).get(digest=digest)
    except Definition.DoesNotExist:
        raise Refused(Reason.DEFINITION_UNKNOWN, field="definition") from None


def with_votes(definitions: QuerySet[Definition]) -> QuerySet[Definition]:
    """The definitions with their studies and votes, as `definition_state` asks for them."""
    votes = DefinitionVote.objects.select_related("institution", "transaction")
    return definitions.select_related("study__in_force", "owner").prefetch_related(Prefetch("votes", queryset=votes))


def visible_definitions(to: Institution) -> QuerySet[Definition]:
    """The definitions in which the institution has a say (:func:`voters`), and those of studies that concern it."""
    lists = {name: KT(f"content__{path}") for name, path in _SAY.items()}  # JSON as text, alike in both databases
    has_a_say = Q(owner=to) | Q(content__dealer=to.slug)
    for name in lists:
        has_a_say |= Q(**{f"{name}__contains": f'"{to.slug}"'})
    return Definition.objects.alias(**lists).filter(has_a_say | Q(study__in=visible_studies([to])))


def protocol_of(definition: Definition) -> ProtocolVersion:
    """The version of the protocol that the definition names. Raises Refused(DIGEST_MISMATCH) if there is none."""
    version = definition.study.versions.filter(digest=definition.content["protocol"]).first()
    if version is None:
        detail = "The study has no protocol of the digest that the definition names."
        raise Refused(Reason.DIGEST_MISMATCH, detail=detail, field="protocol")
    return version


def needed_approvals(definition: Definition) -> tuple[str, ...]:
    """The institutions without which nothing runs under a definition: its parties and the model's owner. A requester
    adds itself; no quorum replaces one of them."""
    return tuple(dict.fromkeys([*definition.content["parties"], definition.owner.slug]))


def voters(definition: Definition) -> frozenset[str]:
    """Every institution that has a say in a definition."""
    content = definition.content
    return frozenset(
        [*needed_approvals(definition), *content["requesters"], *content["quorum"]["of"], content["dealer"]]
    )


def standing_votes(definition: Definition) -> list[DefinitionVote]:
    """The votes by addresses that are still their institutions': a change of its chain key ends an institution's."""
    votes = list(definition.votes.all())
    live = chain_addresses({vote.institution.slug for vote in votes})
    return [vote for vote in votes if live.get(vote.institution.slug) == vote.address]


def last_votes(definition: Definition) -> dict[str, DefinitionVote]:
    """Each institution's vote that counts, by the same order as at the nodes. An approval that the contract refused
    counts for nothing; a revocation counts from the moment it was signed, whatever became of its transaction."""
    return {vote.institution.slug: vote for vote in _counted(definition)}


def approving(definition: Definition) -> frozenset[str]:
    """The institutions whose approval was seen in a block, and no revocation since. One that approves again approves
    meanwhile."""
    return _approving(_counted(definition))


def _approving(counted: Sequence[DefinitionVote]) -> frozenset[str]:
    found: set[str] = set()
    for vote in counted:
        if not vote.approve:
            found.discard(vote.institution.slug)
        elif vote.transaction.in_a_block:
            found.add(vote.institution.slug)
    return frozenset(found)


def _counted(definition: Definition) -> list[DefinitionVote]:
    """The votes that count, the last of each institution last."""
    counted = [
        vote
        for vote in standing_votes(definition)
        if not vote.approve or vote.transaction.state != TransactionState.FAILED
    ]
    return sorted(counted, key=lambda vote: precedence(vote.document))


def next_nonce(address: str) -> int:
    """The nonce that the next vote of this chain address must carry; a vote that the contract refused used up none."""
    counted = DefinitionVote.objects.filter(address=address).exclude(transaction__state=TransactionState.FAILED)
    highest: int | None = counted.aggregate(Max("nonce"))["nonce__max"]
    return 0 if highest is None else highest + 1


def definition_state(definition: Definition) -> DefinitionState:
    """Approved once blocks hold every needed approval and the quorum; revoked once one that is needed has said no."""
    counted = _counted(definition)
    last = {vote.institution.slug: vote for vote in counted}
    yes = _approving(counted)
    needed, quorum = needed_approvals(definition), definition.content["quorum"]
    if any(slug in last and not last[slug].approve for slug in needed):
        return DefinitionState.REVOKED
    approved = yes.issuperset(needed) and len(yes.intersection(quorum["of"])) >= quorum["needed"]
    return DefinitionState.APPROVED if approved else DefinitionState.REGISTERED
