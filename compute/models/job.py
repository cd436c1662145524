"""A job: one request of one institution on its way through the states of `concordat.states`."""

import uuid

from django.db import models

from compute.models.model_version import ModelVersion
from concordat import record_number
from concordat.reasons import REASONS, Reason
from concordat.states import JobState
from governance.models import Definition, Institution


class Job(models.Model):
    """One explained prediction; or one audit or training, whose entry in the log stands in the
    prediction's place.

    `compute.services.states.transition` is the only writer of `state`.

    Nothing here is about a person: the signed request stands in the log, under the key of its subject.
    """

    uuid = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    requester = models.ForeignKey(Institution, on_delete=models.PROTECT, related_name="jobs")
    request_uuid = models.UUIDField(unique=True)
    request_digest = models.CharField(max_length=71, unique=True)
    idempotency_key = models.CharField(max_length=64)
    content = models.CharField(max_length=71, help_text="Digest of all that was handed in under the idempotency key.")

    definition = models.ForeignKey(Definition, on_delete=models.PROTECT, related_name="jobs")
    model = models.ForeignKey(ModelVersion, on_delete=models.PROTECT, related_name="jobs")

    state = models.CharField(max_length=12, choices=[(s, s.value) for s in JobState], default=JobState.REQUESTED)
    reason = models.CharField(max_length=40, blank=True, help_text="A code of `concordat.reasons`.")
    detail = models.CharField(max_length=200, blank=True, help_text="For example which node; nothing about a person.")
    epoch = models.PositiveBigIntegerField(help_text="The authority's epoch when the request was authorised.")
    verdict = models.PositiveBigIntegerField(null=True, help_text="Log index of the verdict.")
    prediction_entry = models.PositiveBigIntegerField(null=True, help_text="Log index of the prediction.")
    explanation_entry = models.PositiveBigIntegerField(null=True, help_text="Log index of the explanation.")

    what_ifs = models.PositiveSmallIntegerField(default=0, help_text="How many variants follow each record.")
    put_back = models.PositiveSmallIntegerField(default=0, help_text="How often nodes were too busy to take it.")
    alone = models.BooleanField(default=False, help_text="Others fell out once: it is computed by itself.")
    ticket = models.TextField(blank=True, help_text="The ticket as the coordinator signed it (JWS).")
    batch = models.UUIDField(null=True, db_index=True, help_text="What the ticket names; all with it run at once.")
    dispatched = models.DateTimeField(null=True, help_text="When every node's task was handed to the broker.")
    deadline = models.DateTimeField(null=True, help_text="When the nodes must have answered, or have finished.")
    rounds_done = models.PositiveIntegerField(null=True, help_text="Of the computation, as its first party says.")
    rounds = models.PositiveIntegerField(null=True, help_text="Of how many, as its first party says.")
    created = models.DateTimeField()
    updated = models.DateTimeField()

    class Meta:
        ordering = ("-created", "-pk")
        constraints = (
            models.UniqueConstraint(fields=["requester", "idempotency_key"], name="compute_one_job_an_idempotency_key"),
        )
        indexes = (models.Index(fields=["state"]),)

    def __str__(self) -> str:
        return str(self.request_uuid)

    @property
    def job_state(self) -> JobState:
        return JobState(self.state)

    @property
    def nodes(self) -> list[str]:
        """The compute parties in the order of their ranks, then the dealer."""
        content = self.definition.content
        return [*content["parties"], content["dealer"]]

    @property
    def record(self) -> str:
        """The number under which people know the decision, or nothing before it is recorded."""
        return "" if self.prediction_entry is None else record_number.format(self.prediction_entry)

    @property
    def progress(self) -> tuple[int, int] | None:
        """While it is computed: how many rounds are done, of how many, as its first party says."""
        computing = self.job_state is JobState.COMPUTING
        return (self.rounds_done, self.rounds) if computing and self.rounds_done and self.rounds else None

    @property
    def why(self) -> str:
        """A sentence for people, with what it says nothing of; or nothing."""
        sentence = REASONS[Reason(self.reason)].sentence if self.reason else ""
        return sentence if self.detail in ("", sentence) else f"{sentence} {self.detail}".strip()


class SealedInput(models.Model):
    """One party's share of the record, sealed to that party. Deleted when the job ends."""

    job = models.ForeignKey(Job, on_delete=models.CASCADE, related_name="inputs")
    party = models.ForeignKey(Institution, on_delete=models.PROTECT, related_name="+")
    sealed = models.TextField()

    class Meta:
        constraints = (models.UniqueConstraint(fields=["job", "party"], name="compute_one_input_a_party"),)

    def __str__(self) -> str:
        return f"{self.job} for {self.party.slug}"
