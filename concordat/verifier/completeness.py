"""That nothing was left out: a dossier is a selection of the log, and what is absent from it could decide the case.

A suspended study, a withdrawn consent, a recalled model or a revoked approval is a later entry, and the operator makes
the selection. So the dossier carries the exact bytes of every entry, which hold nothing personal: their root is the
signed head's, and each one that concerns the decision must be in the selection, with its documents.
"""

from collections.abc import Mapping

from concordat.definition import nodes
from concordat.events import Event
from concordat.reasons import Reason, Refused
from concordat.verifier.boards import concerned
from concordat.verifier.case import Case
from concordat.verifier.evidence import Leaf, NotCheckable

LARGEST_LOG = 5_000
"""How many entries a log has at most whose dossiers carry all of them."""

_E = Event

BY_REFERENCE: Mapping[str, tuple[Event, ...]] = {
    "study": (
        _E.STUDY_SUBMITTED,
        _E.REVIEW_SIGNED,
        _E.CONDITIONS_VERIFIED,
        _E.LOCAL_CONTEXT_FILED,
        _E.STUDY_APPROVED,
        _E.STUDY_SUSPENDED,
        _E.STUDY_TERMINATED,
        _E.STUDY_EXPIRED,
        _E.STUDY_CLOSED,
    ),
    "definition": (_E.DEFINITION_REGISTERED, _E.DEFINITION_VOTED),
    "model": (_E.MODEL_IMPORTED, _E.MODEL_DESCRIBED, _E.MODEL_RECALLED),
    "request": (_E.VERDICT, _E.DOSSIER_READ),
    "job": (
        _E.JOB_RESERVED,
        _E.JOB_ENDED,
        _E.PREDICTION_RECORDED,
        _E.EXPLANATION_RECORDED,
        _E.RESULT_WITHHELD,
        _E.CANARY_FAILED,
        _E.TESTIMONY_MISSING,
        _E.DEPARTURE_FOUND,
        _E.RESULT_DISPLAYED,
        _E.RECORD_SEALED,
        _E.RECORD_HANDED_OUT,
    ),
    "consent": (_E.CONSENT_GIVEN, _E.CONSENT_WITHDRAWN, _E.CONSENT_LAPSED),
    "institution": (
        _E.ROSTER_PUBLISHED,
        _E.DELEGATION_SIGNED,
        _E.DELEGATION_ENDED,
        _E.RELIANCE_AGREED,
        _E.RELIANCE_ENDED,
    ),
}
"""The events that concern a decision, by the public field that says so."""

WITNESSES: frozenset[Event] = frozenset({_E.INSTITUTION_ENROLLED, _E.KEY_CHANGED})
"""The events that concern every decision: they say who witnesses the log, and with which keys."""


def complete(case: Case) -> str:
    """The dossier has every entry of the log that concerns the decision."""
    evidence, size, whole = case.evidence, case.evidence.proofs["size"], case.whole
    if whole.unreadable is not None:
        raise whole.unreadable
    if whole.entries is None and evidence.log is None:
        if size > LARGEST_LOG:
            detail = "The log is large, and not carried along: nothing shows that the operator left nothing out."
            raise NotCheckable(Reason.INCOMPLETE, detail)
        raise Refused(Reason.INCOMPLETE, detail="The dossier does not carry the log.")
    if whole.entries is None:
        raise Refused(Reason.INCOMPLETE, detail="The log that the dossier carries is not the one that was signed.")
    concerned, shown = about(case), {entry.index for entry in evidence.entries}
    for entry in whole.entries:
        if entry.index not in shown and concerns(entry.leaf, concerned):
            index = entry.index
            raise Refused(Reason.INCOMPLETE, detail=f"The entry with index {index} was left out.", field=str(index))
    return f"The log's {size} entries are all here, and none that concerns the decision was left out."


def about(case: Case) -> Mapping[str, set[str]]:
    """What the decision is about: values by the public fields of `BY_REFERENCE`."""
    decision, definition = case.decision, case.definition
    named = {
        str(entry.leaf["public"]["institution"])
        for entry in case.evidence.entries
        if "institution" in entry.leaf["public"] and entry.event not in WITNESSES
    }
    return {
        **{name: {decision.text(name)} for name in ("study", "definition", "model", "request", "job")},
        "consent": {entry.text("consent") for entry in case.evidence.of(Event.CONSENT_GIVEN)},
        "institution": named | {*nodes(definition), *definition["quorum"]["of"], case.model["owner"], *concerned(case)},
    }


def concerns(leaf: Leaf, about: Mapping[str, set[str]]) -> bool:
    """Whether an entry belongs to the decision, of which `about` says what it is about."""
    public = leaf["public"]
    if leaf["event"] in WITNESSES:
        return True
    if leaf["event"] is Event.DISCLOSURE_SIGNED:
        return public.get("study") in about["study"] and public.get("model") in about["model"]
    return any(leaf["event"] in events and public.get(name) in about[name] for name, events in BY_REFERENCE.items())
