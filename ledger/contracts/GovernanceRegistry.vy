# pragma version 0.4.3
# pragma evm-version cancun
"""
@title GovernanceRegistry
@notice Which institutions stand behind which definition, now and at any earlier block. A definition (a protocol
        of computation, named by the SHA-256 of its document) is authorised while a quorum of the member
        institutions approves it. Votes come from the institution itself or, signed off line (EIP-712), through
        any relayer. The members and the quorum change only by the members' own votes.
@dev No owner, no proxy, no immutables. History is kept by block number: two blocks may share a second, so times
     could not tell an approval from its revocation.

     Each institution has a slot, a bit in every bitmap, for life; a slot is never given to another, so a vote
     of a former member can never count for somebody else. A trace is a list of words
     `earlier << 192 | block << 136 | content`, at most one a block, where `earlier` counts the words before it: the
     latest one for itself, because nearly every question is about it, the earlier ones never changed again and
     searched by bisection. For a definition the content is the bitmap of approvals; for the zero digest, which no
     one may vote on, it is `quorum << 128 | members`.
"""

event Voted:
    definition: indexed(bytes32)
    institution: indexed(address)
    approve: bool
    nonce: uint256

event MembershipChanged:
    epoch: indexed(uint256)
    joining: indexed(address)
    leaving: indexed(address)
    quorum: uint256

MAX_SLOTS: constant(uint256) = 128
MEMBERSHIP: constant(bytes32) = empty(bytes32)
LOW_8: constant(uint256) = 2**8 - 1
LOW_56: constant(uint256) = 2**56 - 1
LOW_128: constant(uint256) = 2**128 - 1
LOW_136: constant(uint256) = 2**136 - 1

DOMAIN_TYPEHASH: constant(bytes32) = keccak256(
    "EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"
)
NAME_HASH: constant(bytes32) = keccak256("Concordat Governance Registry")
VERSION_HASH: constant(bytes32) = keccak256("1")
VOTE_TYPEHASH: constant(bytes32) = keccak256(
    "Vote(bytes32 definition,bool approve,address institution,uint256 nonce,uint256 deadline)"
)
CHANGE_LABEL: constant(bytes32) = sha256("concordat/membership-change/v1")
HALF_ORDER: constant(uint256) = 57896044618658097711785492504343953926418782139537452191302581570759080747168

slots: DynArray[address, MAX_SLOTS]             # every institution that ever was a member, in order
voter: HashMap[address, uint256]                # nonce << 8 | slot + 1 of a present member, 0 of others
epoch: public(uint256)                          # counts membership changes, from 1
latest: HashMap[bytes32, uint256]
history: HashMap[bytes32, HashMap[uint256, uint256]]


@deploy
def __init__(institutions: DynArray[address, MAX_SLOTS], quorum: uint256):
    self.epoch = 1
    members: uint256 = 0
    for account: address in institutions:
        members = self._admit(account, members)
        log MembershipChanged(epoch=1, joining=account, leaving=empty(address), quorum=quorum)
    self._set_membership(members, quorum)


# --- votes

@external
def vote(definition: bytes32, approve: bool):
    """
    @notice Approve a definition, or revoke the approval, as the calling institution.
    """
    self._vote(definition, approve, msg.sender)


@external
def vote_by_sig(
    definition: bytes32,
    approve: bool,
    institution: address,
    nonce: uint256,
    deadline: uint256,
    signature: Bytes[65],
):
    """
    @notice Relay a vote that an institution signed off line.
    @param nonce Must be the institution's next nonce, so that no vote counts twice or out of order.
    @param deadline Unix time in seconds after which the vote is void.
    @param signature r, s and v (27 or 28) of the EIP-712 typed data, 65 bytes; only the low s is accepted.
    """
    assert block.timestamp <= deadline, "deadline"
    assert nonce == self.voter[institution] >> 8, "nonce"
    assert len(signature) == 65, "signature"
    s: uint256 = convert(slice(signature, 32, 32), uint256)
    v: uint256 = convert(slice(signature, 64, 1), uint256)
    assert s <= HALF_ORDER and (v == 27 or v == 28), "signature"
    vote_hash: bytes32 = keccak256(
        abi_encode(VOTE_TYPEHASH, definition, approve, institution, nonce, deadline)
    )
    digest: bytes32 = keccak256(concat(b"\x19\x01", self._domain_separator(), vote_hash))
    signer: address = ecrecover(digest, v, convert(slice(signature, 0, 32), uint256), s)
    assert signer != empty(address) and signer == institution, "signature"
    self._vote(definition, approve, institution)


# --- membership

@external
def enact(joining: address, leaving: address, quorum: uint256):
    """
    @notice Carry out a membership change for which a quorum voted, by voting on its `change_digest`.
    @param joining Institution that becomes a member, or zero for none.
    @param leaving Institution that stops being one, or zero for none. Its approvals stop counting at once.
    @param quorum The quorum from now on, for every definition.
    """
    assert self._authorised(self._change_digest(joining, leaving, quorum), block.number), "quorum missing"
    members: uint256 = self._content_at(MEMBERSHIP, block.number) & LOW_128
    if leaving != empty(address):
        voter: uint256 = self.voter[leaving]
        slot: uint256 = voter & LOW_8
        assert slot != 0, "leaving"
        self.voter[leaving] = voter ^ slot      # the nonce stays: whoever comes back votes no old vote again
        members ^= 1 << (slot - 1)
    if joining != empty(address):
        members = self._admit(joining, members)
    self.epoch += 1                             # voids every other change voted on so far
    self._set_membership(members, quorum)
    log MembershipChanged(epoch=self.epoch, joining=joining, leaving=leaving, quorum=quorum)


@external
@view
def change_digest(joining: address, leaving: address, quorum: uint256) -> bytes32:
    """
    @return What the members vote on to make this change in the present epoch.
    """
    return self._change_digest(joining, leaving, quorum)


@external
@view
def institutions() -> DynArray[address, MAX_SLOTS]:
    """
    @return Every institution that ever was a member; its position is its bit in the bitmaps.
    """
    return self.slots


@external
@view
def nonces(institution: address) -> uint256:
    """
    @return The institution's next nonce. Direct votes use one up as well.
    """
    return self.voter[institution] >> 8


@external
@view
def membership() -> (uint256, uint256):
    """
    @return Bitmap of the present members; quorum.
    """
    membership: uint256 = self._content_at(MEMBERSHIP, block.number)
    return membership & LOW_128, membership >> 128


# --- authority

@external
@view
def authorised(definition: bytes32) -> bool:
    """
    @return Whether a quorum of the members approves the definition now.
    """
    return self._authorised(definition, block.number)


@external
@view
def authorised_at(definition: bytes32, block_number: uint256) -> bool:
    """
    @return Whether the definition was authorised at the end of that block.
    """
    assert block_number <= block.number, "future block"
    return self._authorised(definition, block_number)


@external
@view
def tally_at(definition: bytes32, block_number: uint256) -> (uint256, uint256, uint256):
    """
    @return Bitmap of the approving members, bitmap of all members, quorum; all at the end of that block.
    """
    assert block_number <= block.number, "future block"
    membership: uint256 = self._content_at(MEMBERSHIP, block_number)
    members: uint256 = membership & LOW_128
    return self._approvals(definition, block_number) & members, members, membership >> 128


@external
@view
def approvals(definition: bytes32) -> uint256:
    """
    @return Bitmap of the members that approve the definition now.
    """
    return self._approvals(definition, block.number) & self._content_at(MEMBERSHIP, block.number) & LOW_128


@external
@view
def approved_by(definition: bytes32, institution: address) -> bool:
    """
    @return Whether a present member approves the definition now.
    """
    slot: uint256 = self.voter[institution] & LOW_8
    return slot != 0 and (self._approvals(definition, block.number) >> (slot - 1)) & 1 == 1


@external
@view
def domain_separator() -> bytes32:
    """
    @return The EIP-712 domain separator of this contract on this chain.
    """
    return self._domain_separator()


# --- inside

@internal
def _vote(definition: bytes32, approve: bool, institution: address):
    voter: uint256 = self.voter[institution]
    slot: uint256 = voter & LOW_8
    assert slot != 0, "institution"
    assert definition != MEMBERSHIP, "definition"
    self.voter[institution] = voter + (1 << 8)
    before: uint256 = self._approvals(definition, block.number)
    bit: uint256 = 1 << (slot - 1)
    after: uint256 = before | bit if approve else before & ~bit
    if after != before:
        self._push(definition, after)
    log Voted(definition=definition, institution=institution, approve=approve, nonce=voter >> 8)


@internal
def _admit(account: address, members: uint256) -> uint256:
    voter: uint256 = self.voter[account]
    assert account != empty(address) and voter & LOW_8 == 0, "joining"
    self.slots.append(account)                  # reverts when all slots are used up
    slot: uint256 = len(self.slots)
    self.voter[account] = voter | slot
    return members | (1 << (slot - 1))


@internal
def _set_membership(members: uint256, quorum: uint256):
    assert quorum > 0 and quorum <= self._count(members), "quorum"
    self._push(MEMBERSHIP, (quorum << 128) | members)


@internal
@view
def _change_digest(joining: address, leaving: address, quorum: uint256) -> bytes32:
    return sha256(abi_encode(CHANGE_LABEL, self.epoch, joining, leaving, quorum))


@internal
@view
def _domain_separator() -> bytes32:
    # Computed anew each time, so that a fork of the chain with a new id takes no vote of the old one.
    return keccak256(abi_encode(DOMAIN_TYPEHASH, NAME_HASH, VERSION_HASH, chain.id, self))


@internal
@view
def _authorised(definition: bytes32, block_number: uint256) -> bool:
    membership: uint256 = self._content_at(MEMBERSHIP, block_number)
    quorum: uint256 = membership >> 128
    approving: uint256 = self._approvals(definition, block_number) & membership & LOW_128
    return quorum > 0 and self._count(approving) >= quorum


@internal
@view
def _approvals(definition: bytes32, block_number: uint256) -> uint256:
    if definition == MEMBERSHIP:
        return 0
    return self._content_at(definition, block_number)


@internal
@pure
def _count(bitmap: uint256) -> uint256:
    rest: uint256 = bitmap
    for count: uint256 in range(MAX_SLOTS):
        if rest == 0:
            return count
        rest &= rest - 1
    return MAX_SLOTS


@internal
def _push(key: bytes32, content: uint256):
    word: uint256 = self.latest[key]
    earlier: uint256 = word >> 192
    if word != 0 and word >> 136 & LOW_56 != block.number:
        self.history[key][earlier] = word
        earlier += 1
    self.latest[key] = (earlier << 192) | (block.number << 136) | content


@internal
@view
def _content_at(key: bytes32, block_number: uint256) -> uint256:
    """
    @dev The content at the end of a block: of the last word that is not later; 0 where there is none.
    """
    word: uint256 = self.latest[key]
    if word >> 136 & LOW_56 <= block_number:
        return word & LOW_136
    low: uint256 = 0
    high: uint256 = word >> 192
    for _: uint256 in range(64):
        if low >= high:
            break
        middle: uint256 = (low + high) // 2
        if self.history[key][middle] >> 136 & LOW_56 <= block_number:
            low = middle + 1
        else:
            high = middle
    return self.history[key][low - 1] & LOW_136 if low > 0 else 0
