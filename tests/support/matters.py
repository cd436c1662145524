"""A legal matter with a grant, for tests that are about something else."""

from datetime import date, timedelta
from typing import Any

from django.contrib.auth.models import User

from concordat import clock
from governance.models import Institution, Matter
from governance.services import grants, matters

SAID: dict[str, Any] = {
    "title": "Muster v. Medical Center",
    "docket": "D. Utopia 26-cv-00042",
    "kind": "court-order",
    "authority": "Produce the records of the decisions named below.",
    "dated": date(2026, 1, 31),
    "party": "Law Offices of Erika Mustermann",
    "purpose": "To find out how the decision came about.",
    "protective_order": "For the eyes of counsel only; returned when the case ends.",
    "prefix": "LBDOE",
}
"""Every text in it is a secret of the matter's."""

SECRETS = tuple(str(SAID[name]) for name in ("title", "docket", "authority", "party", "purpose", "protective_order"))


def open_matter(by: User, institution: Institution, *records: str, **changes: Any) -> Matter:
    """A matter that names these decisions, for 90 days."""
    ends = clock.now() + timedelta(days=90)
    return matters.open_matter(by=by, institution=institution, **SAID | {"ends": ends, "records": records} | changes)


def let_in(by: User, matter: Matter, reviewer: User, **changes: Any) -> Any:
    """A grant, for 30 days."""
    until = {"until": clock.now() + timedelta(days=30)} | changes
    return grants.give(by=by, matter=matter, reviewer=str(reviewer.officer.uuid), **until)
