# pragma version 0.4.3
# pragma evm-version cancun
"""
@title AnchorLog
@notice Keeps the heads of one append-only Merkle log (RFC 9162). A head is accepted only if it follows its
        predecessor without a gap and is proven to extend it, so whoever holds a submitter's key can stop the
        log, but can neither fork, shorten nor rewrite it. A quorum of the registry's members may seal it in favour
        of a successor, which begins with its last head, or with an earlier one where a stolen key wrote those after
        it; nobody else can, and nothing can be undone.
@dev No owner, no proxy, no setter: the submitters named at deployment are final. No immutables either, so the
     hash of the deployed code identifies this source. It does not say in which state the contract was created: who
     relies on one compares the transaction that created it with this source's bytecode and its arguments.
"""

interface Registry:
    def authorised(definition: bytes32) -> bool: view
    def epoch() -> uint256: view

interface Log:
    def predecessor() -> address: view
    def begun() -> bool: view
    def sealed_to() -> address: view
    def sealed_at() -> uint256: view
    def root_at(sequence: uint256) -> bytes32: view
    def meta_at(sequence: uint256) -> uint256: view

event SubmitterNamed:
    submitter: indexed(address)

event Anchored:
    sequence: indexed(uint256)
    root: indexed(bytes32)
    size: uint256
    previous_root: bytes32
    checkpoint_hash: bytes32
    submitter: address

event Begun:
    predecessor: indexed(address)
    sequence: uint256
    root: bytes32

event Sealed:
    successor: indexed(address)
    sequence: uint256
    root: bytes32

MAX_SUBMITTERS: constant(uint256) = 16
MAX_PROOF: constant(uint256) = 64           # a tree of 2**63 leaves needs no longer proof
LOW_64: constant(uint256) = 2**64 - 1
SEAL_LABEL: constant(bytes32) = sha256("concordat/anchor-log-seal/v1")

registry: public(address)                   # whose members may seal this log
predecessor: public(address)                # zero for a consortium's first log
sealed_to: public(address)                  # zero until it is sealed
sealed_at: public(uint256)                  # the last head that its successor goes on from; later ones are void
begun: public(bool)
begun_at: public(uint256)                   # where the predecessor was sealed; earlier heads are asked of it
named: DynArray[address, MAX_SUBMITTERS]
submitter: public(HashMap[address, bool])   # who may anchor: nobody before it has begun, nor once it is sealed
sequence: public(uint256)                   # of the latest head; 0 before the first
root_at: public(HashMap[uint256, bytes32])
meta_at: public(HashMap[uint256, uint256])  # size << 128 | block number << 64 | block time


@deploy
def __init__(submitters: DynArray[address, MAX_SUBMITTERS], registry: address, predecessor: address):
    assert len(submitters) > 0, "submitters"
    assert registry.is_contract, "registry"
    self.named = submitters
    self.registry = registry
    self.predecessor = predecessor
    for account: address in submitters:
        assert account != empty(address), "submitters"
        log SubmitterNamed(submitter=account)
    if predecessor == empty(address):
        self._open()


# --- succession

@external
@view
def submitters() -> DynArray[address, MAX_SUBMITTERS]:
    """
    @return Who was named at deployment to anchor while this log is open.
    """
    return self.named


@external
@view
def seal_digest(successor: address, last: uint256) -> bytes32:
    """
    @return What the registry's members vote on, as on a definition, to seal this log in the present epoch.
    """
    return self._seal_digest(successor, last)


@external
def seal(successor: address, last: uint256):
    """
    @notice End this log in favour of a successor for which a quorum voted; anyone may carry it out, once.
    @param successor A log whose predecessor is this one, and which has not begun.
    @param last Zero: the successor goes on from the latest head, whichever that is now. Else from the head of this
           sequence, and those after it, which a stolen key wrote, are void.
    """
    assert self.begun, "not begun"
    assert self.sealed_to == empty(address), "sealed"
    assert last <= self.sequence, "last"
    assert staticcall Registry(self.registry).authorised(self._seal_digest(successor, last)), "quorum missing"
    assert successor != self and staticcall Log(successor).predecessor() == self, "successor"
    assert not staticcall Log(successor).begun(), "successor"
    self.sealed_to = successor
    self.sealed_at = self.sequence if last == 0 else last
    for account: address in self.named:
        self.submitter[account] = False
    log Sealed(successor=successor, sequence=self.sealed_at, root=self.root_at[self.sealed_at])


@external
def begin():
    """
    @notice Take over the head that the predecessor was sealed at, to this log; anyone may carry it out, once.
    """
    assert not self.begun, "begun"
    predecessor: Log = Log(self.predecessor)
    assert staticcall predecessor.sealed_to() == self, "predecessor"
    sequence: uint256 = staticcall predecessor.sealed_at()
    root: bytes32 = staticcall predecessor.root_at(sequence)
    self.sequence = sequence
    self.begun_at = sequence
    self.root_at[sequence] = root
    self.meta_at[sequence] = staticcall predecessor.meta_at(sequence)
    self._open()
    log Begun(predecessor=self.predecessor, sequence=sequence, root=root)


# --- heads


@external
def anchor(
    sequence: uint256,
    previous_root: bytes32,
    root: bytes32,
    size: uint256,
    checkpoint_hash: bytes32,
    proof: DynArray[bytes32, MAX_PROOF],
):
    """
    @notice Record the next head of the log.
    @param sequence One more than the latest sequence.
    @param previous_root Root of the latest head; zero for the first.
    @param root Merkle tree hash of the new head.
    @param size Number of leaves under `root`; more than before.
    @param checkpoint_hash SHA-256 of the signed checkpoint that states this head.
    @param proof RFC 9162 consistency proof between the two heads; empty for the first.
    """
    assert self.submitter[msg.sender], "submitter"
    latest: uint256 = self.sequence
    assert sequence == latest + 1, "sequence"
    assert previous_root == self.root_at[latest], "previous root"
    previous_size: uint256 = self.meta_at[latest] >> 128
    assert size > previous_size and size <= LOW_64, "size"
    assert root != empty(bytes32), "root"
    if latest == 0:
        assert len(proof) == 0, "consistency"
    else:
        assert self._extends(previous_size, previous_root, size, root, proof), "consistency"

    self.sequence = sequence
    self.root_at[sequence] = root
    self.meta_at[sequence] = (size << 128) | (block.number << 64) | block.timestamp
    log Anchored(
        sequence=sequence,
        root=root,
        size=size,
        previous_root=previous_root,
        checkpoint_hash=checkpoint_hash,
        submitter=msg.sender,
    )


@external
@view
def head() -> (uint256, bytes32, uint256):
    """
    @return Latest sequence, its root and its packed meta word; all zero before the first anchor.
    """
    latest: uint256 = self.sequence
    return latest, self.root_at[latest], self.meta_at[latest]


@external
@view
def verify_inclusion(
    sequence: uint256, leaf_hash: bytes32, index: uint256, proof: DynArray[bytes32, MAX_PROOF]
) -> bool:
    """
    @notice Whether a leaf is in the log as it was anchored at `sequence` (RFC 9162, section 2.1.3.2).
    """
    size: uint256 = self.meta_at[sequence] >> 128
    if index >= size:
        return False
    fn: uint256 = index
    sn: uint256 = size - 1
    r: bytes32 = leaf_hash
    for p: bytes32 in proof:
        if sn == 0:
            return False
        if fn & 1 == 1 or fn == sn:
            r = sha256(concat(b"\x01", p, r))
            for _: uint256 in range(64):
                if fn & 1 == 1 or fn == 0:
                    break
                fn >>= 1
                sn >>= 1
        else:
            r = sha256(concat(b"\x01", r, p))
        fn >>= 1
        sn >>= 1
    return sn == 0 and r == self.root_at[sequence]


# --- inside

@internal
def _open():
    self.begun = True
    for account: address in self.named:
        self.submitter[account] = True


@internal
@view
def _seal_digest(successor: address, last: uint256) -> bytes32:
    return sha256(
        abi_encode(SEAL_LABEL, chain.id, self, staticcall Registry(self.registry).epoch(), successor, last)
    )


@internal
@view
def _extends(
    size_1: uint256, root_1: bytes32, size_2: uint256, root_2: bytes32, proof: DynArray[bytes32, MAX_PROOF]
) -> bool:
    """
    @dev RFC 9162, section 2.1.4.2, for 0 < size_1 < size_2. Where size_1 is a power of two the proof starts
         at root_1 itself, which the RFC leaves out of it.
    """
    fn: uint256 = size_1 - 1
    sn: uint256 = size_2 - 1
    for _: uint256 in range(64):
        if fn & 1 == 0:
            break
        fn >>= 1
        sn >>= 1
    start: uint256 = 0
    fr: bytes32 = root_1
    if size_1 & (size_1 - 1) != 0:
        if len(proof) == 0:
            return False
        fr = proof[0]
        start = 1
    sr: bytes32 = fr
    for i: uint256 in range(start, len(proof), bound=MAX_PROOF):
        if sn == 0:
            return False
        p: bytes32 = proof[i]
        if fn & 1 == 1 or fn == sn:
            fr = sha256(concat(b"\x01", p, fr))
            sr = sha256(concat(b"\x01", p, sr))
            for _: uint256 in range(64):
                if fn & 1 == 1 or fn == 0:
                    break
                fn >>= 1
                sn >>= 1
        else:
            sr = sha256(concat(b"\x01", sr, p))
        fn >>= 1
        sn >>= 1
    return sn == 0 and fr == root_1 and sr == root_2
