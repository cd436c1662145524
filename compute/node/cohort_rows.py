"""Where an institution's rows are read: OMOP tables, where `data.json` says so, or else its own table `data.csv`.

data.csv in the node's home has a column for each feature of the schema, and one with the name of the plan's outcome,
TRUE or FALSE; where that is empty, the outcome is not known, and the person is not counted. It is written by the
institution's own tools, a row a person. A column `person_id`, if there is one, names them: of each the first row is
read, and the others are left out. With a data.json the rows are those of the one cohort that it lists for the study and
definition, one a person, and the outcome is a condition with one of the plan's codes (`concordat.omop.cohort`).
"""

import csv
import os
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from compute.node import data
from compute.node.authority import Grant
from compute.node.home import NodeHome
from concordat.cohort import Encoded, Row
from concordat.files import check_private
from concordat.omop import Database
from concordat.omop.cohort import Cohort, Outcome
from concordat.plans import CohortPlan
from concordat.reasons import Reason, Refused
from concordat.schema import FeatureSchema

TABLE = "data.csv"

PERSON = "person_id"
"""The column that may name people, which never leave it. No feature has such a name."""


def check(home: NodeHome, grant: Grant) -> None:
    """That there would be rows.

    Raises:
        Refused: HOME_INCOMPLETE without a table that can be read; KEYSTORE_UNSAFE if others can read it;
            FEATURE_MISSING, naming the column that it lacks; FIELD_INVALID for one that is there twice; of OMOP tables
            POLICY_REFUSES unless data.json lists one cohort for this definition of this study, OMOP_UNAVAILABLE,
            OMOP_INVALID, CODE_UNKNOWN.
    """
    plan, schema = _asked(grant)
    if not _omop(home):
        next(_table(home.directory / TABLE, _columns(plan, schema)), None)
        return
    cohort, source = _cohort(home, grant), data.load(home.directory)["source"]
    with Database(source, home.directory) as database:
        Cohort(database, schema, cohort, outcome=_outcome(plan))


def encoded(home: NodeHome, grant: Grant) -> Encoded:
    """The rows, encoded and padded. Raises Refused as `check`."""
    plan, schema = _asked(grant)
    if not _omop(home):
        return plan.encode(schema, _rows(home.directory / TABLE, plan, schema))
    cohort, source = _cohort(home, grant), data.load(home.directory)["source"]
    with Database(source, home.directory) as database:
        rows = Cohort(database, schema, cohort, outcome=_outcome(plan))
        found = plan.encode(schema, (Row(each.values, each.outcome) for each in rows))
    return replace(found, left_out={**found.left_out, **rows.summary.left_out})


def _asked(grant: Grant) -> tuple[CohortPlan, FeatureSchema]:
    assert grant.plan is not None
    return grant.plan, FeatureSchema.from_json(grant.documents["schema"])


def _omop(home: NodeHome) -> bool:
    return (home.directory / data.FILE).exists()


def _cohort(home: NodeHome, grant: Grant) -> int:
    study, definition = grant.definition["study"], grant.ticket["definition"]
    return data.cohort_for(data.load(home.directory), study=study, definition=definition)


def _outcome(plan: CohortPlan) -> Outcome:
    return Outcome(tuple(plan.outcome["codes"]), plan.outcome["days"])


def _columns(plan: CohortPlan, schema: FeatureSchema) -> list[str]:
    return [plan.outcome["name"], *(feature.name for feature in schema.features)]


def _rows(path: Path, plan: CohortPlan, schema: FeatureSchema) -> Iterator[Row | Reason]:
    """The table's people; of whom a cell cannot be read, the reason for which they are left out."""
    name, *_ = columns = _columns(plan, schema)
    seen = {""}
    for row in _table(path, columns):
        if PERSON in row:
            person = row[PERSON].strip()
            if person in seen:
                yield Reason.CONFLICT if person else Reason.FEATURE_MISSING
                continue
            seen.add(person)
        outcome = row[name].strip().lower()
        try:
            values = schema.from_row(row)
        except Refused as refused:
            yield refused.reason
            continue
        if outcome not in ("true", "false"):
            yield Reason.FEATURE_MISSING if outcome == "" else Reason.FIELD_INVALID
        else:
            yield Row(values, outcome == "true")


def _table(path: Path, columns: Sequence[str]) -> Iterator[dict[str, str]]:
    """The rows of a table that has all of these columns, once each, and may have people's. No cell's content is ever
    part of an error."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            check_private(os.fstat(file.fileno()), path)
            table = csv.DictReader(file, restval="", restkey="")
            names = list(table.fieldnames or [])
            for column in (*columns, *({PERSON} & {*names})):
                if names.count(column) != 1:
                    reason = Reason.FIELD_INVALID if column in names else Reason.FEATURE_MISSING
                    detail = f"{path.name} has {'more than one' if column in names else 'no'} column {column}."
                    raise Refused(reason, detail=detail, field=column)
            yield from table
    except FileNotFoundError:
        raise Refused(Reason.HOME_INCOMPLETE, detail=f"{path.parent} has no {path.name}.", field="home") from None
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        detail = f"{path.name} cannot be read as a table in UTF-8 ({type(error).__name__})."
        raise Refused(Reason.HOME_INCOMPLETE, detail=detail, field="home") from None
