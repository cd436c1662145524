"""A consortium of five institutions with officers, passkeys and rosters, all signed for real, and a newcomer."""

import copy
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import partial
from itertools import permutations
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
import pytest
from django.contrib.auth.models import User
from django.db import connection, transaction

from compute import broker
from concordat import asking, clock, consent, definition, design, model, model_card, passkeys, recall, votes
from concordat.canonical import decode, digest
from concordat.enrolment import build_enrolment, build_roster, verify_roster
from concordat.events import Event
from concordat.findings import needed
from concordat.keystore import Keystore
from concordat.passkeys import SoftwarePasskey
from concordat.schema import FeatureSchema
from concordat.signatures import SigningKey
from governance import acts, selectors
from governance.models import AgendaItem, Definition, Determination, Institution, Passkey, Review, Study, Submission
from governance.services import (
    challenges,
    definitions,
    institutions,
    people,
    reviews,
    studies,
)
from governance.services import (
    consent as consents,
)
from ledger.chain.types import Authorisation
from ledger.services.record import record
from tests.support.audited import new_plan
from tests.support.consortium import DOMAIN
from tests.support.consortium import Consortium as FoundedConsortium
from tests.support.decided import Decided
from tests.support.decision import SETTINGS
from tests.support.snapshot import Snapshot
from tests.support.triggers import without_rules

PARTIES = ["cleveland", "budapest", "zurich"]
LAWS = {"cleveland": "US", "budapest": "HU", "zurich": "CH", "long-beach": "US", "notary": "CH", "basel": "CH"}
ROLES = {
    "cleveland": ("party", "owner"),
    "budapest": ("party",),
    "zurich": ("party",),
    "long-beach": ("requester",),
    "notary": ("dealer",),
    "basel": ("party",),
}
NEWCOMER = "basel"
BOARDS = PARTIES
REGISTRY = "0x52908400098527886E0F7030069857D2E4169EE7"
FINDINGS = {name: {"answer": "met", "note": ""} for name in needed("expedited", waiver=False)}
SCHEMA = decode(Path("examples/heart_disease/schema.json").read_bytes())


@dataclass(frozen=True)
class Officer:
    """A person with an account, and a passkey that the institution's roster lists."""

    user: User
    institution: Institution
    passkey: SoftwarePasskey


@dataclass
class Chain:
    """A registry that holds the approvals it is told of, or that cannot be reached."""

    approvals: dict[str, bool] = field(default_factory=dict)
    quorum: int = 3
    refused: Any = None

    def authorisation(self, definition: str) -> Authorisation:
        if self.refused:
            raise self.refused
        return Authorisation(
            authorised=sum(self.approvals.values()) >= self.quorum,
            approvals=self.approvals,
            quorum=self.quorum,
            block=7,
        )


class Consortium:
    """Its institutions, and the steps from a protocol to a request, each taken when a test asks for it."""

    def __init__(self, keystores: dict[str, Keystore]) -> None:
        self.keys = keystores
        self.boardrooms: dict[str, Any] = {}
        self.ends = clock.rfc3339(clock.now() + timedelta(days=300))
        self.at: dict[str, Institution] = {}
        for slug in [slug for slug in ROLES if slug != NEWCOMER]:
            self.at[slug] = institutions.enrol(token=self.enrolment(slug))
        self.chairs = {slug: self.officer(slug, "irb-chair") for slug in BOARDS}
        for slug, chair in self.chairs.items():
            self.roster(slug, [(chair, "irb-chair")])
        self.signatory = self.officer("long-beach", "institution-admin")
        self.roster("long-beach", [(self.signatory, "institution-admin")])
        self.relies("long-beach", "cleveland")
        self.chain = Chain()

    def copy(self) -> "Consortium":
        """The same institutions and chairs for another test, in objects of its own."""
        made = copy.copy(self)
        made.at = {slug: copy.copy(each) for slug, each in self.at.items()}
        made.chairs = {slug: replace(each, user=copy.copy(each.user)) for slug, each in self.chairs.items()}
        made.signatory = replace(self.signatory, user=copy.copy(self.signatory.user))
        made.chain, made.boardrooms = Chain(), {}
        return made

    def enrolment(self, slug: str) -> str:
        return build_enrolment(
            self.keys[slug],
            institution=slug,
            name=f"Hospital of {slug}",
            jurisdiction=LAWS[slug],
            roles=list(ROLES[slug]),
            issued=clock.now(),
        )

    def member(self, slug: str, role: str) -> User:
        name = f"Dr {role} of {slug} {uuid4().hex[:6]}"
        email = f"{uuid4().hex}@example.org"
        return people.add_member(email=email, name=name, institution=self.at[slug], role=role).user

    def officer(self, slug: str, role: str) -> Officer:
        user = self.member(slug, role)
        passkey = SoftwarePasskey.create(challenges.rp_id(), challenges.origin())
        Passkey.objects.create(
            officer=user.officer, credential=passkey.credential, key=passkey.key, registered=clock.now()
        )
        return Officer(user, self.at[slug], passkey)

    def roster_token(self, slug: str, officers: list[tuple[Officer, str]], *, version: int = 0, key: Any = None) -> str:
        in_force = selectors.roster(self.at[slug])
        return build_roster(
            key or self.keys[slug].offline,
            institution=slug,
            version=version or (in_force.version + 1 if in_force else 1),
            officers=[
                {
                    "officer": f"officer-{number}",
                    "name": each.user.officer.name,
                    "role": role,
                    "credential": each.passkey.credential,
                    "key": each.passkey.key,
                }
                for number, (each, role) in enumerate(officers, 1)
            ],
            issued=clock.now(),
        )

    def roster(self, slug: str, officers: list[tuple[Officer, str]]) -> None:
        institutions.publish_roster(token=self.roster_token(slug, officers))

    # --- signatures

    def act(self, officer: Officer, act: str, /, **fields: Any) -> Any:
        """What this officer does by signing with the passkey."""
        asked = acts.ask(by=officer.user, act=act, fields=fields)
        return acts.sign(
            by=officer.user, nonce=asked.nonce, assertion=officer.passkey.assertion(passkeys.challenge(asked.statement))
        )

    def stop(self, act: str, officer: Officer, study: Study, *, institution: str = "") -> Study:
        """Suspended, terminated or closed by this officer."""
        at = institution or officer.institution.slug
        self.act(officer, act, study=str(study.uuid), institution=at, ground="An incident.")
        study.refresh_from_db()
        return study

    def delegate(self, chair: Officer, member: Officer, scope: str = "expedited-review", study: str = "") -> Any:
        return self.act(
            chair,
            "delegate",
            board=chair.institution.slug,
            study=study,
            scope=scope,
            delegate=str(member.user.officer.uuid),
            ends=clock.rfc3339(clock.now() + timedelta(days=300)),
        )

    def verified(self, roster: Any) -> Any:
        """A roster as a reader has it, who knows the institution's offline key."""
        slug = roster.institution.slug
        return verify_roster(roster.statement, institution=slug, offline=self.keys[slug].offline.public)

    def relies(self, relying: str, reviewing: str) -> Any:
        agreement = self.act(
            self.chairs.get(relying, self.signatory),
            "propose-reliance",
            relying=relying,
            reviewing=reviewing,
            responsibilities="The reviewing board decides; the relying site reports what is local.",
            ends=clock.rfc3339(clock.now() + timedelta(days=1000)),
        )
        return self.act(self.chairs[reviewing], "accept-reliance", agreement=str(agreement.uuid))

    # --- a study

    def protocol(self, **changes: Any) -> dict[str, Any]:
        return {
            "v": 2,
            "study": "chest-pain",
            "title": "Chest pain in the emergency room",
            "institution": "cleveland",
            "contact": "The investigator's office.",
            "summary": "Whether an explained prediction helps.",
            "computed": "The risk of coronary disease and its LIME explanation.",
            "opened": "The prediction and ten coefficients.",
            "risks": {"minimal": True, "reidentification": "Ten numbers in shares.", "misuse": "A wrong prediction."},
            "data_use": {
                "study": ["DUO:0000006"],
                "datasets": [{"institution": "long-beach", "terms": ["DUO:0000006", "DUO:0000021"]}],
            },
            "population": ["adults", "minors", "adults-without-capacity"],
            "sections": [{"heading": "Procedures", "text": "Ten routine findings."}],
            "requesters": ["long-beach"],
            "purposes": ["decision-support"],
            "bases": [self.basis()],
            "attachments": [],
            "sites": [*PARTIES, "long-beach"],
            "review_months": 12,
            "valid_until": self.ends,
        } | changes

    def basis(self, ground: str = "consent") -> dict[str, Any]:
        about = {"institution": "long-beach", "purpose": "decision-support"}
        return about | {"ground": ground, "gdpr": None, "note": "As the boards read it."}

    def submitted(self, by: User | None = None, **changes: Any) -> Study:
        protocol = self.protocol(**changes)
        return studies.submit(institution=self.at[protocol["institution"]], content=protocol, by=by).study

    def review(self, study: Study, board: str) -> Review:
        return Review.objects.get(submission=study.submissions.first(), board__slug=board)

    def local_context(self, study: Study, site: str = "long-beach") -> Any:
        return self.act(
            self.signatory,
            "file-local-context",
            study=str(study.uuid),
            site=site,
            law="Nothing beyond federal law.",
            population="Veterans.",
            resources="A cardiology ward.",
            contact="The research office.",
        )

    def sign(self, officer: Officer, study: Study, outcome: str = "approved", /, **fields: Any) -> Any:
        """The chair's determination, on the expedited path unless the board has met."""
        review = self.review(study, officer.institution.slug)
        if review.path == "full-board" and not review.items.exists():
            category = fields.pop("category", "5")
            ground = "Minimal risk."
            reviews.route(by=officer.user, review=str(review.uuid), path="expedited", category=category, ground=ground)
        stated = {"outcome": outcome, "findings": FINDINGS if outcome.startswith("approved") else {}}
        stated |= {} if outcome.startswith("approved") else {"reasons": "Please change the consent form."}
        return self.act(officer, "determine", review=str(review.uuid), **stated | fields)

    def decide(self, officer: Officer, study: Study, outcome: str = "approved") -> Any:
        """The chair signs what the convened board has decided."""
        self.convene(officer, study, outcome)
        return self.act(officer, "determine", review=str(self.review(study, officer.institution.slug).uuid))

    def convene(self, officer: Officer, study: Study, outcome: str = "approved") -> AgendaItem:
        """A meeting of the officer's board at which all who are present vote for this outcome."""
        from tests.support.boardroom import Boardroom

        slug = officer.institution.slug
        if slug not in self.boardrooms:
            self.boardrooms[slug] = Boardroom(self, slug)
        passes = outcome.startswith("approved")
        motion = {
            "outcome": outcome,
            "findings": FINDINGS if passes else {},
            "conditions": ["Translate the form."] if outcome == "approved-with-conditions" else [],
            "reasons": "" if passes else "The risks are not explained.",
        }
        return self.boardrooms[slug].decided(study, motion)

    def withdrawn(self, study: Study) -> None:
        studies.withdraw(study=study, by=self.member(study.institution.slug, "investigator"))

    def amended(self, **changes: Any) -> Study:
        """The study with an amendment that every board has approved."""
        study = self.submitted(**changes)
        pending = study.submissions.first()
        assert pending is not None
        if pending.material:
            self.local_context(study)
        for chair in self.chairs.values():
            if pending.material:
                self.decide(chair, study)
            else:
                self.sign(chair, study)
        study.refresh_from_db()
        return study

    def approved(self, **changes: Any) -> Study:
        study = self.submitted(**changes)
        self.local_context(study)
        for chair in self.chairs.values():
            self.sign(chair, study)
        study.refresh_from_db()
        return study

    # --- a definition

    def import_model(self, kind: str = "mlp") -> str:
        """The model's digest, once the log holds its manifest."""
        schema = FeatureSchema.from_json(SCHEMA)
        shapes = model.KINDS[kind].shapes(len(schema.columns))
        token, _ = model.publish(
            model="heart",
            version="1",
            owner="cleveland",
            kind=kind,
            schema=schema.digest,
            columns=len(schema.columns),
            tensors={name: np.zeros(shape) for name, shape in shapes},
            party_keys={slug: self.keys[slug].sealing.public for slug in PARTIES},
            key=self.keys["cleveland"].identity,
        )
        name = digest(model.check_manifest(token, selectors.keyring()))
        with transaction.atomic():
            record(
                event=Event.MODEL_IMPORTED,
                public={"model": name, "institution": "cleveland", "kind": kind, "parties": PARTIES},
                documents={"manifest": token},
            )
        return name

    def content(self, study: Study, model: str, /, **changes: Any) -> dict[str, Any]:
        version = study.in_force
        laws = ["US", "HU", "CH"]
        document: Any = {
            "v": 3,
            "study": study.slug,
            "protocol": version.base if version else digest(b""),
            "kind": "explain",
            "model": model,
            "schema": digest(SCHEMA),
            "design": digest(DESIGN()),
            "seed": "fixed",
            "target": "log-odds",
            "canaries": 0,
            "what_ifs": 0,
            "impossible": "0.05",
            "parties": PARTIES,
            "dealer": "notary",
            "requesters": ["long-beach"],
            "recipients": ["long-beach"],
            "purposes": ["decision-support"],
            "data_use": ["DUO:0000006"],
            "opened": list(definition.OPENED["explain"]),
            "disclosure": "none",
            "budgets": {"jobs_a_day": 10, "jobs": 100, "scalars": 1000},
            "minimum_cell": 5,
            "audits": [],
            "emergent": False,
            "transfers": [{"from": a, "to": b, "basis": "GDPR Art. 46(2)(c)"} for a, b in permutations(laws, 2)],
            "jurisdictions": laws,
            "result_jurisdictions": ["US"],
            "quorum": {"of": [*PARTIES, "long-beach"], "needed": 3},
            "valid_until": clock.rfc3339(clock.now() + timedelta(days=200)),
        } | changes
        groups = len(DESIGN()["groups"])
        return {"extraction": definition.extraction_of(document, selectors.manifest(model), groups), **document}

    def register(self, content: dict[str, Any], by: str = "cleveland") -> Definition:
        design = {"explain": DESIGN, "audit": new_plan}.get(content["kind"], lambda: None)()
        return definitions.register(institution=self.at[by], content=content, schema=SCHEMA, design=design)

    def registered(self) -> Definition:
        return self.register(self.content(self.approved(), self.import_model()))

    def vote(
        self, slug: str, of: Definition, *, approve: bool = True, nonce: int = 0, **changes: Any
    ) -> dict[str, Any]:
        key = self.keys[changes.pop("key", slug)].chain
        deadline = int((clock.now() + timedelta(hours=1)).timestamp())
        vote = votes.Vote(of.digest, approve, key.address, nonce, changes.pop("deadline", deadline))
        return dict(votes.write(vote, slug, key, domain=votes.Domain(31338, REGISTRY))) | changes

    def voted(self, known: Definition | None = None) -> Definition:
        """A definition that every institution has approved, on chain too."""
        known = known or self.registered()
        for slug in [*PARTIES, "long-beach"]:
            definitions.relay_vote(vote=self.vote(slug, known))
            self.chain.approvals[self.keys[slug].chain.address] = True
        return selectors.definition(known.digest)

    # --- a person, and a request

    def consent(self, **changes: Any) -> str:
        statement = {
            "consent": str(uuid4()),
            "subject": str(uuid4()),
            "study": "chest-pain",
            "purposes": ["decision-support"],
            "institution": "long-beach",
            "form": {"version": "1", "digest": digest(b"form"), "language": "en"},
            "signer": {"capacity": "self", "assent": ""},
            "reconsent": None,
            "given": clock.now() - timedelta(minutes=1),
            "until": clock.now() + timedelta(days=100),
        } | changes
        return consent.give(**statement, key=self.keys[statement["institution"]].identity)

    def withdrawal(self, of: str, institution: str = "long-beach") -> str:
        key = self.keys[institution].identity
        return consent.withdraw(consent=of, institution=institution, time=clock.now(), key=key)

    def card(self, model: str, signer: str = "cleveland", key: SigningKey | None = None, **changes: Any) -> str:
        """The owner's card of its model, unless another signs, or with another key."""
        statement: dict[str, Any] = {
            "model": model,
            "institution": signer,
            "sequence": 1,
            "attributes": {"funding": ["The hospital itself."]},
            "time": clock.now(),
        }
        return model_card.describe(**statement | changes, key=key or self.keys[signer].identity)

    def recall(self, model: str, signer: str = "cleveland", **changes: Any) -> str:
        """The owner's recall of its model, unless another signs."""
        statement: dict[str, Any] = {
            "model": model,
            "institution": signer,
            "reason": "wrong-results",
            "classification": "I",
            "advice": "Assess the risk without the model, and review what was decided since 2 March.",
            "time": clock.now(),
        }
        return recall.recall(**statement | changes, key=self.keys[signer].identity)

    def capacity(self, of: str, institution: str = "long-beach", why: Any = "capacity") -> str:
        """The statement that the person for whom another gave a consent decides for themself."""
        key = self.keys[institution].identity
        return consent.regained_capacity(consent=of, institution=institution, why=why, time=clock.now(), key=key)

    def request(self, of: Definition, **changes: Any) -> str:
        """A request on the ground consent, with a consent of its own which has been handed in, unless the test brings
        another."""
        subject = changes.pop("subject", str(uuid4()))
        ground = changes.setdefault("ground", "consent")
        if ground != "consent":
            changes.setdefault("consent", "")
        if "consent" not in changes:
            changes["consent"] = self.consent(subject=subject)
            consents.give(institution=self.at["long-beach"], token=changes["consent"])
        return asking.prepare(
            [np.zeros((1, len(FeatureSchema.from_json(SCHEMA).columns)))],
            request=str(uuid4()),
            requester=changes.pop("requester", "long-beach"),
            definition=changes.pop("definition", of.content),
            purpose=changes.pop("purpose", "decision-support"),
            person=changes.pop("person", str(uuid4())),
            subject=subject,
            party_keys={slug: self.keys[slug].sealing.public for slug in PARTIES},
            key=changes.pop("key", self.keys["long-beach"].identity),
            now=changes.pop("now", clock.now()),
            **changes,
        ).token


def _design() -> Callable[[], dict[str, Any]]:
    made: dict[str, Any] = {}

    def get() -> dict[str, Any]:
        return made or made.update(design.build(FeatureSchema.from_json(SCHEMA), seed="governance")) or made

    return get


DESIGN = _design()


@pytest.fixture(scope="session")
def keystores(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Keystore]:
    folder = tmp_path_factory.mktemp("institutions")
    return {slug: Keystore(folder / slug).create() for slug in ROLES}


@pytest.fixture(scope="session")
def founded() -> dict[str, Any]:
    """The consortium as the first test of this day founded it, and its rows, by the day: some tests travel in time."""
    return {}


@pytest.fixture
def consortium(db: None, settings: Any, keystores: dict[str, Keystore], founded: dict[str, Any]) -> Consortium:
    settings.REGISTRY_ADDRESS = REGISTRY
    if connection.vendor != "sqlite":  # where numbers of rows come from sequences, which rows put back do not move
        return Consortium(keystores)
    now = clock.now()
    since, first, rows = founded.get(str(now.date()), (None, None, None))
    if since is not None and since <= now:
        rows.restore()
    else:
        first = Consortium(keystores)
        founded[str(now.date())] = (now, first, Snapshot.take())
    return first.copy()


# --- a decision that these institutions have made, whose dossier verifies as a whole


@pytest.fixture(scope="module")
def agreed(tmp_path_factory: pytest.TempPathFactory, _state: Any) -> FoundedConsortium:
    return FoundedConsortium(tmp_path_factory.mktemp("consortium"), coordinator=Keystore(_state / "keys").identity)


@pytest.fixture(scope="module")
def recorded() -> list[Any]:
    """The decision as the first test had it made, and its rows."""
    return []


@pytest.fixture
def decided(
    db: None,
    settings: Any,
    agreed: FoundedConsortium,
    recorded: list[Any],
    monkeypatch: pytest.MonkeyPatch,
    django_capture_on_commit_callbacks: Any,
) -> Decided:
    for name, value in (SETTINGS | {"ANCHOR_ADDRESS": DOMAIN.registry, "CHAIN_RPC": "http://127.0.0.1:1"}).items():
        setattr(settings, name, value)
    for function in ("to_node", "to_coordinator"):
        monkeypatch.setattr(broker, function, lambda *_, **__: None)
    if recorded and connection.vendor == "sqlite":
        made, rows = recorded
        with ExitStack() as rules:
            for table in (Determination, Review, Submission, Study):
                rules.enter_context(without_rules(table))  # as in `approve`: nobody has really signed
            rows.restore()
        return made
    made = Decided(agreed, partial(django_capture_on_commit_callbacks, execute=True))
    recorded[:] = made, Snapshot.take()
    return made
