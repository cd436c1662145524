"""The coordinator's answers, as the institutions' own code reads them: shapes only, and nothing here is believed.

Fields that are not known here are passed over, so that a coordinator may come to say more.
"""

from typing import Annotated, Any, Literal, NotRequired

from pydantic import Strict, with_config
from typing_extensions import TypedDict

from concordat.client.listed import RecallAnswer
from concordat.fields import ANSWER, Digest, Slug, Text
from concordat.package import Stage
from concordat.reasons import Reason
from concordat.states import JobState
from concordat.votes import VoteDocument


@with_config(ANSWER)
class Progress(TypedDict):
    """How many rounds of a computation are done, of how many, as its first party's node says."""

    done: int
    rounds: int


@with_config(ANSWER)
class JobStatus(TypedDict):
    """Where a job stands; `reason` and `detail` are empty unless it ended early, `record` until then; `progress` is
    None unless it has been computed for a while."""

    request: str
    state: Annotated[JobState, Strict(False)]
    reason: Annotated[Reason, Strict(False)] | Literal[""]
    detail: str
    record: str
    progress: NotRequired[Progress | None]


@with_config(ANSWER)
class Status(JobStatus):
    """Where a prediction stands."""

    prediction: Text


@with_config(ANSWER)
class ManyStatus(JobStatus):
    """Where an audit or a training stands."""

    job: Text


@with_config(ANSWER)
class Alarmed(TypedDict):
    """The log entry in which an alarm is said to stand."""

    entry: int


@with_config(ANSWER)
class KeptPackage(TypedDict):
    """A records package (JSON text) that the coordinator keeps, the statement (JWS) about it, and the log entry that is
    said to name it."""

    stage: Stage
    package: str
    statement: str
    entry: int


@with_config(ANSWER)
class Packages(TypedDict):
    """A prediction's records packages."""

    packages: list[KeptPackage]


@with_config(ANSWER)
class PartyAnswer(TypedDict):
    """One node's receipt (JWS) and its sealed output shares; the dealer's `sealed` is empty."""

    node: str
    receipt: str
    sealed: str


@with_config(ANSWER)
class Result(TypedDict):
    """What the nodes returned for one prediction, and the log entries in which it is recorded."""

    prediction: str
    record: str
    ticket: str
    results: list[PartyAnswer]
    prediction_entry: int
    explanation_entry: int


@with_config(ANSWER)
class ManyResult(TypedDict):
    """What the nodes returned for one audit or training, and the log entry in which it is recorded. Of a training, what
    is `sealed` is sealed to the party itself."""

    job: str
    record: str
    ticket: str
    results: list[PartyAnswer]
    entry: int


@with_config(ANSWER)
class DefinitionAnswer(TypedDict):
    """A definition and what its digests name; `manifest` and `disclosure` are JWS; no design for some kinds. `canaries`
    are sealed to us, and empty if we are no requester or the model's owner has sent none."""

    digest: str
    state: str
    definition: dict[str, Any]
    protocol: dict[str, Any]
    schema: dict[str, Any]
    design: dict[str, Any] | None
    manifest: str
    disclosure: str
    recall: RecallAnswer | None
    canaries: str
    votes: list[VoteDocument]


@with_config(ANSWER)
class Testimonies(TypedDict):
    """What there is about a job with a false canary: alarm, testimonies, receipts and manifest are JWS; one `finding`,
    or an empty one until the owner has found out."""

    prediction: str
    alarm: str
    testimonies: list[str]
    receipts: list[str]
    definition: dict[str, Any]
    schema: dict[str, Any]
    design: dict[str, Any]
    manifest: str
    finding: str


@with_config(ANSWER)
class Votes(TypedDict):
    """The votes on a definition, whose approval a block holds, and the nonce that our own next vote must carry."""

    votes: list[VoteDocument]
    on_chain: list[str]
    next_nonce: int


@with_config(ANSWER)
class Entry(TypedDict):
    """A log entry: `leaf` is the hashed bytes (base64url), `status` says how far it has come."""

    index: int
    record: str
    leaf: str
    status: str


@with_config(ANSWER)
class Attached(TypedDict):
    """A document beside a study's protocol, under the digest of the file's bytes."""

    attachment: Text
    kind: str
    institution: str
    name: str
    media_type: str
    digest: Digest
    expires: str
    added: str


@with_config(ANSWER)
class RosterInForce(TypedDict):
    institution: Slug
    version: int


@with_config(ANSWER)
class Erased(TypedDict):
    """The record number of the destruction of the person's key."""

    record: str


@with_config(ANSWER)
class Disclosed(TypedDict):
    """A model whose weights its owner lets explanations disclose in a study."""

    model: Digest
    study: Slug


@with_config(ANSWER)
class CanariesSealed(TypedDict):
    """A model whose canaries these requesters have now."""

    model: Digest
    requesters: list[Slug]


@with_config(ANSWER)
class Checkpoint(TypedDict):
    note: str


@with_config(ANSWER)
class Proof(TypedDict):
    proof: list[str]
