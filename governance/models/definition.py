"""Computation definitions, the institutions' votes on them, and the model owner's word on disclosure."""

from enum import StrEnum

from django.db import models

from concordat.votes import VoteDocument
from governance.models.institution import Institution
from governance.models.study import Study
from ledger.triggers import append_only


class DefinitionState(StrEnum):
    """Derived from the votes; nobody sets it."""

    REGISTERED = "registered"
    APPROVED = "approved"
    REVOKED = "revoked"


class Definition(models.Model):
    """What may be computed, by whom, for whom. Its digest is what institutions vote on, here and on chain.

    `epoch` counts the revocations that end everyone's authority, as `Study.epoch` counts suspensions."""

    digest = models.CharField(max_length=71, unique=True)
    study = models.ForeignKey(Study, on_delete=models.PROTECT, related_name="definitions")
    content = models.JSONField()
    owner = models.ForeignKey(
        Institution, on_delete=models.PROTECT, related_name="definitions", help_text="The model's owner."
    )
    epoch = models.PositiveIntegerField(default=0)
    scalars = models.PositiveIntegerField(default=0, help_text="How many numbers one job opens.")
    valid_until = models.DateTimeField()
    registered = models.DateTimeField()

    class Meta:
        ordering = ("-registered",)

    def __str__(self) -> str:
        return self.digest[:19] + "…"


@append_only
class DefinitionVote(models.Model):
    """One institution's signed word on one definition. Its last vote counts (`selectors.last_votes`). A nonce may stand
    twice: a vote that the contract refused has not used it up."""

    definition = models.ForeignKey(Definition, on_delete=models.PROTECT, related_name="votes")
    institution = models.ForeignKey(Institution, on_delete=models.PROTECT, related_name="votes")
    approve = models.BooleanField()
    address = models.CharField(max_length=42)
    nonce = models.PositiveBigIntegerField()
    deadline = models.PositiveBigIntegerField(help_text="Unix time in seconds.")
    signature = models.CharField(max_length=132)
    transaction = models.OneToOneField(
        "ledger.ChainTransaction", on_delete=models.PROTECT, related_name="+", help_text="The one that relays it."
    )
    received = models.DateTimeField()

    class Meta:
        ordering = ("pk",)
        constraints = (models.UniqueConstraint(fields=("signature",), name="governance_vote_once"),)

    def __str__(self) -> str:
        return f"{self.institution.slug} {'approves' if self.approve else 'revokes'} {self.definition}"

    @property
    def document(self) -> VoteDocument:
        """The vote as its institution signed it."""
        return {
            "definition": self.definition.digest,
            "approve": self.approve,
            "institution": self.institution.slug,
            "address": self.address,
            "nonce": self.nonce,
            "deadline": self.deadline,
            "signature": self.signature,
        }


@append_only
class DisclosureStatement(models.Model):
    """A model owner's signed acceptance, for one study, that explanations disclose the model's weights."""

    study = models.ForeignKey(Study, on_delete=models.PROTECT, related_name="disclosures")
    owner = models.ForeignKey(Institution, on_delete=models.PROTECT, related_name="disclosures")
    model = models.CharField(max_length=71)
    statement = models.TextField()
    received = models.DateTimeField()

    class Meta:
        constraints = (models.UniqueConstraint(fields=("study", "model"), name="governance_disclosure_once"),)

    def __str__(self) -> str:
        return f"{self.owner.slug} discloses {self.model[:19]}…"


class BudgetUse(models.Model):
    """What one requester has used of a definition's budgets on one day (UTC)."""

    definition = models.ForeignKey(Definition, on_delete=models.PROTECT, related_name="uses")
    requester = models.ForeignKey(Institution, on_delete=models.PROTECT, related_name="+")
    day = models.DateField()
    jobs = models.PositiveIntegerField(default=0)
    scalars = models.PositiveIntegerField(default=0)

    class Meta:
        ordering = ("-day",)
        constraints = (
            models.UniqueConstraint(fields=("definition", "requester", "day"), name="governance_one_use_a_day"),
        )

    def __str__(self) -> str:
        return f"{self.requester.slug}, {self.day}: {self.jobs}"
