"""What the nodes answered to a job's ticket."""

from django.db import models

from compute.models.job import Job
from governance.models import Institution


class Answer(models.Model):
    """A node's signed acceptance or refusal. A refusal after an acceptance says that the node has failed since."""

    class Kind(models.TextChoices):
        ACCEPTANCE = "acceptance"
        REFUSAL = "refusal"

    job = models.ForeignKey(Job, on_delete=models.CASCADE, related_name="answers")
    node = models.ForeignKey(Institution, on_delete=models.PROTECT, related_name="+")
    kind = models.CharField(max_length=10, choices=Kind.choices)
    document = models.TextField(help_text="The answer as the node signed it (JWS).")
    received = models.DateTimeField()

    class Meta:
        ordering = ("pk",)
        constraints = (
            models.UniqueConstraint(fields=["job", "node", "kind"], name="compute_one_answer_a_node_and_kind"),
        )

    def __str__(self) -> str:
        return f"{self.kind} of {self.node.slug}"
