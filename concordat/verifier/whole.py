"""The whole log, read once and kept only where it concerns the case: a million entries take no more memory than a few.

It comes with the dossier, of a log that is small, or from a folder to which the reader has copied it
(`concordat.mirror`). Either way it is the log that the dossier's head commits to, or it counts for nothing.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

from concordat import merkle, mirror
from concordat.checkpoint import Checkpoint
from concordat.reasons import Reason, Refused
from concordat.tiles import WIDTH
from concordat.verifier import authority, completeness
from concordat.verifier.case import Case
from concordat.verifier.evidence import UNREADABLE, Entry, Leaf, NotCheckable, read_leaf

T = TypeVar("T")

_NOT_THIS_LOG = (Reason.LOG_MISSING, Reason.LOG_SHORT, Reason.LOG_DIVERGES)


@dataclass(frozen=True)
class Whole:
    """`entries` are those of the whole log that concern the case, and None where nothing shows the whole log; `last` is
    the time of its last one.

    `folder` is what is wrong with the reader's copy, `unreadable` with an entry of the signed log itself.
    """

    entries: tuple[Entry, ...] | None = None
    folder: Refused | None = None
    unreadable: Refused | None = None
    last: str = ""

    @classmethod
    def of(cls, case: Case) -> "Whole":
        """From the reader's copy, or else from what the dossier carries."""
        folder: Refused | None = None
        head, wanted = case.evidence.head, _wanted(case)
        for bundles in _sources(case):
            try:
                entries, last = _read(bundles, head, wanted)
                return cls(entries, folder, last=last)
            except Refused as refused:
                if refused.reason not in _NOT_THIS_LOG:
                    return cls(folder=folder, unreadable=refused)
                folder = folder or (refused if case.log is not None else None)
        return cls(folder=folder)


def copied(case: Case) -> str:
    """The reader's copy is the log that the dossier's head commits to.

    Raises Refused: LOG_MISSING, LOG_SHORT, LOG_DIVERGES.
    """
    if case.whole.folder is not None:
        raise case.whole.folder
    return f"The folder's first {case.evidence.head.size} entries are those that the log's head commits to."


def _sources(case: Case) -> Iterator[Iterable[Sequence[bytes]]]:
    if case.log is not None:
        yield mirror.bundles(case.log, case.evidence.head.size)
    if case.evidence.log is not None:
        yield _carried(case.evidence.log)


def _carried(log: bytes) -> Iterator[Sequence[bytes]]:
    *leaves, end = log.split(b"\n")
    if end:
        raise Refused(Reason.LOG_DIVERGES)
    for start in range(0, len(leaves), WIDTH):
        yield leaves[start : start + WIDTH]


def _read(
    bundles: Iterable[Sequence[bytes]], head: Checkpoint, wanted: Callable[[Leaf], bool]
) -> tuple[tuple[Entry, ...], str]:
    """The entries that are wanted, and the time of the last of all.

    Raises Refused: LOG_DIVERGES; what `read_leaf` refuses of an entry of this log.
    """
    tree, found, last = merkle.Growing(), list[Entry](), ""
    unreadable: Refused | None = None
    for leaves in bundles:
        for index, leaf in enumerate(leaves, start=tree.size):
            try:
                content = read_leaf(leaf)
            except Refused as refused:
                unreadable = unreadable or refused  # which matters only if it is in the log
                continue
            last = content["time"]
            if wanted(content):
                found.append(Entry(index, leaf, content))
        tree.add([merkle.leaf_hash(leaf) for leaf in leaves])
    if (tree.size, tree.root) != (head.size, head.root):
        raise Refused(Reason.LOG_DIVERGES)
    if unreadable is not None:
        raise unreadable
    return tuple(found), last


def _wanted(case: Case) -> Callable[[Leaf], bool]:
    """Whether an entry concerns the case, as far as the case says what it is about; the check that needs more says so
    itself."""
    about = _maybe(lambda: completeness.about(case)) or {name: set[str]() for name in _NAMES}
    consent = _maybe(lambda: authority.consent_name(case))

    def wanted(leaf: Leaf) -> bool:
        named = consent is not None and leaf["public"].get("consent") == consent
        return named or completeness.concerns(leaf, about)

    return wanted


_NAMES = tuple(completeness.BY_REFERENCE)


def _maybe(question: Callable[[], T]) -> T | None:
    try:
        return question()
    except (Refused, NotCheckable, *UNREADABLE):
        return None
