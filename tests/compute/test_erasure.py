"""A person who is erased leaves proofs that say nothing, and nothing else."""

import shutil
import sqlite3
from contextlib import closing
from uuid import UUID

import pytest
from django.core.management import CommandError, call_command
from django.db import connection

from compute.models import Job, PartyResult, SealedInput
from compute.services import sweep
from compute.services.erasure import erase_subject
from concordat.events import Event
from concordat.reasons import Reason, Refused
from concordat.states import JobState
from governance.models import Consent
from governance.services import consent
from ledger import triggers, vault
from ledger.models import LegalHold, LogEntry, SubjectKey
from ledger.services import subjects
from ledger.services.record import record
from tests.support.consortium import REQUESTER
from tests.support.snapshot import Snapshot


@pytest.fixture
def checkpoints(monkeypatch):
    """Tests run inside a transaction, where there is no checkpoint to be had."""
    called = []
    monkeypatch.setattr(vault, "checkpoint_wal", lambda: called.append("journal emptied"))
    return called


@pytest.fixture
def erase(world, checkpoints):
    def call():
        with world.commit():
            return erase_subject(
                institution=REQUESTER, subject=UUID(world.consortium.subject), ground="the person's wish"
            )

    return call


def everything_stored():
    """Every value of every table, as the database has it; the signed request itself is in the log, encrypted."""
    with connection.cursor() as cursor:
        for table in connection.introspection.table_names(cursor):
            cursor.execute(f'SELECT * FROM "{table}"')
            yield from (str(value) for row in cursor.fetchall() for value in row)


@pytest.mark.parametrize("stage", ["ask", "dispatched", "reserved", "computing"])
def test_what_runs_for_the_person_ends_and_its_shares_go(world, erase, stage):
    job = getattr(world, stage)()
    if stage == "computing":
        world.result(job, "zurich")
    erase()
    job.refresh_from_db()
    assert (job.job_state, job.reason) == (JobState.FAILED, Reason.ERASED)
    assert not SealedInput.objects.exists()
    assert not PartyResult.objects.exclude(sealed="").exists()


def test_a_recorded_result_keeps_its_receipts_and_loses_its_shares(world, erase):
    job = world.recorded()
    erase()
    assert Job.objects.get(pk=job.pk).job_state is JobState.RECORDED
    assert not PartyResult.objects.exclude(sealed="").exists()
    assert not PartyResult.objects.filter(receipt="").exists()


def test_a_consent_keeps_its_digest_and_times_and_nothing_of_the_person(world, erase):
    world.recorded()
    before = Consent.objects.get()
    erase()
    after = Consent.objects.get()
    assert (after.digest, after.given, after.until) == (before.digest, before.given, before.until)
    assert (after.subject, after.statement) == (None, "")
    for verb, token in ((consent.give, world.consortium.consent), (consent.withdraw, world.consortium.withdrawal())):
        with pytest.raises(Refused) as caught:
            verb(institution=world.bodies[REQUESTER], token=token)
        assert caught.value.reason is Reason.ERASED


def test_no_table_names_the_person_any_more_but_the_row_of_the_destroyed_key(world, erase):
    world.recorded()
    subject, statement = UUID(world.consortium.subject), world.consortium.consent
    assert statement in set(everything_stored())
    erase()
    named = (statement, str(subject), subject.hex)
    left = [value for value in everything_stored() if any(name in value for name in named)]
    assert [UUID(value) for value in left] == [subject]
    assert SubjectKey.objects.get(subject=subject).wrapped is None


def test_whom_a_restored_backup_brought_back_is_erased_again(world, erase, settings, tmp_path, capsys):
    """All of it, and though a hold that was lifted since the backup is in force again."""
    folder = shutil.copytree(settings.KEYS_DIR, tmp_path / "keys")
    settings.KEYS_DIR = folder
    world.recorded()
    subject = world.consortium.subject
    call_command("legal_hold", "set", REQUESTER, subject, "claim 4 O 12/26")
    backup = Snapshot.take()
    call_command("legal_hold", "lift", str(LegalHold.objects.get().pk))
    erase()
    subjects.list_destroyed()  # as the commit does
    _put_back(backup)
    assert SubjectKey.objects.get(subject=subject).wrapped is not None
    assert [row.subject for row in vault.resurrected()] == [UUID(subject)]
    call_command("reapply_erasures")
    assert "1 erasures were applied again" in capsys.readouterr().out
    named = (world.consortium.consent, subject, UUID(subject).hex)
    left = [value for value in everything_stored() if any(name in value for name in named)]
    assert {UUID(value) for value in left} == {UUID(subject)}  # in the rows of the key and of the hold
    assert SubjectKey.objects.get(subject=subject).wrapped is None
    assert LogEntry.objects.filter(event=Event.KEY_DESTROYED).get().public == {"ground": subjects.AGAIN}
    call_command("reapply_erasures")
    assert "0 erasures" in capsys.readouterr().out


def _put_back(backup):
    connection.check_constraints()
    triggers.remove()
    with connection.cursor() as cursor:
        for table in [*backup.tables, *connection.introspection.table_names(cursor)]:
            if table.startswith(("compute_", "governance_", "ledger_")) or table in backup.tables:
                cursor.execute(f'DELETE FROM "{table}"')
    backup.restore()
    connection.check_constraints()
    triggers.install()


def test_a_legal_hold_keeps_everything(world):
    job = world.computing()
    subject = world.consortium.subject
    call_command("legal_hold", "set", REQUESTER, subject, "claim 4 O 12/26")
    with pytest.raises(CommandError, match="claim 4 O 12/26"):
        call_command("erase_subject", REQUESTER, subject, "the person's wish")
    job.refresh_from_db()
    assert job.job_state is JobState.COMPUTING
    assert str(Consent.objects.get().subject) == subject
    assert SealedInput.objects.exists()


def test_the_sweep_finds_nothing_left_to_do(world, erase):
    world.ask()
    erase()
    before = LogEntry.objects.count()
    sweep.sweep()
    assert LogEntry.objects.count() == before


def test_another_institution_s_pseudonym_of_the_same_number_is_another_person(world, erase):
    subject = UUID(world.consortium.subject)
    public = {"study": "chest-pain", "institution": "zurich", "consent": str(UUID(int=1))}
    other = record(event=Event.CONSENT_GIVEN, public=public, private={"statement": "theirs"}, subject=subject)
    erase()
    assert vault.unseal(other)[1] == {"statement": "theirs"}


def test_the_journal_of_sqlite_holds_the_wrapped_key_no_longer(tmp_path, monkeypatch):
    """On a database of its own: the tests' one is in memory."""
    file = tmp_path / "db.sqlite3"
    own = sqlite3.connect(file, isolation_level=None)
    own.execute("PRAGMA journal_mode=WAL")
    own.execute("PRAGMA secure_delete=ON")
    own.execute("CREATE TABLE key (wrapped BLOB)")
    own.execute("INSERT INTO key VALUES (x'c0ffeec0ffeec0ffee')")
    own.execute("UPDATE key SET wrapped = NULL")
    journal = tmp_path / "db.sqlite3-wal"
    wrapped = bytes.fromhex("c0ffeec0ffeec0ffee")
    assert wrapped in journal.read_bytes()

    class Connection:
        vendor = "sqlite"
        cursor = staticmethod(lambda: closing(own.cursor()))

    monkeypatch.setattr(vault, "connection", Connection)
    vault.checkpoint_wal()
    assert wrapped not in journal.read_bytes() + file.read_bytes()
    own.close()


def test_erasing_empties_the_journal_after_its_transaction(world, erase, checkpoints):
    world.ask()
    erase()
    assert checkpoints == ["journal emptied"]
