"""The coordinator's REST interface, a method for each thing that an institution's system may ask.

Nothing here is believed: what comes back is verified by the caller, against pins and digests.
"""

from collections.abc import Mapping
from typing import TypedDict

from concordat.canonical import Json
from concordat.client.session import Session
from concordat.fields import plain
from concordat.votes import VoteDocument


class Status(TypedDict):
    """Where a prediction stands; `reason` and `detail` are empty unless it ended early, `record` until then."""

    prediction: str
    request: str
    state: str
    reason: str
    detail: str
    record: str


class PartyAnswer(TypedDict):
    """One node's receipt (JWS) and its sealed output shares; the dealer's `sealed` is empty."""

    node: str
    receipt: str
    sealed: str


class Result(TypedDict):
    """What the nodes returned for one prediction, and the log entries in which it is recorded."""

    prediction: str
    record: str
    ticket: str
    results: list[PartyAnswer]
    prediction_entry: int
    explanation_entry: int


class DefinitionAnswer(TypedDict):
    """A definition and what its digests name; `manifest` and `disclosure` are JWS."""

    digest: str
    state: str
    definition: dict[str, Json]
    schema: dict[str, Json]
    design: dict[str, Json]
    manifest: str
    disclosure: str
    votes: list[VoteDocument]


class Votes(TypedDict):
    """The votes on a definition, whose approval a block holds, and the nonce that our own next vote must carry."""

    votes: list[VoteDocument]
    on_chain: list[str]
    next_nonce: int


class Entry(TypedDict):
    """A log entry: `leaf` is the hashed bytes (base64url), `status` says how far it has come."""

    index: int
    record: str
    leaf: str
    status: str


class Api:
    """Typed calls over one session. Each raises Refused as the session does."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def institutions(self) -> list[dict[str, Json]]:
        """Every enrolled institution with its enrolment."""
        found: list[dict[str, Json]] = self._session.get("institutions")
        return found

    def publish_roster(self, roster: str) -> dict[str, Json]:
        """Put this institution's roster of officers (JWS) in force."""
        return self._object("rosters", {"roster": roster})

    def submit_study(self, protocol: Mapping[str, Json]) -> dict[str, Json]:
        """Put a protocol version before the boards."""
        return self._object("studies", {"protocol": protocol})

    def study(self, study: str) -> dict[str, Json]:
        found: dict[str, Json] = self._session.get(f"studies/{study}")
        return found

    def import_model(self, manifest: str, sealed: Mapping[str, str]) -> dict[str, Json]:
        """Hand in a manifest (JWS) and the sealed shares by party."""
        return self._object("models", {"manifest": manifest, "sealed": sealed})

    def disclose_model(self, model: str, disclosure: str) -> dict[str, Json]:
        """Hand in the owner's disclosure statement (JWS)."""
        return self._object(f"models/{model}/disclosure", {"disclosure": disclosure})

    def register_definition(
        self, definition: Mapping[str, Json], schema: Mapping[str, Json], design: Mapping[str, Json]
    ) -> DefinitionAnswer:
        answer: DefinitionAnswer = self._session.post(
            "definitions", {"definition": definition, "schema": schema, "design": design}
        )
        return answer

    def definition(self, digest: str) -> DefinitionAnswer:
        answer: DefinitionAnswer = self._session.get(f"definitions/{digest}")
        return answer

    def votes(self, digest: str) -> Votes:
        answer: Votes = self._session.get(f"definitions/{digest}/votes")
        return answer

    def vote(self, digest: str, vote: VoteDocument) -> Votes:
        answer: Votes = self._session.post(f"definitions/{digest}/votes", plain(vote))
        return answer

    def give_consent(self, consent: str) -> dict[str, Json]:
        return self._object("consents", {"consent": consent})

    def withdraw_consent(self, consent: str, withdrawal: str) -> dict[str, Json]:
        return self._object(f"consents/{consent}/withdraw", {"withdrawal": withdrawal})

    def request_prediction(self, request: str, sealed: Mapping[str, str], *, idempotency_key: str) -> Status:
        """Hand in a signed request and the sealed shares by party; the same key always answers with the same job."""
        answer: Status = self._session.post(
            "predictions", {"request": request, "sealed": sealed}, idempotency_key=idempotency_key
        )
        return answer

    def prediction(self, prediction: str) -> Status:
        answer: Status = self._session.get(f"predictions/{prediction}")
        return answer

    def cancel_prediction(self, prediction: str) -> Status:
        answer: Status = self._session.post(f"predictions/{prediction}/cancel", {})
        return answer

    def result(self, prediction: str) -> Result:
        answer: Result = self._session.get(f"predictions/{prediction}/result")
        return answer

    def display(self, prediction: str, display: str) -> dict[str, Json]:
        """Hand in the signed display receipt (JWS)."""
        return self._object(f"predictions/{prediction}/display", {"display": display})

    def checkpoint(self) -> str:
        """The log's latest signed head, as a note."""
        note: str = self._session.get("ledger/checkpoint")["note"]
        return note

    def entry(self, index: int) -> Entry:
        answer: Entry = self._session.get(f"ledger/entries/{index}")
        return answer

    def inclusion(self, index: int, size: int) -> list[str]:
        proof: list[str] = self._session.get("ledger/inclusion", index=index, size=size)["proof"]
        return proof

    def consistency(self, first: int, second: int) -> list[str]:
        proof: list[str] = self._session.get("ledger/consistency", first=first, second=second)["proof"]
        return proof

    def dossier(self, record: str) -> bytes:
        """The dossier bundle (zip) of a record number."""
        return self._session.get_bytes(f"dossiers/{record}")

    def _object(self, path: str, body: Mapping[str, Json]) -> dict[str, Json]:
        answer: dict[str, Json] = self._session.post(path, body)
        return answer
