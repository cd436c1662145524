"""The coordinator's REST interface, a method for each thing that an institution's system may ask.

Nothing here is believed: every answer has its shape (`answers`) before it is used, and what it says is verified by the
caller, against pins and digests.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TypeVar

from concordat.accounting import Accounting
from concordat.canonical import Json, b64
from concordat.client.answers import (
    Alarmed,
    Attached,
    CanariesSealed,
    Checkpoint,
    DefinitionAnswer,
    Disclosed,
    Entry,
    Erased,
    KeptPackage,
    ManyResult,
    ManyStatus,
    Packages,
    Proof,
    Result,
    RosterInForce,
    Status,
    Testimonies,
    Votes,
)
from concordat.client.home import ClientHome, Many
from concordat.client.listed import CardAnswer, ConsentAnswer, Model, Page, Study
from concordat.client.lists import Lists
from concordat.client.session import Newer, Session
from concordat.fields import plain, read
from concordat.media import media_type
from concordat.reasons import Reason, Refused
from concordat.tiles import TilePath
from concordat.votes import VoteDocument

T = TypeVar("T")


@contextmanager
def signed_in(home: ClientHome, scopes: str) -> Iterator["Api"]:
    """The coordinator of an institution's folder, signed in with these scopes. Behind a proxy it goes by HTTPS_PROXY
    and NO_PROXY. Raises Refused as `Session` does, and KEYSTORE_UNSAFE."""
    with Session(
        coordinator=home.config["coordinator"], client_id=home.institution, key=home.keys.client, scopes=scopes
    ) as session:
        yield Api(session)


class Api:
    """Typed calls over one session; `lists` are its lists. Each raises Refused as the session does, or naming the field
    that has no shape."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self.lists = Lists(session)

    def sign_in(self) -> None:
        """As :meth:`Session.sign_in`. Raises Refused: ROLE_MISSING, SIGN_IN_REFUSED."""
        self._session.sign_in()

    def publish_roster(self, roster: str) -> RosterInForce:
        """Put this institution's roster of officers (JWS) in force."""
        return self._post("rosters", {"roster": roster}, RosterInForce)

    def submit_study(self, protocol: Mapping[str, Json], *, report: str = "") -> Study:
        """Put a protocol version before the boards; `report` is what they are told with it."""
        return self._post("studies", {"protocol": protocol, "report": report}, Study)

    def study(self, study: str) -> Study:
        return self._get(f"studies/{study}", Study)

    def attach(
        self, study: str, *, kind: str, institution: str, name: str, content: bytes, expires: str = ""
    ) -> Attached:
        """Attach a file to a study: this institution's, or with an empty one the study's own.

        Raises Refused(FIELD_INVALID) for a kind of file that is not attached; and as every call."""
        body: dict[str, Json] = {
            "kind": kind,
            "institution": institution,
            "name": name,
            "media_type": media_type(content),
            "content": b64(content),
        }
        return self._post(f"studies/{study}/attachments", body | ({"expires": expires} if expires else {}), Attached)

    def export_subject(self, subject: str) -> dict[str, Any]:
        """Everything that the coordinator holds on one of this institution's own subjects (GDPR Article 15)."""
        return self._get(f"subjects/{subject}/export", dict[str, Any])

    def account(self, subject: str, **days: str) -> Accounting:
        """What was disclosed of one of this institution's own subjects (45 CFR 164.528); `asked`, `since` and `until`
        are days."""
        return self._get(f"subjects/{subject}/disclosures", Accounting, **days)

    def erase_subject(self, subject: str, *, ground: str) -> Erased:
        """Have one of this institution's own subjects erased (GDPR Article 17)."""
        return self._post(f"subjects/{subject}/erase", {"ground": ground}, Erased)

    def import_model(self, manifest: str, sealed: Mapping[str, str]) -> Model:
        """Hand in a manifest (JWS) and the sealed shares by party."""
        return self._post("models", {"manifest": manifest, "sealed": sealed}, Model)

    def disclose_model(self, model: str, disclosure: str) -> Disclosed:
        """Hand in the owner's disclosure statement (JWS)."""
        return self._post(f"models/{model}/disclosure", {"disclosure": disclosure}, Disclosed)

    def seal_canaries(self, model: str, *, design: str, target: str, sealed: Mapping[str, str]) -> CanariesSealed:
        """Hand in the canaries of a model for one design (digest) and target, sealed by requester."""
        body: dict[str, Json] = {"design": design, "target": target, "sealed": sealed}
        return self._post(f"models/{model}/canaries", body, CanariesSealed)

    def register_definition(
        self, definition: Mapping[str, Json], schema: Mapping[str, Json], design: Mapping[str, Json] | None
    ) -> DefinitionAnswer:
        body: dict[str, Json] = {"definition": definition, "schema": schema, "design": design}
        return self._post("definitions", body, DefinitionAnswer)

    def manifest(self, model: str) -> str:
        """A model's manifest (JWS), as its owner signed it."""
        return self.model(model)["manifest"]

    def model(self, model: str) -> Model:
        """A model's manifest, and its recall if there is one."""
        return self._get(f"models/{model}", Model)

    def card(self, model: str) -> CardAnswer:
        """A model's newest card, if its owner has signed one."""
        return self._get(f"models/{model}/card", CardAnswer)

    def describe_model(self, model: str, card: str) -> CardAnswer:
        """Hand in the owner's model card (JWS)."""
        return read(self._session.put(f"models/{model}/card", {"card": card}), CardAnswer)

    def recall_model(self, model: str, recall: str) -> dict[str, Any]:
        """Hand in the owner's recall (JWS)."""
        return self._post(f"models/{model}/recall", {"recall": recall}, dict[str, Any])

    def definition(self, digest: str) -> DefinitionAnswer:
        return self._get(f"definitions/{digest}", DefinitionAnswer)

    def votes(self, digest: str) -> Votes:
        return self._get(f"definitions/{digest}/votes", Votes)

    def vote(self, digest: str, vote: VoteDocument) -> Votes:
        return self._post(f"definitions/{digest}/votes", plain(vote), Votes)

    def consent(self, consent: str) -> ConsentAnswer:
        """Where one of our own consents stands."""
        return self._get(f"consents/{consent}", ConsentAnswer)

    def give_consent(self, consent: str) -> ConsentAnswer:
        return self._post("consents", {"consent": consent}, ConsentAnswer)

    def withdraw_consent(self, consent: str, withdrawal: str) -> ConsentAnswer:
        return self._post(f"consents/{consent}/withdraw", {"withdrawal": withdrawal}, ConsentAnswer)

    def regained_capacity(self, consent: str, capacity: str) -> ConsentAnswer:
        return self._post(f"consents/{consent}/capacity", {"capacity": capacity}, ConsentAnswer)

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
        for each in self._get("predictions", Page, record=record)["items"]:
            return read(each, Status)
        raise Refused(Reason.NOT_FOUND, detail="None of our decisions has this number.", field="record")

    def cancel_prediction(self, prediction: str) -> Status:
        """Take a request back before there is a result."""
        return self._post(f"predictions/{prediction}/cancel", {}, Status)

    def result(self, prediction: str) -> Result:
        return self._get(f"predictions/{prediction}/result", Result)

    def display(self, prediction: str, display: str) -> Status:
        """Hand in the signed display receipt (JWS)."""
        return self._post(f"predictions/{prediction}/display", {"display": display}, Status)

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

    def request_many(self, many: Many, request: str, *, idempotency_key: str) -> ManyStatus:
        """Hand in a signed request for an audit or a training; the same key always answers with the same job."""
        return read(self._session.post(many, {"request": request}, idempotency_key=idempotency_key), ManyStatus)

    def newer_many(self, many: Many, job: str, known: str, *, seconds: int) -> tuple[ManyStatus | None, Newer]:
        """As `newer_prediction`."""
        newer = self._session.get_newer(f"{many}/{job}", known, seconds=seconds)
        return (None if newer.content is None else read(newer.content, ManyStatus)), newer

    def cancel_many(self, many: Many, job: str) -> ManyStatus:
        """Take a request back before there is a result."""
        return self._post(f"{many}/{job}/cancel", {}, ManyStatus)

    def result_of_many(self, many: Many, job: str) -> ManyResult:
        return self._get(f"{many}/{job}/result", ManyResult)

    def checkpoint(self) -> str:
        """The log's latest signed head, as a note."""
        return self._get("ledger/checkpoint", Checkpoint)["note"]

    def entry(self, index: int) -> Entry:
        return self._get(f"ledger/entries/{index}", Entry)

    def inclusion(self, index: int, size: int) -> list[str]:
        return self._get("ledger/inclusion", Proof, index=index, size=size)["proof"]

    def consistency(self, first: int, second: int) -> list[str]:
        return self._get("ledger/consistency", Proof, first=first, second=second)["proof"]

    def tile(self, path: TilePath) -> bytes:
        """A tile of the log, or a bundle of its entries."""
        return self._session.get_bytes(f"log/{path}")

    def dossier(self, record: str) -> bytes:
        """The dossier bundle (zip) of a record number."""
        return self._session.get_bytes(f"dossiers/{record}")

    def _get(self, path: str, shape: type[T], **query: str | int) -> T:
        return read(self._session.get(path, **query), shape)

    def _post(self, path: str, body: Mapping[str, Json], shape: type[T]) -> T:
        return read(self._session.post(path, body), shape)
