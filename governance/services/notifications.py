"""Tell people what waits for them: written in the transaction of the deed, shown on the site, mailed from an outbox."""

from collections.abc import Iterable

from django.contrib.auth.models import User
from django.db.models import QuerySet
from django.urls import reverse

from concordat import clock
from governance.models import Institution, Notification, Study
from governance.notices import Notice


def holders(institution: Institution, *roles: str) -> QuerySet[User]:
    """Everybody who holds one of these roles there."""
    return User.objects.filter(
        is_active=True, memberships__institution=institution, memberships__role__in=roles
    ).distinct()


def tell(notice: Notice, *, to: Iterable[User], study: Study | None, key: str, sentence: str, path: str = "") -> None:
    """One notification to each of these people; to whom the same thing was told before, nothing.

    Args:
        key: what it is about; people are told once of each.
        sentence: without anything about a person.
        path: where to act on it; the study's page unless another is named.
    """
    now = clock.now()
    if not path:
        path = reverse("admin:governance_study_change", args=[study.pk]) if study else reverse("admin:index")
    Notification.objects.bulk_create(
        (
            Notification(
                user=user,
                study=study,
                notice=notice,
                key=key,
                sentence=sentence[:300],
                path=path,
                created=now,
                next_attempt=now,
            )
            for user in to
        ),
        ignore_conflicts=True,
    )
