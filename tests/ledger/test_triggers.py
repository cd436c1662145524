"""The database itself refuses to change the log, on SQLite and on PostgreSQL."""

import os
import subprocess
import sys
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest
from django.core.checks import run_checks
from django.db import DatabaseError, connection, transaction
from django.db.models import F

from concordat.events import Event
from ledger import triggers
from ledger.models import Document, LogEntry, Reference, SignedCheckpoint
from ledger.services.documents import store
from ledger.services.publish import publish
from ledger.services.record import record

ROOT = Path(__file__).parents[2]
PROTECTED = (LogEntry, Reference, Document, SignedCheckpoint)


@pytest.fixture
def log(db, write):
    record(event=Event.STUDY_APPROVED, public={"study": "one"}, documents={"protocol": {}})
    publish()


@pytest.mark.parametrize("model", PROTECTED)
def test_rows_are_written_once(log, model):
    field = model._meta.concrete_fields[-1].name
    for change in (
        lambda: model.objects.update(**{field: F(field)}),
        lambda: model.objects.all()._raw_delete("default"),
    ):
        with pytest.raises(DatabaseError, match="append-only"), transaction.atomic():
            change()
    assert model.objects.count() == 1


@pytest.mark.django_db
def test_a_lost_trigger_is_found_by_the_system_check_and_put_back(unprotected):
    found = run_checks(tags=["database"], databases=["default"])
    assert {error.id for error in found} == {"ledger.E001"}
    triggers.install()
    assert run_checks(tags=["database"], databases=["default"]) == []
    assert triggers.missing(connection) == []


@pytest.mark.django_db
def test_storing_a_known_document_again_changes_nothing():
    assert store(content={"a": 1}) == store(content=b'{"a":1}')


@pytest.fixture
def postgres():
    """A PostgreSQL database of its own, migrated; answers its URL."""
    name = f"concordat_{uuid4().hex}"
    server = os.environ.get("CONCORDAT_TEST_POSTGRES", "postgres://postgres@127.0.0.1:5432")
    try:
        admin = psycopg.connect(f"{server}/postgres", autocommit=True, connect_timeout=5)
    except psycopg.OperationalError as error:
        pytest.skip(f"no PostgreSQL: {type(error).__name__}")
    admin.execute(f'CREATE DATABASE "{name}"')
    yield f"{server}/{name}"
    admin.execute(f'DROP DATABASE "{name}" WITH (FORCE)')
    admin.close()


def run(url, state, *arguments):
    environment = os.environ | {
        "CONCORDAT_DATABASE_URL": url,
        "CONCORDAT_STATE": str(state),
        "CONCORDAT_KEYS": str(state / "keys"),
    }
    done = subprocess.run(
        [sys.executable, *arguments], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=170
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


CONCURRENT = """
import django; django.setup()
import threading
from django.db import connection, transaction
from concordat.events import Event
from ledger.models import LogEntry
from ledger.services.record import record
from ledger.services.publish import publish
from ledger.services.record import record
from ledger.services.subjects import destroy
from ledger import fsck, selectors
from uuid import uuid4
subject = uuid4()
def work():
    for _ in range(10):
        with transaction.atomic():
            public = {"study": "one", "institution": "zurich", "consent": str(uuid4())}
            record(event=Event.CONSENT_GIVEN, public=public, private={"statement": "x"}, subject=subject)
        publish()
    connection.close()
threads = [threading.Thread(target=work) for _ in range(6)]
[thread.start() for thread in threads]; [thread.join() for thread in threads]
publish()
assert list(LogEntry.objects.values_list("index", flat=True)) == list(range(60))
assert selectors.private_fields(LogEntry.objects.get(index=7)) == {"statement": "x"}
destroy(subject=subject, ground="request")
publish()
report = fsck.fsck()
assert report.divergence is None, report
assert report.entries == 61
"""


@pytest.mark.full
def test_on_postgresql_writers_do_not_collide_and_rows_are_written_once(postgres, settings):
    state = settings.STATE_DIR
    run(postgres, state, "manage.py", "migrate", "-v0", "ledger")
    run(postgres, state, "-c", "import os; os.environ['DJANGO_SETTINGS_MODULE']='config.settings'\n" + CONCURRENT)
    with psycopg.connect(postgres, autocommit=True) as database:
        for model in PROTECTED:
            table = model._meta.db_table
            column = model._meta.concrete_fields[-1].column
            for statement in (
                f"UPDATE {table} SET {column} = {column}",
                f"DELETE FROM {table}",
                f"TRUNCATE {table} CASCADE",
            ):
                if model is Document and "TRUNCATE" not in statement:
                    database.execute("INSERT INTO ledger_document VALUES ('x', 'x') ON CONFLICT DO NOTHING")
                with pytest.raises(psycopg.IntegrityError, match="append-only"):
                    database.execute(statement)
