"""The case that the evidence makes: who is who, and the documents that the decision rests on, verified when read.

Every property verifies what it answers, and raises Refused with the reason if that fails.
"""

from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from concordat import canonical, model, plausibility
from concordat import definition as definitions
from concordat.answers import Acceptance, check_acceptances
from concordat.canonical import digest
from concordat.definition import Definition
from concordat.design import Design, Plan, check_design, read_design
from concordat.documents import Keyring
from concordat.enrolment import Enrolment, Roster, verify_enrolment, verify_roster
from concordat.events import Event
from concordat.fields import plain
from concordat.key_change import KeyHistory
from concordat.model import Manifest, answers_of
from concordat.outputs import Opened
from concordat.protocol import Protocol
from concordat.protocol import check as check_protocol
from concordat.reasons import Reason, Refused
from concordat.receipt import Receipt, check_receipts
from concordat.request import Request, read_request
from concordat.schema import FeatureSchema
from concordat.signatures import VerifyKey, keyring, peek
from concordat.ticket import Ticket, read_ticket
from concordat.verifier.disclosure import Disclosure, open_record, open_result
from concordat.verifier.evidence import Entry, Evidence, NotCheckable

if TYPE_CHECKING:
    from concordat.verifier.whole import Whole


class Case:
    """One decision, seen through its evidence and, where the requester gave one, its own disclosure."""

    def __init__(
        self,
        evidence: Evidence,
        disclosure: Disclosure | None = None,
        *,
        tsa: bytes | None = None,
        log: Path | None = None,
    ) -> None:
        """`tsa`: the time-stamping authority's root (PEM) that the reader trusts; `log`: a folder with a copy of the
        log (`concordat.mirror`)."""
        self.evidence, self.disclosure, self.tsa, self.log = evidence, disclosure, tsa, log

    @cached_property
    def whole(self) -> "Whole":
        """What the whole log says, where the reader has it: read once, from the first entry to the last."""
        from concordat.verifier.whole import Whole  # which has to know what concerns a case

        return Whole.of(self)

    @property
    def decision(self) -> Entry:
        return self.evidence.decision

    @cached_property
    def job(self) -> str:
        return self.decision.text("job")

    def before(self, entries: list[Entry]) -> list[Entry]:
        """Those that were recorded before the decision."""
        return [entry for entry in entries if entry.index < self.decision.index]

    def one(self, event: Event, **public: str) -> Entry:
        """The one entry of this kind. Raises Refused(NOT_FOUND), or SEQUENCE_BROKEN if there are more."""
        found = self.evidence.of(event, **public)
        if not found:
            raise Refused(Reason.NOT_FOUND, detail=f"The dossier has no entry “{event}” for this decision.")
        if len(found) > 1:
            raise Refused(Reason.SEQUENCE_BROKEN, detail=f"There are {len(found)} entries “{event}” where one belongs.")
        return found[0]

    # --- who is who

    @cached_property
    def enrolments(self) -> Mapping[str, Enrolment]:
        """Each institution's one enrolment. A second one, whoever signed it, would let others speak in its name."""
        found: dict[str, Enrolment] = {}
        for entry in self.evidence.of(Event.INSTITUTION_ENROLLED):
            enrolment = verify_enrolment(self.evidence.token(entry, "enrolment"))
            if enrolment.institution != entry.text("institution"):
                raise Refused(Reason.WRONG_INSTITUTION, detail=f"{entry.number} enrols another institution.")
            if enrolment.institution in found:
                raise Refused(Reason.CONFLICT, detail=f"{entry.number} enrols {enrolment.institution} once more.")
            found[enrolment.institution] = enrolment
        return found

    @cached_property
    def histories(self) -> Mapping[str, KeyHistory]:
        """Each institution's keys, from its enrolment and the key changes that the log holds, to this day.

        Raises Refused(CONFLICT) for an identity key of two institutions, which could then speak for both.
        """
        enrolled = {entry.text("institution"): entry for entry in self.evidence.of(Event.INSTITUTION_ENROLLED)}
        found = {slug: KeyHistory(each, place=enrolled[slug].index) for slug, each in self.enrolments.items()}
        for entry in self.evidence.of(Event.KEY_CHANGED):
            institution = entry.text("institution")
            self.enrolled(institution)
            found[institution] = found[institution].after(self.evidence.token(entry, "change"), place=entry.index)
            said = found[institution].changes[-1]
            reported = {"kind": said.kind, "ground": said.document["ground"], "sequence": said.document["sequence"]}
            if any(entry.leaf["public"].get(field) != value for field, value in reported.items()):
                raise Refused(Reason.DIGEST_MISMATCH, detail=f"The entry {entry.number} reports the change wrongly.")
        _check_own(found)
        return found

    @cached_property
    def identities(self) -> Mapping[str, tuple[str, ...]]:
        """The ids of every identity key that an institution had, by institution: each of them signed for itself."""
        return {
            slug: tuple(key.key_id for key in history.keys if key.kind == "identity")
            for slug, history in self.histories.items()
        }

    @cached_property
    def keyring(self) -> Keyring:
        """The identity keys that counted at the decision, by institution."""
        return self.keyring_at(self.decision)

    def keyring_at(self, *entries: Entry) -> Keyring:
        """The identity keys, by institution, whose signatures count in one of these entries."""
        return {slug: self._keys_at(history, entries) for slug, history in self.histories.items()}

    def _keys_at(self, history: KeyHistory, entries: tuple[Entry, ...]) -> dict[str, VerifyKey]:
        found = (history.recorded("identity", entry.index, entry.time) for entry in entries)
        return keyring(*(VerifyKey.from_b64(key.public) for key in found if key is not None))

    @cached_property
    def consent_keyring(self) -> Keyring:
        """The identity keys that counted where a consent was recorded, or at the verdict."""
        return self.keyring_at(*self.evidence.of(Event.CONSENT_GIVEN), self.verdict)

    @cached_property
    def coordinator(self) -> Mapping[str, VerifyKey]:
        return keyring(self.evidence.key)

    def enrolled(self, institution: str) -> Enrolment:
        """Raises Refused(KEY_UNKNOWN)."""
        if institution not in self.enrolments:
            raise Refused(Reason.KEY_UNKNOWN, detail=f"{institution} is not enrolled in this dossier.")
        return self.enrolments[institution]

    def history(self, institution: str) -> KeyHistory:
        """Raises Refused(KEY_UNKNOWN)."""
        self.enrolled(institution)
        return self.histories[institution]

    @cached_property
    def rosters(self) -> list[tuple[Entry, Roster]]:
        """Every roster with its entry, each signed by the offline key that its institution had then; without those
        recorded since that key is known to have been compromised."""
        read = ((entry, self._roster(entry)) for entry in self.evidence.of(Event.ROSTER_PUBLISHED))
        return [(entry, roster) for entry, roster in read if self._believed(entry)]

    def _roster(self, entry: Entry) -> Roster:
        institution = entry.text("institution")
        key = self.history(institution).placed("offline", entry.index)
        if key is None:
            raise Refused(Reason.KEY_REVOKED, detail=f"{institution} had no offline key when {entry.number} was made.")
        token = self.evidence.token(entry, "roster")
        return verify_roster(token, institution=institution, offline=VerifyKey.from_b64(key.public))

    def _believed(self, roster: Entry) -> bool:
        history = self.history(roster.text("institution"))
        return history.recorded("offline", roster.index, roster.time) is not None

    @cached_property
    def protocol(self) -> Protocol:
        """The protocol that the definition names."""
        document = canonical.decode(self.evidence.documents[self.definition["protocol"]])
        if not isinstance(document, dict):
            raise Refused(Reason.MALFORMED, detail="The protocol is no JSON object.", field="protocol")
        return check_protocol(document)

    # --- what it rests on

    @cached_property
    def definition(self) -> Definition:
        """The definition, with the model, schema and design that it names."""
        entry = self.one(Event.DEFINITION_REGISTERED, definition=self.decision.text("definition"))
        document = self.evidence.json(entry, "definition")
        if not isinstance(document, dict) or digest(document) != self.decision.text("definition"):
            raise Refused(Reason.DIGEST_MISMATCH, detail="The definition is another one.", field="definition")
        for name in ("schema", "design"):
            if entry.leaf["documents"].get(name) != document.get(name):
                raise Refused(Reason.DIGEST_MISMATCH, detail=f"The definition names another {name}.", field=name)
        disclosed = "disclosure" in entry.leaf["documents"]
        design = read_design(self.evidence.json(entry, "design"))
        return definitions.check(
            document,
            manifest=self.model,
            groups=len(design.groups),
            mirrored=design.mirrored,
            secret_operator=design.secrets > 0,
            disclosure=self.evidence.token(entry, "disclosure") if disclosed else None,
            keyring=self.keyring_at(*self.evidence.of(Event.DISCLOSURE_SIGNED), entry),
            now=self.decision.time,
        )

    @cached_property
    def model(self) -> Manifest:
        """The model's manifest, signed by its owner."""
        entry = self.one(Event.MODEL_IMPORTED, model=self.decision.text("model"))
        manifest = model.check_manifest(self.evidence.token(entry, "manifest"), self.keyring_at(entry))
        if digest(plain(manifest)) != self.decision.text("model"):
            raise Refused(Reason.DIGEST_MISMATCH, detail="The model is another one.", field="model")
        return manifest

    @cached_property
    def verdict(self) -> Entry:
        """The verdict that the ticket names, which let this request pass."""
        passed = self.evidence.of(Event.VERDICT, request=self.decision.text("request"), authorised=True)
        for entry in passed:
            if entry.index == self.ticket["verdict"]:
                return entry
        raise Refused(Reason.NOT_FOUND, detail="No verdict in this dossier let the request pass.", field="verdict")

    @cached_property
    def ticket(self) -> Ticket:
        """The coordinator's ticket, for this definition and its nodes."""
        ticket = read_ticket(self.evidence.token(self.decision, "ticket"), self.coordinator)
        expected = {
            "job": self.job,
            "definition": self.decision.text("definition"),
            **{name: self.definition[name] for name in ("model", "design", "parties", "dealer")},
        }
        for field, value in expected.items():
            if ticket[field] != value:  # type: ignore[literal-required]
                raise Refused(Reason.DIGEST_MISMATCH, detail="The ticket is for something else.", field=field)
        return ticket

    @cached_property
    def acceptances(self) -> Mapping[str, Acceptance]:
        """Every node's acceptance of the ticket."""
        reserved = self.one(Event.JOB_RESERVED, job=self.job)
        if reserved.leaf["documents"].get("ticket") != self.decision.leaf["documents"].get("ticket"):
            raise Refused(Reason.DIGEST_MISMATCH, detail="The nodes accepted another ticket.", field="ticket")
        tokens = self.evidence.tokens(reserved, "acceptances")
        return check_acceptances(tokens, self.keyring_at(reserved), self.ticket, now=reserved.time)

    @cached_property
    def receipts(self) -> dict[str, Receipt]:
        """Every node's receipt; they agree with one another and with the ticket."""
        tokens = self.evidence.tokens(self.decision, "receipts")
        known = self.keyring_at(self.one(Event.JOB_RESERVED, job=self.job), self.decision)
        receipts = check_receipts(tokens, known, request=self.ticket["request"], definition=self.definition)
        for receipt in receipts.values():
            named = (receipt["job"], receipt["ticket"], receipt["runs"])
            if named != (self.job, self.ticket["ticket"], self.ticket["runs"]):
                raise Refused(Reason.RECEIPTS_DISAGREE, detail="The receipts are for another ticket.", field="ticket")
        return receipts

    @cached_property
    def schema(self) -> FeatureSchema:
        """The feature schema that the definition names."""
        return FeatureSchema.from_json(canonical.decode(self.evidence.documents[self.definition["schema"]]))

    @cached_property
    def design(self) -> Plan:
        """The design of perturbations that the definition names, as its seed gives it."""
        design = check_design(canonical.decode(self.evidence.documents[self.definition["design"]]), self.schema)
        plausibility.check_reference(design, self.schema, most=self.definition["impossible"])
        return design

    @cached_property
    def result(self) -> tuple[Opened, ...]:
        """The result, for each of the model's answers, from the shares that the requester disclosed. Raises
        NotCheckable(NOT_DISCLOSED)."""
        if self.disclosure is None:
            raise NotCheckable(Reason.NOT_DISCLOSED)
        if not self._disclosed_here or digest(peek(self.disclosure["request"])[1]) != self.ticket["request"]:
            raise Refused(Reason.OPENING_MISMATCH, detail="The disclosure is about another decision.")
        self.record  # noqa: B018  (what is disclosed of it has to fit)
        answers = answers_of(self.model)
        return open_result(self.disclosure, self.request, self.definition, self.receipts, self.design, answers)

    @cached_property
    def record(self) -> NDArray[np.float64] | None:
        """(columns,) the encoded record, where the requester disclosed it with the result."""
        if self.disclosure is None:
            return None
        return open_record(self.disclosure, self.request, self.definition, self.design)

    @cached_property
    def local(self) -> Design | None:
        """The design for this record; None where it differs from record to record and this one is not disclosed."""
        if isinstance(self.design, Design):
            return self.design
        return None if self.record is None else self.design.at(self.record)

    @property
    def _disclosed_here(self) -> bool:
        """The disclosure says that it is about this decision."""
        said = self.disclosure
        return said is not None and (said["record"], said["job"]) == (self.decision.number, self.job)

    @cached_property
    def explanation(self) -> Entry:
        """The explanation that was computed in the same job, on the same receipts."""
        entry = self.one(Event.EXPLANATION_RECORDED, job=self.job)
        expected = self.decision.leaf["documents"].get("receipts")
        if entry.leaf["documents"].get("receipts") != expected:
            raise Refused(Reason.RECEIPTS_DISAGREE, detail="The explanation rests on other receipts.")
        return entry

    @property
    def request_token(self) -> str:
        """The request, opened for this reader in the dossier, or else by the requester; not verified yet."""
        try:
            return str(self.evidence.opened(self.decision, "request_statement"))
        except NotCheckable:
            if self.disclosure is None or not self._disclosed_here:
                raise
            return self.disclosure["request"]

    @cached_property
    def request(self) -> Request:
        """The requester's signed request. Raises NotCheckable while it is not disclosed to this reader."""
        request = read_request(self.request_token, self.keyring_at(self.verdict))
        if digest(plain(request)) != self.ticket["request"] or request["request"] != self.decision.text("request"):
            raise Refused(Reason.DIGEST_MISMATCH, detail="The job was done for another request.", field="request")
        return request


def _check_own(histories: Mapping[str, KeyHistory]) -> None:
    owners: dict[str, str] = {}
    for slug, history in histories.items():
        for key in history.keys:
            if key.kind == "identity" and owners.setdefault(key.key_id, slug) != slug:
                detail = f"{slug} has an identity key that {owners[key.key_id]} has, too."
                raise Refused(Reason.CONFLICT, detail=detail)
