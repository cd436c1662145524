"""Is this authorised now? The one function that decides, naming every check, passed or not.

It records nothing: whoever asked records the verdict with all its checks. It may ask the chain over the network, so it
is called outside of a database transaction; inside of one, `epoch` says whether its answer still stands.
"""

from dataclasses import dataclass, replace
from datetime import datetime

from concordat import clock
from concordat.canonical import Json
from concordat.reasons import Reason, Refused
from governance.case import Case, ChainReader
from governance.questions import QUESTIONS, Question


@dataclass(frozen=True)
class Check:
    """One question and its answer, in words for people. `reason` is empty when it passed."""

    name: str
    passed: bool
    reason: Reason | None
    sentence: str


@dataclass(frozen=True)
class Verdict:
    """Every check by name, and the epoch of the authority that was found: once `epoch` gives another number, some of it
    has ended."""

    checks: tuple[Check, ...]
    epoch: int

    @property
    def passed(self) -> bool:
        return all(check.passed for check in self.checks)

    @property
    def reasons(self) -> tuple[Reason, ...]:
        """Why not, without doubles, in the order of the checks."""
        return tuple(dict.fromkeys(check.reason for check in self.checks if check.reason is not None))

    @property
    def failed(self) -> Check:
        """The first check that did not pass; there has to be one."""
        return next(check for check in self.checks if not check.passed)

    def but(self, name: str, refused: Refused) -> "Verdict":
        """This verdict, but for one question that has another answer by now."""
        changed = Check(name, False, refused.reason, refused.detail)
        return replace(self, checks=tuple(changed if check.name == name else check for check in self.checks))

    def document(self) -> list[Json]:
        """The checks as the log keeps them."""
        return [
            {"name": each.name, "passed": each.passed, "reason": each.reason, "sentence": each.sentence}
            for each in self.checks
        ]


def authorise(request: str, *, now: datetime, chain: ChainReader | None = None) -> Verdict:
    """Answer one signed request, as of `now`.

    Args:
        request: the request (JWS) as the requester signed it.
        chain: who reads the registry; the configured chain, unless a caller brings its own.

    Raises:
        Refused: only for what is no request at all (MALFORMED, FIELD_MISSING, FIELD_UNKNOWN, FIELD_INVALID).
    """
    case = Case(request, now, chain)
    return Verdict(tuple(_answer(name, question, case) for name, question in QUESTIONS.items()), case.epoch)


def epoch(request: str) -> int:
    """The epoch of the authority behind a request: it grows whenever a study is suspended or closed, an approval
    revoked, the consent withdrawn or the model recalled, and when the time of one of them is over. Safe inside a
    transaction."""
    return Case(request, clock.now(), None).epoch


def _answer(name: str, question: Question, case: Case) -> Check:
    try:
        return Check(name, True, None, question(case))
    except Refused as refused:
        return Check(name, False, refused.reason, refused.detail)
