"""What machine sign-in must remember: tokens (hashed) and the assertions that were used up."""

import hashlib
from datetime import datetime
from typing import Any
from uuid import uuid4

from django.db import IntegrityError, models, transaction
from django.utils import timezone

from concordat import clock
from governance.models import Institution, InstitutionKey


class Expiring(models.QuerySet[Any]):
    """Rows that mean nothing once their time has passed."""

    def forget_expired(self) -> None:
        self.filter(expires__lte=timezone.now()).delete()


class Tokens(Expiring):
    """Looked up by hash: whoever reads this table cannot sign in with what stands there."""

    def issue(self, token: str, *, institution: Institution, scopes: str, expires: datetime) -> "AccessToken":
        token_row: AccessToken = self.create(hash=_hash(token), institution=institution, scopes=scopes, expires=expires)
        return token_row

    def of(self, token: str) -> "AccessToken | None":
        """The row of a token that is still valid."""
        valid = self.filter(hash=_hash(token), expires__gt=timezone.now())
        row: AccessToken | None = valid.select_related("institution").first()
        return row


class AccessToken(models.Model):
    """A bearer token of an institution: SHA-256 of it, and what it covers until when."""

    hash = models.BinaryField(max_length=32, unique=True)
    institution = models.ForeignKey(Institution, on_delete=models.CASCADE, related_name="+")
    scopes = models.TextField()
    expires = models.DateTimeField(db_index=True)

    objects = Tokens.as_manager()

    def __str__(self) -> str:
        return f"token of {self.institution_id} until {self.expires}"


class Assertions(Expiring):
    def use(self, *, issuer: str, jti: str, expires: datetime) -> bool:
        """Use an assertion up. False when it was used before; durable before the answer, also between processes."""
        try:
            with transaction.atomic():
                self.create(issuer=issuer, jti=jti, expires=expires)
        except IntegrityError:
            return False
        return True


class UsedAssertion(models.Model):
    """A client assertion that has bought its token, kept until it would have expired anyway."""

    issuer = models.CharField(max_length=63)
    jti = models.CharField(max_length=255)
    expires = models.DateTimeField(db_index=True)

    objects = Assertions.as_manager()

    class Meta:
        constraints = (models.UniqueConstraint(fields=["issuer", "jti"], name="assertion_used_once"),)

    def __str__(self) -> str:
        return f"assertion of {self.issuer}"


class FetchedKeySet(models.Model):
    """What an institution's published key set held when it was last fetched; `until` says how long that is good."""

    key = models.OneToOneField(InstitutionKey, on_delete=models.CASCADE, related_name="+")
    keys = models.JSONField(default=list, help_text="Public JWKs that may sign in, each with `alg`.")
    fetched = models.DateTimeField(null=True)
    until = models.DateTimeField(null=True)
    tried = models.DateTimeField(null=True)

    @property
    def names(self) -> frozenset[str]:
        return frozenset(key["kid"] for key in self.keys)

    def __str__(self) -> str:
        return f"key set of {self.key.institution_id}"


class Webhook(models.Model):
    """An address of an institution that is told of events. `cursor` is the index of the first log entry that has not
    been looked at for it: the log, which is written with the deed, is the outbox."""

    class State(models.TextChoices):
        ACTIVE = "active"
        PAUSED = "paused", "Paused by the institution"
        DISABLED = "disabled", "Disabled, as it failed for days"

    uuid = models.UUIDField(unique=True, default=uuid4, editable=False)
    institution = models.ForeignKey(Institution, on_delete=models.PROTECT, related_name="webhooks")
    url = models.CharField(max_length=500)
    events = models.JSONField(help_text="Names of the log's events.")
    state = models.CharField(max_length=8, choices=State, default=State.ACTIVE)
    cursor = models.PositiveBigIntegerField()
    created = models.DateTimeField()
    failing_since = models.DateTimeField(null=True, help_text="The first failure since the last success.")
    last_failure = models.CharField(max_length=32, blank=True, help_text="An HTTP status, or what came between.")
    last_success = models.DateTimeField(null=True)
    next_call = models.DateTimeField(default=clock.now, help_text="Before that it is sent nothing.")

    class Meta:
        ordering = ("pk",)
        constraints = (models.UniqueConstraint(fields=["institution", "url"], name="webhook_address_once"),)

    def __str__(self) -> str:
        return f"webhook of {self.institution_id}"


class Delivery(models.Model):
    """One message about one log entry to one webhook."""

    class State(models.TextChoices):
        QUEUED = "queued"
        DELIVERED = "delivered"
        GIVEN_UP = "given-up"

    uuid = models.UUIDField(unique=True, default=uuid4, editable=False)
    webhook = models.ForeignKey(Webhook, on_delete=models.CASCADE, related_name="deliveries")
    entry = models.PositiveBigIntegerField(help_text="Index of the log entry.")
    state = models.CharField(max_length=9, choices=State, default=State.QUEUED)
    attempts = models.PositiveIntegerField(default=0)
    next_attempt = models.DateTimeField()
    created = models.DateTimeField()

    class Meta:
        ordering = ("pk",)
        constraints = (models.UniqueConstraint(fields=["webhook", "entry"], name="entry_told_once"),)
        indexes = (models.Index(fields=["next_attempt"], condition=models.Q(state="queued"), name="api_due"),)
        verbose_name_plural = "deliveries"

    def __str__(self) -> str:
        return f"entry {self.entry} to {self.webhook_id}"


class Counts(models.QuerySet[Any]):
    def add(self, limit: str, caller: str, minute: datetime) -> int:
        """Count one call, and answer how many there are in this minute. Earlier minutes are forgotten."""
        with transaction.atomic():
            row, new = self.get_or_create(limit=limit, caller=caller, minute=minute)
            self.filter(pk=row.pk).update(calls=models.F("calls") + 1)
            row.refresh_from_db()
            if new:
                self.filter(minute__lt=minute).delete()
        return int(row.calls)


class CallCount(models.Model):
    """How often one caller, an institution or an address, did something in one minute."""

    limit = models.CharField(max_length=32)
    caller = models.CharField(max_length=63)
    minute = models.DateTimeField(db_index=True)
    calls = models.PositiveIntegerField(default=0)

    objects = Counts.as_manager()

    class Meta:
        constraints = (models.UniqueConstraint(fields=["limit", "caller", "minute"], name="calls_counted_once"),)

    def __str__(self) -> str:
        return f"{self.limit} by {self.caller}"


def _hash(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()
