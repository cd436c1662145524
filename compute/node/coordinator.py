"""The node's calls to the coordinator. What comes back is material to verify, not something to believe."""

from typing import Any, Protocol

import httpx
from pydantic import with_config
from typing_extensions import TypedDict

from compute.node.home import NodeHome
from concordat.client.api import Api
from concordat.client.session import PATIENT_ATTEMPTS, Session
from concordat.fields import STRICT, Text, Time, Uuid, plain, read
from concordat.review_evidence import ReviewDocuments
from concordat.votes import VoteDocument


@with_config(STRICT)
class JobDocuments(TypedDict):
    """All that a node needs in order to decide about a job and to do its part.

    Signed documents are JWS; `withdrawal` and `capacity` are what ended the consent, if anything did, and `recall` is
    the model's, if its owner has recalled it. `input` and `model_share` are the calling node's own, sealed to it; None
    for the dealer. `acceptances` is empty until every node has accepted.
    """

    job: Uuid
    request: str
    definition: dict[str, Any]
    protocol: dict[str, Any]
    manifest: str
    disclosure: str | None
    schema: dict[str, Any]
    design: dict[str, Any]
    votes: list[VoteDocument]
    withdrawal: str | None
    capacity: str | None
    recall: str | None
    reviews: ReviewDocuments
    input: str | None
    model_share: str | None
    acceptances: list[str]


@with_config(STRICT)
class AlarmDocuments(TypedDict):
    """An alarm (JWS) about a job, the manifest (JWS) of its model, and the calling party's sealed share of it."""

    job: Uuid
    alarm: str
    manifest: str
    model_share: str | None


@with_config(STRICT)
class Status(TypedDict):
    """What a node says of itself: `policy` is the digest of its policy file, "" without one."""

    software: Text
    policy: str
    busy: bool
    clock: Time


@with_config(STRICT)
class WitnessCall(TypedDict):
    """`call` is the body of an add-checkpoint call (C2SP tlog-witness)."""

    call: str


class Coordinator(Protocol):
    """The coordinator, seen from a node. Each call raises Refused: its reason, or COORDINATOR_UNAVAILABLE."""

    def job(self, job: str) -> JobDocuments: ...

    def answer(self, job: str, answer: str) -> None: ...

    def progress(self, job: str, done: int, rounds: int) -> None: ...

    def result(self, job: str, receipt: str, sealed: str | None) -> None: ...

    def alarm(self, job: str) -> AlarmDocuments: ...

    def testimony(self, job: str, testimony: str) -> None: ...

    def status(self, status: Status) -> None: ...

    def checkpoint(self, old: int) -> str: ...

    def cosign(self, size: int, lines: str) -> None: ...


class HttpCoordinator:
    """The coordinator at its URL. Sign-in is by `private_key_jwt` (RFC 7523) with the node's client key."""

    def __init__(self, home: NodeHome, *, transport: httpx.BaseTransport | None = None) -> None:
        self._session = Session(
            coordinator=home.settings["coordinator"],
            client_id=home.institution,
            key=home.keys.client,
            scopes="node",
            attempts=PATIENT_ATTEMPTS,
            transport=transport,
        )

    def job(self, job: str) -> JobDocuments:
        return read(self._session.get(f"node/jobs/{job}"), JobDocuments)

    def answer(self, job: str, answer: str) -> None:
        self._session.post(f"node/jobs/{job}/answer", {"answer": answer}, idempotency_key=f"answer-{job}")

    def progress(self, job: str, done: int, rounds: int) -> None:
        self._session.post(f"node/jobs/{job}/progress", {"done": done, "rounds": rounds})

    def result(self, job: str, receipt: str, sealed: str | None) -> None:
        body = {"receipt": receipt, "sealed": sealed}
        self._session.post(f"node/jobs/{job}/result", body, idempotency_key=f"result-{job}")

    def alarm(self, job: str) -> AlarmDocuments:
        return read(self._session.get(f"node/jobs/{job}/alarm"), AlarmDocuments)

    def testimony(self, job: str, testimony: str) -> None:
        self._session.post(f"node/jobs/{job}/testimony", {"testimony": testimony}, idempotency_key=f"testimony-{job}")

    def status(self, status: Status) -> None:
        self._session.post("node/status", plain(read(status, Status)))

    def checkpoint(self, old: int) -> str:
        return read(self._session.get("node/checkpoint", old=old), WitnessCall)["call"]

    def cosign(self, size: int, lines: str) -> None:
        body = {"size": size, "cosignature": lines}
        self._session.post("node/cosignature", body, idempotency_key=f"cosignature-{size}")


def key_changes(home: NodeHome) -> list[str]:
    """Every institution's key changes (JWS), for `Pins.update` to verify. Raises Refused as the session does."""
    with _session(home, "institutions.read") as session:
        return Api(session).lists.key_changes()


def owner_session(home: NodeHome) -> Session:
    """A session of the institution as the owner of models."""
    return _session(home, "models.write")


def _session(home: NodeHome, scopes: str) -> Session:
    return Session(
        coordinator=home.settings["coordinator"], client_id=home.institution, key=home.keys.client, scopes=scopes
    )
