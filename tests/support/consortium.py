"""Five institutions with real keys, and everything they sign on the way to one explained prediction. No Django."""

import json
import queue
import uuid
from copy import deepcopy
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cached_property
from pathlib import Path

import numpy as np

from compute.node.home import NodeHome
from concordat import (
    answers,
    asking,
    canonical,
    clock,
    consent,
    definition,
    design,
    model,
    model_card,
    recall,
    signatures,
    ticket,
    votes,
)
from concordat.asking import Prepared
from concordat.canonical import digest
from concordat.definition import extraction_of, opens
from concordat.legal_basis import Ground
from concordat.reasons import Reason, Refused
from concordat.schema import FeatureSchema
from concordat.signatures import SigningKey
from concordat.votes import Domain, Vote
from tests.support.audited import new_plan, new_training
from tests.support.boards import ORIGIN, Boards, new_protocol

PARTIES = ["cleveland", "budapest", "zurich"]
DEALER, REQUESTER, OWNER = "notary", "long-beach", "cleveland"
NODES = [*PARTIES, DEALER]
EVERYONE = [*NODES, REQUESTER]
ROLES = {
    "cleveland": ["party", "owner"],
    "budapest": ["party"],
    "zurich": ["party"],
    "notary": ["dealer"],
    "long-beach": ["requester"],
}
CLASSES = ["healthy", "ischaemia", "heart failure"]
"""Of a model that tells several apart."""

STUDY, PURPOSE = "chest-pain", "decision-support"
DOMAIN = Domain(31338, "0x5FbDB2315678afecb367f032d93F642f64180aa3")
SCHEMA = json.loads((Path(__file__).parents[2] / "examples/heart_disease/schema.json").read_text())


def new_uuid() -> str:
    return str(uuid.uuid4())


@dataclass
class Consortium:
    """Each part is made when it is first asked for. Nobody can reach a chain: the homes name a closed port."""

    root: Path
    coordinator: SigningKey = field(default_factory=SigningKey.generate)
    kind: str = "mlp"
    target: str = "log-odds"
    broker: str = "redis://127.0.0.1:1/0"
    ground: str = "consent"
    kept: dict = field(default_factory=dict)
    """The opening of every share of the model, once it is published."""
    given_design: dict | None = None
    many: str = ""
    """Whether the model is audited ("audit") or trained ("train"), under a definition of that kind, or explained."""

    def __post_init__(self) -> None:
        self.homes = {
            slug: NodeHome.create(
                self.root / slug,
                {
                    "institution": slug,
                    "coordinator": "http://127.0.0.1:1",
                    "broker": self.broker,
                    "rpc": "http://127.0.0.1:1",
                },
                name=slug.replace("-", " ").title(),
                jurisdiction="US",
                roles=ROLES[slug],
            )
            for slug in EVERYONE
        }
        for slug in NODES:
            self.homes[slug].pin(canonical.encode(self.pins()))
            self.write_policy(slug)

    def pins(self, **changes):
        return {
            "coordinator_key": self.coordinator.public.b64,
            "log_origin": "localhost/concordat",
            "enrolments": {slug: home.enrolment for slug, home in self.homes.items()},
            "chain_id": DOMAIN.chain_id,
            "registry": DOMAIN.registry,
            "site": ORIGIN,
        } | changes

    def write_policy(self, slug: str, **changes) -> None:
        policy = {
            "definitions": [],
            "studies": [STUDY],
            "requesters": [self.asks],
            "purposes": [PURPOSE],
            "grounds": ["consent"],
            "jobs_a_day": 100,
            "chain": "hint",
            "paper": "refuse",
        }
        (self.homes[slug].directory / "policy.json").write_bytes(canonical.encode(policy | changes))

    def identity(self, slug: str) -> SigningKey:
        return self.homes[slug].keys.identity

    @cached_property
    def party_keys(self) -> dict[str, str]:
        return {party: self.homes[party].keys.sealing.public for party in PARTIES}

    # --- what is agreed on

    @property
    def asks(self) -> str:
        """Who asks: for a training its owner."""
        return OWNER if self.many == "train" else REQUESTER

    @cached_property
    def schema(self) -> FeatureSchema:
        return FeatureSchema.from_json(SCHEMA)

    @cached_property
    def design(self) -> dict:
        plans = {"audit": new_plan, "train": new_training}
        return self.given_design or plans.get(self.many, lambda: design.build(self.schema, seed="tests"))()

    @property
    def tabular(self) -> bool:
        return self.design["method"] == "lime-tabular"

    @cached_property
    def plan(self) -> "design.Plan":
        return design.read_design(self.design)

    @cached_property
    def tensors(self) -> dict[str, np.ndarray]:
        generator = np.random.default_rng(7)
        shapes = model.KINDS[self.kind].shapes(len(self.schema.columns))
        return {name: generator.normal(scale=0.3, size=shape) for name, shape in shapes}

    @cached_property
    def published(self) -> tuple[str, dict[str, str]]:
        return model.publish(
            model="heart",
            version="1",
            owner=OWNER,
            kind=self.kind,
            schema=digest(SCHEMA),
            columns=len(self.schema.columns),
            tensors=self.tensors,
            party_keys=self.party_keys,
            key=self.identity(OWNER),
            classes=CLASSES if model.KINDS[self.kind].several else (),
            keep=self.kept.update,
        )

    @cached_property
    def manifest(self) -> dict:
        keys = {OWNER: {self.identity(OWNER).kid: self.identity(OWNER).public}}
        return model.check_manifest(self.published[0], keys)

    @cached_property
    def protocol(self) -> dict:
        return new_protocol(
            study=STUDY,
            institution=OWNER,
            sites=[*PARTIES, REQUESTER],
            requesters=[self.asks],
            purposes=[PURPOSE],
            bases=[
                {"institution": slug, "purpose": PURPOSE, "ground": self.ground, "gdpr": None, "note": "A form."}
                for slug in dict.fromkeys([self.asks, *(PARTIES if self.many else ())])
            ],
            data_use={
                "study": ["DUO:0000006"],
                "datasets": [{"institution": REQUESTER, "terms": ["DUO:0000006", "DUO:0000021"]}],
            },
            population=["adults", "minors", "adults-without-capacity"],
            **({"kinds": ["explain", self.many]} if self.many else {}),
        )

    @cached_property
    def boards(self) -> Boards:
        """The officers; the requester relies on the owner's board."""
        offline = {slug: home.keys.offline for slug, home in self.homes.items()}
        return Boards(offline, self.protocol, {REQUESTER: OWNER})

    @cached_property
    def reviews(self) -> dict:
        return self.boards.documents()

    @cached_property
    def definition(self) -> dict:
        return self.new_definition()

    def new_definition(self, **changes) -> dict:
        document = {
            "v": 3,
            "study": STUDY,
            "protocol": digest(self.protocol),
            "kind": "explain",
            "model": digest(self.manifest),
            "schema": digest(SCHEMA),
            "design": digest(self.design),
            "seed": "fixed",
            "target": self.target,
            "canaries": 1,
            "what_ifs": 0,
            "impossible": "0.05",
            "parties": PARTIES,
            "dealer": DEALER,
            "requesters": [REQUESTER],
            "recipients": [REQUESTER],
            "purposes": [PURPOSE],
            "data_use": ["DUO:0000006"],
            "opened": opens("explain", mirrored=not self.tabular),
            "disclosure": "full" if self.kind == "linear" else "none",
            "budgets": {"jobs_a_day": 100, "jobs": 1000, "scalars": 20_000},
            "minimum_cell": 5,
            "audits": [],
            "emergent": False,
            "transfers": [],
            "jurisdictions": ["US"],
            "result_jurisdictions": ["US"],
            "quorum": {"of": [*PARTIES, REQUESTER], "needed": 3},
            "valid_until": clock.rfc3339(clock.now() + timedelta(days=300)),
        }
        if self.many:
            opened = {"audit": "counts", "train": "model-shares"}[self.many]
            document |= {"kind": self.many, "target": "none", "canaries": 0, "impossible": "", "opened": [opened]}
            document |= {"requesters": [self.asks], "recipients": [self.asks], "disclosure": "none"}
        document |= changes
        groups = len(self.design.get("groups", ()))
        extraction = extraction_of(document, self.manifest, groups, secret_operator=self.tabular)
        return {"extraction": extraction, **document}

    @cached_property
    def disclosure(self) -> str | None:
        if self.kind != "linear":
            return None
        return definition.sign_disclosure(model=digest(self.manifest), study=STUDY, key=self.identity(OWNER))

    def vote(self, slug: str, *, approve: bool = True, nonce: int = 0, about: str | None = None, key=None):
        signer = key or self.homes[slug].keys.chain
        deadline = int(clock.now().timestamp()) + 3600
        vote = Vote(about or digest(self.definition), approve, signer.address, nonce, deadline)
        return votes.write(vote, slug, signer, domain=DOMAIN)

    @cached_property
    def votes(self) -> list[dict]:
        return [self.vote(slug) for slug in (*PARTIES, REQUESTER)]

    # --- one request

    @cached_property
    def subject(self) -> str:
        return new_uuid()

    @cached_property
    def consent(self) -> str:
        return self.give_consent()

    def give_consent(self, **changes) -> str:
        now = clock.now()
        statement = {
            "consent": new_uuid(),
            "subject": self.subject,
            "study": STUDY,
            "purposes": [PURPOSE],
            "institution": REQUESTER,
            "form": {"version": "1", "digest": digest(b"form"), "language": "en"},
            "signer": {"capacity": "self", "assent": ""},
            "reconsent": None,
            "given": now - timedelta(days=1),
            "until": now + timedelta(days=365),
            "key": self.identity(REQUESTER),
        }
        return consent.give(**statement | changes)

    def withdrawal(self, token: str | None = None) -> str:
        _, statement = signatures.peek(token or self.consent)
        return consent.withdraw(
            consent=statement["consent"], institution=REQUESTER, time=clock.now(), key=self.identity(REQUESTER)
        )

    def card(self, owner: str = OWNER, **changes) -> str:
        statement = {
            "model": digest(self.manifest),
            "institution": owner,
            "sequence": 1,
            "attributes": {"funding": ["The hospital itself."]},
            "time": clock.now(),
        }
        return model_card.describe(**statement | changes, key=self.identity(owner))

    def recall(self, owner: str = OWNER, **changes) -> str:
        statement = {
            "model": digest(self.manifest),
            "institution": owner,
            "reason": "wrong-results",
            "classification": "I",
            "advice": "Assess the risk without the model.",
            "time": clock.now(),
        }
        return recall.recall(**statement | changes, key=self.identity(owner))

    def capacity(self, token: str) -> str:
        _, statement = signatures.peek(token)
        return consent.regained_capacity(
            consent=statement["consent"],
            institution=REQUESTER,
            why="capacity",
            time=clock.now(),
            key=self.identity(REQUESTER),
        )

    @cached_property
    def person(self) -> str:
        return new_uuid()

    @cached_property
    def vector(self) -> np.ndarray:
        lowest, highest = self.schema.bounds
        return np.clip(np.random.default_rng(11).normal(size=len(self.schema.columns)), lowest, highest)

    @cached_property
    def records(self) -> list[np.ndarray]:
        """The person's record, and one that stands for a canary."""
        return [self.vector[None], np.zeros_like(self.vector)[None]]

    def prepare(self, **changes) -> Prepared:
        return self._prepare_of_many(**changes) if self.many else self._prepare(**changes)

    def _prepare_of_many(self, **changes) -> Prepared:
        fields = {
            "request": new_uuid(),
            "requester": self.asks,
            "definition": self.definition,
            "purpose": PURPOSE,
            "person": self.person,
            "ground": Ground(self.ground),
            "key": self.identity(self.asks),
            "now": clock.now(),
        }
        return asking.prepare_of_many(**fields | changes)

    def _prepare(self, **changes) -> Prepared:
        fields = {
            "request": new_uuid(),
            "requester": REQUESTER,
            "definition": self.definition,
            "purpose": PURPOSE,
            "person": self.person,
            "subject": self.subject,
            "ground": self.ground,
            "consent": self.consent if self.ground == "consent" else "",
            "party_keys": self.party_keys,
            "key": self.identity(REQUESTER),
            "now": clock.now(),
            "secrets": [self.plan.at(rows[0]).secret for rows in self.records] if self.tabular else [],
        }
        return asking.prepare(self.records, **fields | changes)


@dataclass
class Case:
    """One job as a node sees it: a ticket and its documents, each part of which a test may spoil first."""

    consortium: Consortium
    prepared: Prepared
    definition: dict
    ticket: dict = field(default_factory=dict)
    documents: dict = field(default_factory=dict)
    key: SigningKey | None = None

    @classmethod
    def make(cls, consortium: Consortium, *, definition: dict | None = None, **request_changes) -> "Case":
        agreed = definition or consortium.definition
        prepared = consortium.prepare(**{"definition": agreed} | request_changes)
        case = cls(consortium, prepared, agreed)
        now = clock.now()
        case.ticket = {
            "ticket": new_uuid(),
            "job": new_uuid(),
            "request": prepared.digest,
            "definition": digest(agreed),
            "model": agreed["model"],
            "design": agreed["design"],
            "parties": agreed["parties"],
            "dealer": agreed["dealer"],
            "epoch": 0,
            "batch": new_uuid(),
            "runs": {"first": 0, "of": 1 if consortium.many else len(consortium.records)},
            "ahead": [],
            "verdict": 4,
            "issued": clock.rfc3339(now),
            "expires": clock.rfc3339(now + timedelta(minutes=2)),
        }
        case.documents = {
            "request": prepared.token,
            "definition": agreed,
            "protocol": consortium.protocol,
            "manifest": consortium.published[0],
            "disclosure": consortium.disclosure,
            "schema": SCHEMA,
            "design": consortium.design,
            "votes": list(consortium.votes),
            "withdrawal": None,
            "capacity": None,
            "recall": None,
            "reviews": deepcopy(consortium.reviews),
            "acceptances": [],
        }
        return case

    @property
    def job(self) -> str:
        return self.ticket["job"]

    @property
    def batch(self) -> str:
        return self.ticket["batch"]

    @property
    def token(self) -> str:
        return signatures.sign(self.ticket, kind="ticket", key=self.key or self.consortium.coordinator)

    def documents_of(self, slug: str) -> dict:
        own = {
            "job": self.job,
            "input": self.prepared.sealed.get(slug),
            "model_share": self.consortium.published[1].get(slug),
        }
        return own | self.documents

    def read(self, answer: str):
        """The answer, verified as a fellow node would."""
        keyring = self.consortium.homes["cleveland"].pins.keyring
        return answers.read_answer(
            answer, keyring, ticket.read_ticket(self.token, {self.signer.kid: self.signer.public})
        )

    @property
    def signer(self) -> SigningKey:
        return self.key or self.consortium.coordinator


@dataclass
class FakeCoordinator:
    """Hands one case out to one node, and keeps what the node says."""

    case: Case
    slug: str
    answers: list[str] = field(default_factory=list)
    results: list[tuple[str, str | None]] = field(default_factory=list)
    told: queue.SimpleQueue = field(default_factory=queue.SimpleQueue)

    def job(self, job: str) -> dict:
        assert job == self.case.job
        return self.case.documents_of(self.slug)

    def answer(self, job: str, answer: str) -> None:
        self.answers.append(answer)

    def progress(self, job: str, done: int, rounds: int) -> None:
        self.told.put((job, done, rounds))

    def result(self, job: str, receipt: str, sealed: str | None) -> None:
        self.results.append((receipt, sealed))

    def checkpoint(self, old: int) -> str:
        raise Refused(Reason.NOT_FOUND, detail="This coordinator has no log.")


def accept_all(case, *, dealt=(), certificate="certificate-of-", address="127.0.0.1:4000") -> None:
    """The other nodes' acceptances, signed with their own keys; `dealt` says which of them hold their part of the
    batch."""
    read = ticket.read_ticket(case.token, {case.signer.kid: case.signer.public})
    case.documents["acceptances"] = [
        answers.accept(
            read,
            node=slug,
            address=address,
            certificate=f"{certificate}{slug}",
            dealt=slug in dealt,
            expires=clock.now() + timedelta(minutes=1),
            key=case.consortium.identity(slug),
        )
        for slug in NODES
    ]


def reason_of(case, answer):
    return case.read(answer).get("reason")
