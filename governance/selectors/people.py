"""What a person was told, and what they name."""

from uuid import UUID

from django.contrib.auth.models import User
from django.db.models import QuerySet

from concordat.reasons import Reason, Refused
from governance.models import (
    Notification,
)


def notifications(of: User) -> QuerySet[Notification]:
    """What this person was told, the latest first."""
    return Notification.objects.filter(user=of)


def unread(of: User) -> int:
    """How much of it they have not read."""
    return notifications(of).filter(read=None).count()


def as_uuid(text: object) -> UUID:
    """The identifier that a person or a system sent. Raises Refused(FIELD_INVALID)."""
    try:
        return UUID(str(text))
    except ValueError:
        raise Refused(Reason.FIELD_INVALID, detail="An identifier is a UUID.", field="identifier") from None
