"""A study's incidents with their clocks, and what this person may do about them."""

from typing import Any

from django.contrib.auth.models import User

from concordat import clock
from governance import policies
from governance.admin.parts.attachments import allowed
from governance.models import Incident, Study
from governance.permissions import Verb
from governance.services.incidents import DUTIES
from governance.states import INCIDENT, IncidentState


def incidents(study: Study, user: User) -> dict[str, Any]:
    """`incidents`, each with `row`, `steps`, `duties` (whom, until, source), `overdue` and the states `next` to which
    this person may take it; `reports_for` and `kinds` for the form, which is there whatever the study's state once it
    has been approved."""
    now = clock.now()
    may_step = {each.pk for each in allowed(Verb.STEP_INCIDENT, study, user)}
    rows = study.incidents.select_related("institution", "reported_by").prefetch_related("steps__by")
    reports = policies.state_allows(study, Verb.REPORT_INCIDENT, now)
    return {
        "study": study,
        "incidents": [
            {
                "row": row,
                "steps": list(row.steps.all()),
                "duties": [
                    {"whom": duty.whom, "until": duty.until(row.discovered), "source": duty.source}
                    for duty in DUTIES[row.kind]
                ],
                "overdue": row.state in (IncidentState.REPORTED, IncidentState.ASSESSED) and now > row.due,
                "next": sorted(INCIDENT[IncidentState(row.state)]) if row.institution_id in may_step else [],
            }
            for row in rows
        ],
        "reports_for": allowed(Verb.REPORT_INCIDENT, study, user) if reports else [],
        "kinds": Incident.Kind.choices,
    }
