"""Reads of sensitive pages, in the log: which page, about which study, by an officer of which institution.

One entry an hour for each reader and page: enough to answer who has seen what, and when, without a log that grows with
every reload. Who it was is committed to, as everywhere; a draft's page leaves nothing, for its name is nobody else's to
know.
"""

from datetime import timedelta

from django.contrib.auth.models import User
from django.db import transaction

from concordat import clock
from concordat.events import Event
from governance import selectors
from governance.models import Institution, Study
from governance.services import challenges
from governance.states import StudyState
from ledger.selectors import about
from ledger.services.record import record

ONCE = timedelta(hours=1)


def note(*, reader: User, page: str, study: Study | None = None, institution: Institution | None = None) -> None:
    """Record that this person opens a page. Call it before the page is made: what is not recorded is not shown.

    Two reads at the same moment may leave two entries, which is no harm: pages wait for nobody's lock.

    Args:
        page: its short name, the same each time; nothing about a person or a single record.
        study: which one the page is about.
        institution: whose affair the page is, where it is no study's.

    Raises:
        Refused: ROLE_MISSING for a user who is no officer.
    """
    if study is not None and study.state == StudyState.DRAFT:
        return
    officer = challenges.officer_of(reader).uuid
    public = {
        "page": page,
        "study": study.slug if study else "",
        "institution": _for_whom(reader, study, institution),
    }
    recent = about(public["institution"], officer).filter(event=Event.RECORD_READ, time__gt=clock.now() - ONCE)
    if any(entry.public == public for entry in recent):
        return
    with transaction.atomic():
        record(event=Event.RECORD_READ, public=public, private={"reader": str(officer)}, subject=officer)


def _for_whom(reader: User, study: Study | None, institution: Institution | None) -> str:
    """For which of their institutions somebody reads: the first that the page concerns."""
    mine = Institution.objects.filter(memberships__user=reader).order_by("slug")
    concerned = mine
    if study is not None:
        concerned = mine.filter(pk__in=selectors.institutions_in(study.slug).values("pk"))
    elif institution is not None:
        concerned = mine.filter(pk=institution.pk)
    found = concerned.first() or mine.first()
    return found.slug if found else ""
