"""The tree's stored hashes, in the tiles of C2SP tlog-tiles (https://c2sp.org/tlog-tiles)."""

from django.db import models


class Tile(models.Model):
    """Up to 256 hashes of one level, side by side; a level-1 hash covers a complete tile of level 0, and so on.

    A tile only ever grows at its end, so each of its partial forms is a prefix of the row.
    """

    level = models.PositiveSmallIntegerField()
    index = models.PositiveBigIntegerField()
    hashes = models.BinaryField()

    class Meta:
        constraints = (models.UniqueConstraint(fields=["level", "index"], name="one_tile_of_a_place"),)

    def __str__(self) -> str:
        return f"tile/{self.level}/{self.index}"
