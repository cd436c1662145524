from datetime import UTC, datetime, timedelta

import pytest
from pydantic import with_config
from typing_extensions import TypedDict

from concordat import documents
from concordat.fields import STRICT, Slug
from concordat.reasons import Reason, Refused
from concordat.signatures import SigningKey


@with_config(STRICT)
class Note(TypedDict):
    institution: Slug


ZURICH, BUDAPEST = SigningKey.generate(), SigningKey.generate()
KEYRING = {"zurich": {ZURICH.kid: ZURICH.public}, "budapest": {BUDAPEST.kid: BUDAPEST.public}}
NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)


def verify(token):
    return documents.verify_from(token, Note, kind="note", signer="institution", keyring=KEYRING)


def test_an_institution_speaks_for_itself():
    token = documents.sign({"institution": "zurich"}, Note, kind="note", key=ZURICH)
    assert verify(token) == {"institution": "zurich"}


def test_an_enrolled_institution_cannot_speak_for_another():
    token = documents.sign({"institution": "zurich"}, Note, kind="note", key=BUDAPEST)
    with pytest.raises(Refused) as caught:
        verify(token)
    assert caught.value.reason is Reason.KEY_UNKNOWN


def test_a_stranger_is_refused():
    token = documents.sign({"institution": "elsewhere"}, Note, kind="note", key=SigningKey.generate())
    with pytest.raises(Refused) as caught:
        verify(token)
    assert (caught.value.reason, caught.value.field) == (Reason.KEY_UNKNOWN, "institution")


def test_nothing_malformed_is_signed():
    with pytest.raises(Refused):
        documents.sign({"institution": "Zurich"}, Note, kind="note", key=ZURICH)


@pytest.mark.parametrize(
    ("offset", "reason"),
    [
        (timedelta(minutes=-3), Reason.FIELD_INVALID),
        (timedelta(minutes=-1), None),
        (timedelta(0), None),
        (timedelta(minutes=4, seconds=59), None),
        (timedelta(minutes=5), Reason.EXPIRED),
    ],
)
def test_a_period_begins_with_a_little_patience_and_ends_sharply(offset, reason):
    try:
        documents.check_period("2026-03-02T09:00:00Z", "2026-03-02T09:05:00Z", NOW + offset)
        outcome = None
    except Refused as refused:
        outcome = refused.reason
    assert outcome is reason


def test_a_period_is_judged_at_the_end_of_time():
    with pytest.raises(Refused, match=r"^expired"):
        documents.check_period("2026-03-02T09:00:00Z", "2026-03-02T09:05:00Z", datetime.max.replace(tzinfo=UTC))


def test_a_period_that_ends_before_it_begins_is_refused():
    with pytest.raises(Refused):
        documents.check_period("2026-03-02T09:05:00Z", "2026-03-02T09:00:00Z", NOW)
