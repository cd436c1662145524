"""The database itself refuses to change the log, on SQLite and on PostgreSQL."""

import pytest
from django.core.checks import run_checks
from django.db import DatabaseError, connection, transaction
from django.db.models import F

from concordat.events import Event
from ledger import triggers
from ledger.models import Document, LogEntry, Reference, SignedCheckpoint, TimeStamp
from ledger.services.documents import store
from ledger.services.publish import publish
from ledger.services.record import record

PROTECTED = (LogEntry, Reference, Document, SignedCheckpoint, TimeStamp)


@pytest.fixture
def log(db, write):
    record(event=Event.STUDY_APPROVED, public={"study": "one"}, documents={"protocol": {}})
    head = publish()
    TimeStamp.objects.create(checkpoint=head, answer=b"x", authority="x", time=head.time, received=head.time)


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


@pytest.mark.parametrize("model", PROTECTED)
@pytest.mark.parametrize("verb", ["REPLACE", "INSERT OR REPLACE"])
def test_no_row_is_replaced_by_another_with_the_same_key(log, model, verb):
    """SQLite deletes the row that is in the way without asking the trigger on DELETE."""
    if connection.vendor != "sqlite":
        pytest.skip("PostgreSQL has no REPLACE; its ON CONFLICT is an update.")
    columns = [field.column for field in model._meta.concrete_fields]
    unique = [field.column for field in model._meta.concrete_fields if field.unique]
    before = list(model.objects.values())
    for key in unique:
        same = [f'"{column}"' if column == key or column not in unique else "NULL" for column in columns]
        with (
            pytest.raises(DatabaseError, match="append-only"),
            transaction.atomic(),
            connection.cursor() as cursor,
        ):
            cursor.execute(
                f'{verb} INTO "{model._meta.db_table}" SELECT {", ".join(same)} FROM "{model._meta.db_table}"'
            )
    assert list(model.objects.values()) == before


@pytest.mark.django_db
def test_a_second_version_of_the_same_number_replaces_none():
    """Being one of a kind can also be a matter of two columns together."""
    if connection.vendor != "sqlite":
        pytest.skip("PostgreSQL has no REPLACE; its ON CONFLICT is an update.")
    with connection.cursor() as cursor:
        cursor.execute("SELECT sql FROM sqlite_master WHERE name = 'governance_protocolversion_no_replace'")
        assert '("study_id" = NEW."study_id" AND "number" = NEW."number")' in cursor.fetchone()[0]


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
