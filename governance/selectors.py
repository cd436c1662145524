"""Reads that services, views and the apps above share. None of them changes anything."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from django.contrib.auth.models import User
from django.db.models import F, Max, Prefetch, Q, QuerySet

from concordat import findings
from concordat.enrolment import verify_enrolment
from concordat.events import Event
from concordat.findings import Finding
from concordat.key_change import KeyHistory
from concordat.model import Manifest, check_manifest
from concordat.reasons import Reason, Refused
from concordat.signatures import VerifyKey
from concordat.votes import precedence
from governance.models import (
    AgendaItem,
    Definition,
    DefinitionVote,
    Delegation,
    Determination,
    Institution,
    InstitutionKey,
    KeyChange,
    Meeting,
    Notification,
    ProtocolVersion,
    RelianceAgreement,
    Review,
    Roster,
    Study,
    Submission,
)
from governance.models.definition import DefinitionState
from governance.permissions import HOLDERS, Verb, takes_part
from governance.states import OPEN, ItemState, StudyState, SubmissionState
from ledger.models import TransactionState
from ledger.selectors import document, entries

Kind = InstitutionKey.Kind


def institution(slug: str, *, field: str = "institution") -> Institution:
    """Raises Refused(NOT_FOUND), naming the field that named it."""
    return institutions([slug], field=field)[slug]


def institutions(slugs: Iterable[str], *, field: str) -> dict[str, Institution]:
    """The enrolled institutions by slug. Raises Refused(NOT_FOUND) for one that is not enrolled."""
    wanted = set(slugs)
    found = {each.slug: each for each in Institution.objects.filter(slug__in=wanted)}
    for missing in sorted(wanted - set(found)):
        raise Refused(Reason.NOT_FOUND, detail=f"No institution “{missing}” is enrolled.", field=field)
    return found


def institutions_in(study: str) -> QuerySet[Institution]:
    """Who takes part in the study of this name: its sites, and the institutions whose boards review for them."""
    return Institution.objects.filter(Q(studies__slug=study) | Q(reviews__submission__study__slug=study)).distinct()


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
            Definition.objects.select_related("study__in_force", "owner")
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
    reviews. Nobody sees another institution's drafts."""
    of_others = (Q(sites__in=to) | Q(submissions__reviews__board__in=to)) & ~Q(state=StudyState.DRAFT)
    return Study.objects.filter(Q(institution__in=to) | of_others).select_related("institution").distinct()


def studies_of(taking_part: QuerySet[Institution]) -> QuerySet[Study]:
    """The studies in which one of these institutions takes part: as a site, or by its board's review."""
    return Study.objects.filter(Q(sites__in=taking_part) | Q(submissions__reviews__board__in=taking_part)).distinct()


def seen_study(by: User, uuid: str) -> Study:
    """The study of this identifier, if it concerns an institution of this person. Raises Refused(NOT_FOUND)."""
    found = visible_studies(Institution.objects.filter(memberships__user=by)).filter(uuid=as_uuid(uuid)).first()
    if found is None:
        raise Refused(Reason.NOT_FOUND, detail="No study that you can see has this identifier.", field="study")
    return found


def seen_through(by: User, study: Study) -> list[Institution]:
    """The institutions of this person that the study concerns; its leading one first, where it is one of them."""
    of_study = Q(pk=study.institution_id) | Q(studies=study) | Q(reviews__submission__study=study)
    found = Institution.objects.filter(of_study, memberships__user=by).distinct()
    return sorted(found, key=lambda each: (each.pk != study.institution_id, each.slug))


def locked_study(by: User, uuid: str) -> Study:
    """As :func:`seen_study`; whoever else locks it waits for the caller's transaction."""
    return Study.objects.select_for_update(no_key=True, of=("self",)).get(pk=seen_study(by, uuid).pk)


def seen_review(by: User, uuid: str) -> Review:
    """A review of a study that this person sees; the study is locked. Raises Refused(NOT_FOUND)."""
    found = Review.objects.select_related("submission__study").filter(uuid=as_uuid(uuid)).first()
    if found is None:
        raise Refused(Reason.NOT_FOUND, detail="No review that you can see has this identifier.", field="review")
    locked_study(by, str(found.submission.study.uuid))
    return Review.objects.select_related("submission__study__in_force", "submission__version", "board").get(pk=found.pk)


def seen_meeting(by: User, uuid: object) -> Meeting:
    """A meeting of a board into which this person may look. Raises Refused(NOT_FOUND)."""
    found = Meeting.objects.select_related("board").filter(uuid=as_uuid(uuid), board__in=boards_read_by(by)).first()
    if found is None:
        raise Refused(Reason.NOT_FOUND, detail="No meeting that you can see has this identifier.", field="meeting")
    return found


def seen_item(by: User, uuid: object) -> AgendaItem:
    """An item of a meeting of a board into which this person may look. Raises Refused(NOT_FOUND)."""
    items = AgendaItem.objects.select_related("meeting__board", "review__board", "review__submission__study")
    found = items.filter(uuid=as_uuid(uuid), meeting__board__in=boards_read_by(by)).first()
    if found is None:
        raise Refused(Reason.NOT_FOUND, detail="No item that you can see has this identifier.", field="item")
    return found


def boards_read_by(by: User) -> QuerySet[Institution]:
    """The institutions whose boards let this person read what they do."""
    return Institution.objects.filter(memberships__user=by, memberships__role__in=HOLDERS[Verb.READ_BOARD]).distinct()


def board_read_by(by: User, slug: str) -> Institution:
    """A board into which this person may look. Raises Refused(NOT_FOUND)."""
    found = boards_read_by(by).filter(slug=slug).first()
    if found is None:
        raise Refused(Reason.NOT_FOUND, detail="No board that you can see has this name.", field="board")
    return found


def vote_to_sign(review: Review) -> AgendaItem | None:
    """What the convened board has voted and nobody has signed yet."""
    item = review.items.filter(state=ItemState.DECIDED).order_by("-ended", "-pk").first()
    if item is None or review.determinations.filter(document__minutes=item.minutes_digest).exists():
        return None
    return item


def waives_consent(version: ProtocolVersion) -> bool:
    """Whether a protocol rests on a waiver of consent, so that an approval needs the findings for one."""
    return findings.waives_consent([basis["ground"] for basis in version.content["bases"]])


def open_submission(study: Study) -> Submission | None:
    """What is before the boards, or waits for conditions to be met."""
    return study.submissions.filter(state__in=OPEN).select_related("version").first()


def reliances(sites: Iterable[Institution], study: str, now: datetime) -> dict[Institution, RelianceAgreement]:
    """The agreements under which other boards review for these sites, in one query; one for this very study goes
    first, and then the latest."""
    in_force = RelianceAgreement.objects.filter(
        relying__in=sites, study__in=["", study], agreed__isnull=False, ended=None, starts__lte=now, ends__gt=now
    )
    return {each.relying: each for each in in_force.select_related("relying", "reviewing").order_by("study", "agreed")}


def reliance(site: Institution, study: str, now: datetime) -> RelianceAgreement | None:
    """The agreement under which another board reviews for this site."""
    return reliances([site], study, now).get(site)


def board_of(site: Institution, study: str, now: datetime) -> Institution:
    """The institution whose board reviews for this site: its own, unless it relies on another."""
    agreement = reliance(site, study, now)
    return agreement.reviewing if agreement else site


def delegation(by: User, board: Institution, scope: str, study: Study | None, now: datetime) -> Delegation | None:
    """The delegation in force by which this person does what is the chair's; one for this study goes first, and without
    a study only one for all of them counts."""
    in_force = Delegation.objects.filter(
        Q(study=None) | Q(study=study), delegate__user=by, board=board, scope=scope, ended=None
    )
    return in_force.filter(starts__lte=now, ends__gt=now).order_by(F("study").asc(nulls_last=True)).first()


def notifications(of: User) -> QuerySet[Notification]:
    """What this person was told, the latest first."""
    return Notification.objects.filter(user=of)


def unread(of: User) -> int:
    """How much of it they have not read."""
    return notifications(of).filter(read=None).count()


def as_uuid(text: object) -> UUID:
    """The identifier that a person or a system sent. Raises Refused(FIELD_INVALID)."""
    try:
        return UUID(str(text))
    except ValueError:
        raise Refused(Reason.FIELD_INVALID, detail="An identifier is a UUID.", field="identifier") from None


def protocol_of(definition: Definition) -> ProtocolVersion:
    """The version of the protocol that the definition names. Raises Refused(DIGEST_MISMATCH) if there is none."""
    version = definition.study.versions.filter(digest=definition.content["protocol"]).first()
    if version is None:
        detail = "The study has no protocol of the digest that the definition names."
        raise Refused(Reason.DIGEST_MISMATCH, detail=detail, field="protocol")
    return version


def approval_in_force(study: Study) -> Submission | None:
    """The submission whose approval a study in force rests on: the last one on the base in force."""
    if study.in_force is None:
        return None
    approved = study.submissions.filter(state=SubmissionState.APPROVED, version__base=study.in_force.base)
    return approved.order_by("-settled", "-pk").first()


def deciding(submission: Submission) -> list[tuple[Review, Determination]]:
    """Each board's review, with its sites, and its last determination, with its signatures."""
    latest = Determination.objects.select_related("signature", "conditions_check__signature").order_by("-pk")
    reviews = submission.reviews.select_related("board").prefetch_related(
        "sites", Prefetch("determinations", queryset=latest)
    )
    return [(review, made[0]) for review in reviews if (made := list(review.determinations.all()))]


def determination_for(study: Study, institution: Institution) -> Mapping[str, Any] | None:
    """The signed document of the approval in force by the board that reviews for this institution, or None."""
    submission = approval_in_force(study)
    found = Determination.objects.filter(review__submission=submission, review__sites=institution).order_by("-pk")
    last = found.first() if submission else None
    return last.document if last else None


def findings_for(study: Study, institution: Institution) -> Mapping[str, Finding]:
    """The findings of the determination in force of the board that reviews for this institution; none without one."""
    document = determination_for(study, institution)
    return document["findings"] if document else {}


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
