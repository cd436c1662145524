"""What each institution's data allow, and what its data steward has decided where that needs a person."""

from typing import Any

from django.contrib.auth.models import User

from concordat import clock
from concordat.data_use import LABELS, match
from governance import policies, selectors
from governance.admin.parts.attachments import allowed
from governance.models import DataUseDecision, Study
from governance.permissions import Verb, independent
from governance.services.data_use import left_to_people


def data_use(study: Study, user: User) -> dict[str, Any]:
    """`uses` of the version before the boards, or else in force; its `datasets`, each with `institution`, `terms`,
    `answer` (allowed, denied, needs-human), `reasons`, the last `decision` or None, and whether this person `decides`;
    codes come with their labels."""
    pending = selectors.open_submission(study)
    version = pending.version if pending else study.in_force
    if version is None:
        return {"study": study, "uses": [], "datasets": []}
    open_ = policies.state_allows(study, Verb.DECIDE_DATA_USE, clock.now()) and independent(user, study)
    mine = {each.slug for each in allowed(Verb.DECIDE_DATA_USE, study, user)} if open_ else set()
    made = DataUseDecision.objects.filter(study=study, base=version.base).select_related("institution", "signature")
    last = {each.institution.slug: each for each in made.order_by("pk")}
    uses, asked = version.content["data_use"]["study"], left_to_people(version.content)
    return {
        "study": study,
        "base": version.base,
        "uses": _labelled(uses),
        "datasets": [
            {
                "institution": each["institution"],
                "terms": _labelled(each["terms"]),
                "answer": match(uses, each["terms"]).answer,
                "reasons": list(match(uses, each["terms"]).reasons.values()),
                "decision": last.get(each["institution"]),
                "decides": each["institution"] in asked and each["institution"] in mine,
            }
            for each in version.content["data_use"]["datasets"]
        ],
    }


def _labelled(codes: list[str]) -> list[tuple[str, str]]:
    return [(code, LABELS[code]) for code in codes]
