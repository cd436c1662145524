"""What the members of a consortium decide about its contracts, and vote on as on a definition: by a digest.

    a membership change     who joins, who leaves, how many must approve from then on; carried out by `enact`
    a succession            an anchor log ends, and another begins with its last head; carried out by `seal` and `begin`

The digests are those of `ledger/contracts/*.vy`. They bind the membership's epoch, so that each change of membership
voids whatever was voted on before it and not carried out; a succession's binds chain and contract as well. Everything a
voter should know is read from the chain here, by JSON-RPC alone, and compared with what is voted on.
"""

import hashlib
from dataclasses import dataclass

from concordat.canonical import digest_text
from concordat.reasons import Reason, Refused
from concordat.rpc import Rpc, address_word, number_word
from concordat.votes import Domain

ANCHOR_LOG_CODE = "10a2eeea6b4f0279628aa6c86e2e00a4c41ba8e99d503b9d8755fdd3e01bd9de"
"""Keccak-256 of the anchor log's deployed code, as `ledger/contracts` has it."""

_CHANGE = hashlib.sha256(b"concordat/membership-change/v1").digest()
_SEAL = hashlib.sha256(b"concordat/anchor-log-seal/v1").digest()


@dataclass(frozen=True)
class MembershipChange:
    """`joining` and `leaving` are addresses, empty for none; `quorum` is the one from then on."""

    joining: str
    leaving: str
    quorum: int


@dataclass(frozen=True)
class Succession:
    """The anchor log that is to begin where its predecessor ends."""

    successor: str


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
    registry, new = domain.registry, succession.successor
    if chain.code_hash(new) != ANCHOR_LOG_CODE:
        raise _invalid("successor", f"The code at {new} is not this version's anchor log.")
    old = chain.address(new, "predecessor()")
    if not old:
        raise _invalid("successor", f"{new} names no predecessor.")
    if chain.address(old, "registry()") != registry:
        raise _invalid("successor", f"Its predecessor {old} is not under the registry {registry}.")
    sealed_to = chain.address(old, "sealed_to()")
    if sealed_to not in ("", new):
        raise _invalid("successor", f"Its predecessor {old} is sealed to {sealed_to} already.")
    epoch, rules = chain.number(registry, "epoch()"), chain.address(new, "registry()")
    words = (number_word(domain.chain_id), address_word(old), number_word(epoch), address_word(new))
    digest = _digest(_SEAL, *words)
    facts = (
        ("seals", old),
        ("at anchor", str(chain.number(old, "sequence()"))),
        ("continues with", new),
        ("who may anchor", ", ".join(chain.addresses(new, "submitters()"))),
        ("registry", registry if rules == registry else f"{rules}, ANOTHER than now: definitions are voted on anew"),
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
    bitmap = chain.number(registry, "membership()")
    everyone = chain.addresses(registry, "institutions()")
    return {address: slot for slot, address in enumerate(everyone) if bitmap >> slot & 1}


def _quorum(chain: Rpc, registry: str) -> int:
    return int.from_bytes(chain.call(registry, "membership()")[32:64], "big")


def _digest(label: bytes, *words: bytes) -> bytes:
    return hashlib.sha256(b"".join((label, *words))).digest()


def _invalid(field: str, detail: str) -> Refused:
    return Refused(Reason.FIELD_INVALID, detail=detail, field=field)
