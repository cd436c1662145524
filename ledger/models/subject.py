"""Keys that can be destroyed, what they keep readable, and what forbids their destruction."""

from django.db import models
from django.db.models import Q

from concordat.law import Exemption
from ledger.models.log import LogEntry
from ledger.triggers import Rule, register

_EXEMPTIONS = [(each.value, each.article) for each in Exemption]


class SubjectKey(models.Model):
    """The key from which the salts and payloads of one subject's entries derive, wrapped under the master key.

    `subject` is a person's pseudonym at the institution `holder`. Another institution that uses the same one has a key
    of its own: neither can erase, or keep, what the other recorded. An entry that concerns nobody but has private
    fields is its own subject, under its entry id. A destroyed key's row stays, without the key. `fingerprint` is the
    key's (`ledger.erased`); empty where it was made, or destroyed, before fingerprints were kept.
    """

    holder = models.CharField(max_length=63, blank=True)
    subject = models.UUIDField()
    wrapped = models.BinaryField(null=True)
    created = models.DateTimeField()
    destroyed = models.DateTimeField(null=True)
    ground = models.CharField(max_length=200, blank=True)
    fingerprint = models.CharField(max_length=64, blank=True)

    class Meta:
        constraints = (
            models.CheckConstraint(
                condition=Q(wrapped__isnull=False, destroyed__isnull=True)
                | Q(wrapped__isnull=True, destroyed__isnull=False),
                name="a_key_is_there_or_destroyed",
            ),
            models.UniqueConstraint(fields=["holder", "subject"], name="one_key_of_a_subject_at_a_holder"),
        )

    def __str__(self) -> str:
        return str(self.subject)


class Payload(models.Model):
    """An entry's private fields, AES-256-GCM under a key derived from the subject's: nonce || ciphertext."""

    entry = models.OneToOneField(LogEntry, models.PROTECT, primary_key=True, related_name="payload")
    key = models.ForeignKey(SubjectKey, models.PROTECT, related_name="payloads")
    sealed = models.BinaryField()

    def __str__(self) -> str:
        return f"payload of {self.entry_id}"


class LegalHold(models.Model):
    """A duty to keep one subject's records: until it is lifted, or until the time that it says, their key cannot be
    destroyed."""

    holder = models.CharField(max_length=63)
    subject = models.UUIDField(db_index=True)
    ground = models.CharField(max_length=200)
    exemption = models.CharField(max_length=20, choices=_EXEMPTIONS, default=Exemption.LEGAL_CLAIMS)
    placed = models.DateTimeField()
    until = models.DateTimeField(null=True, blank=True)
    lifted = models.DateTimeField(null=True, blank=True)

    def __str__(self) -> str:
        return self.ground


class RetentionRule(models.Model):
    """How long an institution has to keep records of people: `days` from the last of a person's consents, verdicts and
    results, in one study, or with an empty `study` in all. It ends for everybody at once."""

    uuid = models.UUIDField(unique=True)
    holder = models.CharField(max_length=63, db_index=True)
    study = models.CharField(max_length=63, blank=True)
    days = models.PositiveIntegerField()
    exemption = models.CharField(max_length=20, choices=_EXEMPTIONS)
    law = models.CharField(max_length=200)
    placed = models.DateTimeField()
    ended = models.DateTimeField(null=True, blank=True)

    def __str__(self) -> str:
        return f"{self.days} days: {self.law}"


_FIXED = " OR ".join(
    f"NEW.{name} <> OLD.{name}" for name in ("uuid", "holder", "study", "days", "exemption", "law", "placed")
)

register(
    Rule(SubjectKey, "no", ("delete", "truncate", "replace"), "the rows of subjects' keys are kept"),
    Rule(SubjectKey, "stays", ("update",), "a key that was destroyed stays destroyed", "OLD.destroyed IS NOT NULL"),
    Rule(RetentionRule, "no", ("delete", "truncate", "replace"), "retention rules are kept"),
    Rule(RetentionRule, "ends", ("update",), "a retention rule only ends, once", f"OLD.ended IS NOT NULL OR {_FIXED}"),
)
