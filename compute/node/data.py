"""The institution's own word on which data its node may use, in `data.json`. Without that file it uses none.

Nobody but the institution writes this file. It names one source of OMOP tables, and for each study and definition the
cohorts (`cohort_definition_id`) that may be used for it; for anything else the node has no data.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

from annotated_types import Ge
from pydantic import with_config
from typing_extensions import TypedDict

from concordat import canonical
from concordat.fields import STRICT, Digest, Text, read
from concordat.files import about
from concordat.omop import Database, Source
from concordat.omop.cohort import Cohort, shown, shown_of
from concordat.reasons import Reason, Refused
from concordat.schema import FeatureSchema

FILE = "data.json"


@with_config(STRICT)
class Use(TypedDict):
    """Which cohorts one definition of one study may use. Both have to agree: a digest without its study is no leave."""

    study: Text
    definition: Digest
    cohorts: list[Annotated[int, Ge(0)]]


@with_config(STRICT)
class Data(TypedDict):
    """`data.json`: where the tables are, and what they may be used for. An empty list allows nothing."""

    source: Source
    uses: list[Use]


def load(folder: Path) -> Data:
    """The file as it is now: read afresh for every use.

    Raises:
        Refused: DATA_UNSTATED without a file; MALFORMED, or what :func:`concordat.fields.read` refuses.
    """
    try:
        content = (folder / FILE).read_bytes()
    except FileNotFoundError:
        raise Refused(Reason.DATA_UNSTATED) from None
    with about(FILE):
        return read(canonical.decode(content), Data)


def cohort_for(data: Data, *, study: str, definition: str) -> int:
    """The one cohort that may be used for this definition of this study. Raises Refused(POLICY_REFUSES)."""
    listed = [use["cohorts"] for use in data["uses"] if (use["study"], use["definition"]) == (study, definition)]
    found = {cohort for cohorts in listed for cohort in cohorts}
    if len(found) != 1:
        detail = "data.json has to list one cohort for this definition of this study, and no other."
        raise Refused(Reason.POLICY_REFUSES, detail=detail, field="uses")
    return found.pop()


def report(folder: Path, schema: FeatureSchema | None, cohort: int | None) -> Iterator[str]:
    """What a person who set the source up wants to know, in lines: the tables; how many of a cohort's rows can be used,
    and in how many of these each feature has a value. Counts only, and no small one.

    Raises:
        Refused: POLICY_REFUSES for a cohort that no use lists; what `load`, `Database` and `Cohort` refuse.
    """
    data = load(folder)
    if cohort is not None and not any(cohort in use["cohorts"] for use in data["uses"]):
        raise Refused(Reason.POLICY_REFUSES, detail="data.json lists this cohort for no definition.", field="uses")
    with Database(data["source"], folder) as database:
        yield f"source\t{database.name}"
        for table, there in database.found().items():
            yield f"table {table}\t{'found' if there else 'missing, or without a column that is read'}"
        if schema is None or cohort is None:
            return
        rows = Cohort(database, schema, cohort)
        yield f"codes\tevery feature of {schema.name} that has codes is found in the vocabulary"
        for _ in rows:
            pass
        summary = rows.summary
        yield f"rows of cohort {cohort}\t{shown(summary.rows)}"
        yield f"can be used\t{shown_of(summary.used, summary.rows)}"
        for why, count in summary.said():
            yield f"left out: {why}\t{count}"
        for feature in schema.features:
            yield f"{feature.name}\t{shown_of(summary.present[feature.name], summary.used)}"
