"""The coordinator's REST interface, a method for each thing that an institution's system may ask.

Nothing here is believed: every answer has its shape before it is used, and what it says is verified by the caller,
against pins and digests. Fields that are not known here are passed over, so that a coordinator may come to say more.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Annotated, Any, Literal, TypeVar

from pydantic import Strict, with_config
from typing_extensions import TypedDict

from concordat.accounting import Accounting
from concordat.canonical import Json, b64
from concordat.client.home import ClientHome
from concordat.client.session import Newer, Session
from concordat.fields import ANSWER, Slug, Text, plain, read
from concordat.media import media_type
from concordat.package import Stage
from concordat.reasons import Reason, Refused
from concordat.states import JobState
from concordat.tiles import TilePath
from concordat.votes import VoteDocument

T = TypeVar("T")


@with_config(ANSWER)
class Status(TypedDict):
    """Where a prediction stands; `reason` and `detail` are empty unless it ended early, `record` until then."""

    prediction: Text
    request: str
    state: Annotated[JobState, Strict(False)]
    reason: Annotated[Reason, Strict(False)] | Literal[""]
    detail: str
    record: str


@with_config(ANSWER)
class _Page(TypedDict):
    items: list[dict[str, Any]]
    next: str


@with_config(ANSWER)
class Alarmed(TypedDict):
    """The log entry in which an alarm is said to stand."""

    entry: int


@with_config(ANSWER)
class KeptPackage(TypedDict):
    """A records package (JSON text) that the coordinator keeps, the statement (JWS) about it, and the log entry that is
    said to name it."""

    stage: Stage
    package: str
    statement: str
    entry: int


@with_config(ANSWER)
class Packages(TypedDict):
    """A prediction's records packages."""

    packages: list[KeptPackage]


@with_config(ANSWER)
class PartyAnswer(TypedDict):
    """One node's receipt (JWS) and its sealed output shares; the dealer's `sealed` is empty."""

    node: str
    receipt: str
    sealed: str


@with_config(ANSWER)
class Result(TypedDict):
    """What the nodes returned for one prediction, and the log entries in which it is recorded."""

    prediction: str
    record: str
    ticket: str
    results: list[PartyAnswer]
    prediction_entry: int
    explanation_entry: int


@with_config(ANSWER)
class DefinitionAnswer(TypedDict):
    """A definition and what its digests name; `manifest` and `disclosure` are JWS; no design for some kinds. `canaries`
    are sealed to us, and empty if we are no requester or the model's owner has sent none."""

    digest: str
    state: str
    definition: dict[str, Any]
    protocol: dict[str, Any]
    schema: dict[str, Any]
    design: dict[str, Any] | None
    manifest: str
    disclosure: str
    canaries: str
    votes: list[VoteDocument]


@with_config(ANSWER)
class Testimonies(TypedDict):
    """What there is about a job with a false canary: alarm, testimonies, receipts and manifest are JWS; one `finding`,
    or an empty one until the owner has found out."""

    prediction: str
    alarm: str
    testimonies: list[str]
    receipts: list[str]
    definition: dict[str, Any]
    schema: dict[str, Any]
    design: dict[str, Any]
    manifest: str
    finding: str


@with_config(ANSWER)
class Votes(TypedDict):
    """The votes on a definition, whose approval a block holds, and the nonce that our own next vote must carry."""

    votes: list[VoteDocument]
    on_chain: list[str]
    next_nonce: int


@with_config(ANSWER)
class Entry(TypedDict):
    """A log entry: `leaf` is the hashed bytes (base64url), `status` says how far it has come."""

    index: int
    record: str
    leaf: str
    status: str


@with_config(ANSWER)
class Listed(TypedDict):
    """An institution in the coordinator's list, with its enrolment (JWS)."""

    institution: Slug
    enrolment: str


@with_config(ANSWER)
class _Reliances(TypedDict):
    items: list[dict[str, Any]]


@with_config(ANSWER)
class _KeyChange(TypedDict):
    digest: str
    change: str


@with_config(ANSWER)
class _Checkpoint(TypedDict):
    note: str


@with_config(ANSWER)
class _Proof(TypedDict):
    proof: list[str]


@contextmanager
def signed_in(home: ClientHome, scopes: str) -> Iterator["Api"]:
    """The coordinator of an institution's folder, signed in with these scopes. Behind a proxy it goes by HTTPS_PROXY
    and NO_PROXY. Raises Refused as `Session` does, and KEYSTORE_UNSAFE."""
    with Session(
        coordinator=home.config["coordinator"], client_id=home.institution, key=home.keys.client, scopes=scopes
    ) as session:
        yield Api(session)


class Api:
    """Typed calls over one session. Each raises Refused as the session does, or naming the field that has no shape."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def institutions(self) -> list[Listed]:
        """Every enrolled institution with its enrolment, page by page."""
        return list(self._pages("institutions", Listed, "institution"))

    def key_changes(self) -> list[str]:
        """Every institution's key changes (JWS), page by page, in no order that means anything."""
        return [each["change"] for each in self._pages("institutions/changes", _KeyChange, "digest")]

    def publish_roster(self, roster: str) -> dict[str, Any]:
        """Put this institution's roster of officers (JWS) in force."""
        return self._post("rosters", {"roster": roster}, dict[str, Any])

    def submit_study(self, protocol: Mapping[str, Json]) -> dict[str, Any]:
        """Put a protocol version before the boards."""
        return self._post("studies", {"protocol": protocol}, dict[str, Any])

    def study(self, study: str) -> dict[str, Any]:
        return self._get(f"studies/{study}", dict[str, Any])

    def reliances(self) -> list[dict[str, Any]]:
        """The agreements by which we rely on another board, or another on ours; the latest hundred."""
        return self._get("reliances", _Reliances)["items"]

    def attach(
        self, study: str, *, kind: str, institution: str, name: str, content: bytes, expires: str = ""
    ) -> dict[str, Any]:
        """Attach a file to a study: this institution's, or with an empty one the study's own.

        Raises Refused(FIELD_INVALID) for a kind of file that is not attached; and as every call."""
        body: dict[str, Json] = {
            "kind": kind,
            "institution": institution,
            "name": name,
            "media_type": media_type(content),
            "content": b64(content),
        }
        return self._post(
            f"studies/{study}/attachments", body | ({"expires": expires} if expires else {}), dict[str, Any]
        )

    def export_subject(self, subject: str) -> dict[str, Any]:
        """Everything that the coordinator holds on one of this institution's own subjects (GDPR Article 15)."""
        return self._get(f"subjects/{subject}/export", dict[str, Any])

    def account(self, subject: str, **days: str) -> Accounting:
        """What was disclosed of one of this institution's own subjects (45 CFR 164.528); `asked`, `since` and `until`
        are days."""
        return self._get(f"subjects/{subject}/disclosures", Accounting, **days)

    def erase_subject(self, subject: str, *, ground: str) -> dict[str, Any]:
        """Have one of this institution's own subjects erased (GDPR Article 17)."""
        return self._post(f"subjects/{subject}/erase", {"ground": ground}, dict[str, Any])

    def erasures(self) -> list[dict[str, Any]]:
        """Erasures of people of whom this institution was given something, the latest first, page by page."""
        return list(self._pages("erasures", dict[str, Any], "notice"))

    def import_model(self, manifest: str, sealed: Mapping[str, str]) -> dict[str, Any]:
        """Hand in a manifest (JWS) and the sealed shares by party."""
        return self._post("models", {"manifest": manifest, "sealed": sealed}, dict[str, Any])

    def disclose_model(self, model: str, disclosure: str) -> dict[str, Any]:
        """Hand in the owner's disclosure statement (JWS)."""
        return self._post(f"models/{model}/disclosure", {"disclosure": disclosure}, dict[str, Any])

    def seal_canaries(self, model: str, *, design: str, target: str, sealed: Mapping[str, str]) -> dict[str, Any]:
        """Hand in the canaries of a model for one design (digest) and target, sealed by requester."""
        body: dict[str, Json] = {"design": design, "target": target, "sealed": sealed}
        return self._post(f"models/{model}/canaries", body, dict[str, Any])

    def register_definition(
        self, definition: Mapping[str, Json], schema: Mapping[str, Json], design: Mapping[str, Json] | None
    ) -> DefinitionAnswer:
        body: dict[str, Json] = {"definition": definition, "schema": schema, "design": design}
        return self._post("definitions", body, DefinitionAnswer)

    def definition(self, digest: str) -> DefinitionAnswer:
        return self._get(f"definitions/{digest}", DefinitionAnswer)

    def votes(self, digest: str) -> Votes:
        return self._get(f"definitions/{digest}/votes", Votes)

    def vote(self, digest: str, vote: VoteDocument) -> Votes:
        return self._post(f"definitions/{digest}/votes", plain(vote), Votes)

    def give_consent(self, consent: str) -> dict[str, Any]:
        return self._post("consents", {"consent": consent}, dict[str, Any])

    def withdraw_consent(self, consent: str, withdrawal: str) -> dict[str, Any]:
        return self._post(f"consents/{consent}/withdraw", {"withdrawal": withdrawal}, dict[str, Any])

    def regained_capacity(self, consent: str, capacity: str) -> dict[str, Any]:
        return self._post(f"consents/{consent}/capacity", {"capacity": capacity}, dict[str, Any])

    def request_prediction(self, request: str, sealed: Mapping[str, str], *, idempotency_key: str) -> Status:
        """Hand in a signed request and the sealed shares by party; the same key always answers with the same job."""
        body: dict[str, Json] = {"request": request, "sealed": sealed}
        return read(self._session.post("predictions", body, idempotency_key=idempotency_key), Status)

    def prediction(self, prediction: str) -> Status:
        return self._get(f"predictions/{prediction}", Status)

    def newer_prediction(self, prediction: str, known: str, *, seconds: int) -> tuple[Status | None, Newer]:
        """Where it stands, if that has changed since the answer with the ETag `known`, or does within so many seconds
        (`Session.get_newer`)."""
        newer = self._session.get_newer(f"predictions/{prediction}", known, seconds=seconds)
        return (None if newer.content is None else read(newer.content, Status)), newer

    def prediction_of(self, record: str) -> Status:
        """One of our own predictions, by its record number. Raises Refused(NOT_FOUND)."""
        for each in self._get("predictions", _Page, record=record)["items"]:
            return read(each, Status)
        raise Refused(Reason.NOT_FOUND, detail="None of our decisions has this number.", field="record")

    def cancel_prediction(self, prediction: str) -> Status:
        """Take a request back before there is a result."""
        return self._post(f"predictions/{prediction}/cancel", {}, Status)

    def result(self, prediction: str) -> Result:
        return self._get(f"predictions/{prediction}/result", Result)

    def display(self, prediction: str, display: str) -> dict[str, Any]:
        """Hand in the signed display receipt (JWS)."""
        return self._post(f"predictions/{prediction}/display", {"display": display}, dict[str, Any])

    def keep_package(self, prediction: str, statement: str, package: str) -> KeptPackage:
        """Hand in a records package (JSON text) and the statement (JWS) about it; the same again is no harm."""
        return self._post(
            f"predictions/{prediction}/packages", {"statement": statement, "package": package}, KeptPackage
        )

    def packages(self, prediction: str) -> list[KeptPackage]:
        """The records packages of one of our own predictions. That they were handed out is recorded."""
        return self._get(f"predictions/{prediction}/packages", Packages)["packages"]

    def raise_alarm(self, prediction: str, alarm: str) -> Alarmed:
        """Hand in an alarm (JWS): a canary came back wrong. The result is withheld from then on."""
        return self._post(f"predictions/{prediction}/alarm", {"alarm": alarm}, Alarmed)

    def testimonies(self, prediction: str) -> Testimonies:
        """What the model's owner finds out from who departed from the protocol."""
        return self._get(f"predictions/{prediction}/testimonies", Testimonies)

    def finding(self, prediction: str, finding: str) -> Testimonies:
        """Hand in the owner's finding (JWS)."""
        return self._post(f"predictions/{prediction}/finding", {"finding": finding}, Testimonies)

    def checkpoint(self) -> str:
        """The log's latest signed head, as a note."""
        return self._get("ledger/checkpoint", _Checkpoint)["note"]

    def entry(self, index: int) -> Entry:
        return self._get(f"ledger/entries/{index}", Entry)

    def inclusion(self, index: int, size: int) -> list[str]:
        return self._get("ledger/inclusion", _Proof, index=index, size=size)["proof"]

    def consistency(self, first: int, second: int) -> list[str]:
        return self._get("ledger/consistency", _Proof, first=first, second=second)["proof"]

    def tile(self, path: TilePath) -> bytes:
        """A tile of the log, or a bundle of its entries."""
        return self._session.get_bytes(f"log/{path}")

    def dossier(self, record: str) -> bytes:
        """The dossier bundle (zip) of a record number."""
        return self._session.get_bytes(f"dossiers/{record}")

    def _pages(self, path: str, shape: type[T], key: str) -> Iterator[T]:
        """The items of a list, asking for the next page behind the last item's `key`."""
        after: dict[str, str] = {}
        while True:
            page = self._get(path, _Page, **after)
            yield from (read(item, shape) for item in page["items"])
            if not (page["items"] and page["next"]):
                return
            if key not in page["items"][-1]:
                raise Refused(Reason.FIELD_MISSING, field=key)
            after = {"after": str(page["items"][-1][key])}

    def _get(self, path: str, shape: type[T], **query: str | int) -> T:
        return read(self._session.get(path, **query), shape)

    def _post(self, path: str, body: Mapping[str, Json], shape: type[T]) -> T:
        return read(self._session.post(path, body), shape)
