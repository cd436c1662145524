"""Which boards allowed it: their determinations in the order of the log, verified by the function that nodes use.

The log says what a node cannot know: that a document was recorded before another, that an agreement or a delegation was
ended, that the study was suspended. A roster counts for what was recorded behind it, and a signature only where it was
recorded soon after it was made, so that an officer who was struck off cannot sign in the past.
"""

from collections.abc import Collection, Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

from concordat import canonical, clock, officers
from concordat.canonical import Json
from concordat.determination import Determination, Path, SubmissionKind
from concordat.documents import CLOCK_SKEW
from concordat.enrolment import Roster
from concordat.events import Event
from concordat.fields import Slug, read
from concordat.officers import Signed
from concordat.reasons import Reason, Refused
from concordat.review import Reviewed, check_reviewed
from concordat.review_evidence import Record, Reviews
from concordat.verifier.case import Case
from concordat.verifier.evidence import Entry, NotCheckable

SOON = timedelta(hours=1)
"""How long after its signature a record may enter the log; an officer has minutes."""

_K = SubmissionKind

LIFTED_BY: Mapping[Event, frozenset[str]] = {
    Event.STUDY_SUSPENDED: frozenset({_K.REINSTATEMENT}),
    Event.STUDY_TERMINATED: frozenset({_K.REINSTATEMENT}),
    Event.STUDY_CLOSED: frozenset({_K.REINSTATEMENT}),
    Event.STUDY_EXPIRED: frozenset({_K.REINSTATEMENT, _K.CONTINUING_REVIEW}),
}
"""What ends an approval, and the kinds of submission whose approval counts after that."""

VERIFIED, ATTESTED, UNVERIFIED = "verified", "attested, not verified", "not verified"


def officers_signed(case: Case) -> str:
    """The board of each site approved exactly this protocol, by a passkey of its roster: at the verdict, and still at
    the decision; and after each suspension or lapse it did so anew, with the board of whoever had suspended."""
    for ending in endings(case):
        lift = lifted(case, ending)
        if lift is not None:
            _check_lifted(case, ending, lift)
    for moment in (case.verdict, case.decision):
        found = reviewed(case, moment)
    boards = ", ".join(approval.board for approval in found.approvals)
    if found.attested:
        detail = f"Approved by the boards of {boards}; on paper, and so attested and not verified: "
        raise NotCheckable(Reason.ATTESTED_ONLY, f"{detail}{', '.join(found.attested)}.")
    return f"{len(found.approvals)} boards approved the protocol, each by an officer's passkey: {boards}."


def study(case: Case) -> str:
    """The study was approved, and neither suspended nor ended nor lapsed, from the verdict to the decision."""
    name, base = case.definition["study"], case.definition["protocol"]
    approved = _before(case.evidence.of(Event.STUDY_APPROVED, study=name), case.verdict)
    if not approved or approved[-1].leaf["public"].get("base") != base:
        detail = "The protocol that was approved last is another one." if approved else ""
        raise Refused(Reason.STUDY_NOT_APPROVED, detail=detail)
    for ending in endings(case):
        if lifted(case, ending) is None or approved[-1].index < ending.index:
            ended = "lapsed" if ending.event is Event.STUDY_EXPIRED else "was suspended or ended"
            reason = Reason.STUDY_EXPIRED if ending.event is Event.STUDY_EXPIRED else Reason.STUDY_NOT_APPROVED
            raise Refused(reason, detail=f"The study {ended} before ({ending.number}).")
    if case.decision.time >= clock.parse(approved[-1].text("expires")):
        raise Refused(Reason.STUDY_EXPIRED)
    return f"The study “{name}” was approved ({approved[-1].number}) and in force at the decision."


def concerned(case: Case) -> set[str]:
    """The institutions whose officers decide the case: the sites, and every board that said something on the study."""
    said = case.evidence.of(Event.REVIEW_SIGNED, study=case.definition["study"])
    return {*_sites(case, case.definition["protocol"]), *(entry.text("institution") for entry in said)}


def reviewed(case: Case, moment: Entry) -> Reviewed:
    """The boards' approvals of the definition's protocol, as they stood when `moment` was recorded."""
    base = case.definition["protocol"]
    return check_reviewed(
        _reviews(case, base, moment),
        protocol=_protocol(case, base),
        base=base,
        origin=case.evidence.about["site"],
        now=moment.time,
        accept_paper=True,
    )


def endings(case: Case) -> list[Entry]:
    """Where the study was suspended, ended or lapsed before the decision."""
    return case.before(case.evidence.of(*LIFTED_BY, study=case.definition["study"]))


def lifted(case: Case, ending: Entry) -> Entry | None:
    """The approval that counts after an ending, if there is one before the verdict."""
    for entry in _before(case.evidence.of(Event.STUDY_APPROVED, study=case.definition["study"]), case.verdict):
        if entry.index > ending.index and entry.leaf["public"].get("kind") in LIFTED_BY[ending.event]:
            return entry
    return None


def tell(case: Case) -> list[Json]:
    """What each board said on the definition's protocol before the decision, and who signed."""
    found = _before(case.evidence.of(Event.REVIEW_SIGNED, study=case.definition["study"]), case.decision)
    records = [(entry, _record(case, entry, "determination")) for entry in found]
    base = case.definition["protocol"]
    return [_told(case, entry, record) for entry, record in records if record.document["base"] == base]


def _told(case: Case, entry: Entry, record: Record) -> dict[str, Json]:
    statement = record.signatures[0]["statement"]
    kept = {field: statement[field] for field in ("institution", "name", "role", "meaning", "time")}
    said = {"path": record.document["path"], "sites": list(record.document["sites"])}
    return {**kept, **said, "signature": _status(case, record), "entry": entry.number}


def _status(case: Case, record: Record) -> str:
    try:
        officers.verify(
            record.signature,
            record=record.digest,
            record_kind="determination",
            institution=str(record.document["board"]),
            rosters=record.rosters,
            origin=case.evidence.about["site"],
        )
    except Refused as no:
        return ATTESTED if no.reason is Reason.ATTESTED_ONLY else UNVERIFIED
    return ATTESTED if record.document["path"] == Path.PAPER else VERIFIED


def _check_lifted(case: Case, ending: Entry, lift: Entry) -> None:
    """Every board that the study had needed, and that of whoever ended it, approved after that: leaving a site out does
    not leave its board out."""
    earlier = _before(case.evidence.of(Event.STUDY_APPROVED, study=case.definition["study"]), ending)
    if not earlier:
        raise Refused(Reason.SEQUENCE_BROKEN, detail=f"{ending.number} ends a study that was not approved.")
    also: set[str] = set()
    if ending.event is not Event.STUDY_EXPIRED:
        also = {ending.text("institution"), *_sites(case, earlier[-1].text("base"))}
    base = lift.text("base")
    check_reviewed(
        _reviews(case, base, lift, since=ending.index, kinds=LIFTED_BY[ending.event]),
        protocol=_protocol(case, base),
        base=base,
        origin=case.evidence.about["site"],
        now=lift.time,
        accept_paper=True,
        also=sorted(also),
    )


def _reviews(
    case: Case, base: str, until: Entry, *, since: int = -1, kinds: Collection[str] = frozenset(SubmissionKind)
) -> Reviews:
    """The evidence that the log held before `until`: each board's last determination on this base, recorded after
    `since` for a submission of these kinds, and everything that may support it."""

    def records(event: Event, name: str, **public: Json) -> list[tuple[Entry, Record]]:
        found = _before(case.evidence.of(event, **public), until)
        return [(entry, _record(case, entry, name)) for entry in found]

    about = {"study": case.definition["study"]}
    last: dict[str, Record] = {}
    for entry, record in records(Event.REVIEW_SIGNED, "determination", **about):
        document = record.document
        if document["base"] == base and entry.index > since and document["kind"] in kinds:
            last[entry.text("institution")] = record
    ended = _before(case.evidence.of(Event.DELEGATION_ENDED, Event.RELIANCE_ENDED), until)
    delegations = records(Event.DELEGATION_SIGNED, "delegation")
    agreements = records(Event.RELIANCE_AGREED, "agreement")
    return Reviews(
        determinations=tuple(last.values()),
        conditions=tuple(record for _, record in records(Event.CONDITIONS_VERIFIED, "conditions", **about)),
        delegations=tuple(_until(record, "delegation", ended) for _, record in delegations),
        agreements=tuple(_until(record, "agreement", ended) for _, record in agreements),
        contexts=tuple(record for _, record in records(Event.LOCAL_CONTEXT_FILED, "context", **about)),
    )


def _record(case: Case, entry: Entry, name: str) -> Record:
    """The entry's document with its signatures, which were made shortly before, and the rosters recorded before it."""
    document = case.evidence.json(entry, name)
    several = "signatures" in entry.leaf["documents"]
    signed: list[Any] = case.evidence.json(entry, "signatures") if several else [case.evidence.json(entry, "signature")]
    signatures = tuple(read(signed, list[Signed]))
    for each in signatures:
        passed = entry.time - clock.parse(each["statement"]["time"])
        if passed < -CLOCK_SKEW or (passed > SOON and not several):
            detail = f"{entry.number} was not recorded when it says that it was signed."
            raise Refused(Reason.SIGNATURE_INVALID, detail=detail, field="time")
    if not isinstance(document, dict):
        raise Refused(Reason.MALFORMED, detail=f"The document “{name}” of {entry.number} is not an object.")
    if entry.event is Event.REVIEW_SIGNED:
        _check_reported(entry, read(document, Determination), signatures)
    return Record(document, signatures, _rosters(case, entry), entry.index)


def _check_reported(entry: Entry, said: Determination, signatures: tuple[Signed, ...]) -> None:
    """The entry says in the open what the officer signed."""
    reported = {
        "study": said["study"],
        "institution": said["board"],
        "submission": said["submission"],
        "kind": said["kind"],
        "path": said["path"],
        "determination": said["outcome"],
        "method": signatures[0]["statement"]["method"],
    }
    wrong = [field for field, value in reported.items() if entry.leaf["public"].get(field) != value]
    if wrong or entry.leaf["documents"].get("protocol") != said["protocol"]:
        field = wrong[0] if wrong else "protocol"
        detail = f"The entry {entry.number} reports the determination wrongly."
        raise Refused(Reason.DIGEST_MISMATCH, detail=detail, field=field)


def _until(record: Record, name: str, ended: list[Entry]) -> Record:
    """The record with the place at which it was ended, whichever of its institutions said so."""
    for each in ended:
        if each.index > record.place and each.leaf["public"].get(name) == record.document.get(name):
            return replace(record, ended=each.index)
    return record


def _rosters(case: Case, entry: Entry) -> tuple[Roster, ...]:
    return tuple(roster for published, roster in case.rosters if published.index < entry.index)


def _protocol(case: Case, base: str) -> Mapping[str, Json]:
    content = canonical.decode(case.evidence.documents[base]) if base in case.evidence.documents else None
    if not isinstance(content, dict):
        raise Refused(Reason.STUDY_NOT_APPROVED, detail="The protocol was never submitted.")
    return content


def _sites(case: Case, base: str) -> list[str]:
    return read(_protocol(case, base).get("sites"), list[Slug])


def _before(entries: list[Entry], moment: Entry) -> list[Entry]:
    return [entry for entry in entries if entry.index < moment.index]
