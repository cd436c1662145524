"""The display receipt: what was shown to whom, and what the person made of it."""

from collections.abc import Mapping
from datetime import datetime
from typing import Literal

from pydantic import with_config
from typing_extensions import TypedDict

from concordat import clock
from concordat.canonical import digest
from concordat.documents import sign, verify
from concordat.fields import STRICT, Digest, Slug, Text, Time, Uuid
from concordat.signatures import SigningKey, VerifyKey

Decision = Literal["accepted", "overridden", "shown"]


@with_config(STRICT)
class Display(TypedDict):
    """`rendered` is the digest of exactly the text that was shown; `viewer` is a role, never a name."""

    request: Uuid
    job: Uuid
    template: Slug
    language: Text
    rendered: Digest
    viewer: Text
    decision: Decision
    time: Time


def show(
    *,
    request: str,
    job: str,
    template: str,
    language: str,
    rendered: str,
    viewer: str,
    decision: Decision,
    time: datetime,
    key: SigningKey,
) -> str:
    """The requester's signed receipt for a text shown. `rendered` is the text itself; only its digest is signed."""
    payload = {
        "request": request,
        "job": job,
        "template": template,
        "language": language,
        "rendered": digest(rendered.encode()),
        "viewer": viewer,
        "decision": decision,
        "time": clock.rfc3339(time),
    }
    return sign(payload, Display, kind="display", key=key)


def read_display(token: str, keys: Mapping[str, VerifyKey]) -> Display:
    """The receipt in a JWS signed by the requesting institution, whose identity keys `keys` are."""
    return verify(token, Display, kind="display", keys=keys)
