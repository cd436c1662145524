"""While an institution has to keep records, nobody is erased; the refusal says under which law, and until when."""

import re
from datetime import timedelta
from uuid import uuid4

import pytest
from django.core.management import CommandError, call_command
from django.db import IntegrityError, transaction

from concordat import clock
from concordat.events import Event
from concordat.law import Exemption
from concordat.reasons import Reason, Refused
from ledger.models import LogEntry, RetentionRule, SubjectKey
from ledger.services.record import record
from ledger.services.retention import LONGEST_DAYS, end_rule, set_rule
from ledger.services.subjects import destroy

pytestmark = pytest.mark.django_db

LAW = "45 CFR 164.316(b)(2)(i)"


def consent(subject, *, study="chest-pain", institution="long-beach"):
    public = {"study": study, "institution": institution, "consent": str(uuid4())}
    return record(event=Event.CONSENT_GIVEN, public=public, private={"statement": "signed"}, subject=subject)


@pytest.fixture
def subject():
    subject = uuid4()
    consent(subject)
    return subject


def keep(**changes):
    said = {"institution": "long-beach", "days": 10, "exemption": Exemption.LEGAL_OBLIGATION, "law": LAW}
    return set_rule(**said | changes)


def erase(subject, institution="long-beach"):
    return destroy(institution=institution, subject=subject, ground="objection")


def refusal(call, *arguments, **named):
    with pytest.raises(Refused) as refused:
        call(*arguments, **named)
    return refused.value


@pytest.mark.parametrize(("exemption", "letter"), list(zip(Exemption, "bcde", strict=True)))
def test_the_refusal_names_law_letter_and_end(subject, exemption, letter):
    last = LogEntry.objects.get()
    keep(exemption=exemption)
    refused = refusal(erase, subject)
    assert refused.reason is Reason.RETENTION_DUTY
    end = clock.rfc3339(last.time + timedelta(days=10))
    assert refused.detail == (
        f"Until {end} long-beach has to keep this person's records: {LAW} (GDPR Article 17(3)({letter}))."
    )
    assert SubjectKey.objects.get(subject=subject).wrapped is not None


def test_the_days_count_from_the_last_record_and_end_to_the_second(subject, monkeypatch):
    keep()
    last = consent(subject)
    for moment, refused in ((timedelta(days=10, seconds=-1), True), (timedelta(days=10), False)):
        monkeypatch.setattr(clock, "now", lambda moment=moment: last.time + moment)
        if refused:
            assert refusal(erase, subject).reason is Reason.RETENTION_DUTY
        else:
            erase(subject)
    assert SubjectKey.objects.get(subject=subject).wrapped is None


def test_asking_for_ones_own_data_does_not_prolong_it(subject, monkeypatch):
    keep()
    first = LogEntry.objects.get(event=Event.CONSENT_GIVEN)
    monkeypatch.setattr(clock, "now", lambda: first.time + timedelta(days=9))
    record(
        event=Event.SUBJECT_EXPORTED,
        public={"institution": "long-beach"},
        private={"subject": str(subject)},
        subject=subject,
    )
    monkeypatch.setattr(clock, "now", lambda: first.time + timedelta(days=10))
    erase(subject)


def test_a_rule_of_a_study_keeps_who_is_in_it(subject):
    elsewhere = uuid4()
    consent(elsewhere, study="stroke")
    keep(study="chest-pain")
    erase(elsewhere)
    assert refusal(erase, subject).reason is Reason.RETENTION_DUTY


def test_a_rule_is_its_institutions_own(subject):
    """Another institution's pseudonym of the same number is another person, under other rules."""
    consent(subject, institution="mayo")
    keep(institution="mayo")
    erase(subject)
    assert refusal(erase, subject, "mayo").reason is Reason.RETENTION_DUTY


def test_the_longest_duty_is_the_one_that_is_named(subject):
    keep(days=5, law="a shorter one")
    keep(days=20, law="the longer one")
    keep(days=10, law="one between")
    assert "the longer one" in refusal(erase, subject).detail


def test_a_rule_that_ended_keeps_nobody(subject):
    rule = keep()
    end_rule(rule=rule.uuid)
    erase(subject)
    assert refusal(end_rule, rule=rule.uuid).reason is Reason.WRONG_STATE
    assert refusal(end_rule, rule=uuid4()).reason is Reason.NOT_FOUND


def test_rules_stand_in_the_log_and_say_nothing_of_a_person(subject):
    rule = keep(study="chest-pain")
    end_rule(rule=rule.uuid)
    named = {"institution": "long-beach", "study": "chest-pain", "rule": str(rule.uuid)}
    assert LogEntry.objects.get(event=Event.RETENTION_ENDED).public == named
    entry = LogEntry.objects.get(event=Event.RETENTION_SET)
    assert entry.public == named | {"days": 10, "exemption": "legal-obligation", "law": LAW}
    assert entry.commitments == {}


@pytest.mark.parametrize(
    ("change", "reason", "field"),
    [
        ({"institution": "nobody"}, Reason.NOT_FOUND, "institution"),
        ({"study": "misspelt"}, Reason.NOT_FOUND, "study"),
        ({"days": 0}, Reason.FIELD_INVALID, "days"),
        ({"days": LONGEST_DAYS + 1}, Reason.FIELD_INVALID, "days"),
        ({"law": " "}, Reason.FIELD_INVALID, "law"),
        ({"law": "x" * 201}, Reason.FIELD_INVALID, "law"),
    ],
)
def test_a_rule_that_could_keep_nothing_is_refused(subject, change, reason, field):
    refused = refusal(keep, **change)
    assert (refused.reason, refused.field) == (reason, field)
    assert not RetentionRule.objects.exists()


def test_the_database_lets_a_rule_end_once_and_change_in_nothing(subject):
    keep()
    rows = RetentionRule.objects.all()
    for change in ({"days": 1}, {"law": "another"}, {"holder": "mayo"}):
        with pytest.raises(IntegrityError), transaction.atomic():
            rows.update(**change)
    with pytest.raises(IntegrityError), transaction.atomic():
        rows.delete()
    rows.update(ended=clock.now())
    with pytest.raises(IntegrityError), transaction.atomic():
        rows.update(ended=None)


def test_the_operator_sets_lists_and_ends_rules_by_command(subject, capsys):
    call_command("retention", "set", "long-beach", "10", LAW, "--study", "chest-pain")
    rule = RetentionRule.objects.get()
    call_command("retention", "list")
    assert f"{rule.uuid}  long-beach  chest-pain  10 days  {LAW}" in capsys.readouterr().out
    with pytest.raises(CommandError, match=re.escape(LAW)):
        call_command("erase_subject", "long-beach", str(subject), "objection")
    call_command("retention", "end", str(rule.uuid))
    with pytest.raises(CommandError):
        call_command("retention", "end", str(rule.uuid))
    call_command("erase_subject", "long-beach", str(subject), "objection")
