"""The log's newest head is stamped by an authority over HTTP; nothing waits for it, and what fails is seen."""

import os
import signal
import sqlite3
import subprocess
import sys
from datetime import datetime, timedelta

import pytest
from django.db import connection

from concordat import clock, timestamps
from concordat.reasons import Reason, Refused
from concordat.verifier import Options, verify
from concordat.verifier.__main__ import main
from concordat.verifier.bundle import unpack
from concordat.verifier.examine import Status
from concordat.verifier.report import html
from ledger import dossier, fsck, selectors, tasks
from ledger.models import SignedCheckpoint, StampAttempt, TimeStamp
from ledger.services import stamping
from ledger.services.publish import publish
from tests.support.decision import SETTINGS, Decision
from tests.support.tsa import OTHER_POLICY, Authority, serving

pytestmark = pytest.mark.django_db


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("tsa") / "one")


@pytest.fixture
def server(authority, settings):
    """An authority that is configured, and may be asked at once."""
    settings.TSA_SECONDS, settings.TSA_ROOT, settings.TSA_POLICY = 0, str(authority.folder / "root.pem"), ""
    with serving(authority) as server:
        settings.TSA_URL = server.url
        yield server


@pytest.fixture
def head(write):
    write(3)
    return publish()


def refusal():
    with pytest.raises(Refused) as caught:
        stamping.stamp()
    return caught.value.reason


def test_the_newest_head_is_stamped_once(server, authority, head, write):
    stamp = stamping.stamp()
    assert (stamp.checkpoint, stamp.authority) == (head, authority.name)
    assert authority.verifies(bytes(stamp.answer), head.note.encode())
    assert abs(stamp.time - clock.now()) < timedelta(seconds=30)
    assert stamping.stamp() is None
    assert len(server.asked) == 1
    write()
    tasks.publish()
    tasks.stamp()
    assert [each.checkpoint_id for each in TimeStamp.objects.all()] == [3, 4]
    assert selectors.stamp_of(0) == stamp
    assert selectors.stamp_of(3).checkpoint_id == 4
    assert selectors.stamp_of(4) is None


def test_without_an_authority_or_a_head_nobody_is_asked(server, settings, write):
    assert stamping.stamp() is None
    write()
    publish()
    settings.TSA_URL = ""
    tasks.stamp()
    assert not server.asked
    assert not StampAttempt.objects.exists()


def test_the_authority_is_not_asked_more_often_than_it_may_be(server, settings, head, write):
    settings.TSA_SECONDS = 3600
    assert stamping.stamp()
    write()
    publish()
    assert stamping.stamp() is None
    StampAttempt.objects.update(asked=clock.now() - timedelta(hours=1))
    assert stamping.stamp().checkpoint_id == 4


def test_hours_without_the_authority_leave_nothing_to_catch_up_with(server, settings, write):
    settings.TSA_URL, url = "http://127.0.0.1:1/", settings.TSA_URL
    for hour in range(1, 6):
        write()
        tasks.publish()
        tasks.stamp()
        assert StampAttempt.objects.get().failures == hour
    assert selectors.unstamped() == "timestamp-authority-unavailable"
    settings.TSA_URL = url
    tasks.stamp()
    assert TimeStamp.objects.get().checkpoint_id == SignedCheckpoint.objects.count() == 5
    assert (selectors.unstamped(), StampAttempt.objects.get().failures) == ("", 0)
    assert selectors.stamp_of(0).checkpoint_id == 5


def test_after_failures_the_pauses_double_up_to_ten_minutes(settings):
    settings.TSA_SECONDS = 15
    pauses = [stamping._pause(failures).total_seconds() for failures in (0, 1, 2, 5, 6, 99)]
    assert pauses == [15, 30, 60, 480, 600, 600]


@pytest.mark.parametrize(
    ("says", "reason"),
    [
        (b"<html>busy</html>", Reason.TIMESTAMP_MALFORMED),
        (b"0" * 10**6, Reason.TIMESTAMP_MALFORMED),
        (b"", Reason.TIMESTAMP_MALFORMED),
    ],
)
def test_what_is_no_time_stamp_is_not_kept(server, head, says, reason):
    server.says = lambda query: says
    assert refusal() is reason
    assert not TimeStamp.objects.exists()
    assert selectors.unstamped() == reason


def test_an_old_answer_in_the_place_of_a_new_one_is_not_kept(server, head):
    old = server.authority.answer(timestamps.query(head.note.encode()).der)
    server.says = lambda query: old
    assert refusal() is Reason.TIMESTAMP_REPLAYED


def test_another_authority_s_answer_is_not_kept(server, head, tmp_path):
    server.says = Authority(tmp_path / "other").answer
    assert refusal() is Reason.TIMESTAMP_AUTHORITY_UNTRUSTED


def test_an_error_of_the_server_is_said_without_its_text(server, head):
    server.status, server.says = 500, lambda query: b"patient 4711"
    assert refusal() is Reason.TIMESTAMP_AUTHORITY_UNAVAILABLE
    assert StampAttempt.objects.get().detail == "The time-stamping authority answers with HTTP status 500."


def test_a_pinned_policy_is_asked_for(server, settings, head):
    settings.TSA_POLICY = OTHER_POLICY
    stamp = stamping.stamp()
    assert timestamps.read(bytes(stamp.answer), head.note.encode()).policy == OTHER_POLICY


def test_an_authority_whose_clock_is_wrong_is_not_believed(server, head, monkeypatch):
    now = clock.now()
    monkeypatch.setattr(stamping.clock, "now", lambda: now - timedelta(hours=1))
    assert refusal() is Reason.TIME_CONTRADICTED


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("TSA_ROOT", "", Reason.FILE_UNREADABLE),
        ("TSA_ROOT", __file__, Reason.FIELD_INVALID),
        ("TSA_POLICY", "the usual", Reason.FIELD_INVALID),
        ("TSA_URL", "nowhere", Reason.TIMESTAMP_AUTHORITY_UNAVAILABLE),
    ],
)
def test_wrong_settings_are_said(server, settings, head, name, value, reason):
    setattr(settings, name, value)
    assert refusal() is reason
    assert not server.asked


def test_what_another_worker_stored_meanwhile_stays(server, head, monkeypatch):
    def another(query):
        said = {"authority": "x", "time": clock.now(), "received": clock.now()}
        TimeStamp.objects.create(checkpoint=head, answer=b"the first", **said)
        return server.authority.answer(query)

    monkeypatch.setattr(stamping, "_ask", another)
    assert bytes(stamping.stamp().answer) == b"the first"


def test_while_one_asks_another_does_not(server, settings, head, monkeypatch):
    settings.TSA_SECONDS = 15
    ask, answers = stamping._ask, []

    def meanwhile(query):
        answers.append(stamping.stamp())
        return ask(query)

    monkeypatch.setattr(stamping, "_ask", meanwhile)
    assert stamping.stamp()
    assert answers == [None]


KILLED = """
import os, signal, django
django.setup()
from django.conf import settings
from ledger.services import stamping
settings.TSA_URL, settings.TSA_ROOT, ask = os.environ["URL"], os.environ["ROOT"], stamping._ask
stamping._ask = lambda query: (ask(query), os.kill(os.getpid(), signal.SIGKILL))
stamping.stamp()
"""


@pytest.mark.django_db(transaction=True)
def test_a_worker_that_is_killed_between_answer_and_row_loses_nothing(committed, server, write, tmp_path, settings):
    """The claim is durable before the authority is asked. Whoever finds it asks again, for the same head."""
    if connection.vendor != "sqlite":
        pytest.skip("the copy for the other process is made of an SQLite database")
    write(2)
    head, copy = publish(), tmp_path / "copy.sqlite3"
    with connection.cursor() as cursor:
        cursor.execute(f"VACUUM INTO '{copy}'")
    environment = {"URL": server.url, "ROOT": settings.TSA_ROOT, "CONCORDAT_DATABASE_URL": f"sqlite:///{copy}"}
    environment |= {"DJANGO_SETTINGS_MODULE": "config.settings"}
    died = subprocess.run([sys.executable, "-c", KILLED], env={**os.environ, **environment}, timeout=60, check=False)
    assert (died.returncode, len(server.asked)) == (-signal.SIGKILL, 1)
    with sqlite3.connect(copy) as left:
        assert not left.execute("SELECT * FROM ledger_timestamp").fetchall()
        ((asked, failures),) = left.execute("SELECT asked, failures FROM ledger_stampattempt").fetchall()
    StampAttempt.objects.create(pk=1, asked=datetime.fromisoformat(f"{asked}+00:00"), failures=failures)
    assert stamping.stamp().checkpoint == head


def test_fsck_finds_a_stamp_of_another_head_and_a_changed_time(server, head, write, unprotected):
    first = stamping.stamp()
    assert fsck.fsck().divergence is None
    TimeStamp.objects.update(time=first.time - timedelta(days=1))
    assert fsck.fsck().divergence.reason is Reason.TIMESTAMP_MISMATCH
    TimeStamp.objects.all().delete()
    write()
    other = publish()
    copied = {"answer": first.answer, "authority": first.authority, "time": first.time, "received": first.received}
    TimeStamp.objects.create(checkpoint=other, **copied)
    found = fsck.fsck().divergence
    assert (found.reason, found.place) == (Reason.TIMESTAMP_MISMATCH, "time stamp of 4 entries")


# --- dossiers


@pytest.fixture
def decision(settings, tmp_path):
    for name, value in SETTINGS.items():
        setattr(settings, name, value)
    made = Decision.make(tmp_path / "consortium")
    publish()
    return made


def time_of(data, **options):
    result = verify(data, Options(**options))
    return result, next(each for each in result.checks if each.name == "time")


def test_without_a_stamp_the_operator_asserts_the_time(decision, authority):
    data = dossier.build(decision.index)
    for options in ({}, {"tsa": authority.root}):
        result, found = time_of(data, **options)
        assert (found.status, found.reason, result.holds) == (Status.NOT_CHECKABLE, Reason.TIME_ASSERTED, True)
        assert found.sentence.startswith("Time asserted by the operator: ")
        assert result.story["trust"]["time"] is None
    assert "Time asserted by the operator:" in html(result.to_json())
    assert "No time-stamping authority confirms it" in html(result.to_json())
    assert not [path for path in unpack(data) if path.startswith("timestamp")]


def test_a_stamp_attests_the_time_to_whoever_trusts_its_authority(decision, server, authority, write, tmp_path, capsys):
    stamp = stamping.stamp()
    write(2)
    publish()
    stamping.stamp()  # a later one, which says less
    data, when = dossier.build(decision.index), clock.rfc3339(stamp.time)
    result, found = time_of(data)
    assert (found.status, found.reason) == (Status.NOT_CHECKABLE, Reason.TIMESTAMP_AUTHORITY_NOT_GIVEN)
    assert found.sentence.startswith("Time asserted by the operator, until")
    assert "Time asserted by the operator:" in html(result.to_json())
    assert f"A time stamp in the name of “{authority.name}” says" in html(result.to_json())
    result, found = time_of(data, tsa=authority.root)
    assert (found.status, found.reason, result.holds) == (Status.PASSED, None, True)
    assert found.sentence.startswith(f"Time attested by the authority “{authority.name}”: ")
    assert f"not later than {when}" in found.sentence
    assert f"Time attested by the authority “{authority.name}”:" in html(result.to_json())
    assert f"existed not later than {when}" in html(result.to_json())
    assert result.story["trust"]["time"]["size"] == stamp.checkpoint_id
    files = unpack(data)
    assert authority.verifies(files["timestamp.tsr"], files["timestamp.txt"])  # anybody's tool can
    bundle, pem = tmp_path / "dossier.zip", authority.folder / "root.pem"
    bundle.write_bytes(data)
    assert main([str(bundle), "--tsa", str(pem)]) == 0
    assert "ok             time" in capsys.readouterr().out
    with pytest.raises(SystemExit):
        main([str(bundle), "--tsa", str(authority.folder / "tsa.pem")])
    assert "give the self-signed one" in capsys.readouterr().err


def test_another_authority_s_root_fails_the_stamp(decision, server, tmp_path):
    stamping.stamp()
    result, found = time_of(dossier.build(decision.index), tsa=Authority(tmp_path / "other").root)
    assert (found.status, found.reason, result.holds) == (
        Status.FAILED,
        Reason.TIMESTAMP_AUTHORITY_UNTRUSTED,
        False,
    )
