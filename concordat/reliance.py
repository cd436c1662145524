"""Relying on another institution's board (45 CFR 46.114): the agreement, and what the relying site says of itself."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Literal

from pydantic import with_config
from typing_extensions import TypedDict

from concordat import clock
from concordat.fields import STRICT, Digest, MaybeSlug, Slug, Text, Time, Uuid, read
from concordat.reasons import Reason, Refused

SIGNATORIES, RECORD_KIND, MEANING = frozenset({"institution-admin", "irb-chair"}), "reliance", "agrees"
"""Who signs the agreement for each of the two institutions, as which kind of record, and with which meaning."""

CONTEXT_SIGNATORIES = frozenset({"institution-admin", "irb-chair", "irb-administrator"})
CONTEXT_RECORD_KIND, CONTEXT_MEANING = "local-context", "states"
"""The same for the local context, which the relying site signs alone."""


@with_config(STRICT)
class Reliance(TypedDict):
    """The agreement. `study` is empty for all studies; `responsibilities` says who does what."""

    v: Literal[1]
    agreement: Uuid
    relying: Slug
    reviewing: Slug
    study: MaybeSlug
    responsibilities: Text
    starts: Time
    ends: Time


@with_config(STRICT)
class LocalContext(TypedDict):
    """What is particular about a relying site: its law, the people it sees, what it has at hand, whom to ask."""

    v: Literal[1]
    study: Slug
    site: Slug
    board: Slug
    base: Digest
    law: Text
    population: Text
    resources: Text
    contact: Text


def check(document: Mapping[str, Any]) -> Reliance:
    """An agreement of its form. Raises Refused: FIELD_MISSING, FIELD_UNKNOWN or FIELD_INVALID, naming the field."""
    found = read(document, Reliance)
    if found["relying"] == found["reviewing"]:
        raise Refused(Reason.FIELD_INVALID, detail="Nobody relies on its own board.", field="reviewing")
    if clock.parse(found["ends"]) <= clock.parse(found["starts"]):
        raise Refused(Reason.FIELD_INVALID, detail="The agreement ends before it begins.", field="ends")
    return found


def check_context(document: Mapping[str, Any]) -> LocalContext:
    """A local context of its form. Raises Refused as :func:`check` does."""
    return read(document, LocalContext)


def check_covers(agreement: Reliance, *, relying: str, reviewing: str, study: str, now: datetime) -> None:
    """Raises Refused(RELIANCE_MISSING) unless this site relies on this board for this study now."""
    if (agreement["relying"], agreement["reviewing"]) != (relying, reviewing):
        raise _missing("The agreement is between others.")
    if agreement["study"] not in ("", study):
        raise _missing("The agreement is about another study.")
    if now < clock.parse(agreement["starts"]):
        raise _missing("The agreement is not in force yet.")
    if now >= clock.parse(agreement["ends"]):
        raise _missing("The agreement has ended.")


def _missing(detail: str) -> Refused:
    return Refused(Reason.RELIANCE_MISSING, detail=detail)
