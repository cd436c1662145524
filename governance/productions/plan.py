"""What a production is to hold: which decisions, what is closed in each, and on which ground."""

from dataclasses import dataclass, field

from concordat.matters import FILES


@dataclass(frozen=True)
class Closed:
    """A field that is closed in a decision's files. `mark` is the key of the mark of privilege that closes it."""

    field: str
    ground: str
    mark: int | None = None


@dataclass(frozen=True)
class Withheld:
    """A whole decision, or one of its files, that is withheld as privileged."""

    part: str
    ground: str
    mark: int


@dataclass(frozen=True)
class Planned:
    """One decision: its number, what is opened, closed and withheld. The rest of its private fields the institution
    never had."""

    record: str
    index: int
    time: str
    requester: str
    opened: frozenset[str]
    closed: tuple[Closed, ...] = ()
    withheld: tuple[Withheld, ...] = ()

    @property
    def files(self) -> tuple[str, ...]:
        """The forms that are produced, in their order."""
        parts = {each.part for each in self.withheld}
        return tuple(form for form in FILES if form not in parts) if "decision" not in parts else ()


@dataclass(frozen=True)
class Head:
    """The matter as every table and text names it."""

    matter: str
    institution: str
    institution_name: str
    jurisdiction: str
    title: str
    docket: str
    party: str
    authority: str
    dated: str
    protective_order: str
    prefix: str
    number: int
    first: int
    made: str
    log: str
    bases: dict[int, tuple[str, str]] = field(default_factory=dict)
    """Of marks of privilege, by their keys: what may be said of each, and the day on which it was made."""

    @property
    def legend(self) -> str:
        return "CONFIDENTIAL – SUBJECT TO PROTECTIVE ORDER" if self.protective_order else ""
