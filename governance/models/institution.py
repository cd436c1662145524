"""Institutions, their public keys, and the rosters that say whose passkeys speak for them."""

from django.db import models
from django.db.models import Q

from ledger.triggers import append_only


class Institution(models.Model):
    """A body with keys of its own: a hospital, a model's owner, a dealer."""

    slug = models.SlugField(max_length=63, unique=True)
    name = models.CharField(max_length=200)
    jurisdiction = models.CharField(max_length=8, help_text="ISO 3166 code of the law that applies.")
    roles = models.JSONField(help_text="What it does here: party, dealer, requester, owner.")
    reviewing_board = models.ForeignKey(
        "self",
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="relying_institutions",
        help_text="The institution on whose board it relies (45 CFR 46.114); empty: its own.",
    )
    enrolment = models.TextField(help_text="The signed enrolment, for others to pin.")
    enrolled = models.DateTimeField()

    class Meta:
        ordering = ("slug",)
        constraints = (
            models.CheckConstraint(
                condition=~Q(reviewing_board=models.F("id")), name="governance_reliance_is_on_another"
            ),
        )

    def __str__(self) -> str:
        return self.name

    @property
    def board(self) -> "Institution":
        """The institution whose board reviews for this one."""
        return self.reviewing_board or self


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
