"""Questions to the chain, asked by JSON-RPC alone: what stands in the anchor log, whether the reader knows it, and who
approves a definition."""

from concordat import canonical
from concordat.creation import SOURCES
from concordat.events import Event
from concordat.reasons import Reason, Refused
from concordat.rpc import Rpc, number_word
from concordat.verifier.evidence import Evidence, NotCheckable

_MOST_PREDECESSORS = 64


def anchored(evidence: Evidence, rpc: str | None) -> str:
    """The anchored heads stand in the contract under their sequence numbers, with their sizes and blocks."""
    chain, about = _open(evidence, rpc), evidence.about["chain"]
    assert about["anchor_log"] is not None
    for anchor in reversed(evidence.anchors):  # the first one last, as it is told of
        *later, log = _logs(chain, about["anchor_log"], about["registry"], anchor["sequence"])
        sequence = number_word(anchor["sequence"])
        root, meta = chain.call(log, "root_at(uint256)", sequence), chain.number(log, "meta_at(uint256)", sequence)
        size, block = meta >> 128, meta >> 64 & (2**64 - 1)
        if root != canonical.digest_bytes(anchor["root"]) or (size, block) != (anchor["size"], anchor["block"]):
            raise Refused(Reason.ANCHOR_MISMATCH)
        if anchor["block_hash"] is not None and chain.block_hash(block) != anchor["block_hash"]:
            raise Refused(Reason.ANCHOR_MISMATCH, detail="The block of the anchor is another one on this chain.")
    first = evidence.anchors[0]
    trust = " A self-hosted chain proves this order to nobody but its owner." if about["self_hosted"] else ""
    if not _known(chain, log):
        trust += " The contract's code is none that this verifier knows."
    where = f"of {log}" + "".join(f", continued by {each}" for each in reversed(later))
    return (
        f"The decision is under anchor {first['sequence']} {where}, in block {first['block']} of chain "
        f"{about['id']}.{trust}"
    )


def continued(evidence: Evidence, rpc: str | None, known: str) -> str:
    """The anchor log that the dossier names is the one that the reader knows; or one was sealed to the other, directly
    or by others.

    Each step is confirmed by the log that is nearer to the known one, as the other could say anything: a predecessor by
    its seal, a successor by what it was created to continue.
    """
    chain, log = _open(evidence, rpc), evidence.about["chain"]["anchor_log"]
    assert log is not None
    if log == known:
        return f"The anchor log is {known}, which you know."
    for onward, back, how in (
        ("predecessor()", "sealed_to()", "continues"),
        ("sealed_to()", "predecessor()", "was continued by"),
    ):
        if known in _line(chain, log, onward, back):
            return f"The anchor log {log} {how} {known}, which you know."
    raise Refused(Reason.ANCHOR_LOG_OTHER, detail=f"The dossier names {log}, and you {known}.")


def _line(chain: Rpc, log: str, onward: str, back: str) -> list[str]:
    """The logs that are reached from `log` by one link, as long as each confirms it by the other."""
    found: list[str] = []
    while _known(chain, log) and len(found) < _MOST_PREDECESSORS:
        following = chain.address(log, onward)
        if not following or not _known(chain, following) or chain.address(following, back) != log:
            break
        found.append(following)
        log = following
    return found


def authorised(evidence: Evidence, rpc: str | None, definition: str) -> str:
    """The registry's quorum stood behind the definition in the block that anchored the decision."""
    chain, registry = _open(evidence, rpc), evidence.about["chain"]["registry"]
    if registry is None:
        raise NotCheckable(Reason.CHAIN_UNAVAILABLE, "No registry is named.")
    block = evidence.anchors[0]["block"]
    words = (canonical.digest_bytes(definition), number_word(block))
    if chain.number(registry, "authorised_at(bytes32,uint256)", *words) == 1:
        return f"The registry's quorum stood behind the definition at block {block}."
    votes = evidence.of(Event.DEFINITION_VOTED, definition=definition, approve=False)
    if any(vote.index > evidence.decision.index for vote in votes):
        raise NotCheckable(Reason.QUORUM_MISSING, "An approval was revoked between the decision and its anchor.")
    raise Refused(Reason.QUORUM_MISSING, detail=f"At block {block} no quorum stood behind the definition.")


def _logs(chain: Rpc, log: str, registry: str | None, sequence: int) -> list[str]:
    """The contract that took an anchor comes last, after those that continue it: the one that is named, or one that was
    sealed to it, directly or by others."""
    found = [log]
    if not _known(chain, log):
        return found  # it can still be compared, and the sentence says whose word that is
    if chain.address(log, "registry()") != registry:
        raise Refused(Reason.ANCHOR_MISMATCH, detail=f"{log} is under another registry than the one that is named.")
    sealed = chain.address(log, "sealed_to()")
    if sealed and sequence > chain.number(log, "sealed_at()"):
        raise Refused(Reason.ANCHOR_MISMATCH, detail=f"{log} was sealed, and this anchor of it is void.")
    while sequence < chain.number(found[-1], "begun_at()"):
        predecessor = chain.address(found[-1], "predecessor()")
        if not _known(chain, predecessor) or chain.address(predecessor, "sealed_to()") != found[-1]:
            detail = f"{predecessor} was not sealed to {found[-1]}, which continues it."
            raise Refused(Reason.ANCHOR_MISMATCH, detail=detail)
        found.append(predecessor)
        if len(found) > _MOST_PREDECESSORS:
            raise Refused(Reason.CHAIN_WRONG, detail="The anchor log has too many predecessors.")
    return found


def _known(chain: Rpc, log: str) -> bool:
    return chain.code_hash(log) == SOURCES["AnchorLog"].code


def _open(evidence: Evidence, rpc: str | None) -> Rpc:
    about = evidence.about["chain"]
    if not evidence.anchors or about["anchor_log"] is None:
        raise NotCheckable(Reason.ANCHOR_MISSING, "No head that covers this decision is on a chain yet.")
    if rpc is None:
        raise NotCheckable(Reason.CHAIN_UNAVAILABLE, "The chain was not asked; name a JSON-RPC address to do so.")
    chain = Rpc(rpc)
    if chain.chain_id() != about["id"]:
        raise Refused(Reason.CHAIN_WRONG, detail=f"This is not the chain {about['id']}.")
    return chain
