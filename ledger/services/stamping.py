"""Have the log's head stamped by a time-stamping authority (RFC 3161), without anything else waiting for it.

The newest head is enough: its stamp holds for every entry under it, and an older head's would come no earlier. So the
tables themselves are the outbox (a head without a stamp is due), and hours without the authority leave nothing behind
to be caught up with. The authority is asked outside of database transactions.
"""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from time import monotonic

import httpx
from cryptography.x509 import Certificate
from django.conf import settings
from django.db import transaction

from concordat import clock, timestamps
from concordat.documents import CLOCK_SKEW
from concordat.reasons import Reason, Refused
from concordat.timestamps import Stamp
from concordat.trusted import authorities
from ledger.models import SignedCheckpoint, StampAttempt, TimeStamp

_PATIENCE = 10.0
"""Seconds that one question may take."""
_LONGEST_PAUSE = timedelta(minutes=10)
_LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)


def stamp() -> TimeStamp | None:
    """Stamp the newest head, unless it is stamped, or the authority was asked a moment ago. After failures the pauses
    double, up to ten minutes.

    Raises:
        Refused: what keeps the head from being stamped, also noted for people to see: FILE_UNREADABLE, FIELD_INVALID
            (settings); TIMESTAMP_AUTHORITY_UNAVAILABLE; what `timestamps.verify` refuses; TIME_CONTRADICTED if the
            authority's clock and ours do not agree.
    """
    if not settings.TSA_URL:
        return None
    head = _claim()
    if head is None:
        return None
    try:
        answer, said = _stamped(head)
    except Refused as refused:
        _note(refused)
        raise
    kept, _ = TimeStamp.objects.get_or_create(
        checkpoint=head,
        defaults={"answer": answer, "authority": said.authority, "time": said.latest, "received": clock.now()},
    )
    StampAttempt.objects.filter(pk=1).update(failures=0, reason="", detail="")
    return kept


def pinned() -> tuple[Certificate, ...]:
    """The root certificates of the configured authority. Raises Refused: FILE_UNREADABLE; FIELD_INVALID, also for a
    policy that is none."""
    try:
        pem = Path(settings.TSA_ROOT).read_bytes()
    except OSError as error:
        detail = "The file that CONCORDAT_TSA_ROOT names cannot be read."
        raise Refused(Reason.FILE_UNREADABLE, detail=detail, field="CONCORDAT_TSA_ROOT") from error
    timestamps.query(b"", policy=settings.TSA_POLICY or None)
    return timestamps.read_roots(pem)


@transaction.atomic
def _claim() -> SignedCheckpoint | None:
    """The head to be stamped now, by nobody else. The claim is written before the authority is asked."""
    head = SignedCheckpoint.objects.last()
    if head is None or TimeStamp.objects.filter(checkpoint=head).exists():
        return None
    StampAttempt.objects.get_or_create(pk=1, defaults={"asked": _LONG_AGO})
    attempt, now = StampAttempt.objects.select_for_update().get(pk=1), clock.now()
    if now - attempt.asked < _pause(attempt.failures):
        return None
    attempt.asked = now
    attempt.save(update_fields=["asked"])
    return head


def _pause(failures: int) -> timedelta:
    return min(_LONGEST_PAUSE, timedelta(seconds=settings.TSA_SECONDS * 2 ** min(failures, 10)))


def _stamped(head: SignedCheckpoint) -> tuple[bytes, Stamp]:
    roots, policy, note = pinned(), settings.TSA_POLICY or None, head.note.encode()
    query, asked = timestamps.query(note, policy=policy), clock.now()
    answer = _ask(query.der)
    said = timestamps.verify(answer, note, roots=roots, policy=policy, nonce=query.nonce)
    if not asked - CLOCK_SKEW <= said.time <= clock.now() + CLOCK_SKEW:
        raise Refused(Reason.TIME_CONTRADICTED, detail="The authority's clock and this machine's do not agree.")
    return answer, said


def _ask(query: bytes) -> bytes:
    """The authority's answer (RFC 3161, 3.4). Raises Refused(TIMESTAMP_AUTHORITY_UNAVAILABLE)."""
    headers = {
        "Content-Type": timestamps.MEDIA_QUERY,
        "Accept": timestamps.MEDIA_REPLY,
        "Accept-Encoding": "identity",  # else little could become much
    }
    answer, deadline = b"", monotonic() + _PATIENCE
    try:
        with (
            httpx.Client(verify=authorities(), timeout=_PATIENCE) as http,
            http.stream("POST", settings.TSA_URL, content=query, headers=headers) as response,
        ):
            if response.status_code != httpx.codes.OK:
                detail = f"The time-stamping authority answers with HTTP status {response.status_code}."
                raise Refused(Reason.TIMESTAMP_AUTHORITY_UNAVAILABLE, detail=detail)
            for part in response.iter_raw():
                answer += part
                if len(answer) > timestamps.LARGEST:
                    break  # refused where it is read
                if monotonic() > deadline:  # the time-out is for each part
                    raise Refused(Reason.TIMESTAMP_AUTHORITY_UNAVAILABLE, detail="The authority answers too slowly.")
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise Refused(Reason.TIMESTAMP_AUTHORITY_UNAVAILABLE) from error
    return answer


@transaction.atomic
def _note(refused: Refused) -> None:
    attempt = StampAttempt.objects.select_for_update().get(pk=1)
    attempt.failures, attempt.reason, attempt.detail = attempt.failures + 1, refused.reason, refused.detail
    attempt.save(update_fields=["failures", "reason", "detail"])
