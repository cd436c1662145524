"""What a person can do to a study now; and if not, why not. The checks are those of the services that do it.

Whoever's role never allows a verb is not shown its button. Whoever's role could is shown it with the reason why not
now: the study's state, a study of their own, a declared conflict, a delegation or a meeting that is missing.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime

from django.contrib.auth.models import User
from django.db.models import prefetch_related_objects

from concordat.reasons import Reason, Refused
from governance import permissions, policies
from governance.models import Institution, Review, Study, Submission
from governance.permissions import HOLDERS, Verb
from governance.services import determinations, reliance, reviews, stops, studies
from governance.states import OPEN, IncidentState


@dataclass(frozen=True)
class Place:
    """For which institution something is done; and on which review, where it is a board's."""

    institution: Institution
    review: Review | None = None


@dataclass(frozen=True)
class Desk:
    """A person before a study: what the checks are asked of. `pending` is the study's open submission."""

    user: User
    study: Study
    now: datetime
    pending: Submission | None
    lead: list[Place]
    boards: list[Place]
    sites: list[Place]

    @property
    def everybody(self) -> list[Place]:
        """Each institution that takes part, once."""
        places = {place.institution.pk: place for place in (*self.boards, *self.sites, *self.lead)}
        return list(places.values())


@dataclass(frozen=True)
class Deed:
    """One way to do a verb. `anchor` is where on the study's page it is done, or the name of the page where it is."""

    name: str
    verb: Verb
    label: str
    where: Callable[[Desk], list[Place]]
    check: Callable[[Desk, Place], object]
    anchor: str = ""
    page: str = ""
    danger: bool = False


@dataclass(frozen=True)
class Button:
    """A deed as one person is offered it: where it can be done now, or why it cannot."""

    deed: Deed
    places: tuple[Place, ...]
    why_not: str = ""

    @property
    def enabled(self) -> bool:
        return bool(self.places)

    @property
    def anchor(self) -> str:
        """Where on the page the form is."""
        return self.deed.anchor or f"act-{self.deed.name}"


def _may(desk: Desk, place: Place, verb: Verb) -> None:
    permissions.check_may(desk.user, verb, place.institution)


def _review(place: Place) -> Review:
    if place.review is None:
        raise Refused(Reason.NOT_FOUND, detail=f"Nothing is before the board of {place.institution}.")
    return place.review


def _open_conflict(desk: Desk, place: Place) -> None:
    _may(desk, place, Verb.DECLARE_CONFLICT)
    if desk.study.conflicts.filter(officer__user=desk.user, withdrawn=None).exists():
        raise Refused(Reason.CONFLICT, detail="You have declared one already.")


def _open_incident(desk: Desk, place: Place) -> None:
    _may(desk, place, Verb.STEP_INCIDENT)
    if not desk.study.incidents.exclude(state=IncidentState.CLOSED).exists():
        raise Refused(Reason.NOT_FOUND, detail="No incident is open.")


def _part(verb: Verb, label: str, anchor: str) -> Deed:
    """What any institution that takes part can do, in a part of the page of its own."""
    return Deed(verb, verb, label, lambda desk: desk.everybody, lambda desk, place: _may(desk, place, verb), anchor)


def _stop(verb: Verb, label: str, where: Callable[[Desk], list[Place]]) -> Deed:
    def check(desk: Desk, place: Place) -> None:
        stops.check_stop(desk.user, desk.study, place.institution, verb, desk.now)

    return Deed(verb, verb, label, where, check, danger=True)


DEEDS: tuple[Deed, ...] = (
    Deed(
        "draft",
        Verb.DRAFT,
        "Edit the protocol",
        lambda desk: desk.lead,
        lambda desk, place: _may(desk, place, Verb.DRAFT),
        page="draft",
    ),
    Deed(
        "submit",
        Verb.SUBMIT,
        "Submit to the boards",
        lambda desk: desk.lead,
        lambda desk, place: studies.check_submit(desk.study, desk.now),
        page="draft",
        anchor="submit",
    ),
    Deed(
        "continue-review",
        Verb.SUBMIT,
        "Ask for continuing review",
        lambda desk: desk.lead,
        lambda desk, place: studies.check_continue(desk.study, desk.now),
    ),
    Deed(
        "withdraw",
        Verb.WITHDRAW,
        "Withdraw the submission",
        lambda desk: desk.lead,
        lambda desk, place: studies.check_withdraw(desk.study, desk.now),
    ),
    Deed(
        "route",
        Verb.ROUTE,
        "Choose the path of review",
        lambda desk: desk.boards,
        lambda desk, place: reviews.check_route(desk.user, _review(place)),
    ),
    Deed(
        "opine",
        Verb.OPINE,
        "Give your opinion",
        lambda desk: desk.boards,
        lambda desk, place: reviews.check_opine(desk.user, _review(place)),
    ),
    Deed(
        "determine",
        Verb.DETERMINE,
        "Sign the determination",
        lambda desk: desk.boards,
        lambda desk, place: determinations.check_determine(desk.user, _review(place), desk.now),
    ),
    Deed(
        "attest-paper",
        Verb.ATTEST_PAPER,
        "Attest a paper approval",
        lambda desk: desk.boards,
        lambda desk, place: determinations.check_attest_paper(desk.user, _review(place), desk.now),
        anchor="paper",
    ),
    Deed(
        "verify-conditions",
        Verb.VERIFY_CONDITIONS,
        "Verify conditions",
        lambda desk: desk.boards,
        lambda desk, place: determinations.check_verify_conditions(desk.user, _review(place), desk.now),
    ),
    Deed(
        "declare-conflict",
        Verb.DECLARE_CONFLICT,
        "Declare a conflict of interest",
        lambda desk: desk.boards,
        _open_conflict,
    ),
    Deed(
        "file-local-context",
        Verb.FILE_LOCAL_CONTEXT,
        "File local context",
        lambda desk: desk.sites,
        lambda desk, place: reliance.check_context(desk.user, desk.study, place.institution, desk.now),
    ),
    _part(Verb.DECIDE_DATA_USE, "Decide on data use", "data-use"),
    _part(Verb.ATTACH, "Attach a document", "attachments"),
    _part(Verb.COMMENT, "Comment", "comments"),
    _part(Verb.REPORT_INCIDENT, "Report an incident", "incidents"),
    Deed(
        "step-incident",
        Verb.STEP_INCIDENT,
        "Act on an incident",
        lambda desk: desk.everybody,
        _open_incident,
        anchor="incidents",
    ),
    _stop(Verb.SUSPEND, "Suspend the study", lambda desk: desk.everybody),
    _stop(Verb.TERMINATE, "Terminate the study", lambda desk: desk.boards),
    _stop(Verb.CLOSE, "Close the study", lambda desk: desk.lead),
)
"""In the order in which they are shown."""

ELSEWHERE: Mapping[Verb, str] = {
    Verb.DEFINE: "An institution registers definitions, by its own signature; no person does.",
    Verb.CONSENT: "An institution hands in consents, by its own signature; no person does.",
    Verb.SEAT: "On the page of the board.",
    Verb.READ_BOARD: "On the pages of the board and its meetings.",
    Verb.MEET: "On the pages of the board's meetings.",
    Verb.VOTE: "On the page of the meeting.",
    Verb.DELEGATE: "On the page of the board.",
    Verb.RELY: "On the page of reliance agreements.",
    Verb.INVITE: "On the page of memberships.",
    Verb.READ_DOSSIER: "At the decision's entry in the log.",
    Verb.OPEN_MATTER: "On the page of matters.",
    Verb.WORK_IN_MATTER: "On the page of the matter.",
}
"""Verbs that are done nowhere on a study's page, and where they are."""


def desk(user: User, study: Study, now: datetime) -> Desk:
    """The facts that the checks need, in a few queries; the study's sites are read once for all of them."""
    prefetch_related_objects([study], "sites")
    found = list(
        Review.objects.filter(submission__study=study)
        .select_related("board", "submission__version", "submission__study")
        .order_by("-submission__submitted", "-submission__pk", "board")
    )
    pending = next((each.submission for each in found if each.submission.state in OPEN), None)
    latest = {each.board_id: each for each in reversed(found)}.values()
    return Desk(
        user=User.objects.prefetch_related("memberships").get(pk=user.pk),
        study=study,
        now=now,
        pending=pending,
        lead=[Place(study.institution)],
        boards=[Place(each.board, each if each.submission == pending else None) for each in latest],
        sites=[Place(site) for site in study.sites.all()],
    )


def buttons(at: Desk) -> list[Button]:
    """A button for each deed that a role of this person allows somewhere."""
    shown = []
    for deed in DEEDS:
        mine = [
            place for place in deed.where(at) if permissions.roles_at(at.user, place.institution) & HOLDERS[deed.verb]
        ]
        if mine:
            shown.append(_button(at, deed, mine))
    return shown


def _button(at: Desk, deed: Deed, mine: list[Place]) -> Button:
    able, why_not = [], ""
    for place in mine:
        try:
            if deed.verb in policies.STATES:
                policies.check_state(at.study, deed.verb, at.now)
            deed.check(at, place)
            able.append(place)
        except Refused as refused:
            why_not = why_not or refused.detail
    return Button(deed, tuple(able), "" if able else why_not)
