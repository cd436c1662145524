"""What an institution decides on a computation: it checks the definition, and votes, signed here by its own key."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

from concordat import canonical, clock, plausibility, protocol, votes
from concordat import definition as definitions
from concordat.audit_plan import AuditPlan
from concordat.canonical import Json
from concordat.client import recalls
from concordat.client.answers import DefinitionAnswer
from concordat.client.api import Api
from concordat.client.ballots import Ballots, Cast
from concordat.client.home import ClientHome
from concordat.definition import Definition
from concordat.design import Plan, check_design
from concordat.fields import plain, read
from concordat.model import Manifest, check_manifest
from concordat.plans import CohortPlan, check_plan, opened_counts
from concordat.protocol import Protocol
from concordat.reasons import Reason, Refused
from concordat.recall import Recall, sentence
from concordat.request import OF_MANY
from concordat.schema import FeatureSchema
from concordat.training_plan import TrainingPlan

VOTE_DEADLINE = timedelta(days=7)


@dataclass(frozen=True)
class CheckedDefinition:
    """A definition whose every digest, signature and mask was recomputed on this machine.

    `recall` is the model's, by its owner; None says that the coordinator knows of none. `sealed_canaries` are as the
    coordinator handed them out, for `canaries.open_sheet` to open and verify.
    """

    digest: str
    state: str
    content: Definition
    protocol: Protocol
    manifest: Manifest
    schema: FeatureSchema
    plan: Plan | None
    cohort: CohortPlan | None
    approvals: dict[str, bool]
    recall: Recall | None
    sealed_canaries: str

    def check_not_recalled(self) -> None:
        """Raises Refused(MODEL_RECALLED), with the owner's reason, class and advice."""
        if self.recall is not None:
            detail = f"{sentence(self.recall)} The owner's advice: {self.recall['advice']}"
            raise Refused(Reason.MODEL_RECALLED, detail=detail, field="definition")

    @property
    def design(self) -> Plan:
        """The design of perturbations. Raises Refused(KIND_NOT_ALLOWED) for a kind that has none."""
        if self.plan is None:
            raise Refused(Reason.KIND_NOT_ALLOWED, field="definition")
        return self.plan

    @property
    def audit_plan(self) -> AuditPlan:
        """The plan of an audit. Raises Refused(KIND_NOT_ALLOWED) for another kind."""
        if not isinstance(self.cohort, AuditPlan):
            raise Refused(Reason.KIND_NOT_ALLOWED, field="definition")
        return self.cohort

    @property
    def training_plan(self) -> TrainingPlan:
        """The plan of a training. Raises Refused(KIND_NOT_ALLOWED) for another kind."""
        if not isinstance(self.cohort, TrainingPlan):
            raise Refused(Reason.KIND_NOT_ALLOWED, field="definition")
        return self.cohort


def propose(
    home: ClientHome,
    api: Api,
    template: Mapping[str, Json],
    *,
    model: str,
    protocol: Mapping[str, Json],
    schema: Mapping[str, Json],
    design: Mapping[str, Json],
) -> str:
    """Register a definition, and answer its digest. What the template lacks of the digests that it names, and of what
    it gives away, is filled in; what it says itself stays, and is held against the documents as everything is.

    Args:
        model: the model's digest.
        design: the design of perturbations, or the plan of an audit or a training.

    Raises:
        Refused: what is wrong with one of the documents, or what the coordinator refuses.
    """
    manifest = check_manifest(api.manifest(model), home.pins.lasting_keyring)
    named = {
        "model": model,
        "protocol": canonical.digest(protocol),
        "schema": canonical.digest(schema),
        "design": canonical.digest(design),
    }
    document: dict[str, Json] = {"extraction": None, **named, **template}
    if "extraction" not in template and document.get("kind") == "explain":
        plan = check_design(design, FeatureSchema.from_json(schema))
        found = definitions.extraction_of(
            read(document, Definition), manifest, len(plan.groups), secret_operator=plan.secrets > 0
        )
        document["extraction"] = dict(plain(found)) if found else None
    return api.register_definition(document, schema, design)["digest"]


def fetch_definition(home: ClientHome, api: Api, digest: str) -> CheckedDefinition:
    """A definition as it may be relied on: the coordinator supplies it, the digest and our pins decide.

    Raises:
        Refused: DIGEST_MISMATCH for anything other than what the digests name; what `definition.check`,
            `protocol.check`, `design.check_design` and `model.check_manifest` refuse; DESIGN_IMPLAUSIBLE; VOTE_INVALID.
    """
    answer = api.definition(digest)
    document, design = answer["definition"], answer["design"]
    named = {"definition": digest, "protocol": document.get("protocol"), "schema": document.get("schema")}
    for name, expected in named.items():
        if canonical.digest(answer[name]) != expected:  # type: ignore[literal-required]
            raise Refused(Reason.DIGEST_MISMATCH, field=name)
    if (canonical.digest(design) if design is not None else "") != document.get("design"):
        raise Refused(Reason.DIGEST_MISMATCH, field="design")
    known = home.pins.lasting_keyring
    manifest = check_manifest(answer["manifest"], known)
    schema = FeatureSchema.from_json(answer["schema"])
    cohort = check_plan(kind, design, schema) if (kind := document.get("kind")) in OF_MANY else None
    plan = check_design(design, schema) if design is not None and cohort is None else None
    content = definitions.check(
        document,
        manifest=manifest,
        groups=opened_counts(cohort) if cohort else len(plan.groups) if plan else 0,
        mirrored=plan is not None and plan.mirrored,
        secret_operator=plan is not None and plan.secrets > 0,
        disclosure=answer["disclosure"] or None,
        keyring=known,
    )
    if plan is not None:
        plausibility.check_reference(plan, schema, most=content["impossible"])
    return CheckedDefinition(
        digest,
        answer["state"],
        content,
        protocol.check(answer["protocol"]),
        manifest,
        schema,
        plan,
        cohort,
        _approvals(home, answer, digest),
        recalls.check(home, answer["recall"], model=content["model"], owner=manifest["owner"]),
        answer["canaries"],
    )


def vote(home: ClientHome, api: Api, digest: str, *, approve: bool) -> votes.VoteDocument:
    """Sign and hand in this institution's vote, after looking at what it is a vote on.

    Raises:
        Refused: what :func:`fetch_definition` refuses before an approval, and MODEL_RECALLED; a revocation needs no
            more than the digest, and our own node heeds it whether or not the coordinator can be reached; VOTE_INVALID.
    """
    ballots = Ballots(home.directory)
    if approve:
        fetch_definition(home, api, digest).check_not_recalled()
    else:
        ballots.mark(digest, approve=False)
    hint = api.votes(digest)["next_nonce"]
    cast: Cast = {
        "nonce": ballots.next_nonce(digest, approve=approve, hint=hint),
        "definition": digest,
        "approve": approve,
        "deadline": int((clock.now() + VOTE_DEADLINE).timestamp()),
    }
    ballots.add(cast)
    key = home.keys.chain
    signed = votes.write(
        votes.Vote(
            definition=digest,
            approve=approve,
            institution=key.address,
            nonce=cast["nonce"],
            deadline=cast["deadline"],
        ),
        home.institution,
        key,
        domain=home.pins.domain,
    )
    api.vote(digest, signed)
    if approve:
        ballots.mark(digest, approve=True)
    return signed


def check_in_block(home: ClientHome, api: Api, digest: str) -> None:
    """That a block holds this institution's approval of the definition: whoever asks under it before is refused. It is
    the coordinator's word; a node asks the registry itself.

    Raises Refused(VOTE_PENDING).
    """
    if home.institution not in api.votes(digest)["on_chain"]:
        raise Refused(Reason.VOTE_PENDING)


def _approvals(home: ClientHome, answer: DefinitionAnswer, digest: str) -> dict[str, bool]:
    """Each institution's last vote, recovered against the chain addresses that we pinned."""
    latest: dict[str, votes.VoteDocument] = {}
    for document in answer["votes"]:
        verified = votes.verify(document, domain=home.pins.domain)
        address = home.pins.chain(document["institution"])
        if address != verified.institution or verified.definition != digest:
            raise Refused(Reason.VOTE_INVALID, field=document["institution"])
        earlier = latest.get(document["institution"])
        if earlier is None or votes.precedence(earlier) < votes.precedence(document):
            latest[document["institution"]] = document
    return {slug: document["approve"] for slug, document in sorted(latest.items())}
