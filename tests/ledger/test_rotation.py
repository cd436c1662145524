"""A new master key: everything opens before, during and after; what was destroyed in a backup does not, ever again."""

import os
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import pytest
from django.core.checks import run_checks
from django.core.management import CommandError, call_command
from django.db import DatabaseError, connection, transaction

from concordat import clock
from concordat.events import Event
from concordat.reasons import Reason, Refused
from ledger import erased, fsck, masters, selectors, triggers, vault
from ledger.models import LogEntry, SubjectKey
from ledger.services import rotation
from ledger.services.record import record
from ledger.services.subjects import destroy, destroy_again, list_destroyed
from tests.support.keys import coordinator_keys

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def keys(settings, tmp_path):
    """A key folder of its own."""
    settings.KEYS_DIR = tmp_path / "keys"
    coordinator_keys(settings.KEYS_DIR)
    return settings.KEYS_DIR


def give_consent(subject=None):
    public = {"study": "chest-pain", "institution": "long-beach", "consent": str(uuid4())}
    with transaction.atomic():
        return record(
            event=Event.CONSENT_GIVEN, public=public, private={"statement": "signed"}, subject=subject or uuid4()
        )


def rotated(days=30):
    return list(rotation.rotate(until=clock.now() + timedelta(days=days)))


def opens(entry):
    return selectors.private_fields(entry) == {"statement": "signed"}


def refusal(call, *arguments, **options):
    with pytest.raises(Refused) as refused:
        call(*arguments, **options)
    return refused.value.reason


def events(event):
    return [entry.public for entry in LogEntry.objects.filter(event=event)]


@pytest.fixture
def small(monkeypatch):
    """Many transactions for few keys."""
    monkeypatch.setattr(rotation, "_AT_ONCE", 2)


# --- rotation

pytestmark = pytest.mark.django_db


def test_every_key_is_wrapped_anew_and_everything_still_opens(keys, small):
    entries, before = [give_consent() for _ in range(5)], masters.current()
    wrapped = set(SubjectKey.objects.values_list("wrapped", flat=True))
    assert rotated() == [2, 4, 5]
    assert masters.current() != before
    assert all(opens(entry) for entry in entries)
    assert opens(give_consent())
    assert not wrapped & set(SubjectKey.objects.values_list("wrapped", flat=True))
    (kept,) = masters.replaced()
    assert kept.key == before
    assert kept.path.stat().st_mode & 0o777 == 0o600
    (public,) = events(Event.MASTER_KEY_CHANGED)
    assert public == {"key": masters.id_of(masters.current()).hex(), "until": clock.rfc3339(kept.until)}


def test_the_replaced_key_is_destroyed_when_its_time_is_over_and_the_log_says_so(keys):
    entry = give_consent()
    before, name = masters.current(), masters.id_of(masters.current()).hex()
    rotated(days=2)
    (kept,) = masters.replaced()
    assert list(rotation.destroy_due(now=kept.until - timedelta(seconds=1))) == []
    assert [each.event for each in rotation.destroy_due(now=kept.until)] == [Event.MASTER_KEY_DESTROYED]
    assert list(rotation.destroy_due(now=kept.until)) == []
    assert masters.replaced() == []
    assert events(Event.MASTER_KEY_DESTROYED) == [{"key": name}]
    assert not any(file.read_bytes() == before for file in keys.iterdir())
    assert opens(entry)


def test_a_backup_of_before_opens_while_the_replaced_key_is_kept_and_not_afterwards():
    entry = give_consent()
    row = SubjectKey.objects.get()
    backup = bytes(row.wrapped)
    rotated()
    SubjectKey.objects.update(wrapped=backup)
    assert opens(entry)
    SubjectKey.objects.update(wrapped=row.wrapped)
    rotated()  # wraps anew what was restored, too
    for _ in rotation.destroy_due(now=clock.now() + timedelta(days=31)):
        pass
    assert opens(entry)
    SubjectKey.objects.update(wrapped=backup)
    assert refusal(selectors.private_fields, entry) is Reason.ENTRY_ALTERED


def test_what_a_restored_backup_brought_back_is_wrapped_anew_before_its_master_key_goes():
    entry = give_consent()
    backup = bytes(SubjectKey.objects.get().wrapped)
    rotated()
    SubjectKey.objects.update(wrapped=backup)
    assert len(list(rotation.destroy_due(now=clock.now() + timedelta(days=31)))) == 1
    assert opens(entry)


def test_of_one_subject_nobody_else_is_told():
    subject = uuid4()
    give_consent(subject)
    rotated(days=0)
    list(rotation.destroy_due(now=clock.now()))
    for entry in LogEntry.objects.filter(event__startswith="master-key"):
        assert str(subject).encode() not in bytes(entry.leaf)
        assert not entry.commitments


class Killed(BaseException):
    pass


def _steps():
    return ("begin", "first batch", "last batch", "carry", "recorded", "linked", "replaced")


@pytest.mark.parametrize("step", _steps())
def test_wherever_it_is_killed_everything_opens_and_it_goes_on(step, small, monkeypatch):
    entries, before = [give_consent() for _ in range(5)], masters.current()
    _kill_at(step, monkeypatch)
    with pytest.raises(Killed):
        rotated()
    monkeypatch.undo()
    assert all(opens(entry) for entry in entries)
    entries.append(give_consent())
    rotated()
    assert all(opens(entry) for entry in entries)
    assert masters.successor() is None
    assert before in {kept.key for kept in masters.replaced()}
    # Where the files had changed places already it was done, and this was another change.
    assert len(events(Event.MASTER_KEY_CHANGED)) == len(masters.replaced()) == (2 if step == "replaced" else 1)
    for row in SubjectKey.objects.all():
        assert vault.opened(row, masters.current())


def _kill_at(step, monkeypatch):
    count = {"rewrap": 0, "sync": 0}
    rewrap, finish, sync = rotation.rewrap, rotation.finish, masters.sync

    def killed(*_, **__):
        raise Killed

    def rewrapping(**options):
        count["rewrap"] += 1
        if count["rewrap"] == {"begin": 1, "first batch": 2}.get(step):
            raise Killed
        return rewrap(**options)

    def syncing(folder):
        sync(folder)
        count["sync"] += 1
        if count["sync"] == {"linked": 1, "replaced": 2}[step]:
            raise Killed

    monkeypatch.setattr(rotation, "rewrap", rewrapping)
    match step:
        case "last batch":
            monkeypatch.setattr(rotation, "finish", killed)
        case "carry":
            monkeypatch.setattr(rotation, "carries", [killed])
        case "recorded":
            monkeypatch.setattr(rotation, "finish", lambda **options: finish(**options) and killed())
        case "linked" | "replaced":
            monkeypatch.setattr(masters, "sync", syncing)


def test_a_key_that_is_made_meanwhile_goes_under_the_successor(small):
    give_consent()
    steps = rotation.rotate(until=clock.now() + timedelta(days=1))
    next(steps)
    entry = give_consent()
    assert vault.opened(SubjectKey.objects.latest("pk"), masters.successor())
    list(steps)
    assert opens(entry)


def test_none_is_destroyed_while_a_change_is_under_way():
    rotated(days=0)
    rotation.begin()
    assert refusal(lambda: list(rotation.destroy_due(now=clock.now()))) is Reason.KEYSTORE_UNSAFE
    assert len(masters.replaced()) == 1


def test_two_changes_within_a_second_keep_both_keys():
    first = masters.current()
    until = clock.now() + timedelta(days=1)
    list(rotation.rotate(until=until))
    second = masters.current()
    list(rotation.rotate(until=until))
    assert {kept.key for kept in masters.replaced()} == {first, second}


def test_the_command_rotates_and_destroys(keys, capsys):
    entry = give_consent()
    call_command("rotate_master_key")
    assert "is kept until" in capsys.readouterr().out
    (kept,) = masters.replaced()
    call_command("rotate_master_key", "--only-destroy")
    assert [each.path for each in masters.replaced()] == [kept.path]
    call_command("rotate_master_key", "--keep-days", "0")
    assert "is destroyed; recorded as C-" in capsys.readouterr().out
    assert [each.path for each in masters.replaced()] == [kept.path]
    assert opens(entry)
    with pytest.raises(CommandError, match="between 0 and 3650"):
        call_command("rotate_master_key", "--keep-days", "-1")


def test_a_replaced_key_whose_time_is_over_is_named_by_the_system_check():
    rotated(days=0)
    assert [(found.id, masters.replaced()[0].path.name in found.msg) for found in _security()] == [
        ("ledger.W001", True)
    ]
    list(rotation.destroy_due(now=clock.now()))
    assert _security() == []


def _security():
    return [found for found in run_checks(tags=["security"]) if found.id.startswith("ledger")]


# --- the list of destroyed keys, and a restored backup


@pytest.fixture
def destroyed(django_capture_on_commit_callbacks, monkeypatch):
    """A subject whose key was destroyed; a row of a backup brings it back."""
    monkeypatch.setattr(vault, "checkpoint_wal", lambda: None)  # tests run inside a transaction
    subject = uuid4()
    entry = give_consent(subject)
    row = SubjectKey.objects.get(subject=subject)
    with django_capture_on_commit_callbacks(execute=True):
        destroy(institution="long-beach", subject=subject, ground="request")

    def restore(**changes):
        triggers.remove(model=SubjectKey)
        back = {"wrapped": row.wrapped, "destroyed": None, "ground": "", "fingerprint": row.fingerprint} | changes
        SubjectKey.objects.filter(pk=row.pk).update(**back)
        triggers.install()
        return entry

    return restore


def test_a_destroyed_key_is_on_a_list_outside_of_the_database(destroyed, keys):
    (listed,) = erased.listed()
    assert SubjectKey.objects.get().fingerprint == listed
    assert (keys / "destroyed-keys.txt").stat().st_mode & 0o777 == 0o600
    assert set((keys / "destroyed-keys.txt").read_text().split()) == {listed}


@pytest.mark.parametrize("fingerprint", [{}, {"fingerprint": ""}])
def test_a_key_that_a_backup_brought_back_does_not_open_and_is_named(destroyed, fingerprint):
    other = give_consent()
    entry = destroyed(**fingerprint)
    row = entry.payload.key
    assert refusal(selectors.private_fields, entry) is Reason.ERASED
    assert opens(other)
    assert [each.pk for each in vault.resurrected()] == [row.pk]
    found = fsck.fsck().divergence
    assert (found.reason, found.place) == (Reason.KEY_RESURRECTED, f"subject key {row.pk}")
    (error,) = [each for each in run_checks(tags=["database"], databases=["default"]) if each.id == "ledger.E002"]
    assert f"rows {row.pk}" in error.msg
    assert str(row.subject) not in error.msg


def test_it_is_destroyed_again_and_the_log_says_so(destroyed):
    destroyed()
    row = SubjectKey.objects.get()
    entry = destroy_again(institution="long-beach", subject=row.subject)
    assert entry.public == {"ground": "It had been destroyed before; a backup brought it back."}
    assert list(vault.resurrected()) == []
    assert refusal(destroy_again, institution="long-beach", subject=row.subject) is Reason.ERASED


def test_nobody_who_was_not_erased_is_erased_again():
    subject = uuid4()
    give_consent(subject)
    assert refusal(destroy_again, institution="long-beach", subject=subject) is Reason.WRONG_STATE
    assert refusal(destroy_again, institution="long-beach", subject=uuid4()) is Reason.NOT_FOUND


def test_a_new_master_key_does_not_wrap_what_was_destroyed(destroyed):
    entry = destroyed()
    before = bytes(SubjectKey.objects.get().wrapped)
    rotated(days=0)
    assert bytes(SubjectKey.objects.get().wrapped) == before
    assert list(rotation.destroy_due(now=clock.now()))
    assert refusal(selectors.private_fields, entry) is Reason.ENTRY_ALTERED


def test_the_list_is_known_by_the_key_and_not_by_how_it_was_wrapped(destroyed):
    entry = destroyed()
    key = vault.opened(SubjectKey.objects.get())
    rotated()
    row = SubjectKey.objects.get()
    destroyed(wrapped=vault.wrap(row.holder, row.subject, key))
    assert refusal(selectors.private_fields, entry) is Reason.ERASED


def test_a_list_that_was_cut_or_lost_is_completed_from_the_database(destroyed, keys):
    file = keys / "destroyed-keys.txt"
    whole = erased.listed()
    for left in (b"", b"\n" + file.read_bytes()[1:40], None):
        file.unlink() if left is None else file.write_bytes(left)
        assert erased.listed() == frozenset()
        list_destroyed()
        assert erased.listed() == whole


def test_a_list_that_others_may_read_is_refused(destroyed, keys):
    entry = give_consent()
    (keys / "destroyed-keys.txt").chmod(0o644)
    assert refusal(selectors.private_fields, entry) is Reason.KEYSTORE_UNSAFE


def test_the_database_keeps_a_destroyed_key_destroyed(destroyed):
    kept = give_consent()
    row = SubjectKey.objects.get(destroyed__isnull=False)
    for change in (
        lambda: SubjectKey.objects.filter(pk=row.pk).update(wrapped=b"x", destroyed=None),
        lambda: SubjectKey.objects.filter(pk=row.pk).update(ground="another"),
        lambda: SubjectKey.objects.filter(pk=row.pk)._raw_delete("default"),
    ):
        with pytest.raises(DatabaseError, match=r"stays destroyed|are kept"), transaction.atomic():
            change()
    assert opens(kept)


# --- for real


_SCRIPT = """
import os, signal, sys
import django
django.setup()
from django.core.management import call_command
from ledger.services import rotation
real, calls = rotation.rewrap, []
def rewrap(**options):
    calls.append(1)
    if len(calls) == 2:
        os.kill(os.getpid(), signal.SIGKILL)
    return real(**options)
rotation._AT_ONCE = 2
if sys.argv[1] == "die":
    rotation.rewrap = rewrap
call_command("rotate_master_key", "--keep-days", "0")
"""

_FILL = """
import django
django.setup()
from uuid import uuid4
from django.core.management import call_command
from django.db import transaction
call_command("create_keys")
call_command("migrate", verbosity=0)
from concordat.events import Event
from ledger.services.record import record
for _ in range(5):
    public = {"study": "s", "institution": "i", "consent": str(uuid4())}
    with transaction.atomic():
        record(event=Event.CONSENT_GIVEN, public=public, private={"statement": "signed"}, subject=uuid4())
"""

_READ = """
import django
django.setup()
from ledger import masters, selectors
from ledger.models import LogEntry
for entry in LogEntry.objects.filter(event="consent.given"):
    assert selectors.private_fields(entry) == {"statement": "signed"}
print(LogEntry.objects.filter(event="master-key.changed").count(), masters.successor() is None, len(masters.replaced()))
"""


@pytest.mark.full  # every step is a process
def test_after_kill_9_nothing_is_lost_and_the_command_goes_on(tmp_path):
    environment = {**os.environ, "CONCORDAT_STATE": str(tmp_path / "state"), "CONCORDAT_KEYS": ""}
    environment |= {"DJANGO_SETTINGS_MODULE": "config.settings", "CONCORDAT_DATABASE_URL": ""}
    environment = {name: value for name, value in environment.items() if value}

    def run(script, *arguments):
        return subprocess.run(
            [sys.executable, "-c", script, *arguments],
            cwd=ROOT,
            env=environment,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    done = run(_FILL)
    assert done.returncode == 0, done.stderr
    assert run(_SCRIPT, "die").returncode == -signal.SIGKILL
    with closing(sqlite3.connect(tmp_path / "state" / "concordat.sqlite3")) as database:
        assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    assert run(_READ).stdout.split() == ["0", "False", "0"]
    done = run(_SCRIPT, "live")
    assert done.returncode == 0, done.stderr
    assert run(_READ).stdout.split() == ["1", "True", "0"]


def test_on_this_database_both_rules_are_in_place():
    assert not [each for each in triggers.missing(connection) if each.model is SubjectKey]
