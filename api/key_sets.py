"""The keys that an institution publishes at an address of its own, fetched and kept for a while.

The address stands in a document that the institution's offline key signed; what is found there counts for as long as
its Cache-Control says, within bounds. An assertion by a key that is not there has the set fetched anew, but no set is
fetched more often than every `PAUSE`, whoever asks and however often. A key that the institution has declared
compromised is passed over, wherever it is published.
"""

import re
from datetime import datetime, timedelta
from typing import Any

import structlog
from django.db import transaction
from django.db.models import Q

from api import outbound
from api.models import AccessToken, FetchedKeySet
from api.outbound import Unreached
from concordat import canonical, clock
from concordat.client_keys import read_key_set, thumbprints
from concordat.reasons import Refused
from governance.models import Institution, InstitutionKey
from governance.services import institutions

PAUSE = timedelta(seconds=30)
"""Between two attempts to fetch one set."""

USUAL, SHORTEST, LONGEST = timedelta(minutes=5), timedelta(seconds=60), timedelta(hours=1)
"""For how long a set is good that says nothing, says too little, says too much."""

GIVEN_UP = timedelta(hours=6)
"""So long after the last fetch that succeeded its keys still count, if the address has not answered since."""

_SECONDS, _MOST = 5.0, 64 * 1024
_MAX_AGE = re.compile(r"(?:^|[,\s])max-age=\"?(\d{1,9})")

log = structlog.get_logger(__name__)


def keys_of(key: InstitutionKey, *, wanted: str) -> list[dict[str, Any]]:
    """The public JWKs behind a client key that is an address.

    Args:
        wanted: the `kid` of the assertion; empty if it names none.

    Returns:
        What was fetched last, now if it was no longer good or has no such key; nothing once that is `GIVEN_UP`.
    """
    now = clock.now()
    kept, _ = FetchedKeySet.objects.get_or_create(key=key)
    if kept.until is None or kept.until <= now or (wanted and wanted not in kept.names):
        if _claim(kept, now):
            _fetch(key, kept.pk, now)
        kept = FetchedKeySet.objects.get(pk=kept.pk)
    if kept.fetched is None or kept.fetched + GIVEN_UP <= now:
        return []
    return list(kept.keys)


def _claim(kept: FetchedKeySet, now: datetime) -> bool:
    """Whether it is for us to fetch it: one of all processes, once a pause."""
    due = Q(tried=None) | Q(tried__lte=now - PAUSE)
    return FetchedKeySet.objects.filter(due, pk=kept.pk).update(tried=now) == 1


def _fetch(key: InstitutionKey, pk: int, now: datetime) -> None:
    """Fetch a set, with no transaction open. On any failure what is kept stays as it is."""
    try:
        answer = outbound.call("GET", key.public["jwks_url"], seconds=_SECONDS, most=_MOST)
        if answer.status != 200:
            log.warning("key_set.not_fetched", institution=key.institution.slug, status=answer.status)
            return
        published = read_key_set(canonical.decode(answer.content))
    except (Unreached, Refused) as error:
        why = error.why.value if isinstance(error, Unreached) else error.reason.value
        log.warning("key_set.not_fetched", institution=key.institution.slug, reason=why)
        return
    with transaction.atomic():
        institutions.lock(key.institution)  # before whom no token is issued for a key that is going
        kept = FetchedKeySet.objects.select_for_update().get(pk=pk)
        doubted = _doubted(key.institution)
        keys = [each for each in published if not thumbprints({"keys": [each]}) & doubted]
        if len(keys) < len(published):
            log.warning("key_set.compromised_key", institution=key.institution.slug, keys=len(published) - len(keys))
        if {*map(canonical.digest, kept.keys)} - {*map(canonical.digest, keys)}:
            # Which of the institution's tokens a key bought that is gone nobody has written down: all of them end.
            AccessToken.objects.filter(institution=key.institution).delete()
        kept.keys, kept.fetched, kept.until = keys, now, now + _good_for(answer.headers.get("cache-control", ""))
        kept.save(update_fields=["keys", "fetched", "until"])


def _doubted(institution: Institution) -> frozenset[str]:
    """Thumbprints of the keys that signed in until they, or all of an address, were declared compromised; without those
    that the offline key has named again since. Of an address they are those that were fetched last."""
    doubted = frozenset[str]()
    for key in institution.keys.filter(kind=InstitutionKey.Kind.CLIENT).order_by("enrolled", "pk"):
        doubted -= thumbprints(key.public)
        if key.ground == "compromise":
            fetched = FetchedKeySet.objects.filter(key=key).first()
            doubted |= thumbprints({"keys": fetched.keys} if fetched else key.public)
    return doubted


def _good_for(cache_control: str) -> timedelta:
    said = cache_control.lower()
    if "no-store" in said or "no-cache" in said:
        return SHORTEST
    found = _MAX_AGE.search(said)
    return min(max(timedelta(seconds=int(found[1])), SHORTEST), LONGEST) if found else USUAL
