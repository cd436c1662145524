"""One decision from the first enrolment to the display, signed for real and recorded in a real log."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal
from functools import cached_property
from pathlib import Path
from typing import Any
from uuid import UUID

import numpy as np
from django.conf import settings
from django.db import transaction

from concordat import answers, clock, display, outputs, receipt, ring, signatures, ticket
from concordat.canaries import known_result
from concordat.canonical import digest
from concordat.events import Event
from concordat.keystore import Keystore
from concordat.kinds.kind import unit
from concordat.request import read_request
from ledger.models import LogEntry
from ledger.services.record import record
from tests.support.boards import ORIGIN, Boards
from tests.support.consortium import (
    DEALER,
    DOMAIN,
    NODES,
    OWNER,
    PARTIES,
    REQUESTER,
    SCHEMA,
    STUDY,
    Consortium,
    new_uuid,
)
from tests.support.transcripts import transcripts

SITE = ORIGIN
SETTINGS = {"BASE_URL": SITE, "CHAIN_ID": DOMAIN.chain_id, "REGISTRY_ADDRESS": DOMAIN.registry}
PREDICTION = 0.75
COEFFICIENTS = np.linspace(-1.25, 1.0, 10)
"""Log-odds or probabilities, as the consortium's target says."""


Numbers = tuple[Sequence[float], Sequence[float]]
"""The prediction; coefficients, intercept and sums of squares; of several classes, one class after the other, as the
engine counts them."""


def computed(of: Consortium) -> Numbers:
    """What the consortium's model computes of the person's record."""
    record = ring.decode(ring.encode(of.vector))
    prediction, explanation = known_result(of.kind, of.tensors, of.plan, record, of.target)
    of_squares = np.arange(explanation.shape[1]) > len(of.plan.groups)
    one = unit(len(prediction))
    return list(prediction / one), (explanation / np.where(of_squares, one**2, one)).ravel().tolist()


def seal_shares(numbers: Numbers, *, job: str, output_key: str) -> tuple[dict[str, Any], dict[str, str]]:
    """Each party's commitments to its shares, and the shares sealed. The canary gets the same: nobody looks at it."""
    shares = zip(*(ring.split(ring.encode(part, ring.RESULT_BITS), 3) for part in numbers), strict=True)
    committed, sealed = {}, {}
    for party, (prediction, explanation) in zip(PARTIES, shares, strict=True):
        records = [(ring.to_bytes(prediction), ring.to_bytes(explanation))] * 2
        committed[party], sealed[party] = outputs.seal_outputs(
            job=job, node=party, records=records, output_key=output_key
        )
    return committed, sealed


@dataclass
class Decision:
    """`entries` by a short name, as they were recorded; `disclosure` is what the requester could show of the result."""

    consortium: Consortium
    entries: dict[str, LogEntry] = field(default_factory=dict)

    @classmethod
    def make(cls, root: Path, **changes: Any) -> "Decision":
        """Record everything, under `SETTINGS`."""
        return cls.of(Consortium(root, coordinator=Keystore(settings.KEYS_DIR).identity, **changes))

    @classmethod
    def of(cls, consortium: Consortium) -> "Decision":
        """The same for a consortium that is there already."""
        decision = cls(consortium)
        for step in (decision.enrol, decision.approve, decision.define, decision.consent, decision.compute):
            step()
        return decision

    @property
    def index(self) -> int:
        return self.entries["prediction"].index

    def enrol(self) -> None:
        for slug, home in self.consortium.homes.items():
            public = {"institution": slug, "jurisdiction": "US"}
            self._record(f"enrol {slug}", Event.INSTITUTION_ENROLLED, public, documents={"enrolment": home.enrolment})
        for slug in self.boards.protocol["sites"]:
            self.roster(slug, self.boards.roster(slug))

    def roster(self, slug: str, token: str, *, version: int = 1) -> LogEntry:
        public, name = {"institution": slug, "version": version}, f"roster {slug}"
        name = name if version == 1 else f"{name} {version}"
        return self._record(name, Event.ROSTER_PUBLISHED, public, documents={"roster": token})

    @property
    def boards(self) -> Boards:
        return self.consortium.boards

    def approve(self, kind: str = "initial", also: Sequence[str] = ()) -> None:
        """Every board approves; `also` are those that are asked though their institution is no site any more."""
        protocol, boards = self.boards.protocol, [*self.boards.names, *also]
        submission = {"study": STUDY, "submission": new_uuid(), "kind": kind}
        self._record(
            "submitted",
            Event.STUDY_SUBMITTED,
            submission | {"institution": OWNER, "boards": boards},
            private={"submitter": new_uuid()},
            documents={"protocol": protocol},
        )
        for site in self.boards.relies:
            self.rely(site)
        for board in boards:
            own = {} if board in self.boards.names else {"sites": [], "reliance": {}}
            self.review(self.boards.decide(board, **submission, **own))
        self.approved(submission)

    def approved(self, about: Mapping[str, str], *, protocol: Any = None) -> LogEntry:
        protocol = protocol or self.boards.protocol
        expires = clock.rfc3339(clock.now() + timedelta(days=300))
        public = {"expires": expires, "base": digest(protocol), **about}
        return self._record("approved", Event.STUDY_APPROVED, public, documents={"protocol": protocol})

    def rely(self, site: str) -> None:
        """A site and the board that it relies on agree, and the site says what is particular about it."""
        agreed, stated = self.boards.agree(site), self.boards.state(site)
        document = agreed["document"]
        public = {
            "institution": document["reviewing"],
            "relying": site,
            "agreement": document["agreement"],
            "study": document["study"],
        }
        documents = {"agreement": document, "signatures": agreed["signatures"]}
        self._record(f"reliance {site}", Event.RELIANCE_AGREED, public, documents=documents)
        public = {"study": STUDY, "institution": site, "board": document["reviewing"]}
        self._signed(f"context {site}", Event.LOCAL_CONTEXT_FILED, public, "context", stated)

    def review(self, decided: Mapping[str, Any], *, protocol: Any = None) -> LogEntry:
        """A board's officer signed this."""
        said, statement = decided["document"], decided["signatures"][0]["statement"]
        public = {
            "study": said["study"],
            "institution": said["board"],
            "submission": said["submission"],
            "kind": said["kind"],
            "path": said["path"],
            "determination": said["outcome"],
            "method": statement["method"],
        }
        also = {"protocol": protocol or self.boards.protocol}
        return self._signed(f"review {said['board']}", Event.REVIEW_SIGNED, public, "determination", decided, also)

    def verify_conditions(self, verified: Mapping[str, Any]) -> LogEntry:
        board = verified["document"]["board"]
        public = {"study": STUDY, "institution": board, "submission": new_uuid(), "method": "passkey"}
        return self._signed(f"conditions {board}", Event.CONDITIONS_VERIFIED, public, "conditions", verified)

    def delegate(self, given: Mapping[str, Any]) -> LogEntry:
        said = given["document"]
        public = {
            "institution": said["board"],
            "delegation": said["delegation"],
            "scope": said["scope"],
            "study": said["study"],
            "until": said["ends"],
        }
        return self._signed(f"delegation {said['board']}", Event.DELEGATION_SIGNED, public, "delegation", given)

    def end(self, event: Event, **public: Any) -> LogEntry:
        """The study's approval is suspended, ended or lapses."""
        return self._record(event.value, event, {"study": STUDY, "epoch": 1, **public})

    def _signed(
        self, name: str, event: Event, public: Any, document: str, signed: Mapping[str, Any], also: Any = None
    ) -> LogEntry:
        documents = {document: signed["document"], "signature": signed["signatures"][0]} | (also or {})
        return self._record(name, event, public, private={"officer": new_uuid()}, documents=documents)

    def define(self) -> None:
        each, name = self.consortium, digest(self.consortium.manifest)
        public = {"model": name, "institution": "cleveland", "kind": each.kind, "parties": PARTIES}
        self._record("model", Event.MODEL_IMPORTED, public, documents={"manifest": each.published[0]})
        self._record(
            "definition",
            Event.DEFINITION_REGISTERED,
            {"study": STUDY, "definition": digest(each.definition), "model": name},
            documents={"definition": each.definition, "schema": SCHEMA, "design": each.design},
        )
        for vote in each.votes:
            self.vote(vote)

    def vote(self, vote) -> LogEntry:
        public = {name: vote[name] for name in ("definition", "institution", "approve")}
        return self._record(f"vote {vote['institution']}", Event.DEFINITION_VOTED, public, documents={"vote": vote})

    def consent(self) -> None:
        public = {"study": STUDY, "institution": REQUESTER, "consent": self._consent}
        private = {"subject": self.consortium.subject, "statement": self.consortium.consent}
        self._record("consent", Event.CONSENT_GIVEN, public, private=private, subject=self.subject)

    def withdraw(self) -> LogEntry:
        public = {"study": STUDY, "institution": REQUESTER, "consent": self._consent, "epoch": 1}
        private = {"subject": self.consortium.subject, "statement": self.consortium.withdrawal()}
        return self._record("withdrawn", Event.CONSENT_WITHDRAWN, public, private=private, subject=self.subject)

    def describe(self, token: str = "", **changes: object) -> LogEntry:
        token = token or self.consortium.card()
        said = signatures.peek(token)[1]
        public = {name: said[name] for name in ("model", "institution", "sequence")}
        name = f"card {said['sequence']} {len(self.entries)}"
        return self._record(name, Event.MODEL_DESCRIBED, public | changes, documents={"card": token})

    def recall(self, token: str = "", **changes: str) -> LogEntry:
        token = token or self.consortium.recall()
        said = signatures.peek(token)[1]
        public = {name: said[name] for name in ("model", "institution", "reason", "classification")}
        return self._record("recalled", Event.MODEL_RECALLED, public | changes, documents={"recall": token})

    @property
    def subject(self) -> UUID:
        return UUID(self.consortium.subject)

    @property
    def _consent(self) -> str:
        return signatures.peek(self.consortium.consent)[1]["consent"]

    # --- the job

    def compute(self) -> None:
        each = self.consortium
        keyring = {slug: {home.keys.identity.kid: home.keys.identity.public} for slug, home in each.homes.items()}
        self.prepared = each.prepare()
        self.request = read_request(self.prepared.token, keyring)
        self.job = new_uuid()
        about = {"definition": digest(each.definition), "request": self.request["request"]}
        everything = about | {"study": STUDY, "institution": REQUESTER}
        private = {"subject": each.subject, "request_statement": self.prepared.token, "consent": self._consent}
        checks = [{"name": "study", "passed": True, "reason": None, "sentence": "The study is approved."}]
        self._record(
            "verdict",
            Event.VERDICT,
            everything | {"authorised": True, "reasons": [], "epoch": 3},
            private=private,
            subject=self.subject,
            documents={"checks": checks},
        )
        token = ticket.issue(
            ticket=new_uuid(),
            job=self.job,
            request=self.request,
            definition=each.definition,
            epoch=3,
            batch=new_uuid(),
            verdict=self.entries["verdict"].index,
            key=each.coordinator,
            now=clock.now(),
        )
        self.ticket = ticket.read_ticket(token, {each.coordinator.kid: each.coordinator.public})
        accepted = [self._accept(node) for node in NODES]
        documents = {"ticket": token, "acceptances": accepted}
        self._record("reserved", Event.JOB_RESERVED, about | {"job": self.job}, documents=documents)
        receipts = self._receipts()
        everything |= {"job": self.job, "model": digest(each.manifest)}
        self._record(
            "prediction",
            Event.PREDICTION_RECORDED,
            everything | {"rounds": 9, "bytes": 4000},
            private=private,
            subject=self.subject,
            documents={"receipts": receipts, "ticket": token},
        )
        self._record(
            "explanation",
            Event.EXPLANATION_RECORDED,
            everything | {"prediction": self.index},
            private={"subject": each.subject},
            subject=self.subject,
            documents={"receipts": receipts, "design": each.design},
        )
        self._record(
            "displayed",
            Event.RESULT_DISPLAYED,
            {"job": self.job, "request": self.request["request"], "institution": REQUESTER},
            private={"display": self._display()},
            subject=self.subject,
        )

    def _accept(self, node: str) -> str:
        return answers.accept(
            self.ticket,
            node=node,
            address="127.0.0.1:4000",
            certificate=f"certificate-of-{node}",
            expires=clock.now() + timedelta(minutes=1),
            key=self.consortium.identity(node),
        )

    def numbers(self) -> Numbers:
        """Somebody made them up."""
        return [PREDICTION], [*COEFFICIENTS, -0.5, 4.0, *[3.0] * self.consortium.plan.mirrored]

    def _receipts(self) -> list[str]:
        committed, self.sealed = seal_shares(self.numbers(), job=self.job, output_key=self.request["output_key"])
        return [self.receipt(node, committed.get(node)) for node in (*PARTIES, DEALER)]

    def receipt(self, node: str, committed) -> str:
        return receipt.write(
            self.ticket,
            node=node,
            rounds=9,
            bytes_sent=1000,
            cpu_seconds=Decimal("0.5"),
            energy_joules=Decimal("7.5"),
            transcripts=transcripts(NODES, node),
            outputs=committed,
            started=clock.now(),
            finished=clock.now(),
            key=self.consortium.identity(node),
        )

    def override(self) -> LogEntry:
        """The clinician says, in a second receipt, that it was not followed."""
        return self.say("overridden")

    def say(self, decision: display.Decision, **why: str) -> LogEntry:
        """Another display receipt, recorded."""
        public = {"job": self.job, "request": self.request["request"], "institution": REQUESTER}
        private = {"display": self._display(decision, **why)}
        return self._record(decision, Event.RESULT_DISPLAYED, public, private=private, subject=self.subject)

    def _display(self, decision: display.Decision = "accepted", **why: str) -> str:
        return display.show(
            request=self.request["request"],
            job=self.job,
            template="terminal-v1",
            language="en",
            rendered="A text.",
            viewer="cardiologist",
            decision=decision,
            time=clock.now(),
            key=self.consortium.identity(REQUESTER),
            **why,
        )

    @cached_property
    def disclosure(self) -> dict:
        """As `concordat disclose` writes it; with the record, `inputs` are the request's own openings."""
        opened = {
            party: outputs.unseal(sealed, job=self.job, node=party, key=self.prepared.output_key)[0]
            for party, sealed in self.sealed.items()
        }
        number = self.entries["prediction"].record_number
        return {
            "v": 2,
            "record": number,
            "job": self.job,
            "request": self.prepared.token,
            "place": 0,
            "outputs": opened,
        }

    @property
    def with_record(self) -> dict:
        """The disclosure that opens the record as well."""
        return self.disclosure | {"inputs": self.prepared.openings[0]}

    def _record(self, name: str, event: Event, public, **rest) -> LogEntry:
        with transaction.atomic():
            self.entries[name] = record(event=event, public=public, **rest)
        return self.entries[name]


class Computed(Decision):
    """What came out is what the model really computes of the record."""

    def numbers(self) -> Numbers:
        return computed(self.consortium)
