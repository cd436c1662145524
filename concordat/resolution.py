"""What the members of a consortium decide about its contracts, and vote on as on a definition: by a digest.

    a membership change     who joins, who leaves, how many must approve from then on; carried out by `enact`
    a succession            an anchor log ends, and another begins with its last head; carried out by `seal` and `begin`

The digests are those of `ledger/contracts/*.vy`. They bind the membership's epoch, so that each change of membership
voids whatever was voted on before it and not carried out; a succession's binds chain and contract as well. Everything a
voter should know is read from the chain here, by JSON-RPC alone, and compared with what is voted on. The chain's node
is the voter's own or one that they trust: nothing here could tell a lie of its.
"""

import hashlib
from dataclasses import dataclass

from concordat.canonical import digest_text
from concordat.creation import SOURCES, AnchorLogCreated, created
from concordat.reasons import Reason, Refused
from concordat.rpc import Rpc, address_word, number_word
from concordat.votes import Domain

_CHANGE = hashlib.sha256(b"concordat/membership-change/v1").digest()
_SEAL = hashlib.sha256(b"concordat/anchor-log-seal/v1").digest()


MOST_INSTITUTIONS = 128
"""Over a registry's life."""


@dataclass(frozen=True)
class MembershipChange:
    """`joining` and `leaving` are addresses, empty for none; `quorum` is the one from then on."""

    joining: str
    leaving: str
    quorum: int


@dataclass(frozen=True)
class Succession:
    """An anchor log that is to begin where its predecessor ends: `created` is the hash of the transaction by which it
    was made. `last` is the sequence of the head from which it goes on, where those after it are to be void because a
    stolen key wrote them; 0 for the latest, whichever that will be."""

    created: str
    last: int = 0


Resolution = MembershipChange | Succession


@dataclass(frozen=True)
class Proposal:
    """A resolution as it stands on chain. `approvals` has every present member by address. `done` says that it was
    carried out, `facts` name what a voter should know, as (what, which)."""

    digest: str
    facts: tuple[tuple[str, str], ...]
    approvals: dict[str, bool]
    quorum: int
    done: bool = False

    @property
    def carried(self) -> bool:
        """Whether enough members approve, so that anyone may carry it out."""
        return sum(self.approvals.values()) >= self.quorum


def examine(resolution: Resolution, chain: Rpc, domain: Domain) -> Proposal:
    """What is voted on, after comparing it with the chain.

    Raises:
        Refused: CHAIN_WRONG for another chain; FIELD_INVALID, naming the field, for a resolution that the contracts
            would not carry out, or whose successor is not what it seems; CHAIN_UNAVAILABLE.
    """
    found = chain.chain_id()
    if found != domain.chain_id:
        raise Refused(Reason.CHAIN_WRONG, detail=f"The address serves chain {found}, not {domain.chain_id}.")
    if isinstance(resolution, MembershipChange):
        return _change(resolution, chain, domain)
    return _succession(resolution, chain, domain)


def _change(change: MembershipChange, chain: Rpc, domain: Domain) -> Proposal:
    registry = domain.registry
    epoch, members = chain.number(registry, "epoch()"), _members(chain, registry)
    if change.leaving and change.leaving not in members:
        raise _invalid("leaving", f"{change.leaving} is no member.")
    if change.joining and change.joining in members and change.joining != change.leaving:
        raise _invalid("joining", f"{change.joining} is a member.")
    if change.joining and len(chain.addresses(registry, "institutions()")) >= MOST_INSTITUTIONS:
        raise _invalid("joining", f"The registry has had its {MOST_INSTITUTIONS} institutions.")
    after = len(members) + bool(change.joining) - bool(change.leaving)
    if not 0 < change.quorum <= after:
        raise _invalid("quorum", f"Of {after} members between 1 and {after} must approve.")
    words = (number_word(epoch), address_word(change.joining), address_word(change.leaving))
    digest = _digest(_CHANGE, *words, number_word(change.quorum))
    facts = (
        ("joins", change.joining or "nobody"),
        ("leaves", change.leaving or "nobody"),
        ("members", f"{len(members)} now, {after} then"),
        ("must approve", f"{_quorum(chain, registry)} now, {change.quorum} then"),
        ("epoch", str(epoch)),
    )
    return _proposal(digest, facts, chain, registry)


def _succession(succession: Succession, chain: Rpc, domain: Domain) -> Proposal:
    registry, made = domain.registry, created(chain, succession.created)
    if not isinstance(made, AnchorLogCreated) or not made.predecessor:
        raise _invalid("successor", "It created no anchor log that is to succeed another.")
    new, old, last = made.address, made.predecessor, succession.last
    if made.registry != registry:
        raise _invalid("successor", f"It is under another registry than {registry}.")
    if chain.code_hash(old) != SOURCES["AnchorLog"].code or chain.address(old, "registry()") != registry:
        raise _invalid("successor", f"Its predecessor {old} is no anchor log under the registry {registry}.")
    sealed_to, head = chain.address(old, "sealed_to()"), chain.number(old, "sequence()")
    if sealed_to not in ("", new):
        raise _invalid("successor", f"Its predecessor {old} is sealed to {sealed_to} already.")
    if not 0 <= last <= head:
        raise _invalid("last", f"The last head of {old} is number {head}.")
    epoch = chain.number(registry, "epoch()")
    words = (number_word(domain.chain_id), address_word(old), number_word(epoch), address_word(new), number_word(last))
    digest = _digest(_SEAL, *words)
    later = "whichever is the latest when it is sealed" if last == 0 else f"number {last}"
    facts = (
        ("seals", old),
        ("its latest anchor", str(head)),
        ("continues with", new),
        ("from anchor", later if last in (0, head) else f"{later}; the {head - last} AFTER IT ARE VOID"),
        ("who may anchor", ", ".join(made.submitters)),
        ("registry", registry),
    )
    return _proposal(digest, facts, chain, registry, done=sealed_to == new)


def _proposal(
    digest: bytes, facts: tuple[tuple[str, str], ...], chain: Rpc, registry: str, *, done: bool = False
) -> Proposal:
    approving = chain.number(registry, "approvals(bytes32)", digest)
    approvals = {address: bool(approving >> slot & 1) for address, slot in _members(chain, registry).items()}
    return Proposal(digest_text(digest), facts, approvals, _quorum(chain, registry), done)


def _members(chain: Rpc, registry: str) -> dict[str, int]:
    """The bit of each present member."""
    bitmap, _ = chain.numbers(registry, "membership()", 2)
    everyone = chain.addresses(registry, "institutions()")
    return {address: slot for slot, address in enumerate(everyone) if bitmap >> slot & 1}


def _quorum(chain: Rpc, registry: str) -> int:
    return chain.numbers(registry, "membership()", 2)[1]


def _digest(label: bytes, *words: bytes) -> bytes:
    return hashlib.sha256(b"".join((label, *words))).digest()


def _invalid(field: str, detail: str) -> Refused:
    return Refused(Reason.FIELD_INVALID, detail=detail, field=field)
