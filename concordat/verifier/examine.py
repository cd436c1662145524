"""All checks in their order, each with one line for an answer.

A check passes, fails with a reason code, or cannot be made, which proves nothing either way; what only an officer's
word stands for, such as an approval on paper, is attested and not verified. Where the evidence itself
is broken, nothing is concluded from it.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from pathlib import Path

from concordat import canonical
from concordat.canonical import Json
from concordat.definition import nodes
from concordat.reasons import REASONS, Reason, Refused
from concordat.signatures import VerifyKey
from concordat.verifier import (
    authority,
    boards,
    bundle,
    chain,
    completeness,
    computation,
    disclosure,
    integrity,
    matters,
    model_card,
    recall,
    replay,
    report,
    story,
    timing,
    whole,
    witnessing,
)
from concordat.verifier.case import Case
from concordat.verifier.disclosure import Disclosure
from concordat.verifier.evidence import UNREADABLE, Evidence, NotCheckable, about


class Status(StrEnum):
    PASSED = "passed"
    FAILED = "failed"
    ATTESTED = "attested, not verified"
    NOT_CHECKABLE = "not checkable"


@dataclass(frozen=True)
class Check:
    """One question and its answer. `reason` is there unless it passed."""

    name: str
    status: Status
    reason: Reason | None
    sentence: str


@dataclass(frozen=True)
class Options:
    """What the reader brings: trusted key ids by name (`log`, or an institution), a chain to ask, a disclosure, whether
    too few witnesses are a failure, a model with which to compute its result again, the root certificate (PEM) of a
    time-stamping authority, a folder with a copy of the log (`concordat.mirror`), and the anchor log's address."""

    keys: Mapping[str, str] = field(default_factory=dict)
    rpc: str | None = None
    disclosure: bytes | None = None
    witnessed: bool = False
    model: bytes | None = None
    tsa: bytes | None = None
    log: Path | None = None
    anchor_log: str | None = None


@dataclass(frozen=True)
class Result:
    """The answer about one dossier. `story` is what the evidence says, and None where it cannot be read; `bundle` the
    digest of the zip file that was verified."""

    checks: tuple[Check, ...]
    story: Mapping[str, Json] | None
    bundle: str | None = None

    @property
    def holds(self) -> bool:
        """Nothing failed."""
        return all(check.status is not Status.FAILED for check in self.checks)

    def to_json(self) -> dict[str, Json]:
        """The whole answer, for machines."""
        checks: list[Json] = [
            {
                "name": check.name,
                "status": check.status.value,
                "reason": check.reason.value if check.reason else None,
                "sentence": check.sentence,
            }
            for check in self.checks
        ]
        return {"v": 1, "bundle": self.bundle, "holds": self.holds, "story": self.story, "checks": checks}


Question = Callable[[], str]


def verify(data: bytes, options: Options | None = None) -> Result:
    """Verify a bundle. Never raises for what is in it: whatever is wrong is a failed check."""
    options = options or Options()
    unpacked: dict[str, bytes] = {}

    def envelope() -> str:
        unpacked.update(bundle.unpack(data))
        manifest = bundle.read_manifest(unpacked, VerifyKey.from_b64(about(unpacked)["key"]))
        bundle.check_files(unpacked, manifest)
        return f"{len(unpacked)} files are those of the manifest that the coordinator signed."

    first = _ask("bundle", envelope)
    if first.status is not Status.PASSED:
        return Result((first,), None, canonical.digest(data))
    options = replace(options, disclosure=options.disclosure or unpacked.get(bundle.DISCLOSURE))
    examined = examine(unpacked, options)
    summary = _ask("summary", lambda: _summary(unpacked))
    return Result((first, *examined.checks, summary), examined.story, canonical.digest(data))


def examine(files: Mapping[str, bytes], options: Options | None = None) -> Result:
    """Verify a dossier's files without their envelope: what the coordinator, too, does before it signs."""
    options = options or Options()
    read: list[Evidence] = []
    disclosed: list[Disclosure] = []
    unreadable: list[Refused] = []

    def entries() -> str:
        read.append(Evidence.load(files))
        return f"{len(read[0].entries)} entries, of which {read[0].decision.number} is the decision, can be read."

    first = _ask("entries", entries)
    if first.status is not Status.PASSED:
        return Result((first,), None)
    evidence = read[0]
    if options.disclosure is not None:
        try:
            disclosed.append(disclosure.parse(options.disclosure))
        except Refused as refused:
            unreadable.append(refused)
    case = Case(evidence, *disclosed, tsa=options.tsa, log=options.log)
    whole = (first, *(_ask(name, question) for name, question in _integrity(evidence).items()))
    broken = next((check for check in whole if check.status is Status.FAILED), None)
    if broken is not None:
        rest = (Check(name, Status.NOT_CHECKABLE, broken.reason, "The evidence itself is broken.") for name in _NAMES)
        return Result((*whole, *rest), None)
    questions: dict[str, Question] = {
        "keys": lambda: _trusted(case, options.keys),
        **_log(case),
        **{name: _bound(question, case) for name, question in _CASE.items()},
        **_replay(case, options.model),
        **_card(case),
        **_recall(case),
        **_matter(case),
        "witnesses": lambda: witnessing.witnessed(case, options.keys, required=options.witnessed),
        "time": lambda: timing.timed(case),
        **_anchor_log(evidence, options),
        "chain anchor": lambda: chain.anchored(evidence, options.rpc),
        "chain approvals": lambda: chain.authorised(evidence, options.rpc, case.decision.text("definition")),
    }
    checks = (*whole, *(_ask(name, question) for name, question in questions.items()))
    for problem in unreadable:
        sentence = f"The file that was given as the disclosure is none: {problem.detail}"
        said = Check("disclosure", Status.FAILED, problem.reason, sentence)
        checks = tuple(said if check.name == said.name else check for check in checks)
    if not Result(checks, None).holds:
        return Result(checks, None)
    told: list[Mapping[str, Json]] = []

    def account() -> str:
        told.append(story.tell(case))
        return "The evidence adds up to one account of the decision."

    last = _ask("account", account)
    return Result((*checks, last), told[0] if told else None)


_CASE: dict[str, Callable[[Case], str]] = {
    "completeness": completeness.complete,
    "institutions": authority.institutions,
    "model": computation.model,
    "definition": computation.definition,
    "officers": boards.officers_signed,
    "study": boards.study,
    "approvals": authority.approvals,
    "verdict": authority.verdict,
    "request": authority.request,
    "consent": authority.consent,
    "consent since": authority.consent_since,
    "ticket": computation.ticket,
    "acceptances": computation.acceptances,
    "receipts": computation.receipts,
    "shown": computation.shown,
    "disclosure": computation.disclosed,
}
_NAMES = ("keys", *_CASE, "witnesses", "time", "chain anchor", "chain approvals", "account")


def _integrity(evidence: Evidence) -> dict[str, Question]:
    return {
        "checkpoint": lambda: integrity.signed_head(evidence),
        "inclusion": lambda: integrity.inclusion(evidence),
        "documents": lambda: integrity.documents(evidence),
        "openings": lambda: integrity.openings(evidence),
        "anchors": lambda: integrity.extends_anchors(evidence),
    }


def _log(case: Case) -> dict[str, Question]:
    """Asked only by a reader who has a copy of the log."""
    return {} if case.log is None else {"log": lambda: whole.copied(case)}


def _replay(case: Case, given: bytes | None) -> dict[str, Question]:
    """Asked only by a reader who has the model."""
    return {} if given is None else {"replay": lambda: replay.recomputed(case, given)}


def _anchor_log(evidence: Evidence, options: Options) -> dict[str, Question]:
    """Asked only by a reader who knows an anchor log."""
    known = options.anchor_log
    return {} if known is None else {"anchor log": lambda: chain.continued(evidence, options.rpc, known)}


def _card(case: Case) -> dict[str, Question]:
    """Asked only of a dossier whose model was described."""
    return {"model card": lambda: model_card.signed(case)} if model_card.entries(case) else {}


def _recall(case: Case) -> dict[str, Question]:
    """Asked only of a dossier whose model was recalled."""
    return {"recall": lambda: recall.since(case)} if recall.entries(case) else {}


def _matter(case: Case) -> dict[str, Question]:
    """Asked only of a dossier that was read in a matter."""
    return {"matter": lambda: matters.named(case)} if matters.has(case) else {}


def _trusted(case: Case, keys: Mapping[str, str]) -> str:
    """The keys that the reader trusts are those in the dossier, and nobody else's decide the case.

    Of an institution that changed its identity key, any one will do: each signed for its place in the same history.
    """
    found = {"log": {case.evidence.key.kid}, **{name: set(held) for name, held in case.identities.items()}}
    for name, kid in keys.items():
        if kid not in found.get(name, ()):
            raise Refused(Reason.KEY_UNKNOWN, detail=f"The key of “{name}” in this dossier is not the one you trust.")
    deciding = {*nodes(case.definition), *case.definition["quorum"]["of"], case.model["owner"], *boards.concerned(case)}
    deciding.add(case.decision.text("institution"))
    found_witnesses = witnessing.read(case)
    deciding.update(found_witnesses.cosigned if found_witnesses else ())
    missing = [f"{name} {', '.join(found.get(name, ()))}" for name in ("log", *sorted(deciding)) if name not in keys]
    if missing:
        raise NotCheckable(
            Reason.KEY_UNKNOWN, f"Compare these keys with their owners, or name them: {'; '.join(missing)}"
        )
    return f"The dossier uses the keys that you trust, of: {', '.join(keys)}."


def _summary(files: Mapping[str, bytes]) -> str:
    """`dossier.json` and `dossier.html` say what the evidence says, and nothing else."""
    for path, content in summary(files).items():
        if files.get(path) != content:
            raise Refused(
                Reason.BUNDLE_ALTERED, detail=f"{path} is not what this verifier concludes from the evidence."
            )
    return "The readable dossier says what the evidence says."


def summary(files: Mapping[str, bytes]) -> dict[str, bytes]:
    """`dossier.json` and `dossier.html` for these files, concluded off line, without a disclosure."""
    result = examine(files)
    document = result.to_json()
    return {bundle.JSON: canonical.encode(document), bundle.HTML: report.html(document).encode()}


def _bound(question: Callable[[Case], str], case: Case) -> Question:
    return lambda: question(case)


def _ask(name: str, question: Question) -> Check:
    try:
        return Check(name, Status.PASSED, None, question())
    except NotCheckable as missing:
        attested = missing.reason is Reason.ATTESTED_ONLY
        return Check(name, Status.ATTESTED if attested else Status.NOT_CHECKABLE, missing.reason, missing.detail)
    except Refused as refused:
        if refused.reason is Reason.CHAIN_UNAVAILABLE:  # a chain's silence proves nothing either way
            return Check(name, Status.NOT_CHECKABLE, refused.reason, refused.detail)
        return _failed(name, refused)
    except UNREADABLE:  # no document that this project writes leads here
        return _failed(name, Refused(Reason.MALFORMED))


def _failed(name: str, refused: Refused) -> Check:
    sentence = REASONS[refused.reason].sentence
    detail = "" if refused.detail == sentence else f" {refused.detail}"
    return Check(name, Status.FAILED, refused.reason, sentence + detail)
