"""Reads that services, views and the apps above share. None of them changes anything."""

from collections.abc import Iterable, Mapping
from typing import Any

from django.db.models import Max, Prefetch, Q, QuerySet

from concordat.enrolment import verify_enrolment
from concordat.events import Event
from concordat.findings import Finding
from concordat.key_change import KeyHistory
from concordat.model import Manifest, check_manifest
from concordat.reasons import Reason, Refused
from concordat.signatures import VerifyKey
from concordat.votes import precedence
from governance.models import (
    Definition,
    DefinitionVote,
    Institution,
    InstitutionKey,
    KeyChange,
    ProtocolVersion,
    Roster,
    Study,
)
from governance.models.definition import DefinitionState
from governance.permissions import takes_part
from ledger.models import TransactionState
from ledger.selectors import document, entries

Kind = InstitutionKey.Kind


def institution(slug: str, *, field: str = "institution") -> Institution:
    """Raises Refused(NOT_FOUND), naming the field that named it."""
    return institutions([slug], field=field)[slug]


def institutions(slugs: Iterable[str], *, field: str) -> dict[str, Institution]:
    """The enrolled institutions by slug, with their boards. Raises Refused(NOT_FOUND) for one that is not enrolled."""
    wanted = set(slugs)
    found = {each.slug: each for each in Institution.objects.filter(slug__in=wanted).select_related("reviewing_board")}
    for missing in sorted(wanted - set(found)):
        raise Refused(Reason.NOT_FOUND, detail=f"No institution “{missing}” is enrolled.", field=field)
    return found


def institutions_in(study: str) -> QuerySet[Institution]:
    """Who takes part in the study of this name: its sites, and the institutions whose boards review for them."""
    return Institution.objects.filter(Q(studies__slug=study) | Q(relying_institutions__studies__slug=study)).distinct()


def study_of(institution: Institution, slug: str) -> Study:
    """A study in which the institution takes part. Raises Refused(NOT_FOUND) for every other as if it was not there."""
    found = Study.objects.select_related("institution").filter(slug=slug).first()
    if found is None or not takes_part(institution, found):
        raise Refused(Reason.NOT_FOUND, detail=f"You take part in no study “{slug}”.", field="study")
    return found


def definition(digest: str) -> Definition:
    """The definition with its study and votes. Raises Refused(DEFINITION_UNKNOWN)."""
    votes = DefinitionVote.objects.select_related("institution", "transaction")
    try:
        return (
            Definition.objects.select_related("study", "owner")
            .prefetch_related(Prefetch("votes", queryset=votes))
            .get(digest=digest)
        )
    except Definition.DoesNotExist:
        raise Refused(Reason.DEFINITION_UNKNOWN, field="definition") from None


def keyring(slugs: Iterable[str] | None = None) -> Mapping[str, Mapping[str, VerifyKey]]:
    """The live identity keys by institution and key id; of all institutions, or of those named."""
    return _identities(InstitutionKey.objects.filter(revoked=None), slugs)


def lasting_keyring(slugs: Iterable[str] | None = None) -> Mapping[str, Mapping[str, VerifyKey]]:
    """The live identity keys, and those replaced without a suspicion: for what was signed once and is used for long."""
    return _identities(InstitutionKey.objects.exclude(ground="compromise"), slugs)


def _identities(keys: QuerySet[InstitutionKey], slugs: Iterable[str] | None) -> dict[str, dict[str, VerifyKey]]:
    keys = keys.filter(kind=Kind.IDENTITY)
    if slugs is not None:
        keys = keys.filter(institution__slug__in=list(slugs))
    ring: dict[str, dict[str, VerifyKey]] = {}
    for slug, key_id, public in keys.values_list("institution__slug", "key_id", "public"):
        ring.setdefault(slug, {})[key_id] = VerifyKey.from_b64(public)
    return ring


def key_history(of: Institution) -> KeyHistory:
    """The institution's keys, from its enrolment and its recorded changes, by the index of their log entries."""
    history = KeyHistory(verify_enrolment(of.enrolment), place=-1)
    for change in KeyChange.objects.filter(institution=of).order_by("sequence"):
        history = history.after(change.statement, place=change.entry)
    return history


def chain_addresses(slugs: Iterable[str]) -> dict[str, str]:
    """The live chain addresses by institution."""
    keys = InstitutionKey.objects.filter(kind=Kind.CHAIN, revoked=None, institution__slug__in=list(slugs))
    return dict(keys.values_list("institution__slug", "public"))


def roster(of: Institution) -> Roster | None:
    """The roster in force: the one of the highest version, without those that a compromised offline key signed after
    it was no longer to be believed."""
    rosters = of.rosters.order_by("-version")
    if not of.keys.filter(kind=Kind.OFFLINE, ground="compromise").exists():
        return rosters.first()
    history, recorded = key_history(of), entries(event=Event.ROSTER_PUBLISHED, institution=of.slug)
    believed = {
        entry.public["version"]
        for entry in recorded
        if history.recorded("offline", entry.index, entry.time) is not None
    }
    return next((each for each in rosters if each.version in believed), None)


def visible_studies(to: Iterable[Institution]) -> QuerySet[Study]:
    """The studies that concern one of these institutions: those it leads, those it is a site of, those its board
    reviews."""
    concerned = Q(institution__in=to) | Q(sites__in=to) | Q(versions__reviews__board__in=to)
    return Study.objects.filter(concerned).select_related("institution").distinct()


def protocol_of(definition: Definition) -> ProtocolVersion:
    """The version of the protocol that the definition names. Raises Refused(DIGEST_MISMATCH) if there is none."""
    version = definition.study.versions.filter(digest=definition.content["protocol"]).first()
    if version is None:
        detail = "The study has no protocol of the digest that the definition names."
        raise Refused(Reason.DIGEST_MISMATCH, detail=detail, field="protocol")
    return version


def rests_on_current(definition: Definition) -> bool:
    """Whether the version of the protocol that the definition names is the one in force."""
    version = definition.study.versions.only("digest", "study", "number").first()
    return version is not None and version.digest == definition.content["protocol"]


def determination_for(study: Study, institution: Institution) -> Mapping[str, Any] | None:
    """The signed document of the approval in force by the board that reviews for this institution, or None.

    Needs a model `Determination` with `document`, `outcome` and, by way of `review`, its board and submission.
    """
    from governance.models import Determination  # type: ignore[attr-defined]

    found = (
        Determination.objects.filter(
            review__submission__study=study,
            review__board=institution.board,
            outcome__in=("approved", "approved-with-conditions"),
        )
        .order_by("-pk")
        .first()
    )
    return found.document if found else None


def findings_for(study: Study, institution: Institution) -> Mapping[str, Finding]:
    """The findings of the determination in force of the board that reviews for this institution; none without one."""
    document = determination_for(study, institution)
    return document["findings"] if document else {}


def data_use_decision(study: Study, institution: Institution) -> bool | None:
    """Whether a data steward of this institution decided that its terms allow the study, where a person has to decide.

    None while nobody has: no decision can be recorded yet.
    """
    return None


def needed_approvals(definition: Definition) -> tuple[str, ...]:
    """The institutions without which nothing runs under a definition: its parties and the model's owner. A requester
    adds itself; no quorum replaces one of them."""
    return tuple(dict.fromkeys([*definition.content["parties"], definition.owner.slug]))


def voters(definition: Definition) -> frozenset[str]:
    """Every institution that has a say in a definition."""
    content = definition.content
    return frozenset(
        [*needed_approvals(definition), *content["requesters"], *content["quorum"]["of"], content["dealer"]]
    )


def standing_votes(definition: Definition) -> list[DefinitionVote]:
    """The votes by addresses that are still their institutions': a change of its chain key ends an institution's."""
    votes = list(definition.votes.all())
    live = chain_addresses({vote.institution.slug for vote in votes})
    return [vote for vote in votes if live.get(vote.institution.slug) == vote.address]


def last_votes(definition: Definition) -> dict[str, DefinitionVote]:
    """Each institution's vote that counts, by the same order as at the nodes. An approval that the contract refused
    counts for nothing; a revocation counts from the moment it was signed, whatever became of its transaction."""
    counted = [
        vote
        for vote in standing_votes(definition)
        if not vote.approve or vote.transaction.state != TransactionState.FAILED
    ]
    return {vote.institution.slug: vote for vote in sorted(counted, key=lambda vote: precedence(vote.document))}


def approving(definition: Definition) -> frozenset[str]:
    """The institutions whose last vote is an approval that was seen in a block."""
    last = last_votes(definition).items()
    return frozenset(slug for slug, vote in last if vote.approve and vote.transaction.in_a_block)


def next_nonce(address: str) -> int:
    """The nonce that the next vote of this chain address must carry; a vote that the contract refused used up none."""
    counted = DefinitionVote.objects.filter(address=address).exclude(transaction__state=TransactionState.FAILED)
    highest: int | None = counted.aggregate(Max("nonce"))["nonce__max"]
    return 0 if highest is None else highest + 1


def definition_state(definition: Definition) -> DefinitionState:
    """Approved once blocks hold every needed approval and the quorum; revoked once one that is needed has said no."""
    last, yes = last_votes(definition), approving(definition)
    needed, quorum = needed_approvals(definition), definition.content["quorum"]
    if any(slug in last and not last[slug].approve for slug in needed):
        return DefinitionState.REVOKED
    approved = yes.issuperset(needed) and len(yes.intersection(quorum["of"])) >= quorum["needed"]
    return DefinitionState.APPROVED if approved else DefinitionState.REGISTERED


def model_imported(model: str) -> bool:
    """Whether the log holds the import of the model of this digest."""
    return entries(event=Event.MODEL_IMPORTED, model=model).exists()


def manifest(model: str) -> Manifest:
    """The verified manifest of an imported model. Raises Refused(MODEL_UNKNOWN)."""
    entry = entries(event=Event.MODEL_IMPORTED, model=model).first()
    if entry is None:
        raise Refused(Reason.MODEL_UNKNOWN, field="model")
    return check_manifest(document(entry.documents["manifest"]).decode(), lasting_keyring())
