"""The documents beside a protocol: agreements, charters, certificates, scans. Each is named by its digest, may end, and
of one kind and institution the newest counts."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.contrib.auth.models import User
from django.db import transaction
from django.db.models import Max

from concordat import clock, media
from concordat.canonical import digest
from concordat.events import Event
from concordat.protocol import AttachmentKind
from concordat.reasons import Reason, Refused
from governance import permissions, policies, selectors
from governance.models import Attachment, Institution, Study
from governance.notices import Notice
from governance.permissions import Role, Verb
from governance.services import notifications
from governance.states import StudyState
from ledger.services.record import record

_K = AttachmentKind

NEEDS_END = frozenset(_K) - {_K.CHARTER, _K.PAPER_APPROVAL}
"""Agreements, determinations and trainings hold for a time. A charter may; a board's letter says itself until when."""

REMINDERS = (60, 30, 7)
"""Days before an attachment ends on which people are told."""

_TOLD = (Role.INVESTIGATOR, Role.IRB_ADMINISTRATOR, Role.INSTITUTION_ADMIN, Role.DATA_STEWARD)


@dataclass(frozen=True)
class Lack:
    """A document that the protocol asks for and that is not in force; `institution` is empty for the study's own."""

    kind: str
    institution: str
    reason: Reason

    def __str__(self) -> str:
        return f"{self.kind} of {self.institution or 'the study'}"


@transaction.atomic
def add(
    *,
    study: Study,
    kind: str,
    institution: str,
    name: str,
    media_type: str,
    content: bytes,
    expires: datetime | None = None,
    by: User | None = None,
    system: Institution | None = None,
) -> Attachment:
    """Attach a file to a study. The newest of its kind and institution, handed in once more, is no harm.

    Args:
        institution: whose document it is; empty for the study's own, which the leading institution attaches.
        media_type: what the sender takes the file for; its bytes must say the same.
        expires: when it ends; :data:`NEEDS_END` says which kinds must.
        by: a member of that institution; or
        system: the institution whose own system attaches it.

    Raises:
        Refused: NOT_FOUND for a study that they do not see; WRONG_INSTITUTION or ROLE_MISSING; WRONG_STATE;
            FIELD_INVALID or FIELD_MISSING, naming the field; TOO_LARGE.
    """
    study = _seen(study, by, system)
    owner = selectors.institution(institution) if institution else None
    _check_may(study, owner, by, system)
    now = clock.now()
    policies.check_state(study, Verb.ATTACH, now)
    _check_kind(kind, institution, expires, now)
    name = name.strip()
    if not name or len(name) > 200 or not name.isprintable():
        raise Refused(Reason.FIELD_INVALID, detail="A file's name has between 1 and 200 characters.", field="name")
    _check_content(media_type, content)
    own, newest = digest(content), study.attachments.filter(kind=kind, institution=owner).first()
    if newest is not None and (newest.digest, newest.expires) == (own, expires):
        return newest
    attachment = Attachment.objects.create(
        study=study,
        institution=owner,
        kind=kind,
        name=name,
        media_type=media_type,
        digest=own,
        content=content,
        expires=expires,
        added_by=by.officer if by is not None else None,
        added=now,
    )
    record(
        event=Event.ATTACHMENT_ADDED,
        public={
            "study": _public_name(study),
            "institution": institution or study.institution.slug,
            "kind": kind,
            "attachment": own,
            "expires": clock.rfc3339(expires) if expires else "",
        },
        private={"officer": str(by.officer.uuid)} if by is not None else {},
        subject=by.officer.uuid if by is not None else None,
    )
    return attachment


@transaction.atomic
def read(*, study: str, attachment: str, by: User | None = None, system: Institution | None = None) -> Attachment:
    """An attachment with its content, for whoever sees the study. That it was read is recorded.

    Args:
        study: its identifier.
        by: a person; or
        system: the institution whose own system reads it.

    Raises Refused(NOT_FOUND).
    """
    if by is not None:
        seen = selectors.seen_study(by, study)
        reader, through = by.officer.uuid, selectors.seen_through(by, seen)[0]
    else:
        assert system is not None  # a person or a system reads
        seen, reader, through = _seen_by_system(study, system), None, system
    found = seen.attachments.filter(uuid=selectors.as_uuid(attachment)).first()
    if found is None:
        raise Refused(Reason.NOT_FOUND, detail="The study has no such attachment.", field="attachment")
    record(
        event=Event.RECORD_READ,
        public={
            "page": "attachment",
            "study": _public_name(seen),
            "institution": through.slug,
        },
        private={"reader": str(reader)} if reader is not None else {},
        subject=reader,
    )
    return found


def lacks(study: Study, content: Mapping[str, Any], now: datetime) -> list[Lack]:
    """What a protocol version asks for and is not in force, in the protocol's order; one query, or none."""
    needed = [(each["kind"], each["institution"]) for each in content["attachments"]]
    if not needed:
        return []
    rows = study.attachments.order_by("pk").values_list("kind", "institution__slug", "expires")
    ends = {(kind, slug or ""): expires for kind, slug, expires in rows}
    found = []
    for kind, slug in needed:
        if (kind, slug) not in ends:
            found.append(Lack(kind, slug, Reason.ATTACHMENT_MISSING))
        elif _over(ends[kind, slug], now):
            found.append(Lack(kind, slug, Reason.ATTACHMENT_EXPIRED))
    return found


def missing(study: Study, now: datetime) -> list[Lack]:
    """What the version in force asks for and is not in force; before the first approval nothing is."""
    return lacks(study, study.in_force.content, now) if study.in_force is not None else []


def check(study: Study, content: Mapping[str, Any], now: datetime) -> str:
    """The verdict's question: a sentence, when everything that this protocol version asks for is in force.

    Raises Refused: ATTACHMENT_MISSING or ATTACHMENT_EXPIRED, naming every document that is.
    """
    found = lacks(study, content, now)
    for reason in (Reason.ATTACHMENT_MISSING, Reason.ATTACHMENT_EXPIRED):
        named = [str(each) for each in found if each.reason is reason]
        if named:
            raise Refused(reason, detail=f"It is: {', '.join(named)}.", field="attachments")
    count = len(content["attachments"])
    return f"{count} attached and in force." if count else "The protocol asks for no attachment."


def lapsed_attachments(study: Study, content: Mapping[str, Any], now: datetime) -> int:
    """How many of the documents that this version asks for have ended: none while a job is authorised, so that the
    first that ends makes what runs stale."""
    return sum(each.reason is Reason.ATTACHMENT_EXPIRED for each in lacks(study, content, now))


@transaction.atomic
def remind(now: datetime) -> None:
    """Tell those who can attach another before one ends: 60, 30 and 7 days ahead, once each."""
    alive = Attachment.objects.exclude(study__state__in=[StudyState.TERMINATED, StudyState.CLOSED]).order_by()
    newest = alive.values("study", "kind", "institution").annotate(newest=Max("pk")).values("newest")
    ending = alive.filter(pk__in=newest, expires__gt=now, expires__lte=now + timedelta(days=max(REMINDERS)))
    for each in ending.defer("content").select_related("study__institution", "institution"):
        assert each.expires is not None  # or the filter had not found it
        days = min(days for days in REMINDERS if each.expires <= now + timedelta(days=days))
        notifications.tell(
            Notice.ATTACHMENT_ENDS,
            to=notifications.holders(each.institution or each.study.institution, *_TOLD),
            study=each.study,
            key=f"attachment {each.uuid} {days}",
            sentence=f"The {each.kind} for “{each.study.title}” ends on {each.expires:%Y-%m-%d}; attach another one.",
        )


def _public_name(study: Study) -> str:
    """What the log calls the study; nothing for a draft, whose name is nobody else's to know."""
    return "" if study.state == StudyState.DRAFT else study.slug


def _over(expires: datetime | None, now: datetime) -> bool:
    return expires is not None and now >= expires


def _seen(study: Study, by: User | None, system: Institution | None) -> Study:
    if by is not None:
        return selectors.locked_study(by, str(study.uuid))
    assert system is not None  # a person or a system attaches
    seen = _seen_by_system(str(study.uuid), system)
    return Study.objects.select_for_update(no_key=True).get(pk=seen.pk)


def _seen_by_system(study: str, system: Institution) -> Study:
    seen = selectors.visible_studies([system]).filter(uuid=selectors.as_uuid(study)).first()
    if seen is None:
        raise Refused(Reason.NOT_FOUND, field="study")
    return seen


def _check_may(study: Study, owner: Institution | None, by: User | None, system: Institution | None) -> None:
    institution = owner or study.institution
    if by is not None:
        permissions.check_may(by, Verb.ATTACH, institution)
    elif system != institution:
        detail = f"Only {institution} itself attaches this."
        raise Refused(Reason.WRONG_INSTITUTION, detail=detail, field="institution")
    if institution.pk != study.institution_id:
        permissions.check_takes_part(institution, study)


def _check_kind(kind: str, institution: str, expires: datetime | None, now: datetime) -> None:
    if kind not in frozenset(AttachmentKind):
        raise Refused(Reason.FIELD_INVALID, detail=f"The kinds are: {', '.join(AttachmentKind)}.", field="kind")
    if kind == AttachmentKind.PAPER_APPROVAL and not institution:
        raise Refused(Reason.FIELD_MISSING, detail="Say whose board has approved on paper.", field="institution")
    if expires is None and kind in NEEDS_END:
        raise Refused(Reason.FIELD_MISSING, detail=f"Say when the {kind} ends.", field="expires")
    if expires is not None and kind == AttachmentKind.PAPER_APPROVAL:
        detail = "A paper approval ends as its board's determination says."
        raise Refused(Reason.FIELD_INVALID, detail=detail, field="expires")
    if _over(expires, now):
        raise Refused(Reason.FIELD_INVALID, detail="It has ended already.", field="expires")


def _check_content(media_type: str, content: bytes) -> None:
    if not content:
        raise Refused(Reason.FIELD_MISSING, detail="The file is empty.", field="content")
    if len(content) > settings.ATTACHMENT_BYTES:
        detail = f"A file has {settings.ATTACHMENT_BYTES // 2**20} MiB at most."
        raise Refused(Reason.TOO_LARGE, detail=detail, field="content")
    found = media.media_type(content)
    if media_type != found:
        raise Refused(Reason.FIELD_INVALID, detail=f"By its bytes this file is {found}.", field="media_type")
