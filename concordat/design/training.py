"""What LIME's tabular samplers know of the training data: for each feature a summary, which a design makes public.

A sampler of the `lime` package (0.2.0.1, `LimeTabularExplainer` and its `QuartileDiscretizer`) is fitted to a table of
a column for each feature: numbers as the schema encodes them, truth values as 0 for the reference and 1, categories as
the index of their level. It keeps of the table what stands here and nothing else, so whoever has the summary draws the
same rows as `lime` does. Decimals are the shortest that are read back as the same double.

What a summary gives away: `lowest` and `highest` of a number are values of single patients, and a small count speaks of
few. Its owner must be content to publish both.
"""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

import numpy as np
from annotated_types import Ge, Len
from pydantic import Field, with_config
from typing_extensions import TypedDict

from concordat.design.common import Floats
from concordat.fields import STRICT, DecimalText, Slug
from concordat.reasons import Reason, Refused
from concordat.schema import Feature, FeatureSchema, Value

Sampler = Literal["quartiles", "gaussian"]
"""`lime` with `discretize_continuous`, its default, and without."""

LEAST_DEVIATION = 1e-11
"""What `lime` adds to each bin's deviation, so that none is zero."""

Count = Annotated[int, Ge(0)]
Bins = Annotated[list[DecimalText], Len(2, 4)]


@with_config(STRICT)
class Quartiles(TypedDict):
    """A number in at most four bins, the quartiles of the training data: upper `boundaries` of all bins but the last,
    and of each bin how many patients, their mean and standard deviation."""

    feature: Slug
    kind: Literal["quartiles"]
    lowest: DecimalText
    boundaries: Annotated[list[DecimalText], Len(1, 3)]
    highest: DecimalText
    counts: Annotated[list[Count], Len(2, 4)]
    means: Bins
    deviations: Bins


@with_config(STRICT)
class Gaussian(TypedDict):
    """A number by its mean and standard deviation."""

    feature: Slug
    kind: Literal["gaussian"]
    mean: DecimalText
    deviation: DecimalText


@with_config(STRICT)
class Levels(TypedDict):
    """How many patients have each value: of a truth value the reference and the other, of a category its levels."""

    feature: Slug
    kind: Literal["levels"]
    counts: Annotated[list[Count], Len(2, 1000)]


Statistics = Annotated[Quartiles | Gaussian | Levels, Field(discriminator="kind")]


def summarise(rows: Sequence[Mapping[str, Value]], schema: FeatureSchema, sampler: Sampler) -> list[Statistics]:
    """The summary of a table of records, each of which is checked and imputed as a record that is asked about.

    Raises:
        Refused: FIELD_INVALID for no rows, and what the schema refuses, naming the feature.
    """
    if not rows:
        raise Refused(Reason.FIELD_INVALID, detail="There is no row of training data.", field="statistics")
    return summarise_codes(np.array([codes(schema, schema.encode_row(row).vector) for row in rows]), schema, sampler)


def summarise_codes(table: Floats, schema: FeatureSchema, sampler: Sampler) -> list[Statistics]:
    """The same of a table (patients, d) as `lime` has it."""
    return [_summary(feature, column, sampler) for feature, column in zip(schema.features, table.T, strict=True)]


def codes(schema: FeatureSchema, record: Floats) -> Floats:
    """(d,) an encoded record (k,) as `lime` has it, a number for each feature."""
    found, start = [], 0
    for feature in schema.features:
        columns = record[start : start + len(feature.columns)]
        start += len(feature.columns)
        if feature.kind == "category":
            code = reference_code(feature)
            for place, level in enumerate(_others(feature)):
                code = level if columns[place] > 0 else code
            found.append(float(code))
        else:
            found.append(float(columns[0]))
    return np.array(found)


def columns_of(feature: Feature, drawn: Floats) -> Floats:
    """(n, columns of the feature) what a model gets for its codes (n,): the inverse of `codes`."""
    if feature.kind != "category":
        return drawn[:, None]
    columns: Floats = (drawn[:, None] == np.array(_others(feature))).astype(np.float64)
    return columns


def reference_code(feature: Feature) -> int:
    """The index of a category's reference level."""
    return [level.value for level in feature.levels].index(str(feature.reference))


def check(statistics: Sequence[Statistics], sampler: Sampler) -> None:
    """That each summary is one of some data. Which data it is, only their owner knows: nobody else has them.

    Raises:
        Refused: FIELD_INVALID naming the field.
    """
    for place, each in enumerate(statistics):
        if each["kind"] == "gaussian":
            fine = float(each["deviation"]) > 0
        elif each["kind"] == "levels":
            fine = sum(each["counts"]) > 0
        else:
            ends = [float(end) for end in (each["lowest"], *each["boundaries"], each["highest"])]
            means, deviations = each["means"], each["deviations"]
            fine = len(each["counts"]) == len(means) == len(deviations) == len(ends) - 1 and sum(each["counts"]) > 0
            fine = fine and ends == sorted(ends) and len(set(ends[1:-1])) == len(ends) - 2
            fine = fine and all(float(deviation) > 0 for deviation in deviations)
            slack = 1e-9 * max(map(abs, ends))  # a mean is rounded
            fine = fine and all(
                ends[bin_] - slack <= float(mean) <= ends[bin_ + 1] + slack
                for bin_, mean in enumerate(means)
                if each["counts"][bin_]
            )
        if not fine or each["kind"] not in (sampler, "levels"):
            detail = f"No training data have this summary for the sampler “{sampler}”."
            raise Refused(Reason.FIELD_INVALID, detail=detail, field=f"statistics.{place}")


def _summary(feature: Feature, column: Floats, sampler: Sampler) -> Statistics:
    if feature.kind != "number":
        size = len(feature.levels) or 2
        counts = np.bincount(column.astype(np.int64), minlength=size)
        return {"feature": feature.name, "kind": "levels", "counts": counts.tolist()}
    if sampler == "gaussian":
        deviation = float(column.std()) or 1.0  # as scikit-learn's scaler, which divides by nothing else than zero
        return {
            "feature": feature.name,
            "kind": "gaussian",
            "mean": shortest(column.mean()),
            "deviation": shortest(deviation),
        }
    boundaries = np.unique(np.percentile(column, [25, 50, 75]))
    bins = np.searchsorted(boundaries, column)
    inside = [column[bins == each] for each in range(len(boundaries) + 1)]
    return {
        "feature": feature.name,
        "kind": "quartiles",
        "lowest": shortest(column.min()),
        "boundaries": list(map(shortest, boundaries)),
        "highest": shortest(column.max()),
        "counts": [len(each) for each in inside],
        "means": [shortest(each.mean() if len(each) else 0.0) for each in inside],
        "deviations": [shortest((each.std() if len(each) else 0.0) + LEAST_DEVIATION) for each in inside],
    }


def shortest(value: Any) -> str:
    """The shortest decimal without an exponent that is read back as the same double; never -0."""
    return np.format_float_positional(float(value) + 0.0, trim="-")


def _others(feature: Feature) -> list[int]:
    """The codes of a category's columns."""
    return [place for place in range(len(feature.levels)) if place != reference_code(feature)]
