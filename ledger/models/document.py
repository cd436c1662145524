"""What entries refer to by digest: protocols, definitions, votes, receipts."""

from django.db import models

from ledger.triggers import append_only


@append_only
class Document(models.Model):
    """A document under the SHA-256 of its bytes. Nothing personal is kept here: such documents are private fields."""

    digest = models.CharField(max_length=71, primary_key=True)
    content = models.BinaryField()

    def __str__(self) -> str:
        return self.digest
