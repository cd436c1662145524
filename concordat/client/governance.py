"""What an institution decides on a computation: it checks the definition, and votes, signed here by its own key."""

from dataclasses import dataclass
from datetime import timedelta

from concordat import canonical, clock, plausibility, protocol, votes
from concordat import definition as definitions
from concordat.client.api import Api, DefinitionAnswer
from concordat.client.ballots import Ballots, Cast
from concordat.client.home import ClientHome
from concordat.definition import Definition
from concordat.design import Plan, check_design
from concordat.model import Manifest, check_manifest
from concordat.protocol import Protocol
from concordat.reasons import Reason, Refused
from concordat.schema import FeatureSchema

VOTE_DEADLINE = timedelta(days=7)


@dataclass(frozen=True)
class CheckedDefinition:
    """A definition whose every digest, signature and mask was recomputed on this machine.

    `sealed_canaries` are as the coordinator handed them out, for `canaries.open_sheet` to open and verify.
    """

    digest: str
    state: str
    content: Definition
    protocol: Protocol
    manifest: Manifest
    schema: FeatureSchema
    plan: Plan | None
    approvals: dict[str, bool]
    sealed_canaries: str

    @property
    def design(self) -> Plan:
        """The design of perturbations. Raises Refused(KIND_NOT_ALLOWED) for a kind that has none."""
        if self.plan is None:
            raise Refused(Reason.KIND_NOT_ALLOWED, field="definition")
        return self.plan


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
    plan = check_design(design, schema) if design is not None else None
    content = definitions.check(
        document,
        manifest=manifest,
        groups=len(plan.groups) if plan else 0,
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
        _approvals(home, answer, digest),
        answer["canaries"],
    )


def vote(home: ClientHome, api: Api, digest: str, *, approve: bool) -> votes.VoteDocument:
    """Sign and hand in this institution's vote, after looking at what it is a vote on.

    Raises:
        Refused: what :func:`fetch_definition` refuses before an approval; a revocation needs no more than the digest,
            and our own node heeds it whether or not the coordinator can be reached; VOTE_INVALID.
    """
    ballots = Ballots(home.directory)
    if approve:
        fetch_definition(home, api, digest)
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
