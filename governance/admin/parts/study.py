"""The study's page, put together from its parts."""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from django.conf import settings
from django.contrib.auth.models import User

from governance import buttons as offered
from governance import next_steps, selectors, timeline, words
from governance.admin.base import institutions_of
from governance.admin.parts import attachments, comments, data_use, forms, incidents, paper, protocol, reviews
from governance.models import Draft, Institution, ModelRecall, ProtocolVersion, Study, Submission

PARTS: Mapping[str, Callable[[Study, User], dict[str, Any]]] = {
    "attachments": attachments,
    "comments": comments,
    "data_use": data_use,
    "incidents": incidents,
    "paper": paper,
}
"""What belongs to a study besides its protocol, each with a template of its name."""


def context(study: Study, user: User, now: datetime, *, page: object = 1, everything: bool = False) -> dict[str, Any]:
    """Everything that an officer decides on; `page` and `everything` are the timeline's."""
    at = offered.desk(user, study, now)
    situation = next_steps.situation(study, at.pending, now)
    version, before = _shown(study, at.pending)
    draft = Draft.objects.filter(study=study).first() if version is None else None
    content = version.content if version else draft.content if draft else {}
    sites = {each.slug: each for each in Institution.objects.filter(slug__in=_named(content))}
    shown = offered.buttons(at)
    return {
        "study": study,
        "state": situation.state,
        "next_step": next_steps.next_step(situation),
        "pending": at.pending,
        "version": version,
        "content": content,
        "glance": protocol.glance(content, sites),
        "compared_with": before,
        "differences": protocol.differences(before.content if before else None, version.content if version else None),
        "grounds": protocol.grounds(content, sites),
        "computed_so_far": protocol.computed_so_far(study),
        "submissions": reviews.submissions(study, user),
        "conflicts": reviews.conflicts(study, institutions_of(user)),
        "definitions": _definitions(study),
        "parts": {name: part(study, user) for name, part in PARTS.items()},
        **timeline.context(study, user, page=page, everything=everything),
        "self_hosted": settings.CHAIN_SELF_HOSTED,
        "able": [button for button in shown if button.enabled],
        "not_now": [button for button in shown if not button.enabled],
        "forms": forms.forms(shown),
    }


def _shown(study: Study, pending: Submission | None) -> tuple[ProtocolVersion | None, ProtocolVersion | None]:
    """The version that is read: what is before the boards, else what is in force, else the last one; and the version
    that it is compared with: what is in force, or before that the version that the boards saw last."""
    version = pending.version if pending else study.in_force or study.versions.first()
    if version is None:
        return None, None
    if study.in_force is not None:
        return version, study.in_force if study.in_force != version else None
    return version, study.versions.filter(number=version.number - 1).first()


def _named(content: Any) -> set[str]:
    return {*content.get("sites", ()), content.get("institution", "")}


def _definitions(study: Study) -> list[tuple[Any, str, str, Any, ModelRecall | None]]:
    """Each with its state, its target in words, the institutions' last votes, and its model's recall."""
    found = study.definitions.select_related("owner").prefetch_related("votes__institution", "votes__transaction")
    recalls = {each.model: each for each in ModelRecall.objects.filter(model__in=[d.content["model"] for d in found])}
    return [
        (
            each,
            selectors.definition_state(each),
            words.TARGETS[each.content["target"]],
            selectors.last_votes(each).values(),
            recalls.get(each.content["model"]),
        )
        for each in found
    ]
