"""What the coordinator tells an institution's own system: the Standard Webhooks format, signed with Ed25519 (`v1a`).

    webhook-id: msg_<uuid>            the same each time that one message is sent
    webhook-timestamp: 1767225600     when this attempt was made, Unix time
    webhook-signature: v1a,<base64>   over `<id>.<timestamp>.<body>`

Signed with the coordinator's identity key, which every institution has pinned: there is no secret that two sides hold
and either could lose. What is signed here begins with `msg_`, and nothing else that this key signs does: a JWS begins
with its header, a head of the log with the log's name.

https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
"""

import base64
import binascii
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated, Any

from pydantic import Strict, with_config
from typing_extensions import TypedDict

from concordat import canonical
from concordat.canonical import Json
from concordat.events import Event
from concordat.fields import ANSWER, Text, Time, read
from concordat.reasons import Reason, Refused
from concordat.signatures import SigningKey, VerifyKey

TOLERANCE = timedelta(minutes=5)
"""How far the time of an attempt may lie from the receiver's clock."""

_VERSION = "v1a"
_ID = re.compile(r"msg_[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_SECONDS = re.compile(r"[0-9]{1,12}")
_ANY = re.compile(r"\S.*")
_MOST = 64 * 1024
_MOST_SIGNATURES = 8


@with_config(ANSWER)
class Told(TypedDict):
    """What a message is about: names of things, nothing about a person, and not what came out. `index` is its place in
    the log; the others are empty where the event has none. `job` is the id of a prediction, an audit or a training."""

    index: int
    record: Text
    self: Text
    institution: str
    study: str
    definition: str
    model: str
    job: str


@with_config(ANSWER)
class Message(TypedDict):
    """`type` is the log's name for the event (docs/reference/events.md); `timestamp` when it was recorded."""

    type: Annotated[Event, Strict(False)]
    timestamp: Time
    data: Told


def sign(message_id: str, body: bytes, *, at: datetime, key: SigningKey) -> dict[str, str]:
    """The headers of one attempt."""
    seconds = str(int(at.timestamp()))
    signature = base64.b64encode(key.sign(_signed(message_id, seconds, body))).decode()
    return {
        "webhook-id": message_id,
        "webhook-timestamp": seconds,
        "webhook-signature": f"{_VERSION},{signature}",
    }


@dataclass(frozen=True)
class Received:
    """What a message says, and its id, which is the same each time that it is sent."""

    id: str
    message: Message


def verify(headers: Mapping[str, str], body: bytes, *, key: VerifyKey, now: datetime) -> Received:
    """The message, if the coordinator with this key sent it within `TOLERANCE` of `now`.

    Ed25519 is verified with public values only, so that there is nothing which a comparison's time could give away.

    Raises:
        Refused: FIELD_MISSING or FIELD_INVALID, naming the header, also for one that is there twice; TOO_LARGE;
            SIGNATURE_INVALID; EXPIRED for an attempt that is older than the tolerance, or from the future; MALFORMED
            and what `read` refuses for the body.
    """
    message_id, seconds = _header(headers, "webhook-id", _ID), _header(headers, "webhook-timestamp", _SECONDS)
    if len(body) > _MOST:
        raise Refused(Reason.TOO_LARGE)
    signed = _signed(message_id, seconds, body)
    if not any(key.verify(signed, each) for each in _signatures(headers)):
        raise Refused(Reason.SIGNATURE_INVALID, detail="No signature is the pinned coordinator's.")
    if abs(now.timestamp() - int(seconds)) > TOLERANCE.total_seconds():
        detail = (
            f"This attempt was not made within {TOLERANCE.total_seconds() / 60:.0f} minutes of now: compare the clocks."
        )
        raise Refused(Reason.EXPIRED, detail=detail, field="webhook-timestamp")
    return Received(message_id, read(canonical.decode(body), Message))


def body(event: Event, timestamp: str, told: Mapping[str, Json]) -> bytes:
    """The canonical bytes of a message."""
    return canonical.encode({"type": event.value, "timestamp": timestamp, "data": told})


def _signed(message_id: str, seconds: str, content: bytes) -> bytes:
    return f"{message_id}.{seconds}.".encode() + content


def _signatures(headers: Mapping[str, str]) -> list[bytes]:
    """Those of our version, in a header that may hold others, separated by spaces."""
    found = []
    for each in _header(headers, "webhook-signature", _ANY).split()[:_MOST_SIGNATURES]:
        version, _, text = each.partition(",")
        try:
            raw = base64.b64decode(text, validate=True)
        except (binascii.Error, ValueError):
            continue
        if version == _VERSION and len(raw) == 64:
            found.append(raw)
    return found


def _header(headers: Mapping[str, Any], name: str, form: re.Pattern[str]) -> str:
    """The one header of this name, however its case is written."""
    values = [value for given, value in headers.items() if given.lower() == name]
    if len(values) > 1:  # two readers might look at different ones
        raise Refused(Reason.FIELD_INVALID, detail="This header is there twice.", field=name)
    if not values or not values[0]:
        raise Refused(Reason.FIELD_MISSING, field=name)
    if not isinstance(values[0], str) or not form.fullmatch(values[0]):
        raise Refused(Reason.FIELD_INVALID, field=name)
    return values[0]
