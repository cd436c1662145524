"""What waits for the investigators of the institution that leads a study."""

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta

from concordat import clock
from governance import links, policies
from governance.models import Study, Submission
from governance.permissions import Verb
from governance.queue.tasks import Person, Task
from governance.services.clockwork import DAYS_BEFORE, how_to_renew
from governance.states import OPEN, StudyState, SubmissionState

_S = StudyState


def studies(person: Person) -> Iterator[Task]:
    """Protocols to change, to submit, or to have reviewed again."""
    leads = person.at(Verb.SUBMIT)
    if not leads:
        return
    led = (
        Study.objects.filter(institution__in=leads)
        .exclude(state__in=[_S.TERMINATED, _S.CLOSED])
        .select_related("institution", "in_force", "draft")
        .prefetch_related("submissions")
    )
    for study in led:
        yield from _study(person, study)


def _study(person: Person, study: Study) -> Iterator[Task]:
    history = list(study.submissions.all())
    if any(each.state in OPEN for each in history) or not policies.state_allows(study, Verb.SUBMIT, person.now):
        return
    why, state = person.because(Verb.SUBMIT, study.institution), study.state_at(person.now)
    what, since = _next(study, state, history, person)
    if what:
        path = _renewal(study, person.now) if state is _S.EXPIRED else links.of_draft(study)
        yield person.task(what, why, study=study, since=since, path=path)
    early = timedelta(days=max(DAYS_BEFORE))
    if state is _S.APPROVED and study.expires is not None and study.expires <= person.now + early:
        what = f"The approval ends soon: {how_to_renew(study, None)}"
        yield person.task(
            what,
            why,
            study=study,
            since=study.expires - early,
            until=study.expires,
            path=_renewal(study, study.expires),
        )


def _renewal(study: Study, at: datetime) -> str:
    """Where the boards are asked for another period; a protocol that has ended itself by then is amended first."""
    if study.in_force is not None and clock.parse(study.in_force.content["valid_until"]) > at:
        return links.of_study(study, "act-continue-review")
    return links.of_draft(study)


def _next(
    study: Study, state: StudyState, history: Sequence[Submission], person: Person
) -> tuple[str, datetime | None]:
    """What the study needs before it can go on, and since when; nothing if it does not wait for its investigators."""
    draft = getattr(study, "draft", None)
    if state is _S.SUSPENDED:
        return "Submit what has changed: its boards must reinstate the study before it goes on.", None
    if state is _S.EXPIRED:
        return "The approval has lapsed: ask for continuing review, or submit a changed protocol.", study.expires
    if history and history[0].state == SubmissionState.MODIFICATIONS_REQUIRED:
        return "Change the protocol as the boards ask, and submit it again.", history[0].settled
    if draft is not None and draft.edited_by_id == person.user.pk:
        return "Finish your draft, and submit it.", draft.edited
    return "", None
