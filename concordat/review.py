"""Whether every site's board has approved a protocol: one pure function, the same for nodes, dossiers and clients.

Nothing is asked of a server. The evidence is what officers signed with passkeys that their institutions' rosters list;
the rosters are signed by offline keys that the reader pinned. Whoever passes the evidence on can leave something out
(a reader that must notice that remembers, as a node does with rosters, or has the whole log, as a dossier does), but
cannot add or alter anything: a determination that is there and does not hold is refused, never skipped.
"""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property

from concordat import canonical, clock, delegation, determination, reliance
from concordat import protocol as protocols
from concordat.canonical import Json
from concordat.delegation import Scope
from concordat.determination import ALONE, DELEGATED, LETS_PASS, VERIFIERS, ConditionsMet, Determination, Outcome, Path
from concordat.documents import CLOCK_SKEW
from concordat.fields import read
from concordat.findings import waives_consent
from concordat.officers import Statement, verify_record
from concordat.reasons import Reason, Refused
from concordat.review_evidence import Record, Reviews


@dataclass(frozen=True)
class Approval:
    """A board's approval that counts. `attested`: it was given on paper, and an officer says that the scan shows it."""

    board: str
    sites: tuple[str, ...]
    record: Determination
    statement: Statement
    expires: datetime

    @property
    def attested(self) -> bool:
        return self.record["path"] is Path.PAPER


@dataclass(frozen=True)
class Reviewed:
    """What a reader has convinced itself of: who approved, for whom, and until when all of it holds."""

    approvals: tuple[Approval, ...]
    until: datetime

    @property
    def attested(self) -> tuple[str, ...]:
        """The boards whose approval nobody can verify."""
        return tuple(approval.board for approval in self.approvals if approval.attested)


def check_reviewed(
    reviews: Reviews,
    *,
    protocol: Mapping[str, Json],
    base: str,
    origin: str,
    now: datetime,
    accept_paper: bool = False,
    also: Iterable[str] = (),
) -> Reviewed:
    """The boards' approvals of a protocol, each in force at `now` and signed by an officer who could.

    A site's board is its own, or the one whose determination names the site and an agreement in force. The last
    determination of a board counts, by the time of signing; of two at one time, the one that lets nothing pass.

    Args:
        protocol: the document with the digest `base`, which a definition names; later minor amendments keep the base.
        origin: the address of the site on which officers sign.
        accept_paper: let approvals pass that were given on paper, which an officer only attests.
        also: institutions, besides the sites, whose boards must have approved: after a suspension, who suspended.

    Raises:
        Refused: the first thing that does not hold, by its own reason, with the board in the detail.
    """
    if canonical.digest(protocol) != base:
        raise Refused(Reason.DIGEST_MISMATCH, detail="This is not the protocol that the boards approved.", field="base")
    content = protocols.check(protocol)
    waiver = waives_consent(basis["ground"] for basis in content["bases"])
    bench = _Bench(reviews, content["study"], base, waiver, origin, now, accept_paper)
    counted = {site: bench.approvals(site, named=True) for site in content["sites"]}
    counted |= {each: bench.approvals(each, named=False) for each in also if each not in counted}
    boards = sorted({board for found in counted.values() for board in found})
    approvals = tuple(
        bench.approval(board, tuple(site for site, found in counted.items() if board in found)) for board in boards
    )
    until = min([clock.parse(content["valid_until"]), *(approval.expires for approval in approvals)])
    if now >= until:
        raise Refused(Reason.STUDY_EXPIRED, detail="The protocol's own time is over.", field="valid_until")
    return Reviewed(approvals, until)


@dataclass(frozen=True)
class _Decided:
    """A board's determination, its signature verified."""

    record: Record
    content: Determination
    statement: Statement

    @property
    def order(self) -> tuple[datetime, bool]:
        return clock.parse(self.statement["time"]), self.content["outcome"] not in LETS_PASS

    def lapsed(self, now: datetime) -> bool:
        return bool(self.content["expires"]) and now >= clock.parse(self.content["expires"])


@dataclass(frozen=True)
class _Bench:
    """The boards before whom one protocol lies."""

    reviews: Reviews
    study: str
    base: str
    waiver: bool
    origin: str
    now: datetime
    accept_paper: bool

    def approvals(self, site: str, *, named: bool) -> tuple[str, ...]:
        """The boards that approve for a site; every board that decides for it must. An own board that is asked only
        because it was asked before need not name the site."""
        deciding = [
            each for board, each in self._last.items() if site in each.content["sites"] or (board == site and not named)
        ]
        if not deciding:
            raise Refused(Reason.STUDY_NOT_APPROVED, detail=f"No board has decided for {site}.", field=site)
        standing = [each for each in deciding if not each.lapsed(self.now)] or deciding
        for each in standing:
            with _named(each.content["board"]):
                self._check_approves(each, site)
        return tuple(each.content["board"] for each in standing)

    def approval(self, board: str, sites: tuple[str, ...]) -> Approval:
        last = self._last[board]
        return Approval(board, sites, last.content, last.statement, clock.parse(last.content["expires"]))

    @cached_property
    def _last(self) -> Mapping[str, _Decided]:
        last: dict[str, _Decided] = {}
        for record in self.reviews.determinations:
            board = str(record.document.get("board", ""))
            with _named(board):
                decided = self._decided(record)
            if board not in last or decided.order >= last[board].order:
                last[board] = decided
        return last

    def _decided(self, record: Record) -> _Decided:
        content = determination.check(record.document, waiver=self.waiver)
        for field, value in (("study", self.study), ("base", self.base)):
            if content[field] != value:  # type: ignore[literal-required]
                detail = f"It decided on another {'study' if field == 'study' else 'protocol'}."
                raise Refused(Reason.STUDY_NOT_APPROVED, detail=detail, field=field)
        scope = DELEGATED.get(content["path"])
        statement = self._signed(
            record,
            kind="determination",
            meaning=content["outcome"],
            institution=content["board"],
            roles=ALONE[content["path"]] | (delegation.DELEGATES if scope else frozenset()),
        )
        if statement["role"] not in ALONE[content["path"]]:
            assert scope is not None  # no other role could sign
            named = [each for each in self.reviews.delegations if each.digest == content["delegation"]]
            self._check_delegated(named, record, statement, scope)
        return _Decided(record, content, statement)

    def _check_approves(self, decided: _Decided, site: str) -> None:
        content = decided.content
        if content["outcome"] not in LETS_PASS:
            raise Refused(Reason.STUDY_NOT_APPROVED, detail=f"Its last word is “{content['outcome']}”.")
        if decided.lapsed(self.now):
            raise Refused(Reason.STUDY_EXPIRED, detail=f"Its approval ended on {content['expires']}.")
        if content["path"] is Path.PAPER and not self.accept_paper:
            detail = "It approved on paper, which an officer attests and nobody can verify."
            raise Refused(Reason.ATTESTED_ONLY, detail=detail)
        if content["outcome"] is Outcome.APPROVED_WITH_CONDITIONS:
            self._check_conditions(decided)
        if site != content["board"] and site in content["reliance"]:
            self._check_reliance(content["reliance"][site], site, content["board"])

    def _check_conditions(self, decided: _Decided) -> None:
        about = decided.record.digest
        met = [each for each in self.reviews.conditions if each.document.get("determination") == about]
        if not met:
            raise Refused(Reason.CONDITIONS_OPEN)
        content, board = read(met[-1].document, ConditionsMet), decided.content["board"]
        expected = {"study": self.study, "board": board, "conditions": decided.content["conditions"]}
        for field, value in expected.items():
            if content[field] != value:  # type: ignore[literal-required]
                raise Refused(Reason.CONDITIONS_OPEN, detail="Other conditions were verified.", field=field)
        roles = VERIFIERS | delegation.DELEGATES
        statement = self._signed(
            met[-1], kind="conditions", meaning="conditions-verified", institution=board, roles=roles
        )
        if statement["role"] not in VERIFIERS:
            self._check_delegated(self.reviews.delegations, met[-1], statement, "verify-conditions")

    def _check_delegated(self, candidates: Iterable[Record], use: Record, statement: Statement, scope: Scope) -> None:
        """The chair had delegated this to the signer by the time of signing: one of the candidates says so."""
        refused = Refused(Reason.ROLE_MISSING, detail="A member signed without the chair's delegation.", field="role")
        time = clock.parse(statement["time"])
        for record in candidates:
            try:
                found = delegation.check(record.document)
                delegation.check_covers(
                    found,
                    board=statement["institution"],
                    study=self.study,
                    scope=scope,
                    delegate=statement["signer"],
                    time=time,
                )
                given = self._signed(
                    record,
                    kind=delegation.RECORD_KIND,
                    meaning=delegation.MEANING,
                    institution=statement["institution"],
                    roles=delegation.DELEGATING,
                )
                if clock.parse(given["time"]) > time or not record.in_force(use):
                    raise Refused(
                        Reason.ROLE_MISSING, detail="The chair had not delegated this, or not any more.", field="role"
                    )
            except Refused as no:
                refused = no
            else:
                return
        raise refused

    def _check_reliance(self, agreement: str, site: str, board: str) -> None:
        record = next((each for each in self.reviews.agreements if each.digest == agreement), None)
        if record is None:
            raise Refused(Reason.RELIANCE_MISSING, detail=f"The agreement with {site} is not there.", field=site)
        reliance.check_covers(
            reliance.check(record.document), relying=site, reviewing=board, study=self.study, now=self.now
        )
        if record.ended is not None:
            raise Refused(Reason.RELIANCE_MISSING, detail=f"The agreement with {site} was ended.", field=site)
        signers = [each["statement"]["institution"] for each in record.signatures]
        if sorted(signers) != sorted((site, board)):
            detail = f"The agreement with {site} needs a signature of each of the two institutions, and no other."
            raise Refused(Reason.RELIANCE_MISSING, detail=detail, field=site)
        for signature, institution in zip(record.signatures, signers, strict=True):
            self._signed(
                Record(record.document, (signature,), record.rosters),
                kind=reliance.RECORD_KIND,
                meaning=reliance.MEANING,
                institution=institution,
                roles=reliance.SIGNATORIES,
            )
        self._check_context(site, board)

    def _check_context(self, site: str, board: str) -> None:
        wanted = {"study": self.study, "site": site, "board": board, "base": self.base}
        filed = [each for each in self.reviews.contexts if all(each.document.get(f) == v for f, v in wanted.items())]
        if not filed:
            detail = f"{site} has not said what is particular about it."
            raise Refused(Reason.LOCAL_CONTEXT_MISSING, detail=detail, field=site)
        reliance.check_context(filed[-1].document)
        self._signed(
            filed[-1],
            kind=reliance.CONTEXT_RECORD_KIND,
            meaning=reliance.CONTEXT_MEANING,
            institution=site,
            roles=reliance.CONTEXT_SIGNATORIES,
        )

    def _signed(self, record: Record, *, kind: str, meaning: str, institution: str, roles: Iterable[str]) -> Statement:
        statement = verify_record(
            record.document,
            record.signature,
            record_kind=kind,
            meaning=meaning,
            institution=institution,
            roles=frozenset(roles),
            rosters=record.rosters,
            origin=self.origin,
        )
        if clock.parse(statement["time"]) - self.now > CLOCK_SKEW:
            detail = "The signature comes from the future; compare the clocks."
            raise Refused(Reason.FIELD_INVALID, detail=detail, field="time")
        return statement


@contextmanager
def _named(board: str) -> Iterator[None]:
    """Whatever is refused here names the board."""
    try:
        yield
    except Refused as no:
        raise Refused(no.reason, detail=f"The board of {board}: {no.detail}", field=no.field) from None
