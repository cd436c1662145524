"""Is this node allowed to do this, now? It answers for itself, from signatures, pins, its policy file and the clock.

The coordinator's ticket only invites. What authorises is the boards' approvals that their officers signed, the
institutions' votes, the requester's signed request with the consent statement in it, and this institution's own policy.
The same check runs when a ticket comes in, again before the engine is given its shares, and again before the output
leaves.
"""

from dataclasses import dataclass
from datetime import datetime

from compute.node import policy
from compute.node.approvals import check_approved, has_vote
from compute.node.coordinator import JobDocuments
from compute.node.home import NodeHome
from compute.node.registry import Asked
from compute.node.reviews import check_boards
from compute.node.seen_recalls import SeenRecalls
from compute.node.seen_rosters import SeenRosters
from compute.node.seen_votes import SeenVotes
from concordat import asking, canonical, consent, definition, model, plausibility, protocol, request, ring
from concordat import ticket as tickets
from concordat.answers import place
from concordat.definition import Definition, Role
from concordat.design import Plan, read_design
from concordat.fields import plain
from concordat.legal_basis import basis_of
from concordat.model import Manifest
from concordat.plans import CohortPlan, opened_counts, read_plan
from concordat.reasons import Reason, Refused
from concordat.recall import check_recall, peek_recall, sentence
from concordat.request import Request
from concordat.schema import FeatureSchema
from concordat.signatures import keyring
from concordat.ticket import Ticket


@dataclass(frozen=True, repr=False)
class Shares:
    """A party's own shares in the clear, little-endian int64: of each record with its what-ifs and secrets, and of the
    weights. For an audit or a training there are no records: the institution brings rows of its own later."""

    records: list[bytes]
    weights: bytes


@dataclass(frozen=True, repr=False)
class Grant:
    """What the node has convinced itself of, and by which `documents`. `shares` is None for the dealer; `scalars` are
    the numbers that the job opens, of a `budget` that the definition has altogether. `plan` is an audit's or a
    training's; None of a prediction."""

    documents: JobDocuments
    ticket: Ticket
    request: Request
    definition: Definition
    manifest: Manifest
    plan: CohortPlan | None
    role: Role
    rank: int
    shares: Shares | None
    scalars: int

    @property
    def budget(self) -> int:
        return self.definition["budgets"]["scalars"]

    @property
    def runs(self) -> int:
        """How many of the engines' runs are the request's: one a record, and one in all over many people."""
        return 1 if self.plan else len(self.request["commitments"])


def read_ticket(token: str, home: NodeHome) -> Ticket:
    """A ticket that the pinned coordinator signed and that names this node, whatever the time.

    Raises:
        Refused: KEY_UNKNOWN, SIGNATURE_INVALID, WRONG_PARTY, or the refusal of a malformed field.
    """
    ticket = tickets.read_ticket(token, keyring(home.pins.coordinator))
    place(ticket, home.institution)
    return ticket


def check(
    token: str,
    documents: JobDocuments,
    *,
    home: NodeHome,
    registry: Asked,
    seen: SeenVotes,
    rosters: SeenRosters,
    recalls: SeenRecalls,
    received: datetime,
    now: datetime,
    jobs_today: int,
) -> Grant:
    """Everything that must hold for this node to take part in the ticket's job at `now`.

    Args:
        token: the ticket (JWS), which had to be valid when it was `received`.
        documents: what the coordinator says belongs to the job; each is checked against a digest or a signature.
        seen: the votes that this node has seen before.
        rosters: the rosters of officers that it has seen before.
        recalls: the recalls of models that it has seen before.
        jobs_today: how many other tickets this node has accepted today, for the policy.

    Raises:
        Refused: the first thing that does not hold, by its own reason.
    """
    pins, rules, ticket = home.pins, home.policy, read_ticket(token, home)
    tickets.check_time(ticket, received)
    home.check_not_revoked(ticket["definition"])
    for field in ("definition", "design"):
        if canonical.digest(documents[field]) != ticket[field]:
            raise Refused(Reason.DIGEST_MISMATCH, detail="The ticket names another one.", field=field)
    manifest = model.check_manifest(documents["manifest"], pins.lasting_keyring)
    _check_not_recalled(documents, manifest, home, recalls)
    plan = read_plan(documents["definition"].get("kind", "explain"), documents["design"])
    design = None if plan else read_design(documents["design"])
    groups = opened_counts(plan) if plan else len(design.groups) if design else 0
    agreed = definition.check(
        documents["definition"],
        manifest=manifest,
        groups=groups,
        mirrored=design is not None and design.mirrored,
        secret_operator=design is not None and design.secrets > 0,
        disclosure=documents["disclosure"],
        keyring=pins.lasting_keyring,
        now=now,
    )
    _check_design(plan or design, documents, agreed, manifest)
    request.read_request(documents["request"], pins.keyring)  # signed now; the consent in it may be older than a key
    if canonical.digest(documents["protocol"]) != agreed["protocol"]:
        raise Refused(Reason.DIGEST_MISMATCH, detail="The definition names another one.", field="protocol")
    bases = protocol.check(documents["protocol"])["bases"]
    asked = request.check_request(documents["request"], pins.lasting_keyring, now, definition=agreed, bases=bases)
    tickets.check_ticket(token, keyring(pins.coordinator), received, request=asked, definition=agreed)
    _check_consent_stands(documents, asked, home)
    check_approved(
        documents["votes"],
        digest=ticket["definition"],
        definition=agreed,
        owner=manifest["owner"],
        own=home.institution,
        pins=pins,
        seen=seen,
    )
    check_boards(documents, definition=agreed, owner=manifest["owner"], home=home, rules=rules, seen=rosters, now=now)
    policy.check(
        rules,
        digest=ticket["definition"],
        definition=agreed,
        requester=asked["requester"],
        purpose=asked["purpose"],
        ground=asked["basis"]["ground"],
        jobs_today=jobs_today,
    )
    registry.check(
        ticket["definition"],
        member=pins.chain(home.institution) if has_vote(home.institution, agreed) else None,
        required=rules["chain"] == "required",
    )
    role, rank = place(ticket, home.institution)
    shares = None
    if role == "party":
        if plan:
            own = basis_of(bases, institution=home.institution, purpose=asked["purpose"])["ground"]
            policy.check_brings(rules, agreed, digest=ticket["definition"], ground=own)
        records = [] if design is None else _open_records(documents, asked, manifest, home, secrets=design.secrets)
        shares = Shares(records, _open_weights(documents, manifest, home))
    scalars = definition.opened_scalars(agreed, groups, model.answers_of(manifest))
    return Grant(documents, ticket, asked, agreed, manifest, plan, role, rank, shares, scalars)


def _check_design(
    design: Plan | CohortPlan | None, documents: JobDocuments, agreed: Definition, manifest: Manifest
) -> None:
    if canonical.digest(documents["schema"]) != agreed["schema"]:
        raise Refused(Reason.DIGEST_MISMATCH, detail="The definition names another one.", field="schema")
    schema = FeatureSchema.from_json(documents["schema"])
    if documents["design"].get("schema") != agreed["schema"]:
        raise Refused(Reason.DIGEST_MISMATCH, detail="The design was made for another schema.", field="design")
    if isinstance(design, CohortPlan):
        design.check(schema)
    elif design is not None:
        design.features(schema)  # the model is proven for offsets of numbers, and for rows within reach, only
        plausibility.check_reference(design, schema, most=agreed["impossible"])
    if len(schema.columns) != model.columns_of(manifest):
        raise Refused(Reason.FIELD_INVALID, detail="Schema and model differ in columns.", field="schema")


def _check_not_recalled(documents: JobDocuments, manifest: Manifest, home: NodeHome, recalls: SeenRecalls) -> None:
    """Its owner has not recalled the model, as far as this node was ever told."""
    name = canonical.digest(plain(manifest))
    home.check_not_recalled(name)
    if documents["recall"] is not None:
        check_recall(documents["recall"], home.pins.lasting_keyring, model=name, owner=manifest["owner"])
        recalls.remember(name, documents["recall"])
    told = recalls.of(name)
    if told is not None:
        raise Refused(Reason.MODEL_RECALLED, detail=sentence(peek_recall(told)))


def _check_consent_stands(documents: JobDocuments, asked: Request, home: NodeHome) -> None:
    """The person has not withdrawn, and has not come to decide for themself, as far as this node was told."""
    if not asked["basis"]["consent"]:
        return
    known = home.pins.lasting_keyring
    given = consent.read_consent(asked["basis"]["consent"], known)
    ends = (
        (documents["withdrawal"], consent.read_withdrawal, Reason.CONSENT_WITHDRAWN),
        (documents["capacity"], consent.read_capacity, Reason.RECONSENT_NEEDED),
    )
    for token, read, reason in ends:
        if token is None:
            continue
        said = read(token, known)
        if (said["consent"], said["institution"]) == (given["consent"], given["institution"]):
            raise Refused(reason)


def _open_records(
    documents: JobDocuments, asked: Request, manifest: Manifest, home: NodeHome, *, secrets: int
) -> list[bytes]:
    if documents["input"] is None:
        raise Refused(Reason.WRONG_PARTY, detail="This party's share of the record is missing.")
    records = asking.open_input(
        documents["input"],
        asked,
        party=home.institution,
        parties=manifest["parties"],
        columns=model.columns_of(manifest),
        secrets=secrets,
        key=home.keys.sealing_key(asked["sealing_keys"][home.institution]),
    )
    return [ring.to_bytes(record) for record in records]


def _open_weights(documents: JobDocuments, manifest: Manifest, home: NodeHome) -> bytes:
    if documents["model_share"] is None:
        raise Refused(Reason.WRONG_PARTY, detail="This party's share of the model is missing.")
    key = home.keys.sealing_key(manifest["sealing_keys"][home.institution])
    tensors = model.open_share(documents["model_share"], manifest, home.institution, key)
    return b"".join(ring.to_bytes(tensors[tensor["name"]]) for tensor in manifest["tensors"])
