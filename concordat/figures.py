"""What an audit says: counts by group, outcome and bin of the model's answers, and the rates that follow.

A count below the smallest cell is opened as nothing; it may be any number from 0 to one less than the cell. Every rate
therefore has a least and a most, which are the same where no count is missing: nothing is guessed.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from concordat import canonical, ring, sealing
from concordat.audit_plan import AuditPlan
from concordat.canonical import Json
from concordat.commitments import OUTPUT_SHARE, Share, commit, new_salt, open_share, opening
from concordat.fields import plain, read
from concordat.reasons import Reason, Refused
from concordat.receipt import Receipt
from concordat.ring import Ring
from concordat.sealing import SealingKey

Counts = NDArray[np.int64]

_PART = "counts"


@dataclass(frozen=True)
class Between:
    """What lies between two ends, which are included; None of a rate of nobody."""

    least: float
    most: float

    def __str__(self) -> str:
        if self.least == self.most:
            return f"{self.least:.3f}"
        return f"{self.least:.3f} to {self.most:.3f}"


@dataclass(frozen=True)
class Rates:
    """At one threshold, at which the model says yes: how many of those with the outcome it says yes to (sensitivity),
    of those without it no (specificity), and how many of those it says yes to have the outcome (precision)."""

    threshold: float
    sensitivity: Between | None
    specificity: Between | None
    precision: Between | None
    selected: Between | None


@dataclass(frozen=True)
class Bin:
    """Who the model answers between two thresholds: how many of them have the outcome."""

    low: float
    high: float
    observed: Between | None


@dataclass(frozen=True)
class Figures:
    """All that was opened. `least` and `most` (groups, outcomes, bins) bound each count."""

    plan: AuditPlan
    smallest: int
    least: Counts
    most: Counts

    @property
    def suppressed(self) -> int:
        """How many counts were too small to be opened, or nothing."""
        return int((self.least != self.most).sum())

    def rates(self, group: str) -> list[Rates]:
        """At each threshold of the plan."""
        least, most = self._of(group)
        found = []
        for place, threshold in enumerate(self.plan.thresholds):
            no, yes = slice(None, place + 1), slice(place + 1, None)
            true, false = (least[1, yes].sum(), most[1, yes].sum()), (least[0, yes].sum(), most[0, yes].sum())
            missed, spared = (least[1, no].sum(), most[1, no].sum()), (least[0, no].sum(), most[0, no].sum())
            chosen, others = _add(true, false), _add(missed, spared)
            found.append(
                Rates(
                    threshold,
                    sensitivity=_share(true, missed),
                    specificity=_share(spared, false),
                    precision=_share(true, false),
                    selected=_share(chosen, others),
                )
            )
        return found

    def calibration(self, group: str) -> list[Bin]:
        """Between each two neighbouring thresholds, 0 and 1 included."""
        least, most = self._of(group)
        ends = [0.0, *self.plan.thresholds, 1.0]
        return [
            Bin(ends[place], ends[place + 1], _share(*((least[y, place], most[y, place]) for y in (1, 0))))
            for place in range(least.shape[1])
        ]

    def document(self) -> dict[str, Json]:
        """As JSON: of a count that was not opened, null."""
        groups: dict[str, Json] = {}
        for place, name in enumerate(self.plan.names):
            same = self.least[place] == self.most[place]
            counts: list[list[int | None]] = [
                [int(count) if known else None for count, known in zip(*row, strict=True)]
                for row in zip(self.least[place], same, strict=True)
            ]
            groups[name] = {
                "without_outcome": list(counts[0]),
                "with_outcome": list(counts[1]),
                "rates": [
                    {
                        "threshold": f"{each.threshold:g}",
                        "sensitivity": _said(each.sensitivity),
                        "specificity": _said(each.specificity),
                        "precision": _said(each.precision),
                        "selected": _said(each.selected),
                    }
                    for each in self.rates(name)
                ],
            }
        return {
            "v": 1,
            "plan": self.plan.digest,
            "outcome": self.plan.outcome["name"],
            "thresholds": [f"{each:g}" for each in self.plan.thresholds],
            "smallest_count": self.smallest,
            "not_opened": self.suppressed,
            "groups": groups,
        }

    def _of(self, group: str) -> tuple[Counts, Counts]:
        place = self.plan.names.index(group)
        return self.least[place], self.most[place]


def seal_counts(share: bytes, *, job: str, node: str, output_key: str) -> tuple[str, str]:
    """A party's commitment to its share of what is left of the counts (`compute.engine.counting`), for its receipt, and
    the share sealed to the requester's output key."""
    salt = new_salt()
    sealed = sealing.seal(output_key, canonical.encode(plain(opening(salt, share))), context=_context(job, node))
    return commit(OUTPUT_SHARE, salt, job, node, _PART, 0, share), sealed


def open_counts(
    sealed: Mapping[str, str], receipts: Mapping[str, Receipt], plan: AuditPlan, *, smallest: int, key: SealingKey
) -> Figures:
    """Unseal every party's share, check it against the party's receipt, and add them up.

    Args:
        sealed: by party.
        receipts: by node, from `receipt.check_receipts`; the dealer's is passed over.
        smallest: the definition's `minimum_cell`.
        key: the output key that we kept.

    Raises:
        Refused: NODE_SILENT if a party's share is missing, SEAL_BROKEN, OPENING_MISMATCH naming the party, MALFORMED,
            or RESULT_OUT_OF_RANGE for what no count can be.
    """
    shares = []
    for party, receipt in receipts.items():
        if "counts" not in receipt:
            continue
        if party not in sealed:
            raise Refused(Reason.NODE_SILENT, detail=f"There is no output share of {party}.")
        job = receipt["job"]
        opened = read(canonical.decode(sealing.open(key, sealed[party], context=_context(job, party))), Share)
        try:
            content = open_share(receipt["counts"], OUTPUT_SHARE, opened, job, party, _PART, 0)
        except Refused as refused:
            detail = f"{party} committed to other counts."
            raise Refused(Reason.OPENING_MISMATCH, detail=detail, field=party) from refused
        shares.append(ring.from_bytes(content, (plan.cells,)))
    return read_counts(shares, plan, smallest=smallest)


def read_counts(shares: Sequence[Ring], plan: AuditPlan, *, smallest: int) -> Figures:
    """What the parties' shares (cells,) add up to. Raises Refused(RESULT_OUT_OF_RANGE) for what no count can be."""
    above = ring.combine(list(shares)).reshape(plan.shape)
    if above.min() < 0 or above.max() + smallest - 1 > plan.rows * len(shares):
        raise Refused(Reason.RESULT_OUT_OF_RANGE)
    opened = above > 0
    least = np.where(opened, above + smallest - 1, 0)
    return Figures(plan, smallest, least, np.where(opened, least, smallest - 1))


def largest_gaps(figures: Figures) -> Mapping[float, Between | None]:
    """By threshold, by how much sensitivity differs between the groups, at most: equality of
    opportunity is a gap of zero. None where no two groups have a rate."""
    gaps: dict[float, Between | None] = {}
    for place, threshold in enumerate(figures.plan.thresholds):
        rates = [figures.rates(name)[place].sensitivity for name in figures.plan.names]
        known = [each for each in rates if each is not None]
        if len(known) < 2:
            gaps[threshold] = None
            continue
        least = max(0.0, max(each.least for each in known) - min(each.most for each in known))
        most = max(one.most - other.least for one in known for other in known if one is not other)
        gaps[threshold] = Between(least, max(least, most))
    return gaps


def _context(job: str, node: str) -> dict[str, Json]:
    return {"label": "counts", "job": job, "node": node}


def _add(one: tuple[int, int], other: tuple[int, int]) -> tuple[int, int]:
    return one[0] + other[0], one[1] + other[1]


def _share(part: tuple[int, int], rest: tuple[int, int]) -> Between | None:
    """part / (part + rest), whose least and most are known; it grows with the one and falls with the other."""
    if part[1] + rest[1] == 0:
        return None
    low = part[0] / (part[0] + rest[1]) if part[0] + rest[1] else 0.0
    high = part[1] / (part[1] + rest[0]) if part[1] else 0.0
    return Between(float(low), float(high))


def _said(rate: Between | None) -> dict[str, Json] | None:
    return None if rate is None else {"least": f"{rate.least:.4f}", "most": f"{rate.most:.4f}"}
