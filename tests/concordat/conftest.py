"""A study in miniature: five institutions, a model, a definition, a consent and a request, all signed for real."""

import uuid
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property

import numpy as np
import pytest

from concordat import asking, consent, model, request, ticket
from concordat.canonical import digest
from concordat.definition import OPENED, extraction_of
from concordat.sealing import SealingKey
from concordat.signatures import SigningKey

PARTIES = ["cleveland", "budapest", "zurich"]
DEALER, REQUESTER = "notary", "long-beach"
COLUMNS, GROUPS = 4, 4


def new_uuid():
    return str(uuid.uuid4())


@dataclass
class Study:
    """Everything that a request rests on; each part is made when it is first asked for."""

    kind: str = "mlp"
    disclosure: str = "none"

    def __post_init__(self):
        self.keys = {name: SigningKey.generate() for name in (*PARTIES, DEALER, REQUESTER, "coordinator")}
        self.keyring = {name: {key.kid: key.public} for name, key in self.keys.items() if name != "coordinator"}
        self.coordinator = {self.keys["coordinator"].kid: self.keys["coordinator"].public}
        self.sealing = {party: SealingKey.generate() for party in PARTIES}
        self.party_keys = {party: key.public for party, key in self.sealing.items()}
        self.now = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
        self.schema, self.design, self.protocol = (digest(name) for name in ("schema", "design", "protocol"))
        self.subject = new_uuid()
        purpose = {"institution": REQUESTER, "purpose": "decision-support"}
        self.bases = [purpose | {"ground": "consent", "gdpr": None, "note": "45 CFR 46.116"}]
        generator = np.random.default_rng(1)
        self.vector = generator.normal(size=COLUMNS)
        self.records = [self.vector[None]]
        self.tensors = {name: generator.normal(size=shape) for name, shape in model.KINDS[self.kind].shapes(COLUMNS)}

    @cached_property
    def published(self):
        return model.publish(
            model="heart",
            version="1",
            owner="cleveland",
            kind=self.kind,
            schema=self.schema,
            columns=COLUMNS,
            tensors=self.tensors,
            party_keys=self.party_keys,
            key=self.keys["cleveland"],
        )

    @cached_property
    def manifest(self):
        return model.check_manifest(self.published[0], self.keyring)

    @cached_property
    def definition(self):
        return self.new_definition()

    def new_definition(self, **changes):
        document = {
            "v": 3,
            "study": "chest-pain",
            "protocol": self.protocol,
            "kind": "explain",
            "model": digest(self.manifest),
            "schema": self.schema,
            "design": self.design,
            "seed": "fixed",
            "target": "log-odds",
            "canaries": 0,
            "what_ifs": 0,
            "impossible": "0.05",
            "parties": PARTIES,
            "dealer": DEALER,
            "requesters": [REQUESTER],
            "recipients": [REQUESTER],
            "purposes": ["decision-support"],
            "data_use": ["DUO:0000006"],
            "opened": OPENED["explain"],
            "disclosure": self.disclosure,
            "budgets": {"jobs_a_day": 10, "jobs": 100, "scalars": 1000},
            "minimum_cell": 5,
            "audits": [{"kind": "fairness", "method": "counts by sex", "every_days": 90}],
            "emergent": False,
            "transfers": [
                {"from": start, "to": stop, "basis": "standard contractual clauses"}
                for start in ("US", "HU", "CH")
                for stop in ("US", "HU", "CH")
                if start != stop
            ],
            "jurisdictions": ["US", "HU", "CH"],
            "result_jurisdictions": ["US"],
            "quorum": {"of": [*PARTIES, REQUESTER], "needed": 3},
            "valid_until": "2027-01-01T00:00:00Z",
        } | changes
        return {"extraction": extraction_of(document, self.manifest, GROUPS), **document}

    def consent(self, **changes):
        fields = {
            "consent": new_uuid(),
            "subject": self.subject,
            "study": "chest-pain",
            "purposes": ["decision-support"],
            "institution": REQUESTER,
            "form": {"version": "1", "digest": digest("form"), "language": "en"},
            "signer": {"capacity": "self", "assent": ""},
            "reconsent": None,
            "given": self.now - timedelta(days=1),
            "until": self.now + timedelta(days=365),
            "key": self.keys[REQUESTER],
        }
        return consent.give(**{**fields, **changes})

    def prepare(self, **changes):
        fields = {
            "request": new_uuid(),
            "requester": REQUESTER,
            "definition": self.definition,
            "purpose": "decision-support",
            "person": new_uuid(),
            "subject": self.subject,
            "ground": "consent",
            "consent": self.consent(),
            "party_keys": self.party_keys,
            "key": self.keys[REQUESTER],
            "now": self.now,
        }
        return asking.prepare(changes.pop("records", self.records), **{**fields, **changes})

    @cached_property
    def prepared(self):
        return self.prepare()

    @cached_property
    def request(self):
        return request.read_request(self.prepared.token, self.keyring)

    def ticket_token(self, **changes):
        fields = {
            "ticket": new_uuid(),
            "job": new_uuid(),
            "request": self.request,
            "definition": self.definition,
            "epoch": 7,
            "batch": new_uuid(),
            "verdict": 12,
            "key": self.keys["coordinator"],
            "now": self.now,
        }
        return ticket.issue(**{**fields, **changes})

    @cached_property
    def ticket(self):
        return ticket.read_ticket(self.ticket_token(), self.coordinator)


@pytest.fixture
def study():
    return Study()


@pytest.fixture
def linear_study():
    return Study(kind="linear", disclosure="full")
