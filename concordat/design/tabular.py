"""The `lime` package's own tabular samplers: public rows, and a surrogate that only who knows the record can fit.

`lime` perturbs a table by drawing every row anew from the training data (`sampling`), so rows do not depend on the
record, and a definition can name them as it names masks. What depends on it is what they are compared with: whether a
row's value falls into the record's bin, or is the record's level; the distances that follow; and so kernel weights and
ridge operator. These the requester computes (`TabularDesign.at`) and shares as secrets with its record. Which bin a
record is in is told by any of them: a column of the operator has one of two values, by whether row and record agree.

A design is therefore a family, with a member for each record: the same rows, regressors of the record's own.
"""

from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from annotated_types import Ge, Le
from pydantic import with_config
from typing_extensions import TypedDict

from concordat import ring
from concordat.canonical import Json, digest
from concordat.design import common, sampling, training
from concordat.design.common import KERNEL_WIDTH, KERNEL_WIDTHS, RIDGE, RIDGES, WEIGHT_BITS, Design, Floats, Whole
from concordat.design.training import Sampler, Statistics
from concordat.design.wording import Wording, drawn_anew
from concordat.fields import STRICT, DecimalText, Digest, Slug, Text, plain, read
from concordat.reasons import Reason, Refused
from concordat.ring import Ring
from concordat.schema import Feature, FeatureSchema

METHOD: Literal["lime-tabular"] = "lime-tabular"
SAMPLES = 1000
"""A fifth of what `lime` draws by default: see docs/decisions/0018 for what either costs, and how stable it is."""

MOST_SAMPLES = 5000
"""`lime`'s own default."""

ROW_BITS: Literal[16] = 16
"""Those of every record (`ring.BITS`)."""

OPERATOR_BITS: Literal[24] = 24
"""A secret operator may be finer than a public one: it costs the same, and with more rows its entries are smaller."""

MOST_WEIGHT = 1 << 14
"""What the largest of a record's secret weights is. `lime`'s own can be very small where a record is far from all rows,
and take few values where bins are compared, so that rounding them does not cancel."""

MOST_OF_A_ROW = 4
"""What the entries of a row of the operator add up to at most, in size: beyond, a result might not fit."""


@with_config(STRICT)
class TabularDocument(TypedDict):
    """`samples` is `lime`'s num_samples: the record's own row and n = samples - 1 others, `rows` (n, k) as a model gets
    them, at 2^16. `bins` (n, d) is what was chosen of each feature, a bin or a level; 0 for a Gaussian. The `seed` is
    that of numpy's RandomState, a whole number below 2^32. `groups` are the schema's features."""

    v: Literal[1]
    method: Literal["lime-tabular"]
    schema: Digest
    seed: Text
    sampler: Sampler
    samples: Annotated[int, Ge(3), Le(MOST_SAMPLES)]
    kernel_width: DecimalText
    ridge: DecimalText
    groups: list[Slug]
    columns: list[Text]
    column_groups: list[int]
    statistics: list[Statistics]
    row_bits: Literal[16]
    rows: list[list[int]]
    bins: list[list[Annotated[int, Ge(0), Le(999)]]]
    operator_bits: Literal[24]


@dataclass(frozen=True, kw_only=True)
class LocalDesign(Design):
    """A tabular design as it is for one record. It is as secret as the record.

    Attributes:
        rows: (n, k) int64 at 2^16, the design's.
        regressors: (n, d) what `lime` regresses on, and
        own: (d,) the same of the record itself, which takes part in the regression with the weight 1.
        kernel: (n,) `lime`'s weights; the operator is made with them as they are.
        weights: (n,) int64, the same in whole numbers up to `MOST_WEIGHT`: of the sum of squares, which comes out so
            many times as large as `lime`'s as they are, at 2^10, larger: `magnified`.
    """

    operator_bits: ClassVar[int] = OPERATOR_BITS
    rows: Whole
    own: Floats
    kernel: Floats
    magnified: float
    said: Wording

    @property
    def wording(self) -> Wording:
        return self.said

    @property
    def secret(self) -> Ring:
        """((d + 2)·n,) what the requester shares with its record: the operator row by row, then the weights."""
        return np.concatenate([self.operator.ravel(), self.weights])

    def perturbed(self, record: Floats) -> Floats:
        return ring.decode(self.rows)

    def features(self, schema: FeatureSchema) -> tuple[tuple[Feature, ...], ...]:
        return tuple((each,) for each in schema.features)

    def fit(
        self,
        prediction: float,
        coefficients: Floats,
        intercept: float,
        sum_of_squares: float,
        odd_squares: float | None = None,
    ) -> common.Fit:
        """As for every design, with the record's own row among the others, and with `lime`'s weights unrounded. The
        record's own difference is none, so it is in the sum of squares already."""
        return common.judge(
            np.vstack([self.own, self.regressors]),
            np.concatenate([[1.0], self.kernel]),
            self.ridge,
            prediction,
            coefficients,
            intercept,
            sum_of_squares / self.magnified,
        )


@dataclass(frozen=True, kw_only=True)
class TabularDesign:
    """A checked design. n rows besides the record's own, d features, k columns.

    Attributes:
        groups: the schema's features, each of which has a coefficient.
        column_groups: (k,) for each column, the index of its feature.
        rows: (n, k) int64 at 2^16.
        bins: (n, d) int64, what was chosen of each feature.
    """

    mirrored: ClassVar[bool] = False
    sampler: Sampler
    groups: tuple[str, ...]
    columns: tuple[str, ...]
    column_groups: Whole
    statistics: tuple[Statistics, ...]
    rows: Whole
    bins: Whole
    kernel_width: float
    ridge: float
    digest: str

    @property
    def n(self) -> int:
        """How many rows are computed besides the record's own."""
        return len(self.rows)

    @property
    def secrets(self) -> int:
        """How many numbers the requester shares with each record: d + 1 of the operator and a weight for each row."""
        return (len(self.groups) + 2) * self.n

    @property
    def wording(self) -> Wording:
        """What is said of the design itself, without a record: no bin is named."""
        return drawn_anew(self.sampler, {})

    def perturbed(self, record: Floats) -> Floats:
        """(n, k) the rows, whatever the record."""
        return ring.decode(self.rows)

    def features(self, schema: FeatureSchema) -> tuple[tuple[Feature, ...], ...]:
        """For each group, its feature.

        Raises:
            Refused: DIGEST_MISMATCH for another schema; FIELD_INVALID if a row is none for which models are proven.
        """
        named = (tuple(each.name for each in schema.features), schema.columns, _owners(schema))
        if (self.groups, self.columns, tuple(self.column_groups.tolist())) != named:
            raise Refused(Reason.DIGEST_MISMATCH, detail="The design was made for another schema.", field="design")
        for feature, of in zip(schema.features, self.statistics, strict=True):
            size = len(feature.levels) or 2
            if (feature.kind == "number") == (of["kind"] == "levels") or (
                of["kind"] == "levels" and len(of["counts"]) != size
            ):
                detail = "These are not statistics of the schema's features."
                raise Refused(Reason.DIGEST_MISMATCH, detail=detail, field="design")
        _check_reach(self.rows, schema)
        return tuple((each,) for each in schema.features)

    def at(self, record: Floats) -> LocalDesign:
        """The design for one encoded record (k,), which is taken as it is shared, in fixed point.

        Raises:
            Refused: VALUE_OUT_OF_RANGE if the operator is too large for the arithmetic.
        """
        own, regressors = self._regressors(ring.encode(record))
        kernel = common.kernel(((regressors - own) ** 2).sum(axis=1), len(own), self.kernel_width)
        everything = np.vstack([own, regressors]), np.concatenate([[1.0], kernel])
        # The record's own output differs from the prediction by nothing: its column of the operator is not needed.
        operator = common.ridge_operator(*everything, self.ridge)[:, 1:]
        if np.abs(operator).sum(axis=1).max() >= MOST_OF_A_ROW:
            detail = "For this record the explanation's numbers might not fit; a larger ridge makes them smaller."
            raise Refused(Reason.VALUE_OUT_OF_RANGE, detail=detail, field="design")
        unit = MOST_WEIGHT / float(kernel.max())
        return LocalDesign(
            groups=self.groups,
            columns=self.columns,
            rows=self.rows,
            regressors=regressors,
            own=own,
            kernel=kernel,
            magnified=unit / (1 << WEIGHT_BITS),
            operator=ring.encode(operator, OPERATOR_BITS),
            weights=ring.encode(kernel * unit, 0),
            kernel_width=self.kernel_width,
            ridge=self.ridge,
            digest=self.digest,
            said=drawn_anew(self.sampler, self._ranges(ring.encode(record))),
        )

    @classmethod
    def from_json(cls, document: Json) -> "TabularDesign":
        """Read a document of this method.

        Raises:
            Refused: FIELD_MISSING, FIELD_UNKNOWN or FIELD_INVALID, naming the field.
        """
        checked = read(document, TabularDocument)
        n, d, k = checked["samples"] - 1, len(checked["groups"]), len(checked["columns"])
        if n <= d:
            detail = "There are more rows than numbers fitted to them."
            raise Refused(Reason.FIELD_INVALID, detail=detail, field="samples")
        _seed(checked["seed"])
        if [each["feature"] for each in checked["statistics"]] != checked["groups"]:
            detail = "There is a summary for each feature, in their order."
            raise Refused(Reason.FIELD_INVALID, detail=detail, field="statistics")
        training.check(checked["statistics"], checked["sampler"])
        shapes: dict[str, tuple[Any, tuple[int, ...]]] = {
            "column_groups": (checked["column_groups"], (k,)),
            "rows": (checked["rows"], (n, k)),
            "bins": (checked["bins"], (n, d)),
        }
        arrays = {name: common.array(name, value, shape) for name, (value, shape) in shapes.items()}
        if set(arrays["column_groups"].tolist()) != set(range(d)):
            raise Refused(Reason.FIELD_INVALID, detail="Every feature has a column.", field="column_groups")
        return cls(
            sampler=checked["sampler"],
            groups=tuple(checked["groups"]),
            columns=tuple(checked["columns"]),
            column_groups=arrays["column_groups"],
            statistics=tuple(checked["statistics"]),
            rows=arrays["rows"],
            bins=arrays["bins"],
            kernel_width=common.number("kernel_width", checked["kernel_width"], KERNEL_WIDTHS),
            ridge=common.number("ridge", checked["ridge"], RIDGES),
            digest=digest(document),
        )

    def _regressors(self, record: Ring) -> tuple[Floats, Floats]:
        """(d,) of the record and (n, d) of the rows: 1 for what agrees with the record and 0 for what does not, or a
        number in standard deviations from its mean."""
        own, regressors = np.ones(len(self.groups)), np.zeros(self.bins.shape)
        for place, of in enumerate(self.statistics):
            columns = self.column_groups == place
            if of["kind"] == "gaussian":
                mean, deviation = float(of["mean"]), float(of["deviation"])
                own[place] = (ring.decode(record[columns])[0] - mean) / deviation
                regressors[:, place] = (ring.decode(self.rows[:, columns])[:, 0] - mean) / deviation
            elif of["kind"] == "quartiles":
                regressors[:, place] = self.bins[:, place] == _bin(of, record[columns][0])
            else:
                regressors[:, place] = (self.rows[:, columns] == record[columns]).all(axis=1)
        return own, regressors

    def _ranges(self, record: Ring) -> dict[str, tuple[float | None, float | None]]:
        """By feature, between which encoded numbers the record's bin lies; None for no end."""
        found: dict[str, tuple[float | None, float | None]] = {}
        for place, of in enumerate(self.statistics):
            if of["kind"] == "quartiles":
                ends = [None, *map(float, of["boundaries"]), None]
                bin_ = _bin(of, record[self.column_groups == place][0])
                found[of["feature"]] = ends[bin_], ends[bin_ + 1]
        return found


def build(
    schema: FeatureSchema,
    statistics: list[Statistics],
    *,
    seed: int,
    samples: int = SAMPLES,
    sampler: Sampler = "quartiles",
    kernel_width: float = KERNEL_WIDTH,
    ridge: float = RIDGE,
) -> dict[str, Json]:
    """The design document for a schema and what is known of the training data (`training.summarise`).

    Args:
        seed: of numpy's RandomState; `lime` draws the same rows with it.
        samples: `lime`'s num_samples.
        kernel_width: in units of sqrt(d).

    Raises:
        Refused: FIELD_INVALID for a seed that RandomState does not take, or that draws a row for which models are not
            proven, as Gaussians do once in a while: another seed may not.
    """
    if not 0 <= seed < sampling.SEEDS:
        raise Refused(Reason.FIELD_INVALID, detail="A seed is a whole number below 2^32.", field="seed")
    rows, bins = _rows(schema, statistics, samples=samples, sampler=sampler, seed=seed)
    _check_reach(rows, schema)
    document: TabularDocument = {
        "v": 1,
        "method": METHOD,
        "schema": schema.digest,
        "seed": f"{seed}",
        "sampler": sampler,
        "samples": samples,
        "kernel_width": f"{kernel_width}",
        "ridge": f"{ridge}",
        "groups": [each.name for each in schema.features],
        "columns": list(schema.columns),
        "column_groups": list(_owners(schema)),
        "statistics": statistics,
        "row_bits": ROW_BITS,
        "rows": rows.tolist(),
        "bins": bins.tolist(),
        "operator_bits": OPERATOR_BITS,
    }
    return dict(plain(document))


def check(document: Json, schema: FeatureSchema) -> TabularDesign:
    """Draw the rows again from seed and statistics, and compare: bins to the bit, numbers to one unit.

    That the statistics are those of the training data nobody can check who has not the data: they are their owner's
    word, and are checked to be those of some data (`training.check`).

    Raises:
        Refused: FIELD_INVALID naming the first field that differs.
    """
    checked, design = read(document, TabularDocument), TabularDesign.from_json(document)
    design.features(schema)
    rows, bins = _rows(
        schema,
        checked["statistics"],
        samples=checked["samples"],
        sampler=checked["sampler"],
        seed=_seed(checked["seed"]),
    )
    common.check_as_rebuilt({"bins": np.array_equal(design.bins, bins)})
    common.check_as_rebuilt({"rows": bool(np.abs(design.rows - rows).max() <= 1)})
    return design


def _rows(
    schema: FeatureSchema, statistics: list[Statistics], *, samples: int, sampler: Sampler, seed: int
) -> tuple[Whole, Whole]:
    drawn = sampling.draw(statistics, samples=samples, sampler=sampler, seed=seed)
    columns = [training.columns_of(feature, drawn.codes[:, place]) for place, feature in enumerate(schema.features)]
    return ring.encode(np.hstack(columns)), drawn.bins


def _owners(schema: FeatureSchema) -> tuple[int, ...]:
    return tuple(place for place, feature in enumerate(schema.features) for _ in feature.columns)


def _bin(of: training.Quartiles, value: int) -> int:
    """In fixed point, where a number that is a boundary is equal to it."""
    boundaries = ring.encode([float(each) for each in of["boundaries"]])
    return int(np.searchsorted(boundaries, value))


def _seed(text: str) -> int:
    if not (text.isascii() and text.isdigit() and int(text) < sampling.SEEDS):
        raise Refused(Reason.FIELD_INVALID, detail="A seed is a whole number below 2^32.", field="seed")
    return int(text)


def _check_reach(rows: Whole, schema: FeatureSchema) -> None:
    lowest, highest = map(ring.encode, schema.reach)
    outside = ((rows < lowest) | (rows > highest)).any(axis=0)
    if outside.any():
        column = schema.columns[int(outside.argmax())]
        detail = f"A row has a number in {column} for which models are not proven: try another seed."
        raise Refused(Reason.FIELD_INVALID, detail=detail, field="rows")
