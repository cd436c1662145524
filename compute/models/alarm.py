"""What follows on a canary that came back wrong: the requester's alarm, the nodes' testimonies, the owner's finding."""

from django.db import models

from compute.models.job import Job
from compute.models.model_version import ModelVersion
from governance.models import Institution
from ledger.triggers import append_only


@append_only
class CanarySheet(models.Model):
    """A model's canaries for one design and target, sealed to one requester: the coordinator cannot open them. The
    latest counts."""

    model = models.ForeignKey(ModelVersion, on_delete=models.PROTECT, related_name="canaries")
    design = models.CharField(max_length=71)
    target = models.CharField(max_length=16)
    requester = models.ForeignKey(Institution, on_delete=models.PROTECT, related_name="+")
    sealed = models.TextField()
    received = models.DateTimeField()

    class Meta:
        ordering = ("-pk",)
        indexes = (models.Index(fields=["model", "design", "target", "requester"], name="compute_canaries_of"),)

    def __str__(self) -> str:
        return f"canaries of {self.model} for {self.requester.slug}"


class Alarm(models.Model):
    """One job's alarm; `asked` is when the nodes were last asked to testify, and `closed` when it was logged who had
    not done so in time."""

    job = models.OneToOneField(Job, on_delete=models.PROTECT, related_name="alarm")
    document = models.TextField(help_text="The alarm as the requester signed it (JWS).")
    received = models.DateTimeField()
    entry = models.PositiveBigIntegerField(null=True, help_text="Log index of the alarm.")
    asked = models.DateTimeField(null=True)
    closed = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return f"alarm about {self.job}"


@append_only
class Testimony(models.Model):
    """One node's signed testimony (JWS); what matters in it is sealed to the model's owner."""

    alarm = models.ForeignKey(Alarm, on_delete=models.PROTECT, related_name="testimonies")
    node = models.ForeignKey(Institution, on_delete=models.PROTECT, related_name="+")
    document = models.TextField()
    received = models.DateTimeField()

    class Meta:
        ordering = ("pk",)
        constraints = (models.UniqueConstraint(fields=["alarm", "node"], name="compute_one_testimony_a_node"),)

    def __str__(self) -> str:
        return f"testimony of {self.node.slug}"


@append_only
class Finding(models.Model):
    """The owner's signed finding (JWS), once and for all."""

    alarm = models.OneToOneField(Alarm, on_delete=models.PROTECT, related_name="finding")
    document = models.TextField()
    received = models.DateTimeField()

    def __str__(self) -> str:
        return f"finding about {self.alarm.job}"
