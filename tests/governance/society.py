"""People of every role at four institutions, newcomers and strangers, and everything that one of them can try to do to
a study. Used by the tests that try verbs at random and in chosen orders."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from django.contrib.auth.models import User

from concordat import clock, passkeys
from concordat.canonical import digest
from concordat.findings import needed
from governance import acts, permissions, selectors
from governance.models import AgendaItem, Attachment, Delegation, Review, Study, Submission
from governance.permissions import HOLDERS, Verb
from governance.services import attendance, boards, institutions, meetings, reviews, sittings, studies
from governance.services.second_factors import Kind
from governance.services.sign_in import SecondFactor
from tests.governance.conftest import NEWCOMER, Consortium, Officer

LEADS = {"chest-pain": "cleveland", "stroke": "budapest"}
SITES = (
    ["cleveland", "budapest", "zurich", "long-beach"],
    ["cleveland", "budapest", "long-beach"],
    ["cleveland", "budapest"],
    [],
)
"""Beside the leading institution."""

PEOPLE: Mapping[str, tuple[tuple[str, ...], ...]] = {
    "cleveland": (("investigator",), ("irb-member",), ("irb-administrator",), ("institution-admin",), ("auditor",)),
    "budapest": (("investigator", "irb-member"), ("irb-member",), ("irb-administrator",), ("data-steward",)),
    "zurich": (("irb-member",), ("institution-admin",), ("clinician",)),
    "long-beach": (("irb-administrator",), ("investigator",), ("regulator",)),
    NEWCOMER: (("irb-chair",), ("institution-admin",), ("investigator",)),
}
"""Beside the chairs and the signatory of the consortium."""

CONTEXT = {
    "law": "Nothing beyond federal law.",
    "population": "Veterans.",
    "resources": "A cardiology ward.",
    "contact": "The research office.",
}


@dataclass(frozen=True)
class Person:
    """Somebody with an account. `officer` is who they are to the consortium, with a passkey; a stranger has none."""

    name: str
    user: User = field(repr=False)
    institution: str = ""
    officer: Officer | None = field(default=None, repr=False)


class Society:
    """The people, and what they do. Each of the methods named like a verb is one call of a service or of an act."""

    def __init__(self, consortium: Consortium) -> None:
        self.consortium = consortium
        self.began = clock.now()
        consortium.at[NEWCOMER] = institutions.enrol(token=consortium.enrolment(NEWCOMER))
        self.people = [Person("stranger", User.objects.create_user("stranger"))]
        for slug, members in PEOPLE.items():
            known = [(consortium.chairs[slug], "irb-chair")] if slug in consortium.chairs else []
            if slug == "long-beach":
                known.append((consortium.signatory, "institution-admin"))
            for roles in members:
                officer = consortium.officer(slug, roles[0])
                for role in roles[1:]:
                    officer.user.memberships.create(institution=consortium.at[slug], role=role, since=clock.now())
                known.append((officer, roles[-1]))
            self.people += [Person(f"{slug}/{role}", each.user, slug, each) for each, role in known]
            self._seat(slug, known)
            if slug != NEWCOMER:  # whose roster is still to come: its officers sign with password and code
                consortium.roster(slug, known)

    def _seat(self, board: str, known: Iterable[tuple[Officer, str]]) -> None:
        """The chair, and its members, who are no scientists."""
        chair = next((each for each, role in known if role == "irb-chair"), None)
        for officer, role in known:
            if chair is not None and role in ("irb-chair", "irb-member"):
                boards.give_seat(
                    by=chair.user,
                    board=self.consortium.at[board],
                    officer=str(officer.user.officer.uuid),
                    scientist=role == "irb-chair",
                    affiliated=True,
                )

    def person(self, name: str) -> Person:
        return next(each for each in self.people if each.name == name)

    def holders(self, verb: Verb, slugs: Iterable[str]) -> list[Person]:
        """Who may do this by role, at one of these institutions."""
        users = User.objects.filter(memberships__institution__slug__in=list(slugs), memberships__role__in=HOLDERS[verb])
        found = set(users.values_list("pk", flat=True))
        return [each for each in self.people if each.user.pk in found]

    # --- what is put before the boards

    def protocol(
        self, study: str, *, title: int = 0, computed: int = 0, sites: int = 0, year: int = 1
    ) -> dict[str, Any]:
        named = sorted({*SITES[sites], LEADS[study]})
        requester = "long-beach" if "long-beach" in named else LEADS[study]
        ground = {"institution": requester, "purpose": "decision-support", "ground": "consent", "gdpr": None}
        return self.consortium.protocol(
            study=study,
            institution=LEADS[study],
            title=f"A study of {study}, {title}",
            computed=f"The risk, in way {computed}.",
            sites=named,
            data_use={
                "study": ["DUO:0000006"],
                "datasets": [{"institution": requester, "terms": ["DUO:0000006", "DUO:0000021"]}],
            },
            requesters=[requester],
            bases=[ground | {"note": "45 CFR 46.116"}],
            valid_until=clock.rfc3339(self.began + timedelta(days=500 * year)),
        )

    def submit(self, by: Person | None, study: str, **variant: int) -> Submission:
        return studies.submit(
            institution=self.consortium.at[LEADS[study]],
            content=self.protocol(study, **variant),
            by=by.user if by else None,
            report="What has happened.",
        )

    def draft(self, by: Person, study: str, **variant: int) -> Any:
        institution = self.consortium.at[LEADS[study]]
        return studies.save_draft(institution=institution, content=self.protocol(study, **variant), by=by.user)

    # --- what is signed

    def act(self, by: Person, act: str, /, **fields: Any) -> Any:
        """With the passkey where the roster lists it, and with password and code elsewhere."""
        listed = by.officer is not None and by.institution != NEWCOMER
        asked = acts.ask(by=by.user, act=act, fields=fields, method="passkey" if listed else "totp")
        if not listed:
            return acts.sign(by=by.user, nonce=asked.nonce, confirmed=SecondFactor(Kind.TOTP, clock.now()))
        assert by.officer is not None  # as it is listed
        assertion = by.officer.passkey.assertion(passkeys.challenge(asked.statement))
        return acts.sign(by=by.user, nonce=asked.nonce, assertion=assertion)

    def determine(self, by: Person, review: Review, outcome: str, *, act: str = "determine", **fields: Any) -> Any:
        return self.act(by, act, review=str(review.uuid), **decision(review.path, outcome) | fields)

    def attest_paper(self, by: Person, review: Review, outcome: str) -> Any:
        """With the scan of the board's letter, which lies with the study."""
        scan = digest(str(review.uuid))
        Attachment.objects.get_or_create(
            study=review.submission.study,
            institution=review.board,
            digest=scan,
            defaults={
                "kind": "paper-approval",
                "name": "letter.pdf",
                "media_type": "application/pdf",
                "content": b"",
                "added": clock.now(),
            },
        )
        return self.determine(by, review, outcome, act="attest-paper", scan=scan)

    def file_context(self, by: Person, study: Study, site: str) -> Any:
        return self.act(by, "file-local-context", study=str(study.uuid), site=site, **CONTEXT)

    def delegate(
        self, by: Person, to: Person, *, board: str, scope: str, study: str = "", days: int = 90
    ) -> Delegation:
        to_officer = str(to.officer.user.officer.uuid) if to.officer else "nobody"
        ends = clock.rfc3339(clock.now() + timedelta(days=days))
        made: Delegation = self.act(
            by, "delegate", board=board, delegate=to_officer, scope=scope, study=study, ends=ends
        )
        return made

    def propose(self, by: Person, *, relying: str, reviewing: str, study: str = "", days: int = 400) -> Any:
        return self.act(
            by,
            "propose-reliance",
            relying=relying,
            reviewing=reviewing,
            study=study,
            responsibilities="The reviewing board decides.",
            ends=clock.rfc3339(clock.now() + timedelta(days=days)),
        )

    def stop(self, by: Person, act: str, study: Study, institution: str) -> Any:
        return self.act(by, act, study=str(study.uuid), institution=institution, ground="It went wrong.")

    # --- the boards

    def convene(self, review: Review, outcome: str) -> AgendaItem:
        """Whoever is free to meets at once, and votes for this outcome."""
        by, board, study = self.chair_of(review.board.slug).user, review.board, review.submission.study
        meeting = meetings.schedule(by=by, board=board, at=clock.now(), place="Room 1", kind="urgent")
        item = meetings.place(by=by, meeting=str(meeting.uuid), review=str(review.uuid))
        meetings.open(by=by, meeting=str(meeting.uuid))
        seats = list(board.seats.filter(until=None).select_related("officer__user"))
        free = [seat for seat in seats if permissions.independent(seat.officer.user, study)]
        marks = {str(seat.uuid): "present" if seat in free else "recused" for seat in seats}
        attendance.attend(by=by, item=str(item.uuid), marks=marks)
        sittings.open_item(by=by, item=str(item.uuid))
        sittings.move(by=by, item=str(item.uuid), motion=decision("full-board", outcome))
        for seat in free:
            sittings.vote(by=seat.officer.user, item=str(item.uuid), choice="for")
        decided = sittings.decide(by=by, item=str(item.uuid))
        meetings.close(by=by, meeting=str(meeting.uuid))
        return decided

    def chair_of(self, board: str) -> Person:
        return self.person(f"{board}/irb-chair")

    def decide(self, review: Review, outcome: str = "approved") -> Any:
        """The chair's way to a decision: expedited where that is open, and in a meeting where it is not."""
        chair = self.chair_of(review.board.slug)
        category = {"initial": "5", "continuing-review": "9"}.get(review.submission.kind)
        alone = outcome not in ("disapproved", "deferred") and review.outcome == ""
        if review.path == "full-board" and category and alone:
            reviews.route(
                by=chair.user, review=str(review.uuid), path="expedited", category=category, ground="Minimal risk."
            )
            review.refresh_from_db()
        if review.path == "full-board":
            self.convene(review, outcome)
        return self.determine(chair, review, outcome)

    def decide_all(
        self, study: str, outcome: str = "approved", attempt: Callable[[Callable[[], Any]], Any] = lambda f: f()
    ) -> None:
        """Every relying site files its local context, and every board decides."""
        found = Study.objects.get(slug=study)
        pending = selectors.open_submission(found)
        for review in [each for each in pending.reviews.all() if each.open] if pending else ():
            for site in review.sites.exclude(pk=review.board.pk):
                contexts = found.local_contexts.filter(site=site, base=pending.version.base, board=review.board)
                if not contexts.exists():
                    for by in self.holders(Verb.FILE_LOCAL_CONTEXT, [site.slug])[:1]:
                        attempt(lambda by=by, site=site: self.file_context(by, found, site.slug))
            attempt(lambda review=review: self.decide(Review.objects.get(pk=review.pk), outcome))


def decision(path: str, outcome: str) -> dict[str, Any]:
    """What an officer states with an outcome."""
    approves = outcome.startswith("approved")
    made = {name: {"answer": "met", "note": ""} for name in needed(path, waiver=False)} if approves else {}
    return {
        "outcome": outcome,
        "findings": made,
        "conditions": ["A lock on the door."] if outcome == "approved-with-conditions" else [],
        "reasons": "" if approves else "Please change the consent form.",
    }
