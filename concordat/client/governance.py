"""What an institution decides: votes on definitions, consents, withdrawals. Each is signed here, by its own key."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from uuid import UUID, uuid4

from concordat import canonical, clock, consent, votes
from concordat import definition as definitions
from concordat.client.api import Api, DefinitionAnswer
from concordat.client.ballots import Ballots, Cast
from concordat.client.home import ClientHome
from concordat.definition import Definition
from concordat.design import Design, check_design
from concordat.files import write_private
from concordat.model import Manifest, check_manifest
from concordat.reasons import Reason, Refused
from concordat.schema import FeatureSchema

VOTE_DEADLINE = timedelta(days=7)


@dataclass(frozen=True)
class CheckedDefinition:
    """A definition whose every digest, signature and mask was recomputed on this machine."""

    digest: str
    state: str
    content: Definition
    manifest: Manifest
    schema: FeatureSchema
    design: Design
    approvals: dict[str, bool]


def fetch_definition(home: ClientHome, api: Api, digest: str) -> CheckedDefinition:
    """A definition as it may be relied on: the coordinator supplies it, the digest and our pins decide.

    Raises:
        Refused: DIGEST_MISMATCH for anything other than what the digests name; what `definition.check`,
            `design.check_design` and `model.check_manifest` refuse; VOTE_INVALID.
    """
    answer = api.definition(digest)
    named = {"definition": digest, "schema": answer["definition"].get("schema")}
    for name, expected in (named | {"design": answer["definition"].get("design")}).items():
        if canonical.digest(answer[name]) != expected:  # type: ignore[literal-required]
            raise Refused(Reason.DIGEST_MISMATCH, field=name)
    known = home.pins.lasting_keyring
    manifest = check_manifest(answer["manifest"], known)
    content = definitions.check(
        answer["definition"], manifest=manifest, disclosure=answer["disclosure"] or None, keyring=known
    )
    schema = FeatureSchema.from_json(answer["schema"])
    design = check_design(answer["design"], schema)
    return CheckedDefinition(
        digest, answer["state"], content, manifest, schema, design, _approvals(home, answer, digest)
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
    }
    ballots.add(cast)
    key = home.keys.chain
    signed = votes.write(
        votes.Vote(
            definition=digest,
            approve=approve,
            institution=key.address,
            nonce=cast["nonce"],
            deadline=int((clock.now() + VOTE_DEADLINE).timestamp()),
        ),
        home.institution,
        key,
        domain=home.pins.domain,
    )
    api.vote(digest, signed)
    if approve:
        ballots.mark(digest, approve=True)
    return signed


def give_consent(
    home: ClientHome,
    api: Api,
    *,
    subject: str,
    study: str,
    purposes: Sequence[str],
    form: bytes,
    language: str,
    signer: str,
    until: datetime,
) -> str:
    """Attest a person's consent. Answers its id; the statement is kept, since every request carries it.

    Args:
        subject: the person's pseudonym, a UUID that only this institution can resolve.
        form: the signed form; its digest goes into the statement, the form itself stays here.
    """
    identifier = str(uuid4())
    token = consent.give(
        consent=identifier,
        subject=subject,
        study=study,
        purposes=purposes,
        institution=home.institution,
        form=canonical.digest(form),
        language=language,
        signer=signer,
        given=clock.now(),
        until=until,
        key=home.keys.identity,
    )
    _keep(home, identifier, token)
    api.give_consent(token)
    return identifier


def withdraw_consent(home: ClientHome, api: Api, identifier: str) -> None:
    """Say for the person that the consent is withdrawn; the coordinator withholds what is running."""
    token = consent.withdraw(consent=identifier, institution=home.institution, time=clock.now(), key=home.keys.identity)
    api.withdraw_consent(identifier, token)


def consent_statement(home: ClientHome, identifier: str) -> str:
    """The consent statement (JWS) that was given under this id. Raises Refused(CONSENT_MISSING)."""
    try:
        return _consent_file(home, identifier).read_text()
    except FileNotFoundError:
        raise Refused(Reason.CONSENT_MISSING, detail="No such consent was given from here.", field="consent") from None


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


def _consent_file(home: ClientHome, identifier: str) -> Path:
    try:
        return home.consents / f"{UUID(identifier)}.jws"
    except ValueError:
        raise Refused(Reason.FIELD_INVALID, detail="A consent's id is a UUID.", field="consent") from None


def _keep(home: ClientHome, identifier: str, token: str) -> None:
    file = _consent_file(home, identifier)
    file.parent.mkdir(mode=0o700, exist_ok=True)
    write_private(file, token.encode(), replace=False)
