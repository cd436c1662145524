"""The shape of the answer that `dossier.json` and `--json` carry: version 1.

`docs/reference/dossier.schema.json` is generated from it. A later version 1 may say more, and never less: readers
ignore fields that they do not know. Numbers that were computed are decimals in strings, times RFC 3339 in UTC, digests
`sha256:` and hexadecimal.
"""

from typing import Any, Literal, NotRequired

from pydantic import TypeAdapter, with_config
from typing_extensions import TypedDict

from concordat.fields import ANSWER


@with_config(ANSWER)
class CheckAnswer(TypedDict):
    """One question. `reason` is a code of docs/reference/reasons.md, and null where it passed."""

    name: str
    status: Literal["passed", "failed", "attested, not verified", "not checkable"]
    reason: str | None
    sentence: str


@with_config(ANSWER)
class Happening(TypedDict):
    """An entry of the log, by its record number, and what it says."""

    entry: str
    time: str
    sentence: str


@with_config(ANSWER)
class Row(Happening):
    """The same in the timeline. `who` is the institution that did it, or empty."""

    event: str
    part: Literal["allowed", "computed", "shown", "since"]
    who: str


@with_config(ANSWER)
class Review(TypedDict):
    """A board's determination, and who signed it."""

    entry: str
    institution: str
    sites: list[str]
    meaning: str
    path: str
    name: str
    role: str
    time: str
    signature: Literal["verified", "attested, not verified", "not verified"]


@with_config(ANSWER)
class VoteAnswer(TypedDict):
    institution: str
    approve: bool


@with_config(ANSWER)
class AuthorityCheck(TypedDict):
    name: str
    sentence: str


@with_config(ANSWER)
class Allowed(TypedDict):
    """Who allowed it. `purpose` and `consent` are null where this reader may not see them."""

    study: str
    protocol: str
    reviews: list[Review]
    definition: str
    votes: list[VoteAnswer]
    needed: int
    of: int
    gives_away: str | None
    verdict: str
    checks: list[AuthorityCheck]
    purpose: str | None
    consent: str | None


@with_config(ANSWER)
class NodeAnswer(TypedDict):
    """What a node's receipt says that it spent."""

    node: str
    role: str
    rounds: int
    bytes_sent: int
    cpu_seconds: str


@with_config(ANSWER)
class ComputedAnswer(TypedDict):
    """What was computed, by whom, from when to when. `canaries`: records with known results that went with it."""

    model: str
    version: str
    owner: str
    kind: str
    digest: str
    target: Literal["log-odds", "probability"]
    canaries: int
    job: str
    nodes: list[NodeAnswer]
    started: str
    finished: str
    explanation: str


@with_config(ANSWER)
class FactorAnswer(TypedDict):
    """A coefficient and its confidence interval, null where none is known."""

    label: str
    coefficient: str
    low: str | None
    high: str | None


@with_config(ANSWER)
class OneAnswer(TypedDict):
    """What came out, on the scale `target`. How well it fits is null where only the record could tell."""

    target: Literal["log-odds", "probability"]
    prediction: str
    log_odds: str | None
    probability: str
    intercept: str
    adjusted_r_squared: str | None
    reliable: bool | None
    compared: str
    intercept_of: str
    confidence: str
    factors: list[FactorAnswer]


@with_config(ANSWER)
class ClassAnswer(OneAnswer):
    """The same of one of several classes, by its name; its log-odds are those against the average of all classes."""

    name: str


@with_config(ANSWER)
class ResultAnswer(OneAnswer):
    """Of several classes this is the most probable one, and `classes` has each of them, that one first; of two classes
    there are none in it."""

    classes: list[ClassAnswer]


@with_config(ANSWER)
class AnchorAnswer(TypedDict):
    """A head of the log on the chain."""

    sequence: int
    size: int
    root: str
    block: int
    transaction: str | None
    state: str


@with_config(ANSWER)
class ChainAnswer(TypedDict):
    """`self_hosted`: the coordinator runs it alone, so it proves order to nobody but its owner."""

    id: int
    anchor_log: str | None
    registry: str | None
    self_hosted: bool


@with_config(ANSWER)
class WitnessesAnswer(TypedDict):
    """Which institutions' nodes cosigned a head of `size` entries, of which, and how many it takes. Unless the dossier
    carries the log there may be more witnesses: then `all_shown` is false, and `of` and `needed` prove nothing."""

    size: int
    of: list[str]
    cosigned: list[str]
    needed: int
    all_shown: bool


@with_config(ANSWER)
class TimeAnswer(TypedDict):
    """A time stamp over a head of `size` entries that covers the decision, `latest` by its `authority`. `attested`: its
    signature leads to the root that the reader gave; otherwise anybody may have written it."""

    authority: str
    latest: str
    size: int
    attested: bool


@with_config(ANSWER)
class Trust(TypedDict):
    """Why believe it: keys to compare with their owners (key ids by institution), and the chain. `time` is null where
    the operator alone asserts it."""

    log: str
    log_key: str
    institutions: dict[str, list[str]]
    witnesses: WitnessesAnswer | None
    time: TimeAnswer | None
    chain: ChainAnswer
    anchors: list[AnchorAnswer]


@with_config(ANSWER)
class MatterAuthority(TypedDict):
    """By what right. `kind`: subpoena, court-order, authorisation, regulator or own-counsel; `text` in the words of the
    paper, of the day `dated`, whose digest is `paper` or empty; `assurance` is that of 45 CFR 164.512(e)(1)(ii)."""

    holder: str
    kind: str
    text: str
    dated: str
    paper: str
    assurance: str


@with_config(ANSWER)
class MatterAnswer(TypedDict):
    """The legal matter in which the dossier was read. What is null can be read by nobody any more."""

    matter: str
    entry: str
    opened: str
    named: str
    title: str | None
    docket: str | None
    authority: MatterAuthority | None
    party: str | None
    purpose: str | None
    protective_order: str | None


@with_config(ANSWER)
class CardAttribute(TypedDict):
    """What the model's owner stated of one attribute, in paragraphs."""

    title: str
    paragraphs: list[str]


@with_config(ANSWER)
class CardAnswer(TypedDict):
    """The model's newest card when the decision was recorded: its owner's word, which nobody checked."""

    entry: str
    sequence: int
    time: str
    stated: list[CardAttribute]


@with_config(ANSWER)
class Story(TypedDict):
    """What the evidence says. `result` is null until the requester discloses it; `shown` names display receipts;
    `matter` is there only in a dossier that was read in one, `card` only where the model's owner had signed one."""

    record: str
    time: str
    requester: str
    allowed: Allowed
    computed: ComputedAnswer
    result: ResultAnswer | None
    shown: list[dict[str, str]]
    since: list[Row]
    ended: list[Happening]
    timeline: list[Row]
    trust: Trust
    card: NotRequired[CardAnswer]
    matter: NotRequired[MatterAnswer]


@with_config(ANSWER)
class Answer(TypedDict):
    """What the verifier concludes of one dossier. `story` is null unless nothing failed; `bundle` is the digest of the
    zip file, and null in the `dossier.json` inside it."""

    v: Literal[1]
    bundle: str | None
    holds: bool
    story: Story | None
    checks: list[CheckAnswer]


def schema() -> dict[str, Any]:
    """As JSON Schema."""
    return TypeAdapter(Answer).json_schema()
