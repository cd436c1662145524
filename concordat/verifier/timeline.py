"""The entries of a dossier in the order of the log, each in a sentence, and what has ended a decision since.

A sentence is the event's own description and the public fields that a reader understands. A result that was shown or
kept back says what became of it, where its receipt is opened.
"""

from collections.abc import Mapping

from concordat.canonical import Json
from concordat.events import EVENTS, Event
from concordat.reasons import Reason
from concordat.verifier import computation, matters, recall
from concordat.verifier.case import Case
from concordat.verifier.evidence import Entry, NotCheckable

_E = Event

_COMPUTED = frozenset({_E.JOB_RESERVED, _E.PREDICTION_RECORDED, _E.EXPLANATION_RECORDED})

_TOLD = (
    *("kind", "version", "scope", "until", "relying", "path", "determination", "outcome", "expires"),
    *(
        "approve",
        "authorised",
        "method",
        "ground",
        "state",
        "reason",
        "classification",
        "sequence",
        "departures",
        "role",
        "form",
    ),
)
"""Public fields that say something to a reader, in the order in which they are told."""

CLOSED: Mapping[str, str] = {
    Reason.ERASED: "erased, and nobody can read it any more",
    Reason.NOT_DISCLOSED: "not disclosed to the reader of this dossier",
}
"""Why a private field says nothing here."""

_YES = {True: "yes", False: "no"}

ENDS: Mapping[Event, str] = {
    _E.CONSENT_WITHDRAWN: "The person withdrew consent.",
    _E.CONSENT_LAPSED: "The person came to decide for themself, and consent lapsed.",
    _E.STUDY_SUSPENDED: "The study was suspended.",
    _E.STUDY_TERMINATED: "A board ended its approval of the study for good.",
    _E.STUDY_EXPIRED: "The study's approval lapsed.",
    _E.STUDY_CLOSED: "The study was closed.",
    _E.MODEL_RECALLED: "The model's owner recalled it.",
    _E.CANARY_FAILED: (
        "A record with a known result, computed in the same job, had come back wrong: the result is withheld, "
        "and nothing should rest on it."
    ),
    _E.RESULT_WITHHELD: "The result was withheld.",
    _E.DEPARTURE_FOUND: (
        "The model's owner says who departed from the protocol when it was computed, or that the alarm was false."
    ),
}
"""What takes something away from a decision after it was made, or from its use."""


def row(case: Case, entry: Entry) -> dict[str, Json]:
    """One line: record number, time, event, the part of the story that it belongs to, who, and the sentence."""
    return {
        "entry": entry.number,
        "time": entry.leaf["time"],
        "event": entry.event.value,
        "part": _part(case, entry),
        "who": str(entry.leaf["public"].get("institution", "")),
        "sentence": _sentence(case, entry),
    }


def ended(case: Case) -> list[Json]:
    """What has ended since the decision, and a display that says that somebody overrode it or took it back."""
    found: list[Json] = []
    for entry in case.evidence.entries:
        said = ENDS.get(entry.event) or _undone(case, entry)
        if entry.event is _E.MODEL_RECALLED:
            said = recall.words(case, entry)
        if said and entry.index > case.decision.index:
            found.append({"entry": entry.number, "time": entry.leaf["time"], "sentence": said})
    return found


def _part(case: Case, entry: Entry) -> str:
    if entry.event is _E.RESULT_DISPLAYED:
        return "shown"
    if entry.index > case.explanation.index or entry.event in matters.ENTRIES:
        return "since"
    return "computed" if entry.event in _COMPUTED else "allowed"


def _sentence(case: Case, entry: Entry) -> str:
    public = entry.leaf["public"]
    told = [f"{name}: {_word(public[name])}" for name in _TOLD if public.get(name) not in (None, "", [], ())]
    shown = _display(case, entry)
    told += [shown] if shown else []
    return EVENTS[entry.event].description + (f" ({'; '.join(told)})" if told else "")


def _word(value: Json) -> str:
    if isinstance(value, bool):
        return _YES[value]
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def _undone(case: Case, entry: Entry) -> str:
    said = _display(case, entry)
    if said.startswith("overridden "):
        return f"Somebody to whom it was shown overrode it ({said})."
    return f"The requester took it back: {said}." if said.startswith("retracted ") else ""


def _display(case: Case, entry: Entry) -> str:
    """What a display receipt says, or why it says nothing here; empty for any other entry."""
    if entry.event is not _E.RESULT_DISPLAYED:
        return ""
    try:
        said = computation.check_display(case, entry)
    except NotCheckable as missing:
        return CLOSED[missing.reason]
    return computation.words(said)
