"""What the chain answers, in our own words."""

from dataclasses import dataclass


@dataclass(frozen=True)
class AnchorHead:
    """A head of the log as the anchor contract keeps it: root of `size` leaves, anchored in `block` at `time`."""

    sequence: int
    root: bytes
    size: int
    block: int
    time: int


@dataclass(frozen=True)
class Succession:
    """Where an anchor log stands among others: addresses are empty for none. Heads from number `begun_at` on are its
    own, that one being its predecessor's last."""

    predecessor: str
    begun: bool
    begun_at: int
    sealed_to: str


@dataclass(frozen=True)
class Authorisation:
    """Where a definition stood at the end of `block`; `approvals` names every member institution by address."""

    authorised: bool
    approvals: dict[str, bool]
    quorum: int
    block: int


@dataclass(frozen=True)
class SignedTransaction:
    """The exact bytes to send, and to send again after a failure; `hash` is known before the chain knows it."""

    raw: bytes
    hash: str


@dataclass(frozen=True)
class Receipt:
    """`succeeded` is false if the contract reverted, in which case only gas was spent."""

    succeeded: bool
    block: int
    block_hash: str
    gas: int
