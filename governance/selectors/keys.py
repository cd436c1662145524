"""Institutions, their keys and their rosters of officers."""

from collections.abc import Iterable, Mapping

from django.db.models import QuerySet

from concordat.enrolment import verify_enrolment
from concordat.events import Event
from concordat.key_change import KeyHistory
from concordat.reasons import Reason, Refused
from concordat.signatures import VerifyKey
from governance.models import (
    Institution,
    InstitutionKey,
    KeyChange,
    Roster,
)
from ledger.selectors import entries

Kind = InstitutionKey.Kind


def institution(slug: str, *, field: str = "institution") -> Institution:
    """Raises Refused(NOT_FOUND), naming the field that named it."""
    return institutions([slug], field=field)[slug]


def institutions(slugs: Iterable[str], *, field: str) -> dict[str, Institution]:
    """The enrolled institutions by slug. Raises Refused(NOT_FOUND) for one that is not enrolled."""
    wanted = set(slugs)
    found = {each.slug: each for each in Institution.objects.filter(slug__in=wanted)}
    for missing in sorted(wanted - set(found)):
        raise Refused(Reason.NOT_FOUND, detail=f"No institution “{missing}” is enrolled.", field=field)
    return found


def keyring(slugs: Iterable[str] | None = None) -> Mapping[str, Mapping[str, VerifyKey]]:
    """The live identity keys by institution and key id; of all institutions, or of those named."""
    return _identities(InstitutionKey.objects.filter(revoked=None), slugs)


def lasting_keyring(slugs: Iterable[str] | None = None) -> Mapping[str, Mapping[str, VerifyKey]]:
    """The live identity keys, and those replaced without a suspicion: for what was signed once and is used for long."""
    return _identities(InstitutionKey.objects.exclude(ground="compromise"), slugs)


def _identities(keys: QuerySet[InstitutionKey], slugs: Iterable[str] | None) -> dict[str, dict[str, VerifyKey]]:
    keys = keys.filter(kind=Kind.IDENTITY)
    if slugs is not None:
        keys = keys.filter(institution__slug__in=list(slugs))
    ring: dict[str, dict[str, VerifyKey]] = {}
    for slug, key_id, public in keys.values_list("institution__slug", "key_id", "public"):
        ring.setdefault(slug, {})[key_id] = VerifyKey.from_b64(public)
    return ring


def key_history(of: Institution) -> KeyHistory:
    """The institution's keys, from its enrolment and its recorded changes, by the index of their log entries."""
    history = KeyHistory(verify_enrolment(of.enrolment), place=-1)
    for change in KeyChange.objects.filter(institution=of).order_by("sequence"):
        history = history.after(change.statement, place=change.entry)
    return history


def chain_addresses(slugs: Iterable[str]) -> dict[str, str]:
    """The live chain addresses by institution."""
    keys = InstitutionKey.objects.filter(kind=Kind.CHAIN, revoked=None, institution__slug__in=list(slugs))
    return dict(keys.values_list("institution__slug", "public"))


def roster(of: Institution) -> Roster | None:
    """The roster in force: the one of the highest version, without those that a compromised offline key signed after
    it was no longer to be believed."""
    rosters = of.rosters.order_by("-version")
    if not of.keys.filter(kind=Kind.OFFLINE, ground="compromise").exists():
        return rosters.first()
    history, recorded = key_history(of), entries(event=Event.ROSTER_PUBLISHED, institution=of.slug)
    believed = {
        entry.public["version"]
        for entry in recorded
        if history.recorded("offline", entry.index, entry.time) is not None
    }
    return next((each for each in rosters if each.version in believed), None)
