"""What is attached to a study, what is lacking, and the form to attach it."""

from typing import Any

from django.contrib.auth.models import User

from concordat import clock, media
from concordat.protocol import AttachmentKind
from governance import permissions, policies, selectors
from governance.models import Institution, Study
from governance.permissions import Verb
from governance.services import attachments as service


def attachments(study: Study, user: User) -> dict[str, Any]:
    """`attachments`, the newest of a kind first, each with `row`, `superseded` and `ended`; `lacks` of the version that
    is before the boards or in force; `owners` for whom this person may attach, the study itself under an empty slug;
    `kinds`, `needs_end` and `accept` for the form."""
    now = clock.now()
    rows = study.attachments.select_related("institution", "added_by").defer("content").order_by("-pk")
    seen: set[tuple[str, int | None]] = set()
    shown = []
    for row in rows:
        key = (row.kind, row.institution_id)
        ended = row.expires is not None and now >= row.expires
        shown.append({"row": row, "superseded": key in seen, "ended": ended})
        seen.add(key)
    version = study.versions.first() if study.in_force is None else study.in_force
    return {
        "study": study,
        "attachments": shown,
        "lacks": service.lacks(study, version.content, now) if version else [],
        "owners": owners(study, user) if policies.state_allows(study, Verb.ATTACH, now) else [],
        "kinds": [kind.value for kind in AttachmentKind if kind is not AttachmentKind.PAPER_APPROVAL],
        "needs_end": sorted(service.NEEDS_END),
        "accept": ",".join(media.TYPES),
    }


def owners(study: Study, user: User) -> list[Institution | None]:
    """For whom this person may attach something; None is the study itself."""
    found: list[Institution | None] = list(allowed(Verb.ATTACH, study, user))
    return [None, *found] if study.institution in found else found


def allowed(verb: Verb, study: Study, user: User) -> list[Institution]:
    """The institutions of the study for which this person may do that."""
    return [each for each in selectors.seen_through(user, study) if permissions.may(user, verb, each)]
