"""Institutions, their public keys and how these change, their rosters of officers, and what their nodes say."""

from django.db import models
from django.db.models import Q

from ledger.triggers import append_only


class Institution(models.Model):
    """A body with keys of its own: a hospital, a model's owner, a dealer."""

    slug = models.SlugField(max_length=63, unique=True)
    name = models.CharField(max_length=200)
    jurisdiction = models.CharField(max_length=8, help_text="ISO 3166 code of the law that applies.")
    roles = models.JSONField(help_text="What it does here: party, dealer, requester, owner.")
    enrolment = models.TextField(help_text="The signed enrolment, for others to pin.")
    enrolled = models.DateTimeField()

    class Meta:
        ordering = ("slug",)

    def __str__(self) -> str:
        return self.name


class InstitutionKey(models.Model):
    """The public half of one key, in the form in which the enrolment carries it."""

    class Kind(models.TextChoices):
        IDENTITY = "identity"
        OFFLINE = "offline"
        SEALING = "sealing"
        CHAIN = "chain"
        CLIENT = "client"

    institution = models.ForeignKey(Institution, on_delete=models.PROTECT, related_name="keys")
    kind = models.CharField(max_length=16, choices=Kind)
    public = models.JSONField(help_text="base64url; an address for `chain`; a JWK for `client`.")
    key_id = models.CharField(max_length=100)
    enrolled = models.DateTimeField()
    revoked = models.DateTimeField(null=True, blank=True)
    ground = models.CharField(max_length=16, blank=True, help_text="Why it was revoked: rotation, loss, compromise.")

    class Meta:
        ordering = ("institution", "kind", "-enrolled")
        constraints = (
            models.UniqueConstraint(fields=("kind", "key_id"), name="governance_key_belongs_to_one"),
            models.UniqueConstraint(
                fields=("institution", "kind"), condition=Q(revoked=None), name="governance_one_live_key_of_a_kind"
            ),
        )

    def __str__(self) -> str:
        return f"{self.institution.slug} {self.kind} {self.key_id}"


@append_only
class Roster(models.Model):
    """Which officers' passkeys count, signed by the institution's offline key. The highest version is in force."""

    institution = models.ForeignKey(Institution, on_delete=models.PROTECT, related_name="rosters")
    version = models.PositiveIntegerField()
    officers = models.JSONField(help_text="Each with officer, name, role, credential and key.")
    statement = models.TextField(help_text="The signed roster.")
    digest = models.CharField(max_length=71)
    issued = models.DateTimeField()

    class Meta:
        ordering = ("institution", "-version")
        constraints = (
            models.UniqueConstraint(fields=("institution", "version"), name="governance_roster_version_once"),
        )

    def __str__(self) -> str:
        return f"{self.institution.slug} roster {self.version}"


@append_only
class KeyChange(models.Model):
    """One signed change of an institution's keys, in the order of their numbers."""

    institution = models.ForeignKey(Institution, on_delete=models.PROTECT, related_name="key_changes")
    sequence = models.PositiveIntegerField()
    kind = models.CharField(max_length=16, choices=InstitutionKey.Kind)
    ground = models.CharField(max_length=16)
    statement = models.TextField(help_text="The signed change.")
    digest = models.CharField(max_length=71, unique=True)
    entry = models.PositiveBigIntegerField(help_text="The index of its entry in the log.")

    class Meta:
        ordering = ("institution", "sequence")
        constraints = (
            models.UniqueConstraint(fields=("institution", "sequence"), name="governance_key_change_sequence_once"),
        )

    def __str__(self) -> str:
        return f"{self.institution.slug} key change {self.sequence}"


class NodeStatus(models.Model):
    """What an institution's node said of itself last. It tells people whom to call; no decision rests on it."""

    institution = models.OneToOneField(Institution, on_delete=models.CASCADE, related_name="node_status")
    software = models.CharField(max_length=64)
    policy = models.CharField(max_length=71, blank=True, help_text="Digest of its policy file; empty without one.")
    busy = models.BooleanField(help_text="Its one engine is taken.")
    clock = models.DateTimeField(help_text="The time by the node's own clock.")
    seen = models.DateTimeField(help_text="The time by the coordinator's clock when it said so.")

    class Meta:
        verbose_name_plural = "node statuses"

    def __str__(self) -> str:
        return f"node of {self.institution.slug}"
