"""Whether a person has a condition, or takes a drug, by the rows of two tables.

A row of `condition_occurrence` is a diagnosis that was recorded; its status says whether it was certain. When it ended,
many databases do not know, or write the visit's end: `Source` says what an end means. A row of `drug_exposure` or
`drug_era` says from when to when a drug was taken.
"""

from collections.abc import Iterable, Mapping
from datetime import date
from typing import Literal
from zoneinfo import ZoneInfo

from concordat.omop.codes import Codes, Found
from concordat.omop.rows import StatementRow, span
from concordat.reading import tally as left_out
from concordat.reading.record import Item
from concordat.reading.said import Says, counts
from concordat.reading.tally import Tally
from concordat.reading.times import Span
from concordat.schema import Feature

Ends = Literal["unknown", "resolved", "visit"]

STATUS_SAYS: Mapping[str, Says] = {
    **dict.fromkeys(("Confirmed diagnosis", "Primary diagnosis", "Secondary diagnosis"), "yes"),
    **dict.fromkeys(("Discharge diagnosis", "Primary discharge diagnosis", "Secondary discharge diagnosis"), "yes"),
    **dict.fromkeys(("Postoperative diagnosis", "Death diagnosis", "Cause of death"), "yes"),
    **dict.fromkeys(("Immediate cause of death", "Contributory cause of death", "Underlying cause of death"), "yes"),
    "Resolved condition": "no",
}
"""What a status says, by its name in the vocabulary `Condition Status`. None (0) says yes; any other one is uncertain:
a diagnosis on admission or before an operation, one of a referral, a preliminary one, one still to be made."""


def certainty(row: StatementRow, statuses: Mapping[int, str]) -> Says:
    """What the status of a condition says."""
    return STATUS_SAYS.get(statuses.get(row.status, ""), "uncertain") if row.status else "yes"


def condition_says(row: StatementRow, now: Span, codes: Codes, *, ends: Ends, zone: ZoneInfo | None) -> Says:
    """What a row of `condition_occurrence` says at a moment or on a day."""
    says = certainty(row, codes.statuses)
    begun = span(row.start, row.start_moment, row.table, zone)
    if says != "yes" or begun is None or begun.after(now):
        return says if says != "yes" else "uncertain"
    ended = span(row.end, row.end_moment, row.table, zone)
    if ended is None or ends == "visit" or not now.after(ended):
        return "yes"
    return "no" if ends == "resolved" else "uncertain"


def drug_says(row: StatementRow, now: Span, *, zone: ZoneInfo | None) -> Says:
    """What a row of `drug_exposure` or `drug_era` says at a moment or on a day."""
    begun = span(row.start, row.start_moment, row.table, zone)
    ended = span(row.end, row.end_moment, row.table, zone)
    if begun is None or ended is None or begun.after(now):
        return "uncertain"
    return "no" if now.after(ended) else "yes"


def read_statements(
    kind: str,
    rows: Iterable[tuple[StatementRow, Says]],
    features: Iterable[Feature],
    found: Found,
    *,
    now: Span,
    zone: ZoneInfo | None,
    tally: Tally,
) -> dict[str, Item]:
    """What rows say about features, and by each of them; of several that say the same, the last one counts.

    Args:
        kind: the table.

    Raises:
        Refused: FIELD_INVALID, naming the feature; OMOP_INVALID.
    """
    told: dict[str, dict[Says, StatementRow]] = {}
    for row, says in rows:
        tally.leave(kind, place(row), left_out.UNCERTAIN if says == "uncertain" else left_out.OLDER)
        for feature in found.of(row.concept, row.source):
            earlier = told.setdefault(feature.name, {}).get(says)
            if earlier is None or (_start(row) or date.min) >= (_start(earlier) or date.min):
                told[feature.name][says] = row
    return {
        feature.name: _item(
            kind,
            feature,
            told.get(feature.name, {}),
            sure=feature.name not in found.unsure,
            now=now,
            zone=zone,
            tally=tally,
        )
        for feature in features
    }


def place(row: StatementRow) -> str:
    """Where a row stands: its table and its number there."""
    return f"{row.table}/{row.number}"


def _start(row: StatementRow) -> date | None:
    begun = span(row.start, row.start_moment, row.table, None)
    return begun.first.date() if begun else None


def _item(
    kind: str,
    feature: Feature,
    told: Mapping[Says, StatementRow],
    *,
    sure: bool,
    now: Span,
    zone: ZoneInfo | None,
    tally: Tally,
) -> Item:
    says = counts(kind, feature, told)
    if says == "uncertain":
        return Item(feature.name, None, "missing", why=left_out.UNCERTAIN, resource=kind)
    if says is None:
        why = f"no row in {kind}"
        if feature.none_means_no and sure:
            return Item(feature.name, False, "read", why=why, resource=kind)
        return Item(feature.name, None, "missing", why=why, resource=kind)
    row = told[says]
    tally.use(place(row))
    begun = span(row.start, row.start_moment, row.table, zone)
    return Item(
        feature.name,
        says == "yes",
        "read",
        taken=begun.words if begun else "",
        age=begun.age(now) if begun else None,
        resource=kind,
        place=place(row),
    )
