"""Computation definitions, the institutions' votes on them, and the model owner's word: disclosure, card, recall."""

from enum import StrEnum

from django.db import models

from concordat.model_card import not_stated, peek_card, stated
from concordat.recall import CLASSES, LONGEST_ADVICE, WHY, peek_recall, sentence
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


@append_only
class ModelCard(models.Model):
    """What a model's owner states of one model version. The card of the highest number counts (`selectors.card`)."""

    model = models.CharField(max_length=71)
    owner = models.ForeignKey(Institution, on_delete=models.PROTECT, related_name="cards")
    sequence = models.PositiveIntegerField()
    statement = models.TextField(help_text="The card as the owner signed it (JWS).")
    received = models.DateTimeField()

    class Meta:
        ordering = ("-sequence",)
        constraints = (models.UniqueConstraint(fields=("model", "sequence"), name="governance_card_once"),)

    def __str__(self) -> str:
        return f"{self.owner.slug} describes {self.model[:19]}…"

    @property
    def stated(self) -> list[tuple[str, list[str]]]:
        """The title of each attribute that it states, and its paragraphs."""
        said = stated(peek_card(self.statement)["attributes"])
        return [(attribute.title, paragraphs) for attribute, paragraphs in said.items()]

    @property
    def left_out(self) -> str:
        """What it does not state."""
        return ", ".join(each.title for each in not_stated(peek_card(self.statement)["attributes"]))


@append_only
class ModelRecall(models.Model):
    """A model owner's signed recall of one model version, for good: nothing is computed with it from then on."""

    model = models.CharField(max_length=71, unique=True)
    owner = models.ForeignKey(Institution, on_delete=models.PROTECT, related_name="recalls")
    reason = models.CharField(max_length=16, choices=[(why, why) for why in WHY])
    classification = models.CharField(max_length=3, choices=[(each, each) for each in CLASSES])
    advice = models.CharField(max_length=LONGEST_ADVICE)
    statement = models.TextField(help_text="The recall as the owner signed it (JWS).")
    received = models.DateTimeField()

    class Meta:
        ordering = ("-received",)

    def __str__(self) -> str:
        return f"{self.owner.slug} recalls {self.model[:19]}…"

    @property
    def sentence(self) -> str:
        """Why, and how grave it is; the advice stands apart."""
        return sentence(peek_recall(self.statement))


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
