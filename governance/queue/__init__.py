"""*My queue*: everything that waits for one person, since when, until when, and why them.

Derived from the tables each time, never stored, in a fixed number of queries. What a person may not do now, for want of
a role, a state or free hands, is not in their queue.
"""

from datetime import datetime

from django.contrib.auth.models import User

from governance.queue import boards, institutions, investigators, meetings
from governance.queue.tasks import Person, Task, Urgency

__all__ = ["Task", "Urgency", "waiting_for"]

_SOURCES = (
    boards.reviews,
    meetings.ballots,
    meetings.meetings,
    boards.delegations,
    investigators.studies,
    institutions.local_contexts,
    institutions.agreements,
    institutions.data_use,
    institutions.incidents,
)


def waiting_for(user: User, now: datetime) -> list[Task]:
    """What this person can and should do now, the most urgent first."""
    person = Person.of(user, now)
    tasks = [task for source in _SOURCES for task in source(person)]
    return sorted(tasks, key=lambda task: (list(Urgency).index(task.urgency), task.until or task.since or now))
