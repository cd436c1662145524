"""Notifications: written with the deed that causes them, shown on the site, and sent by mail from an outbox."""

import uuid

from django.conf import settings
from django.db import models
from django.db.models import Q

from governance.models.study import Study
from governance.notices import Notice


class MailPreference(models.Model):
    """Whether a person wants mail, and how often; who has said nothing gets it at once. The site shows everything
    anyway."""

    class How(models.TextChoices):
        IMMEDIATE = "immediate", "At once"
        DAILY = "daily", "Once a day"
        NONE = "none", "Never"

    user = models.OneToOneField(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="mail_preference")
    how = models.CharField(max_length=12, choices=How, default=How.IMMEDIATE)

    def __str__(self) -> str:
        return f"{self.how} for {self.user_id}"


class Notification(models.Model):
    """One message to one person. The outbox mails it; `key` keeps it from being told twice."""

    class Mail(models.TextChoices):
        QUEUED = "queued", "Queued"
        SENT = "sent", "Sent"
        FAILED = "failed", "Failed"
        UNWANTED = "unwanted", "Not wanted"

    uuid = models.UUIDField(unique=True, default=uuid.uuid4, editable=False)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="notifications")
    study = models.ForeignKey(Study, null=True, on_delete=models.CASCADE, related_name="notifications")
    notice = models.CharField(max_length=32, choices=[(notice.value, notice.value) for notice in Notice])
    key = models.CharField(max_length=200, help_text="What it is about: the same thing is told once.")
    sentence = models.CharField(max_length=300)
    path = models.CharField(max_length=200, help_text="Where to act on it, below the site's address.")
    created = models.DateTimeField()
    read = models.DateTimeField(null=True, blank=True)
    mail = models.CharField(max_length=8, choices=Mail, default=Mail.QUEUED)
    attempts = models.PositiveIntegerField(default=0)
    next_attempt = models.DateTimeField()
    letter = models.UUIDField(
        null=True, help_text="The UUID of the first notification of the letter that it was first put into."
    )

    class Meta:
        ordering = ("-created", "-pk")
        constraints = (models.UniqueConstraint(fields=("user", "key"), name="governance_told_once"),)
        indexes = (models.Index(fields=("next_attempt",), condition=Q(mail="queued"), name="governance_outbox"),)

    def __str__(self) -> str:
        return f"{self.notice} for {self.user_id}"
