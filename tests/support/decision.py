"""One decision from the first enrolment to the display, signed for real and recorded in a real log."""

from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal
from functools import cached_property
from pathlib import Path
from uuid import UUID

import numpy as np
from django.conf import settings
from django.db import transaction

from concordat import answers, clock, display, outputs, passkeys, receipt, ring, signatures, ticket
from concordat.canonical import digest
from concordat.enrolment import build_roster
from concordat.events import Event
from concordat.keystore import Keystore
from concordat.passkeys import SoftwarePasskey
from concordat.request import read_request
from ledger.models import LogEntry
from ledger.services.record import record
from tests.support.consortium import DEALER, DOMAIN, NODES, PARTIES, REQUESTER, SCHEMA, STUDY, Consortium, new_uuid

BOARDS = ["cleveland", "budapest", "zurich"]
SITE = "http://localhost:8000"
SETTINGS = {"BASE_URL": SITE, "CHAIN_ID": DOMAIN.chain_id, "REGISTRY_ADDRESS": DOMAIN.registry}
LOG_ODDS = 0.75
COEFFICIENTS = np.linspace(-1.25, 1.0, 10)


@dataclass
class Decision:
    """`entries` by a short name, as they were recorded; `disclosure` is what the requester could show of the result."""

    consortium: Consortium
    entries: dict[str, LogEntry] = field(default_factory=dict)

    @classmethod
    def make(cls, root: Path) -> "Decision":
        """Record everything, under `SETTINGS`."""
        return cls.of(Consortium(root, coordinator=Keystore(settings.KEYS_DIR).identity))

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
        for slug in BOARDS:
            passkey = self.passkeys[slug]
            officer = {
                "officer": f"{slug}-chair",
                "name": f"Chair of {slug}",
                "role": "irb-chair",
                "credential": passkey.credential,
                "key": passkey.key,
            }
            offline = self.consortium.homes[slug].keys.offline
            roster = build_roster(offline, institution=slug, version=1, officers=[officer], issued=clock.now())
            public = {"institution": slug, "version": 1}
            self._record(f"roster {slug}", Event.ROSTER_PUBLISHED, public, documents={"roster": roster})

    def approve(self) -> None:
        protocol = self.consortium.protocol
        public = {"study": STUDY, "institution": "cleveland", "boards": BOARDS}
        private = {"submitter": new_uuid()}
        self._record("submitted", Event.STUDY_SUBMITTED, public, private=private, documents={"protocol": protocol})
        for slug in BOARDS:
            self.review(slug)
        expires = clock.rfc3339(clock.now() + timedelta(days=300))
        public = {"study": STUDY, "expires": expires}
        self._record("approved", Event.STUDY_APPROVED, public, documents={"protocol": protocol})

    def review(self, slug: str) -> None:
        statement = {
            "record": digest(self.consortium.protocol),
            "record_kind": "protocol",
            "meaning": "approved",
            "signer": f"{slug}-chair",
            "name": f"Chair of {slug}",
            "role": "irb-chair",
            "institution": slug,
            "study": STUDY,
            "state": "under-review",
            "nonce": new_uuid(),
            "time": clock.rfc3339(clock.now()),
        }
        assertion = self.passkeys[slug].assertion(passkeys.challenge(statement))
        self._record(
            f"review {slug}",
            Event.REVIEW_SIGNED,
            {"study": STUDY, "institution": slug, "determination": "approved", "relied_on_by": []},
            private={"officer": new_uuid()},
            documents={
                "protocol": self.consortium.protocol,
                "signature": {"statement": statement, "assertion": assertion},
            },
        )

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

    @property
    def subject(self) -> UUID:
        return UUID(self.consortium.subject)

    @property
    def _consent(self) -> str:
        return signatures.peek(self.consortium.consent)[1]["consent"]

    @cached_property
    def passkeys(self) -> dict[str, SoftwarePasskey]:
        return {slug: SoftwarePasskey.create("localhost", SITE) for slug in BOARDS}

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

    def _receipts(self) -> list[str]:
        numbers = ring.encode([*COEFFICIENTS, -0.5, 4.0])
        shares = zip(ring.split(ring.encode([LOG_ODDS]), 3), ring.split(numbers, 3), strict=True)
        self.sealed: dict[str, str] = {}
        committed = {}
        for party, (prediction, explanation) in zip(PARTIES, shares, strict=True):
            committed[party], self.sealed[party] = outputs.seal_outputs(
                job=self.job,
                node=party,
                prediction=prediction,
                explanation=explanation,
                output_key=self.request["output_key"],
            )
        return [self.receipt(node, committed.get(node)) for node in (*PARTIES, DEALER)]

    def receipt(self, node: str, committed) -> str:
        return receipt.write(
            self.ticket,
            node=node,
            rounds=9,
            bytes_sent=1000,
            cpu_seconds=Decimal("0.5"),
            energy_joules=Decimal("7.5"),
            outputs=committed,
            started=clock.now(),
            finished=clock.now(),
            key=self.consortium.identity(node),
        )

    def _display(self) -> str:
        return display.show(
            request=self.request["request"],
            job=self.job,
            template="terminal-v1",
            language="en",
            rendered="A text.",
            viewer="cardiologist",
            decision="accepted",
            time=clock.now(),
            key=self.consortium.identity(REQUESTER),
        )

    @cached_property
    def disclosure(self) -> dict:
        """As `concordat disclose` writes it; with the record, `inputs` are the request's own openings."""
        opened = {
            party: outputs.unseal(sealed, job=self.job, node=party, key=self.prepared.output_key)
            for party, sealed in self.sealed.items()
        }
        number = self.entries["prediction"].record_number
        return {"v": 1, "record": number, "job": self.job, "request": self.prepared.token, "outputs": opened}

    def _record(self, name: str, event: Event, public, **rest) -> LogEntry:
        with transaction.atomic():
            self.entries[name] = record(event=event, public=public, **rest)
        return self.entries[name]
