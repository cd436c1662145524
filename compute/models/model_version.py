"""A model version: the owner's signed manifest in the open, the weights as one sealed share a party."""

from django.db import models

from governance.models import Institution


class ModelVersion(models.Model):
    """One version of one model, known by the digest of its manifest."""

    digest = models.CharField(max_length=71, unique=True)
    name = models.SlugField(max_length=63)
    version = models.CharField(max_length=63)
    owner = models.ForeignKey(Institution, on_delete=models.PROTECT, related_name="model_versions")
    kind = models.CharField(max_length=16)
    manifest = models.TextField(help_text="The manifest as the owner signed it (JWS).")
    imported = models.DateTimeField()

    class Meta:
        ordering = ("name", "version")
        constraints = (
            models.UniqueConstraint(fields=["owner", "name", "version"], name="compute_one_manifest_a_version"),
        )

    def __str__(self) -> str:
        return f"{self.name} {self.version}"


class SealedModelShare(models.Model):
    """One party's share of the weights, sealed to that party's key: the coordinator cannot open it."""

    model = models.ForeignKey(ModelVersion, on_delete=models.CASCADE, related_name="shares")
    party = models.ForeignKey(Institution, on_delete=models.PROTECT, related_name="+")
    sealed = models.TextField()

    class Meta:
        ordering = ("party",)
        constraints = (models.UniqueConstraint(fields=["model", "party"], name="compute_one_model_share_a_party"),)

    def __str__(self) -> str:
        return f"{self.model} for {self.party.slug}"
