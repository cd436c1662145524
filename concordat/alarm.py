"""What follows on a canary with a wrong result: an alarm, every node's testimony, and the owner's finding.

    requester   signs an alarm, and seals to the model's owner the shares behind the canary's commitments
    nodes       seal to the owner the seeds of that record's run, and the digests of all their messages
    owner       replays the run (`compute.engine.replay`) and signs a finding that names who departed from the protocol,
                or, if nobody did and the canary is as it was sealed, the requester

All of it is about a canary, which is nobody's record: a node gives up the seeds of no record that the requester does
not name as one, and the seeds of one say nothing about another. The owner knows the model, and learns nothing more.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Annotated, Literal, NotRequired

from annotated_types import Ge, Len
from pydantic import with_config
from typing_extensions import TypedDict

from concordat import canonical, clock, sealing
from concordat.canonical import Json
from concordat.commitments import Share
from concordat.definition import MOST_RECORDS
from concordat.documents import Keyring, sign, verify_from
from concordat.fields import STRICT, Digest, Slug, Text, Time, Uuid, plain, read
from concordat.outputs import OutputShares
from concordat.sealing import SealingKey
from concordat.signatures import SigningKey, peek

Place = Annotated[int, Ge(0)]

Act = Literal[
    "wrong message",
    "wrong result",
    "wrong randomness",
    "other key",
    "other secret",
    "other conversations",
    "other weights",
    "no usable testimony",
    "two receipts",
    "false alarm",
    "no canary",
    "unusable alarm",
    "false operator",
]
"""What a node did: sent another message, or handed in another share of the result, than its shares and seeds give;
dealt wrong correlations; laid open another key than the dealer gave it, another secret than it sent its peer, other
digests than it had signed for, another share of the model, or nothing that can be read; or signed two receipts for one
request, and showed the requester another one than the owner. Or what the requester did:
raised an alarm about a canary whose result is what the owner had sealed to it, about a record that is none of the
canaries on the sheet that it shows, or one that cannot be examined, as no client sends it; or shared another operator
than its design gives. No other words: findings stand in the log for all to read."""

SHOWN_BY_ITSELF: frozenset[Act] = frozenset({"two receipts"})
"""What a finding shows without any testimony."""

REQUESTERS_ACTS: frozenset[Act] = frozenset({"false alarm", "no canary", "unusable alarm", "false operator"})

TAPES_KEPT = timedelta(days=1)
"""How long nodes keep what they testify with, from the end of a job."""

IN_TIME = TAPES_KEPT - timedelta(hours=1)
"""How long after a job's first receipt an alarm can be examined: the nodes must hear of it as well."""


@with_config(STRICT)
class CanaryShares(TypedDict):
    """Of one canary, by party: its input shares, and the output shares that came back; the owner's signed sheet (JWS)
    that it stands on, and all nodes' receipts (JWS) as the requester was given them, which older clients left out."""

    sheet: str
    receipts: NotRequired[list[str]]
    inputs: dict[Slug, Share]
    outputs: dict[Slug, OutputShares]


@with_config(STRICT)
class Alarm(TypedDict):
    """The requester's statement that the record at `place` is a canary and came back wrong.

    `request` is the request's digest, `name` its identifier, and `commitments` are its to that record's input shares,
    by party; `shares` is a `CanaryShares`, sealed to the owner's key of the identifier `sealed_to`, and `sheet` the
    digest of the owner's sheet in it.
    """

    job: Uuid
    request: Digest
    name: Uuid
    requester: Slug
    owner: Slug
    place: Place
    commitments: dict[Slug, Digest]
    shares: str
    sealed_to: Text
    sheet: Digest
    time: Time


@with_config(STRICT)
class Drawn(TypedDict):
    """What an engine drew for the engine of rank `peer`; base64url."""

    peer: Place
    key: str


@with_config(STRICT)
class Conversation(TypedDict):
    """SHA-256 of every part of the messages to and from the engine of rank `peer`, in order; base64url."""

    peer: Place
    sent: str
    received: str


@with_config(STRICT)
class Tape(TypedDict):
    """What a node lays open to the owner. A dealer has no key, no drawn secrets, and no share of the model.

    `weights` is the node's own share of the model with its salt, which the owner knows and the manifest commits to.
    """

    key: str
    drawn: list[Drawn]
    conversations: list[Conversation]
    weights: Share | None


@with_config(STRICT)
class Testimony(TypedDict):
    """A node's signed answer to an alarm (by digest). `commitments` are those of the request that it computed for;
    `tape` is sealed to the owner's key of the identifier `sealed_to`."""

    job: Uuid
    node: Slug
    alarm: Digest
    commitments: dict[Slug, Digest]
    tape: str
    sealed_to: Text
    time: Time


@with_config(STRICT)
class Departure(TypedDict):
    """Who did what: a node, or the requester. `round` is 0 for what comes before or after the rounds."""

    node: Slug
    act: Act
    round: Place


@with_config(STRICT)
class Finding(TypedDict):
    """The owner's signed finding on an alarm (by digest): the first departures from the protocol, or that the alarm was
    false. None means that the result is what the protocol gives, and not what the owner had sealed: then it was the
    canary that was wrong. `evidence` are the receipts (JWS) of nodes that signed two: whoever reads it can compare.
    """

    job: Uuid
    owner: Slug
    alarm: Digest
    departures: Annotated[list[Departure], Len(0, MOST_RECORDS)]
    evidence: NotRequired[list[str]]
    time: Time


def raise_alarm(
    *,
    job: str,
    request: str,
    name: str,
    requester: str,
    owner: str,
    place: int,
    commitments: Mapping[str, str],
    shares: CanaryShares,
    owner_key: str,
    time: datetime,
    key: SigningKey,
) -> str:
    """Sign an alarm; `owner_key` is the owner's public sealing key, `request` the request's digest."""
    content = canonical.encode(plain(read(shares, CanaryShares)))
    payload = {
        "job": job,
        "request": request,
        "name": name,
        "requester": requester,
        "owner": owner,
        "place": place,
        "commitments": dict(commitments),
        "shares": sealing.seal(owner_key, content, context=_context("canary", job, requester)),
        "sealed_to": sealing.sealing_key_id(owner_key),
        "sheet": canonical.digest(shares["sheet"].encode()),
        "time": clock.rfc3339(time),
    }
    return sign(payload, Alarm, kind="alarm", key=key)


def read_alarm(token: str, keyring: Keyring) -> Alarm:
    """The alarm in a JWS signed by the requester that it names."""
    return verify_from(token, Alarm, kind="alarm", signer="requester", keyring=keyring)


def peek_alarm(token: str) -> Alarm:
    """The alarm in a JWS that was verified before. Raises Refused for its shape."""
    return read(peek(token)[1], Alarm)


def open_shares(alarm: Alarm, key: SealingKey) -> CanaryShares:
    """What the requester sealed to the owner, whose key `key` is. Raises Refused(SEAL_BROKEN), and for its shape."""
    content = sealing.open(key, alarm["shares"], context=_context("canary", alarm["job"], alarm["requester"]))
    return read(canonical.decode(content), CanaryShares)


def testify(
    *,
    job: str,
    node: str,
    alarm: str,
    commitments: Mapping[str, str],
    tape: Tape,
    owner_key: str,
    time: datetime,
    key: SigningKey,
) -> str:
    """Sign a testimony on the alarm with this digest."""
    content = canonical.encode(plain(read(tape, Tape)))
    payload = {
        "job": job,
        "node": node,
        "alarm": alarm,
        "commitments": dict(commitments),
        "tape": sealing.seal(owner_key, content, context=_context("tape", job, node)),
        "sealed_to": sealing.sealing_key_id(owner_key),
        "time": clock.rfc3339(time),
    }
    return sign(payload, Testimony, kind="testimony", key=key)


def read_testimony(token: str, keyring: Keyring) -> Testimony:
    """The testimony in a JWS signed by the node's institution."""
    return verify_from(token, Testimony, kind="testimony", signer="node", keyring=keyring)


def open_tape(testimony: Testimony, key: SealingKey) -> Tape:
    """What the node sealed to the owner. Raises Refused(SEAL_BROKEN), and for its shape."""
    content = sealing.open(key, testimony["tape"], context=_context("tape", testimony["job"], testimony["node"]))
    return read(canonical.decode(content), Tape)


def find(
    *,
    job: str,
    owner: str,
    alarm: str,
    departures: Sequence[Departure],
    evidence: Sequence[str] = (),
    time: datetime,
    key: SigningKey,
) -> str:
    """Sign the finding on the alarm with this digest."""
    payload = {
        "job": job,
        "owner": owner,
        "alarm": alarm,
        "departures": [plain(each) for each in departures],
        "evidence": list(evidence),
        "time": clock.rfc3339(time),
    }
    return sign(payload, Finding, kind="finding", key=key)


def read_finding(token: str, keyring: Keyring) -> Finding:
    """The finding in a JWS signed by the model's owner."""
    return verify_from(token, Finding, kind="finding", signer="owner", keyring=keyring)


def _context(label: str, job: str, sender: str) -> dict[str, Json]:
    return {"label": label, "job": job, "from": sender}
