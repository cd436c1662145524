"""Words in a study's timeline: for everybody whom the study concerns, or for the own institution's eyes only."""

from django.contrib.auth.models import User
from django.db import transaction
from django.db.models import Q, QuerySet
from pydantic import with_config
from typing_extensions import TypedDict

from concordat import clock
from concordat.events import Event
from concordat.fields import STRICT, Text, read
from governance import permissions, policies, selectors
from governance.models import Comment, Institution, Study
from governance.permissions import Verb
from ledger.services.record import record


@with_config(STRICT)
class _Words(TypedDict):
    text: Text


@transaction.atomic
def write(*, by: User, study: Study, institution: Institution, text: str, internal: bool) -> Comment:
    """Comment on a study for one's institution; what is written stays.

    Raises:
        Refused: NOT_FOUND; WRONG_INSTITUTION or ROLE_MISSING; WRONG_STATE; FIELD_INVALID for the text.
    """
    study = selectors.seen_study(by, str(study.uuid))
    permissions.check_may(by, Verb.COMMENT, institution)
    permissions.check_takes_part(institution, study)
    now = clock.now()
    policies.check_state(study, Verb.COMMENT, now)
    comment = Comment.objects.create(
        study=study,
        institution=institution,
        officer=by.officer,
        internal=internal,
        text=read({"text": text}, _Words)["text"],
        written=now,
    )
    record(
        event=Event.COMMENT_WRITTEN,
        public={"study": study.slug, "institution": institution.slug},
        private={"officer": str(by.officer.uuid), "text": comment.text},
        subject=by.officer.uuid,
    )
    return comment


def seen(by: User, study: Study) -> QuerySet[Comment]:
    """The comments on a study that this person sees: those for all, and those within their own institutions."""
    own = Institution.objects.filter(memberships__user=by)
    visible = study.comments.filter(Q(internal=False) | Q(institution__in=own))
    return visible.select_related("officer", "institution").order_by("written", "pk")
