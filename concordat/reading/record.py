"""What was read: the values, when and in which unit each was taken and from where, and what was left out and why."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import timedelta
from typing import Literal, NotRequired

from pydantic import with_config
from typing_extensions import TypedDict

from concordat.fields import STRICT
from concordat.schema import Value

State = Literal["read", "missing", "too old"]


@with_config(STRICT)
class Origin(TypedDict):
    """Where a feature's value came from, without the value: `taken` as the resource words it, `age_hours` at the
    reading (-1 where it is not known), the UCUM `unit` it came in, and the resource's reference as the Bundle's server
    knows it (empty where it has none), or its place in the Bundle."""

    feature: str
    state: State
    why: str
    taken: str
    age_hours: int
    unit: str
    converted: bool
    resource: str
    reference: str
    place: str


@with_config(STRICT)
class Origins(TypedDict):
    """Where all of a record came from: `patient` as `Reading.patient`, an item for each feature, and `participation` as
    in a `Reading`, if there is any."""

    patient: str
    items: list[Origin]
    participation: NotRequired[list[str]]


@dataclass(frozen=True)
class Item:
    """One feature. `value` is None unless `state` is "read"; `age` is at most that, where a date is partial."""

    feature: str
    value: Value
    state: State
    why: str = ""
    taken: str = ""
    age: timedelta | None = None
    unit: str = ""
    converted: bool = False
    resource: str = ""
    reference: str = ""
    place: str = ""

    @property
    def origin(self) -> Origin:
        """Without the value."""
        said = asdict(self)
        age = said.pop("age")
        del said["value"]
        return {**said, "age_hours": -1 if age is None else int(age / timedelta(hours=1))}  # type: ignore[typeddict-item]


@dataclass(frozen=True)
class LeftOut:
    """How many resources of a type went no further, and why."""

    resource: str
    why: str
    count: int


@dataclass(frozen=True)
class Reading:
    """`values` by feature name, for `FeatureSchema.encode_row`; `items` in the order of the schema's features."""

    values: Mapping[str, Value]
    items: tuple[Item, ...]
    left_out: tuple[LeftOut, ...]
    patient: str
    """The Patient's reference on its server, or its fullUrl; empty where it has neither."""
    participation: tuple[str, ...] = ()
    """The references, or places, of what was found to say nothing against the person's part in the study."""

    @property
    def origins(self) -> Origins:
        """Where every value came from, without the values."""
        origins: Origins = {"patient": self.patient, "items": [item.origin for item in self.items]}
        return {**origins, "participation": list(self.participation)} if self.participation else origins
