"""Tell people what waits for them: written in the transaction of the deed, shown on the site, mailed from an outbox."""

from collections.abc import Iterable

from django.contrib.auth.models import User
from django.db.models import QuerySet
from django.urls import reverse

from concordat import clock
from concordat.reasons import Reason, Refused
from governance.models import Institution, MailPreference, Notification, Study
from governance.notices import Notice
from governance.selectors import as_uuid


def holders(institution: Institution, *roles: str) -> QuerySet[User]:
    """Everybody who holds one of these roles there."""
    return User.objects.filter(
        is_active=True, memberships__institution=institution, memberships__role__in=roles
    ).distinct()


def tell(notice: Notice, *, to: Iterable[User], study: Study | None, key: str, sentence: str, path: str = "") -> None:
    """One notification to each of these people; to whom the same thing was told before, nothing.

    Args:
        key: what it is about; people are told once of each.
        sentence: without anything about a person; what has happened, which stays true once somebody has acted on it.
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
                sentence=" ".join(sentence.split())[:300],  # a study's title adds no line, and no link, to a letter
                path=path,
                created=now,
                next_attempt=now,
            )
            for user in to
        ),
        ignore_conflicts=True,
    )


def mark_read(*, by: User, notification: str) -> Notification:
    """This person has read it. Twice is no harm. Raises Refused: NOT_FOUND for another's, FIELD_INVALID."""
    found = Notification.objects.filter(user=by, uuid=as_uuid(notification)).first()
    if found is None:
        raise Refused(Reason.NOT_FOUND, detail="You have no such message.", field="notification")
    if found.read is None:
        found.read = clock.now()
        found.save(update_fields=["read"])
    return found


def mark_done(*keys: str) -> None:
    """What these messages asked for is done, or is not to be done any more: to nobody are they new."""
    Notification.objects.filter(key__in=keys, read=None).update(read=clock.now())


def mark_all_read(*, by: User) -> int:
    """This person has read everything; how many messages that were."""
    return Notification.objects.filter(user=by, read=None).update(read=clock.now())


def prefer(*, by: User, how: str) -> MailPreference:
    """How often this person wants mail. Raises Refused(FIELD_INVALID)."""
    if how not in MailPreference.How.values:
        names = ", ".join(MailPreference.How.values)
        raise Refused(Reason.FIELD_INVALID, detail=f"Mail comes: {names}.", field="how")
    preference, _ = MailPreference.objects.update_or_create(user=by, defaults={"how": how})
    return preference
