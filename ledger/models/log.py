"""The log itself: entries in one gapless sequence, and what they can be found by."""

from collections.abc import Mapping
from functools import cached_property
from typing import Any

from django.db import models

from concordat import canonical, record_number
from concordat.events import Event
from ledger.triggers import append_only


class LogHead(models.Model):
    """One row. Whoever appends holds its lock, so that indexes have neither gaps nor doubles."""

    size = models.PositiveBigIntegerField(default=0)


def event_choices() -> list[tuple[str, str]]:
    """Every event by its name. A function, so that a new event needs no migration."""
    return [(event.value, event.value) for event in Event]


@append_only
class LogEntry(models.Model):
    """One leaf of the tree: canonical JSON without anything about a person.

    `leaf` is the exact bytes that were hashed; the other columns are copies of what stands in them, for queries.
    """

    index = models.PositiveBigIntegerField(primary_key=True)
    uuid = models.UUIDField(unique=True)
    event = models.CharField(max_length=40, choices=event_choices, db_index=True)
    time = models.DateTimeField()
    leaf = models.BinaryField()
    leaf_hash = models.BinaryField(max_length=32)

    class Meta:
        ordering = ("index",)
        # In the order of the log, so that the latest of an event are found without sorting all of them.
        indexes = (models.Index(fields=["event", "index"], name="ledger_entry_of_an_event"),)
        verbose_name_plural = "log entries"

    def __str__(self) -> str:
        return f"{self.record_number} {self.event}"

    @property
    def record_number(self) -> str:
        """The number under which people know this entry, `C-0000042-3`."""
        return record_number.format(self.index)

    @cached_property
    def content(self) -> Mapping[str, Any]:
        """The leaf as a value: `v, event, id, time, public, documents, commitments`."""
        value: dict[str, Any] = canonical.decode(bytes(self.leaf))
        return value

    @property
    def public(self) -> Mapping[str, Any]:
        public: Mapping[str, Any] = self.content["public"]
        return public

    @property
    def documents(self) -> Mapping[str, str]:
        """Digest by the document's name in this entry."""
        documents: Mapping[str, str] = self.content["documents"]
        return documents

    @property
    def commitments(self) -> Mapping[str, str]:
        """Commitment by private field."""
        commitments: Mapping[str, str] = self.content["commitments"]
        return commitments


@append_only
class Reference(models.Model):
    """A public field by which entries are looked up: which study, definition, model, request, job …"""

    NAMES = ("study", "definition", "model", "request", "job", "institution", "consent")

    entry = models.ForeignKey(LogEntry, models.PROTECT, related_name="references")
    name = models.CharField(max_length=20)
    value = models.CharField(max_length=200)

    class Meta:
        constraints = (models.UniqueConstraint(fields=["entry", "name"], name="one_reference_of_a_name"),)
        indexes = (models.Index(fields=["name", "value", "entry"], name="ledger_entry_by_reference"),)

    def __str__(self) -> str:
        return f"{self.name}={self.value}"
