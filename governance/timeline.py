"""One timeline of a study: what the log says of it, and what people wrote.

The log's public fields become sentences; a determination brings its reasons, a signature its printed name. Comments
stand here themselves, in place of the entries that record them. Everyday entries, of reads and of computations, are
left out unless they are asked for.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, overload

from django.contrib.auth.models import User
from django.core.paginator import Page, Paginator
from django.db.models import Q, QuerySet

from concordat.events import Event
from governance.models import Comment, Determination, Institution, Signature, Study
from ledger import selectors as ledger
from ledger.models import LogEntry
from ledger.selectors import EntryStatus

PER_PAGE = 25

SENTENCES: Mapping[Event, str] = {
    Event.DELEGATION_SIGNED: "The chair of {institution}'s board delegated to a member: {scope}, until {until}.",
    Event.RELIANCE_AGREED: "{relying} relies on the board of {institution} for this study.",
    Event.LOCAL_CONTEXT_FILED: "{institution} told the board of {board} what is particular about its site.",
    Event.STUDY_SUBMITTED: "{institution} put a version before the boards ({kind}): {boards}.",
    Event.SUBMISSION_WITHDRAWN: "{institution} took its submission back.",
    Event.SUBMISSION_SETTLED: "The boards together: {state} ({kind}).",
    Event.REVIEW_ROUTED: "{institution}'s board chose how it reviews: {path} {category}.",
    Event.OPINION_GIVEN: "A reviewer of {institution}'s board gave an opinion before the meeting.",
    Event.CONFLICT_DECLARED: "A member of {institution}'s board declared a conflict of interest.",
    Event.CONFLICT_WITHDRAWN: "The chair of {institution}'s board found that a declared conflict had ended.",
    Event.ITEM_PLACED: "{institution} put it on the agenda of a meeting.",
    Event.ITEM_TAKEN_OFF: "{institution} took it off the agenda of a meeting.",
    Event.ITEM_OPENED: "{institution}'s board took it up: {present} present, {needed} needed.",
    Event.ITEM_STOPPED: "{institution}'s board stopped the item: {present} present, {needed} needed.",
    Event.ITEM_DECIDED: (
        "{institution}'s board voted: {outcome} ({for} for, {against} against, {abstain} abstained, {recused} recused)."
    ),
    Event.ATTENDANCE_MARKED: "A member of {institution}'s board is {status} for the item.",
    Event.MOTION_MADE: "{institution}'s board put into words what it votes on.",
    Event.BALLOT_CAST: "A member of {institution}'s board voted.",
    Event.REVIEW_SIGNED: "The board of {institution} decided ({kind}, {path}): {determination}.",
    Event.CONDITIONS_VERIFIED: "The board of {institution} verified that the conditions of its approval are met.",
    Event.STUDY_APPROVED: "Every board has approved ({kind}); the approval ends at {expires}.",
    Event.STUDY_SUSPENDED: "An officer of {institution} suspended the study.",
    Event.STUDY_TERMINATED: "The board of {institution} ended its approval for good.",
    Event.STUDY_EXPIRED: "The approval lapsed at {expired}.",
    Event.STUDY_CLOSED: "{institution} closed the study.",
    Event.INCIDENT_REPORTED: "{institution} reported an incident ({kind}), discovered at {discovered}; due by {due}.",
    Event.INCIDENT_STEP: "{institution} took a step about an incident{late}: {step}.",
    Event.ATTACHMENT_ADDED: "{institution} attached: {kind}.",
    Event.DATA_USE_DECIDED: "The data steward of {institution} decided on the use of its data: {allowed}.",
    Event.COMMENT_WRITTEN: "Somebody of {institution} commented.",
    Event.RECORD_READ: "Somebody of {institution} opened the page “{page}”.",
    Event.DISCLOSURE_SIGNED: "{institution}, the model's owner, accepted that explanations disclose its weights.",
    Event.DEFINITION_REGISTERED: "A definition was registered: {definition}.",
    Event.DEFINITION_VOTED: "{institution} {approve} the definition {definition}.",
    Event.CONSENT_GIVEN: "A person consented, at {institution}.",
    Event.CONSENT_WITHDRAWN: "A person withdrew consent, at {institution}.",
    Event.CONSENT_LAPSED: "A person for whom another had consented decides for themself from now on, at {institution}.",
    Event.VERDICT: "A request of {institution} was {authorised}.",
    Event.PREDICTION_RECORDED: "A prediction was computed for {institution}.",
    Event.EXPLANATION_RECORDED: "An explanation was computed for {institution}.",
    Event.AUDIT_RECORDED: "An audit was computed for {institution}.",
    Event.TRAINING_RECORDED: "A model was trained for {institution}.",
    Event.RETENTION_SET: "{institution} has to keep records of this study for {days} days: {law}.",
    Event.RETENTION_ENDED: "{institution} ended a rule by which it kept records of this study.",
}
"""A sentence for each event that is about a study, filled in with the entry's public fields."""

EVERYDAY = frozenset(
    {
        *(Event.RECORD_READ, Event.CONSENT_GIVEN, Event.CONSENT_WITHDRAWN, Event.CONSENT_LAPSED),
        *(Event.VERDICT, Event.PREDICTION_RECORDED, Event.EXPLANATION_RECORDED),
    }
)

_TRUTHS = {
    "allowed": ("denied", "allowed"),
    "approve": ("revokes", "approves"),
    "authorised": ("refused", "authorised"),
    "late": ("", ", late"),
}
"""How a field that is false or true reads."""

_INSTITUTIONS = ("institution", "board", "boards", "relying")


@dataclass(frozen=True)
class Entry:
    """One line. `number` and `status` are those of the log's entry; a comment has none. `signer` is the printed name
    under a signature, which anybody can verify or which the coordinator attests; `text` what was written."""

    time: datetime
    sentence: str
    actor: str
    text: str = ""
    signer: str = ""
    verifiable: bool = False
    internal: bool = False
    index: int | None = None
    number: str = ""
    status: EntryStatus | None = None


class Timeline(Sequence[Entry]):
    """The latest first. Only the part that is asked for is read, in a fixed number of queries."""

    def __init__(self, log: QuerySet[LogEntry], comments: QuerySet[Comment]) -> None:
        logged = ((time, 0, index) for time, index in log.values_list("time", "index"))
        written = ((time, 1, key) for time, key in comments.values_list("written", "pk"))
        self._keys = sorted([*logged, *written], reverse=True)

    def __len__(self) -> int:
        return len(self._keys)

    @overload
    def __getitem__(self, place: int) -> Entry: ...
    @overload
    def __getitem__(self, place: slice) -> list[Entry]: ...
    def __getitem__(self, place: int | slice) -> Entry | list[Entry]:
        if isinstance(place, int):
            return self[place : place + 1 or None][0]
        keys = self._keys[place]
        log = _logged([key for _, kind, key in keys if kind == 0])
        comments = _comments([key for _, kind, key in keys if kind == 1])
        return [(comments if kind else log)[key] for _, kind, key in keys]


def events(study: Study, user: User, *, everything: bool = False) -> Timeline:
    """What happened to a study that this person sees.

    Args:
        everything: reads, consents, verdicts and computations too.
    """
    votes = LogEntry.objects.filter(
        event=Event.DEFINITION_VOTED,
        references__name="definition",
        references__value__in=study.definitions.values("digest"),
    )
    about = Q(pk__in=ledger.entries(study=study.slug).values("pk")) | Q(pk__in=votes.values("pk"))
    left_out = {Event.COMMENT_WRITTEN} | (frozenset() if everything else EVERYDAY)
    mine = Institution.objects.filter(memberships__user=user)
    return Timeline(
        LogEntry.objects.filter(about).exclude(event__in=left_out).order_by(),
        study.comments.filter(Q(internal=False) | Q(institution__in=mine)).order_by(),
    )


def context(study: Study, user: User, *, page: object = 1, everything: bool = False) -> dict[str, Any]:
    """What `governance/study/timeline.html` shows: one page of it."""
    shown: Page[Entry] = Paginator(events(study, user, everything=everything), PER_PAGE).get_page(page)  # type: ignore[arg-type]
    return {"timeline": shown, "everything": everything}


def sentence(event: Event, public: Mapping[str, Any], names: Mapping[str, str]) -> str:
    """An entry in words. `names` are those of the institutions, by slug."""
    words = {field: _word(field, value, names) for field, value in public.items()}
    return SENTENCES[event].format_map(words).replace(" .", ".")


def _word(field: str, value: Any, names: Mapping[str, str]) -> str:
    if field in _TRUTHS:
        return _TRUTHS[field][bool(value)]
    if field in _INSTITUTIONS:
        slugs = value if isinstance(value, list) else [value]
        return ", ".join(names.get(slug, slug) for slug in slugs)
    return f"{value[:19]}…" if field == "definition" else str(value)


def _logged(indexes: Iterable[int]) -> dict[int, Entry]:
    entries = list(LogEntry.objects.filter(index__in=indexes))
    names = dict(Institution.objects.filter(slug__in=_slugs(entries)).values_list("slug", "name"))
    digests = {digest for entry in entries for digest in entry.documents.values()}
    signatures = {each.record: each for each in Signature.objects.filter(record__in=digests)}
    decided = {each.digest: each for each in Determination.objects.filter(digest__in=digests)}
    statuses = ledger.statuses([entry.index for entry in entries])
    made = {}
    for entry in entries:
        signed = next((signatures[each] for each in entry.documents.values() if each in signatures), None)
        reasons = next((_reasons(decided[each]) for each in entry.documents.values() if each in decided), "")
        made[entry.index] = Entry(
            time=entry.time,
            sentence=sentence(Event(entry.event), entry.public, names),
            actor=names.get(entry.public.get("institution", ""), ""),
            text=reasons,
            signer=f"{signed.printed_name}, {signed.role}" if signed else "",
            verifiable=signed.verifiable if signed else False,
            index=entry.index,
            number=entry.record_number,
            status=statuses[entry.index],
        )
    return made


def _slugs(entries: Iterable[LogEntry]) -> set[str]:
    named = (entry.public.get(field) or [] for entry in entries for field in _INSTITUTIONS)
    return {slug for each in named for slug in (each if isinstance(each, list) else [each])}


def _reasons(determination: Determination) -> str:
    document = determination.document
    return "\n".join(filter(None, [document["reasons"], *(f"Condition: {each}" for each in document["conditions"])]))


def _comments(keys: Iterable[int]) -> dict[int, Entry]:
    found = Comment.objects.filter(pk__in=keys).select_related("institution", "officer")
    return {
        each.pk: Entry(
            time=each.written,
            sentence=f"{each.officer} commented{' within the institution' if each.internal else ''}.",
            actor=each.institution.name,
            text=each.text,
            internal=each.internal,
        )
        for each in found
    }
