"""The comments on a study that this person sees, and the form for another."""

from typing import Any

from django.contrib.auth.models import User

from concordat import clock
from governance import policies
from governance.admin.parts.attachments import allowed
from governance.models import Study
from governance.permissions import Verb
from governance.services import comments as service


def comments(study: Study, user: User) -> dict[str, Any]:
    """`comments` in the order in which they were written; `comments_for`: the institutions for which this person may
    write one."""
    open_ = policies.state_allows(study, Verb.COMMENT, clock.now())
    return {
        "study": study,
        "comments": service.seen(user, study),
        "comments_for": allowed(Verb.COMMENT, study, user) if open_ else [],
    }
