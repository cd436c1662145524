"""Institutions that reach a real coordinator through their own clients, in one process and without a network.

What the engine would compute is computed here in the clear, from the shares that each node opens with its own key; all
the rest (sign-in, requests, tickets, receipts, the log) is the real thing.
"""

import copy
import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import numpy as np
import pytest
from click.testing import CliRunner, Result
from django.conf import settings
from django.core.handlers.wsgi import WSGIHandler

from compute.models import Job
from compute.services import dispatch
from concordat import answers, asking, canonical, clock, design, outputs, receipt, request, ring
from concordat.canaries import known_result
from concordat.canonical import digest
from concordat.client import api as client_api
from concordat.client import consents, governance, models, predict
from concordat.client.api import Api
from concordat.client.cli import main
from concordat.client.governance import CheckedDefinition
from concordat.client.home import ClientHome
from concordat.client.session import Session
from concordat.client.work import Work
from concordat.definition import extraction_of, opens, scale_of
from concordat.enrolment import build_enrolment
from concordat.keystore import Keystore
from concordat.kinds.kind import unit
from concordat.model import KINDS
from concordat.schema import FeatureSchema
from concordat.signatures import keyring
from concordat.ticket import read_ticket
from governance.models import Study
from governance.services import institutions
from ledger import triggers
from ledger.models import ChainTransaction
from ledger.services.publish import publish
from tests.support import balp
from tests.support.approval import approve
from tests.support.consortium import CLASSES
from tests.support.snapshot import Snapshot
from tests.support.transcripts import transcripts

PARTIES = ["cleveland", "budapest", "zurich"]
ROLES = {
    "cleveland": ["party", "owner"],
    "budapest": ["party"],
    "zurich": ["party"],
    "notary": ["dealer"],
    "long-beach": ["requester"],
}
NODES = [*PARTIES, "notary"]
STUDY, PURPOSE = "chest-pain", "decision-support"
PERSON = "0b6e7f0e-6a43-4c5f-8a3b-5d1e0c9f7a21"
"""The clinician who decides, as long-beach's own directory knows them."""
SCOPES = {
    "owner": "studies.write models.read models.write definitions.write definitions.read definitions.vote",
    "party": "definitions.read definitions.vote node",
    "dealer": "node",
    "requester": "institutions.read studies.read models.read definitions.read definitions.vote consents.write "
    "predictions.read predictions.write records.read ledger.read dossiers.read",
}
FOLDER = Path(__file__).parents[3] / "examples" / "heart_disease"
SCHEMA = json.loads((FOLDER / "schema.json").read_text())

Run = Callable[..., Result]
"""The `concordat` command with these arguments."""

RECORD = {feature.name: feature.reference_value for feature in FeatureSchema.from_json(SCHEMA).features}
VALUES = {**RECORD, "age": 63}


def _as_it_is(explanation: Any, place: int) -> Any:
    return explanation


class World:
    """The institutions' folders, and how each reaches the coordinator. `transport` may be replaced by a broken one."""

    tensors: dict[str, Any]

    def __init__(self, root: Path, stack: ExitStack) -> None:
        self.transport: httpx.BaseTransport = httpx.WSGITransport(WSGIHandler())
        self._stack = stack
        tokens = {slug: self._found(root / slug, slug) for slug in ROLES}
        self.homes = {
            slug: ClientHome.create(root / slug, {"institution": slug, "coordinator": settings.BASE_URL})
            for slug in ROLES
        }
        pins = {
            "coordinator_key": Keystore(settings.KEYS_DIR).identity.public.b64,
            "log_origin": settings.LOG_ORIGIN,
            "enrolments": tokens,
            "chain_id": settings.CHAIN_ID,
            "registry": settings.REGISTRY_ADDRESS,
        }
        for home in self.homes.values():
            home.pin(canonical.encode(pins))

    def again(self, root: Path, stack: ExitStack) -> "World":
        """The same institutions for another test, in folders of its own, in a database that knows them already."""
        made = copy.copy(self)
        made.transport, made._stack = httpx.WSGITransport(WSGIHandler()), stack
        for slug, home in self.homes.items():
            shutil.copytree(home.directory, root / slug)
        made.homes = {slug: ClientHome(root / slug) for slug in ROLES}
        return made

    def _found(self, folder: Path, slug: str) -> str:
        token = build_enrolment(
            Keystore(folder / "keys").create(),
            institution=slug,
            name=slug.title(),
            jurisdiction="CH",
            roles=ROLES[slug],  # type: ignore[arg-type]
            issued=clock.now(),
        )
        institutions.enrol(token=token)
        return token

    def session(self, slug: str, **options: Any) -> Session:
        scopes = " ".join(SCOPES[role] for role in ROLES[slug])
        session = Session(
            coordinator=settings.BASE_URL,
            client_id=slug,
            key=self.homes[slug].keys.client,
            scopes=scopes,
            **{"transport": self.transport, "sleep": lambda seconds: None} | options,
        )
        return self._stack.enter_context(session)

    def api(self, slug: str, **options: Any) -> Api:
        return Api(self.session(slug, **options))

    # --- what is agreed on

    def agree(
        self,
        kind: str = "mlp",
        *,
        tensors: Any = None,
        classes: Any = CLASSES,
        ground: str = "consent",
        plan: Any = None,
        **changes: Any,
    ) -> CheckedDefinition:
        """From the protocol to a definition that everyone has approved; boards and chain are taken as said yes."""
        owner, api = self.homes["cleveland"], self.api("cleveland")
        valid_until = clock.rfc3339(clock.now() + timedelta(days=100))
        protocol = {
            "v": 2,
            "study": STUDY,
            "title": "Chest pain",
            "institution": "cleveland",
            "contact": "c",
            "summary": "s",
            "computed": "c",
            "opened": "o",
            "risks": {"minimal": True, "reidentification": "r", "misuse": "m"},
            "data_use": {"study": ["DUO:0000006"], "datasets": []},
            "population": ["adults", "minors"],
            "sections": [{"heading": "h", "text": "t"}],
            "requesters": ["long-beach"],
            "purposes": [PURPOSE],
            "bases": [
                {"institution": "long-beach", "purpose": PURPOSE, "ground": ground, "gdpr": None, "note": "As agreed."}
            ],
            "attachments": [],
            "sites": [*PARTIES, "long-beach"],
            "review_months": 12,
            "valid_until": valid_until,
        }
        api.submit_study(protocol)
        approve(Study.objects.get(slug=STUDY), expires=clock.now() + timedelta(days=90))
        self.tensors = tensors or self._tensors(kind)
        model = models.import_model(
            owner,
            api,
            model="heart",
            version="1",
            kind=kind,
            schema=SCHEMA,
            tensors=self.tensors,
            parties=PARTIES,
            classes=classes if KINDS[kind].several else (),
        )
        if kind == "linear":
            models.disclose_weights(owner, api, model=model.digest, study=STUDY)
        plan = plan or design.build(FeatureSchema.from_json(SCHEMA), seed="tests")
        checked = design.read_design(plan)
        document = {
            "v": 3,
            "study": STUDY,
            "protocol": digest(protocol),
            "kind": "explain",
            "model": model.digest,
            "schema": digest(SCHEMA),
            "design": digest(plan),
            "seed": "fixed",
            "target": "log-odds",
            "canaries": 1,
            "what_ifs": 0,
            "impossible": "0.05",
            "parties": PARTIES,
            "dealer": "notary",
            "requesters": ["long-beach"],
            "recipients": ["long-beach"],
            "purposes": [PURPOSE],
            "data_use": ["DUO:0000006"],
            "opened": opens("explain", mirrored=checked.mirrored),
            "disclosure": "full" if kind == "linear" else "none",
            "budgets": {"jobs_a_day": 10, "jobs": 100, "scalars": 1000},
            "minimum_cell": 5,
            "audits": [],
            "emergent": False,
            "transfers": [],
            "jurisdictions": ["CH"],
            "result_jurisdictions": ["CH"],
            "quorum": {"of": [*PARTIES, "long-beach"], "needed": 3},
            "valid_until": valid_until,
        } | changes
        extraction = extraction_of(document, model.manifest, len(checked.groups), secret_operator=checked.secrets > 0)
        document = {"extraction": extraction, **document}
        name = api.register_definition(document, SCHEMA, plan)["digest"]
        for slug in (*PARTIES, "long-beach"):
            governance.vote(self.homes[slug], self.api(slug), name, approve=True)
        ChainTransaction.objects.update(state="mined")
        schema = FeatureSchema.from_json(SCHEMA)
        models.seal_canaries(
            owner,
            api,
            model=model.digest,
            kind=kind,
            tensors=self.tensors,
            schema=schema,
            design=checked,
            target=document["target"],
            requesters=["long-beach"],
        )
        return governance.fetch_definition(self.homes["long-beach"], self.api("long-beach"), name)

    def _tensors(self, kind: str) -> dict[str, Any]:
        generator = np.random.default_rng(3)
        columns = len(FeatureSchema.from_json(SCHEMA).columns)
        return {name: generator.normal(scale=0.3, size=shape) for name, shape in KINDS[kind].shapes(columns)}

    def consent(self) -> str:
        return consents.give(
            self.homes["long-beach"],
            self.api("long-beach"),
            subject=str(uuid4()),
            study=STUDY,
            purposes=[PURPOSE],
            form=b"the form",
            version="1",
            language="en",
            until=clock.now() + timedelta(days=30),
        )

    # --- the nodes

    def compute(
        self,
        definition: CheckedDefinition,
        *,
        spoil: Callable[[Any, int], Any] = _as_it_is,
        engine: Callable[..., Any] | None = None,
        of: str = "",
    ) -> None:
        """What the nodes do with the one job, or that `of` a request: accept, compute, hand in. `spoil` alters the
        opened explanation of the record at a place. The `engine` computes both parts of each record from the nodes'
        documents and shares of it; without one it is done in the clear."""
        job = Job.objects.get(request_uuid=of) if of else Job.objects.get()
        dispatch.reserve(job=job)
        job.refresh_from_db()
        coordinator = keyring(self.homes["notary"].pins.coordinator)
        ticket = read_ticket(job.ticket, coordinator)
        sessions = {node: self.session(node) for node in NODES}
        for node in NODES:
            answer = answers.accept(
                ticket,
                node=node,
                address="127.0.0.1:9",
                certificate=f"certificate-of-{node}",
                expires=clock.now() + timedelta(seconds=50),
                key=self.homes[node].keys.identity,
            )
            sessions[node].post(f"node/jobs/{job.uuid}/answer", {"answer": answer})
        dispatch.start(job=job)
        documents = {node: sessions[node].get(f"node/jobs/{job.uuid}") for node in NODES}
        asked = request.read_request(documents["notary"]["request"], self.homes["notary"].pins.keyring)
        shares = [
            asking.open_input(
                documents[party]["input"],
                asked,
                party=party,
                parties=PARTIES,
                columns=len(definition.schema.columns),
                secrets=definition.design.secrets,
                key=self.homes[party].keys.sealing,
            )
            for party in PARTIES
        ]
        computed: dict[str, list[tuple[bytes, bytes]]] = {party: [] for party in PARTIES}
        for place, of_record in enumerate(zip(*shares, strict=True)):
            if engine is None:
                records = ring.decode(ring.combine(of_record)).reshape(-1, len(definition.schema.columns))
                prediction, explanation = self.in_the_clear(definition, records)
            else:
                prediction, explanation = engine(documents, of_record)
            parts = zip(ring.split(prediction, 3), ring.split(spoil(explanation, place), 3), strict=True)
            for party, (first, second) in zip(PARTIES, parts, strict=True):
                computed[party].append((ring.to_bytes(first), ring.to_bytes(second)))
        sealed = {
            party: outputs.seal_outputs(
                job=str(job.uuid), node=party, records=computed[party], output_key=asked["output_key"]
            )
            for party in PARTIES
        }
        for node in NODES:
            committed, box = sealed.get(node, (None, None))
            token = receipt.write(
                ticket,
                node=node,
                rounds=9,
                bytes_sent=1000,
                cpu_seconds=Decimal(1),
                energy_joules=Decimal(15),
                transcripts=transcripts(NODES, node),
                outputs=committed,
                started=clock.now(),
                finished=clock.now(),
                key=self.homes[node].keys.identity,
            )
            sessions[node].post(f"node/jobs/{job.uuid}/result", {"receipt": token, "sealed": box})
        publish()

    def in_the_clear(self, definition: CheckedDefinition, records: Any) -> tuple[Any, Any]:
        """The engine's outputs as ring elements, class by class where there are several: predictions, of what-ifs too;
        coefficients, intercept and sums of squares."""
        known = [
            known_result(
                definition.manifest["kind"], self.tensors, definition.design, record, scale_of(definition.content)
            )
            for record in records
        ]
        prediction, explanation = np.transpose([each for each, _ in known]), known[0][1].copy()
        squares, one = explanation[:, len(definition.design.groups) + 1 :], unit(len(explanation))
        squares /= one
        parts = (ring.encode(part / one, ring.RESULT_BITS).ravel() for part in (prediction, explanation))
        return tuple(parts)  # type: ignore[return-value]


@dataclass(frozen=True)
class Stage:
    """How far institutions have come: their folders, and what the database knows of them. It was reached for real, by
    the first test that begins there; others have it put back.

    `request` names the one prediction that was computed; at first there is none.
    """

    world: World
    definition: CheckedDefinition
    rows: Snapshot
    request: str = ""


class Stages:
    """`get` leaves the database as it is at a stage: when everything was agreed on, or one result is recorded too."""

    def __init__(self, new_folder: Callable[[str], Path]) -> None:
        self._new_folder = new_folder
        self._known: dict[str, Stage] = {}

    def get(self, name: str, stack: ExitStack) -> Stage:
        if name in self._known:
            triggers.remove()  # the rules were kept when the rows were made, in another order
            self._known[name].rows.restore()
            triggers.install()
        else:
            self._known[name] = (self._computed if name == "computed" else self._agreed)(stack)
        return self._known[name]

    def _agreed(self, stack: ExitStack) -> Stage:
        world = World(self._new_folder("agreed"), stack)
        return Stage(world, world.agree(), Snapshot.take())

    def _computed(self, stack: ExitStack) -> Stage:
        before = self.get("agreed", stack)
        world, definition = before.world.again(self._new_folder("computed"), stack), before.definition
        work = prepare(world, definition)
        predict.submit(work, world.api("long-beach"))
        world.compute(definition)
        return Stage(world, definition, Snapshot.take(), work.request)


def prepare(world: World, definition: CheckedDefinition) -> Work:
    """A request about a person who has consented, not sent yet."""
    home, consent = world.homes["long-beach"], world.consent()
    return predict.prepare(home, definition, VALUES, purpose=PURPOSE, person=PERSON, consent=consent)


@pytest.fixture(scope="session")
def stages(tmp_path_factory: pytest.TempPathFactory) -> Stages:
    return Stages(tmp_path_factory.mktemp)


@pytest.fixture
def away(db: None, settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The chain and the broker are away: votes seen in a block before count, and tasks are not sent."""
    settings.REGISTRY_ADDRESS = settings.ANCHOR_ADDRESS = "0x52908400098527886E0F7030069857D2E4169EE7"
    settings.CHAIN_RPC = "http://127.0.0.1:1"
    monkeypatch.setattr("compute.broker._send", lambda *arguments, **options: None)


@pytest.fixture
def stage(request: pytest.FixtureRequest, away: None, stages: Stages) -> Iterator[Stage | None]:
    """Where a test begins that asks for `computed`, or for `agreed`."""
    wanted = [name for name in ("computed", "agreed") if name in request.fixturenames]
    with ExitStack() as stack:
        yield stages.get(wanted[0], stack) if wanted else None


@pytest.fixture
def world(tmp_path: Path, stage: Stage | None) -> Iterator[World]:
    """Institutions that are enrolled and have agreed on nothing yet, unless the test begins at a later stage.

    Whatever AuditEvents a test had them write, at the bedside too, are as their profiles want them.
    """
    with ExitStack() as stack:
        there = stage.world.again(tmp_path, stack) if stage else World(tmp_path, stack)
        yield there
        for home in there.homes.values():
            lines = home.audit.read_text().splitlines() if home.audit.exists() else []
            assert not [said for line in lines for said in balp.violations(json.loads(line))]


@pytest.fixture
def agreed(stage: Stage) -> CheckedDefinition:
    """What `World.agree` gives."""
    return stage.definition


@pytest.fixture
def work(world: World, agreed: CheckedDefinition) -> Work:
    """A prepared request, not sent yet."""
    return prepare(world, agreed)


@pytest.fixture
def computed(world: World, stage: Stage) -> Work:
    """A request whose result is recorded."""
    return Work.of(world.homes["long-beach"].work, stage.request)


@pytest.fixture
def run(world: World, monkeypatch: pytest.MonkeyPatch) -> Run:
    """`run("definition", "show", digest)`: as long-beach, unless told otherwise."""
    monkeypatch.setattr(client_api, "Session", partial(client_api.Session, transport=world.transport))

    def invoke(*arguments: object, home: str = "long-beach", output: str = "text", catch: bool = True) -> Result:
        folder = str(world.homes[home].directory)
        whole = ["--home", folder, "--output", output, *map(str, arguments)]
        return CliRunner().invoke(main, whole, catch_exceptions=catch)

    return invoke


def machine(result: Result) -> dict[str, Any]:
    assert result.exit_code == 0, result.output
    answer: dict[str, Any] = json.loads(result.stdout)
    return answer
