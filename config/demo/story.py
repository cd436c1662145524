"""The main job, stage by stage. Each institution acts through its own client, keys and processes only."""

import json
from collections.abc import Callable, Mapping
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any
from uuid import uuid4

from concordat import canonical, clock, design
from concordat.client import consents, governance, model_cards, models, predict, records
from concordat.client.answers import Status
from concordat.client.follow import once_there
from concordat.client.models import PublishedModel
from concordat.client.predict import OpenedPrediction
from concordat.client.work import Work
from concordat.definition import extraction_of, scale_of
from concordat.design import MaskDesign
from concordat.explanation import Explanation
from concordat.findings import needed
from concordat.kinds.kind import Scale
from concordat.reasons import Reason, Refused
from concordat.schema import FeatureSchema
from concordat.states import JobState
from config.demo import bedside, review
from config.demo.consortium import BOARDS, CLEVELAND, HOSPITALS, LONG_BEACH, NODES, PARTIES, STUDY_FOLDER, Member
from config.demo.reference import explain
from config.demo.reopening import make_escrow, reopen
from config.demo.report import Report, Secrets
from config.demo.screen import Screen
from config.demo.training import Trained, read_rows, train
from config.demo.waiting import until
from config.demo.world import World, write_policy

MINIMAL_RISK = "No more than minimal risk: routine findings, no added examination."
LOCAL_CONTEXT = {
    "site": LONG_BEACH.slug,
    "law": "Federal law and VA policy; California law adds nothing for this study.",
    "population": "Adult veterans referred for suspected coronary disease.",
    "resources": "A cardiology clinic with a research nurse; results are discussed with the treating clinician.",
    "contact": "The research office of the medical center.",
}
SEED = "chest-pain-explained/1"
CONSENT_DAYS = 365
ATTACHED_DAYS = 365
ANCHOR_SECONDS = 60.0


class Story:
    """The stages, in order. `run` tells all of them; what one stage makes, the next ones use."""

    def __init__(self, world: World, screen: Screen) -> None:
        self.world = world
        self.screen = screen
        self.report = Report()
        self.secrets = Secrets()
        self.protocol: dict[str, Any] = _json("protocol.json")
        self.schema_document: dict[str, Any] = _json("schema.json")
        self.schema = FeatureSchema.from_json(self.schema_document)
        self.trained: dict[str, Trained] = {}
        self.published: dict[str, PublishedModel] = {}
        self.definition = ""
        self.consent = ""
        self.clinician = str(uuid4())  # a handle in Long Beach's own directory
        self.opened: OpenedPrediction | None = None
        self.work: Work | None = None
        self.ward: bedside.Ward | None = None

    def run(self) -> Report:
        """All stages after the consortium stands."""
        with self.screen.stage("study", "An investigator submits the study; three boards sign"):
            self.review_study()
        with self.screen.stage("model", "The model's owner trains two models and imports them as secret shares"):
            self.import_models()
        with self.screen.stage("definition", "Each institution approves the computation, on chain"):
            self.approve_definition()
        with self.screen.stage("prediction", "A patient's record is shared, sealed, and computed on"):
            self.predict()
        with self.screen.stage("bedside", "A clinician opens the patient's chart"):
            self.show_at_the_bedside()
        with self.screen.stage("ledger", "Prediction and explanation are recorded and anchored"):
            self.anchor()
        with self.screen.stage("dossier", "A legal reviewer reconstructs the decision"):
            self.reconstruct()
        with self.screen.stage("withdrawal", "The patient withdraws consent"):
            self.withdraw()
        self.report.seconds = dict(self.screen.seconds)
        return self.report

    # --- 2. the study

    def review_study(self) -> None:
        api = self.world.api(CLEVELAND)
        study = api.submit_study(self.protocol)
        submission = study["submission"]
        assert submission is not None
        reviews = {review["board"]: review["review"] for review in submission["reviews"]}
        self.screen.done(f"submitted: {self.protocol['title']}")
        self.world.officers[LONG_BEACH.slug].sign("file-local-context", study=study["uuid"], **LOCAL_CONTEXT)
        self.screen.done("Long Beach files its local context, without which the board it relies on cannot approve")
        self._attach()
        self.screen.done(
            "the institutions attach charter, data use agreements and clinical oversight, by their digests"
        )
        for board in BOARDS:
            self.screen.doing(f"{board.name}: the chair reads, makes the findings, and signs with a passkey")
            officer, review = self.world.officers[board.slug], reviews[board.slug]
            officer.route(study["uuid"], review=review, path="expedited", category="5", ground=MINIMAL_RISK)
            officer.sign("determine", review=review, outcome="approved", findings=findings_met())
            also = " (and for long-beach, which relies on this board: 45 CFR 46.114)" if board is CLEVELAND else ""
            state = api.study(self.protocol["study"])["state"]
            self.screen.done(f"{board.name}: approved and signed{also}; the study is {state}")

    # --- 3. the models

    def import_models(self) -> None:
        home, api = self.world.home(CLEVELAND), self.world.api(CLEVELAND)
        self.trained = train(read_rows(self.world.folder(CLEVELAND) / "data.csv"), self.schema)
        for kind, trained in self.trained.items():
            self.publish(trained)
            self.screen.done(f"{kind}: one sealed share each for {', '.join(party.slug for party in PARTIES)}")
        self.describe("mlp")
        self._refuse(
            "before-disclosure",
            "explaining the linear model without its owner's word",
            lambda: self._register("linear", disclosure="none"),
            Reason.DISCLOSURE_REQUIRED,
        )
        models.disclose_weights(home, api, model=self.published["linear"].digest, study=self.protocol["study"])
        self._register("linear", disclosure="full")
        self.screen.done("the owner signs `disclosure: full`; now the linear model's definition is accepted")

    def describe(self, kind: str) -> None:
        """The owner states in the open what the model is and is not for."""
        attributes = canonical.decode((STUDY_FOLDER / "card.json").read_bytes())
        model = self.published[kind].digest
        model_cards.describe(self.world.home(CLEVELAND), self.world.api(CLEVELAND), model, attributes)
        self.screen.done(f"{kind}: the owner signs the model card, which clinicians read")

    def publish(self, trained: Trained) -> None:
        """The owner imports a model as secret shares."""
        self.secrets.add_weights(trained.tensors)
        self.published[trained.kind] = models.import_model(
            self.world.home(CLEVELAND),
            self.world.api(CLEVELAND),
            model=f"chest-pain-{trained.kind}",
            version="1",
            kind=trained.kind,
            schema=self.schema_document,
            tensors=trained.tensors,
            parties=[party.slug for party in PARTIES],
        )

    # --- 4. the definition

    def approve_definition(self) -> None:
        self.definition = self._register("mlp", disclosure="none")
        self.screen.done(f"definition {self.definition[:19]}… names protocol, model, schema, design, parties, dealer")
        self.seal_canaries("mlp", "log-odds")
        for member in NODES:
            write_policy(self.world, member, self._policy())
        self.give_consent()
        self.screen.done("a patient of Long Beach consents")
        first, rest = HOSPITALS[:2], HOSPITALS[2:]
        self._vote(first)
        self._refuse("before-quorum", "a request before the quorum is there", self._request, Reason.QUORUM_MISSING)
        self._vote(rest)
        self.screen.done("quorum reached, and every institution has approved for its own data and node")

    def seal_canaries(self, kind: str, target: Scale) -> None:
        """Records whose results the owner knows: with one of them goes every patient's record."""
        home, api = self.world.home(CLEVELAND), self.world.api(CLEVELAND)
        canaries = models.seal_canaries(
            home,
            api,
            model=self.published[kind].digest,
            kind=kind,
            tensors=self.trained[kind].tensors,
            schema=self.schema,
            design=design.read_design(design.build(self.schema, seed=SEED)),
            target=target,
            requesters=self._template()["requesters"],
        )
        self.screen.done(f"the owner seals {len(canaries)} canaries, records with known results, to the requester")

    # --- 5. the prediction

    def predict(self) -> None:
        home, api = self.world.home(LONG_BEACH), self.world.api(LONG_BEACH)
        shares = make_escrow(self.world, self.screen)
        self.screen.doing("FHIR bundle → features → shares → sealed")
        self.work = work = self.prepare()
        self.screen.done("record read from a FHIR R4 Bundle, split into three shares, each sealed to one party")
        predict.submit(work, api)
        shown: list[str] = []

        def changed(status: Status) -> None:
            if status["state"] not in shown[-1:]:
                shown.append(status["state"])
            self.screen.doing(" → ".join(shown))

        predict.wait(work, api, seconds=90, on_change=changed)
        self.screen.done("states: " + " → ".join(shown))
        self.opened = opened = once_there(partial(predict.open_result, home, api, work), seconds=ANCHOR_SECONDS)
        predict.show(home, api, work, opened, viewer="clinician", decision="shown")
        assert isinstance(opened.explanation, Explanation)
        self.secrets.add_record(self.schema, work)
        self.secrets.add_result(opened.explanation)
        self.screen.done("opened at Long Beach only: the shares added up on the requester's own machine")
        reopen(self.world, self.screen, work, shares)
        self.screen.plain("")
        for line in opened.text.rstrip().splitlines():
            self.screen.plain(line)
        self._compare(work, opened.explanation)

    def _compare(self, work: Work, secure: Explanation) -> None:
        model = self.trained["mlp"]
        checked = governance.fetch_definition(self.world.home(LONG_BEACH), self.world.api(LONG_BEACH), self.definition)
        record = self.schema.encode_row(work.content["values"])
        assert isinstance(checked.design, MaskDesign)
        reference = explain(model, checked.design, record.vector, scale_of(checked.content))
        self.report.compare(secure, reference, checked, work.result)
        self.screen.done(
            f"against scikit-learn and lime in plaintext: largest difference {self.report.max_abs_error:.1e}; "
            f"{self.report.rounds} rounds, {self.report.bytes_total:,} bytes"
        )

    # --- 6. the bedside

    def show_at_the_bedside(self) -> None:
        assert self.work is not None
        home, api = self.world.home(LONG_BEACH), self.world.api(LONG_BEACH)
        self.ward = bedside.demonstrate(
            home, api, self.definition, self.work, person=self.clinician, consent=self.consent
        )
        self.screen.done("the hospital's own process answers the health record (CDS Hooks 2.0) with this card:")
        self.ward.show(self.screen)
        self.ward.work()
        self.screen.done("a receipt of what was shown is in the log, by its digest; `make serve` opens the page")

    # --- 7. the ledger

    def anchor(self) -> None:
        assert self.work is not None
        api = self.world.api(LONG_BEACH)
        self.screen.doing("waiting until the log's head is final on chain")

        def final() -> Status | None:
            status = api.prediction(self._job())
            return status if status["state"] == JobState.FINAL else None

        until(final, seconds=ANCHOR_SECONDS)
        self.report.record = self.work.result["record"]
        self.screen.done(f"record {self.report.record}: logged, anchored, final")

    # --- 8. the dossier

    def reconstruct(self) -> None:
        assert self.work is not None
        review.reconstruct(self.world, self.screen, self.report, self.work)

    # --- 9. the withdrawal

    def withdraw(self) -> None:
        home, api = self.world.home(LONG_BEACH), self.world.api(LONG_BEACH)
        consents.withdraw(home, api, self.consent)
        self.screen.done("one call; effective at once, and logged")
        self._refuse("after-withdrawal", "the next request for this patient", self._request, Reason.CONSENT_WITHDRAWN)
        if self.ward is not None:
            self.ward.work()
            self.screen.done("the result is taken off card and page:")
            self.ward.show(self.screen)

    # --- what one patient does, as often as wanted

    def give_consent(self) -> None:
        """A patient of Long Beach, under a new pseudonym."""
        self.consent = consents.give(
            self.world.home(LONG_BEACH),
            self.world.api(LONG_BEACH),
            subject=str(uuid4()),
            study=self.protocol["study"],
            purposes=self._template()["purposes"],
            form=(STUDY_FOLDER / "consent-form.md").read_bytes(),
            version="1",
            language="en",
            until=clock.now() + timedelta(days=CONSENT_DAYS),
        )

    def prepare(self) -> Work:
        """The patient's record, shared and sealed, and the signed request; on disk, not yet sent."""
        home, api = self.world.home(LONG_BEACH), self.world.api(LONG_BEACH)
        checked = governance.fetch_definition(home, api, self.definition)
        values = records.read_fhir(STUDY_FOLDER / "bundle.json", checked.schema).values
        return predict.prepare(
            home,
            checked,
            values,
            purpose=self._template()["purposes"][0],
            person=self.clinician,
            consent=self.consent,
        )

    # --- helpers

    def _attach(self) -> None:
        """Every document that the protocol asks for, by the institution that it is of."""
        members = {member.slug: member for member in HOSPITALS}
        ends = clock.rfc3339(clock.now() + timedelta(days=ATTACHED_DAYS))
        for wanted in self.protocol["attachments"]:
            file = STUDY_FOLDER / "attachments" / f"{wanted['kind']}.txt"
            self.world.api(members.get(wanted["institution"], CLEVELAND)).attach(
                self.protocol["study"], **wanted, name=file.name, content=file.read_bytes(), expires=ends
            )

    def _template(self) -> dict[str, Any]:
        return _json("definition.template.json")

    def _register(self, kind: str, *, disclosure: str, **changes: canonical.Json) -> str:
        design_document = design.build(self.schema, seed=SEED)
        document: Any = {
            **self._template(),
            "protocol": canonical.digest(self.protocol),
            "model": self.published[kind].digest,
            "schema": canonical.digest(self.schema_document),
            "design": canonical.digest(design_document),
            "disclosure": disclosure,
            **changes,
        }
        document["extraction"] = extraction_of(document, self.published[kind].manifest, len(self.schema.groups))
        answer = self.world.api(CLEVELAND).register_definition(document, self.schema_document, design_document)
        return answer["digest"]

    def _policy(self) -> Mapping[str, canonical.Json]:
        template = self._template()
        return {
            "definitions": [self.definition],
            "studies": [],
            "requesters": template["requesters"],
            "purposes": template["purposes"],
            "grounds": ["consent"],
            "jobs_a_day": 100,
            "chain": "hint",  # computes on while the chain is down
            "paper": "refuse",
        }

    def _vote(self, members: tuple[Member, ...]) -> None:
        for member in members:
            self.screen.doing(f"{member.name} checks the definition and signs its vote (EIP-712)")
            governance.vote(self.world.home(member), self.world.api(member), self.definition, approve=True)
        names = [member.slug for member in members]
        self.screen.doing("waiting until the votes are on chain")
        for member in members:
            counts = partial(
                governance.check_in_block, self.world.home(member), self.world.api(member), self.definition
            )
            once_there(counts, seconds=ANCHOR_SECONDS)
        self.screen.done(f"approved on chain: {', '.join(names)}")

    def _request(self) -> None:
        api, work = self.world.api(LONG_BEACH), self.prepare()
        predict.submit(work, api)
        predict.wait(work, api, seconds=60)

    def _job(self) -> str:
        assert self.work is not None
        return self.work.job

    def _refuse(self, when: str, what: str, act: Callable[[], object], reason: Reason) -> None:
        """Does what has to be refused. Anything but that refusal ends the demonstration."""
        try:
            act()
        except Refused as refused:
            if refused.reason is not reason:
                raise
            self.screen.refused(what, refused)
            self.report.refusals.append({"when": when, "reason": str(refused.reason)})
            return
        raise Refused(Reason.INTERNAL, detail=f"{what} was not refused, and should have been")


def findings_met() -> dict[str, Any]:
    """Each finding of an expedited review, as its reviewer made it."""
    return {name: {"answer": "met", "note": ""} for name in needed("expedited", waiver=False)}


def _json(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(Path(STUDY_FOLDER / name).read_text())
    return found
