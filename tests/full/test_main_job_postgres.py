"""The main job on what a production has: PostgreSQL, and a Redis that speaks TLS alone."""

import shutil
import subprocess
from collections.abc import Iterator

import psycopg
import pytest
import redis
from psycopg.sql import SQL, Identifier

from concordat.signatures import peek
from config.demo import review
from config.demo.consortium import LONG_BEACH, STUDY_FOLDER
from config.demo.world import new_stack
from config.local.stack import Stack
from tests.e2e.conftest import Demo, main_job
from tests.e2e.test_main_job import (  # noqa: F401  (collected here once more, with this module's `demo`)
    test_a_changed_byte_is_found_and_named,
    test_every_refusal_has_its_reason,
    test_prediction_and_explanation_are_those_of_the_plaintext,
    test_rounds_and_bytes_are_exact,
    test_the_dossier_verifies_again_and_shows_the_withdrawal,
    test_the_log_on_disk_agrees_with_itself_and_with_the_chain,
    test_the_record_is_final_on_chain,
)
from tests.e2e.test_privacy import (  # noqa: F401
    everything_secret,
    test_a_node_holds_none_of_the_others_secrets,
    test_the_broker_saw_tickets_and_no_secret,
    test_the_log_files_hold_no_secret_and_no_traceback,
)
from tests.support.certificates import make_certificates
from tests.support.needles import files, leaks
from tests.support.postgresql import database

pytestmark = [pytest.mark.full, pytest.mark.xdist_group("demo"), pytest.mark.timeout(400)]


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    for program in ("redis-server", "pg_dump", "psql"):
        if shutil.which(program) is None:
            pytest.skip(f"{program} is not installed")
    folder = tmp_path_factory.mktemp("demo")
    make_certificates(folder / "certificates")
    with database() as url, database() as copy, pytest.MonkeyPatch.context() as patch:
        patch.setattr(review, "altered_copy", lambda stack, index, _: _altered_copy(stack, index, copy))
        stack = new_stack(folder / "state")
        stack.database_url, stack.certificates = url, str(folder / "certificates")
        with main_job(stack, shown=folder / "screen.txt") as done:
            yield done


def _altered_copy(stack: Stack, index: int, copy: str) -> str:
    dump = subprocess.run(["pg_dump", stack.database_url], capture_output=True, check=True).stdout
    subprocess.run(["psql", "--quiet", "--set=ON_ERROR_STOP=1", copy], input=dump, capture_output=True, check=True)
    with psycopg.connect(copy) as altered:
        altered.execute("ALTER TABLE ledger_logentry DISABLE TRIGGER USER")
        row = altered.execute('SELECT leaf FROM ledger_logentry WHERE "index" = %s', (index,)).fetchone()
        assert row is not None
        altered.execute('UPDATE ledger_logentry SET leaf = %s WHERE "index" = %s', (review.altered_leaf(row[0]), index))
    return copy


def tables(demo: Demo) -> dict[str, bytes]:
    """Every table's rows, with bytes as they are."""
    found = {}
    with psycopg.connect(demo.world.stack.database_url) as connection:
        names = connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'").fetchall()
        for (name,) in names:
            with connection.cursor().copy(SQL("COPY {} TO STDOUT (FORMAT binary)").format(Identifier(name))) as rows:
                found[name] = b"".join(bytes(row) for row in rows)
    return found


def test_the_coordinator_ran_on_postgresql_alone(demo: Demo) -> None:
    assert not demo.world.stack.database.exists()
    assert b"prediction.recorded" in tables(demo)["ledger_logentry"]


def test_no_table_and_no_file_of_the_coordinator_holds_a_secret(demo: Demo) -> None:
    assert leaks(everything_secret(demo), tables(demo).items()) == []
    assert leaks(everything_secret(demo), files(demo.state / "coordinator")) == []


def test_the_person_is_in_no_entry_of_the_log(demo: Demo) -> None:
    consent = next((demo.world.folder(LONG_BEACH) / "consents").glob("*.jws")).read_text()
    subject = peek(consent)[1]["subject"]
    birth = b"1961-10-14"
    assert birth in (STUDY_FOLDER / "bundle.json").read_bytes()
    held = tables(demo)
    for name in ("ledger_logentry", "ledger_reference", "ledger_document", "ledger_payload"):
        assert str(subject).encode() not in held[name], name
    assert [name for name, data in held.items() if birth in data] == []


def test_sealed_shares_are_deleted_when_the_job_has_ended(demo: Demo) -> None:
    with psycopg.connect(demo.world.stack.database_url) as connection:
        assert connection.execute("SELECT state FROM compute_job WHERE state <> 'refused'").fetchall() == [("final",)]
        assert connection.execute("SELECT count(*) FROM compute_sealedinput").fetchone() == (0,)


def test_the_broker_speaks_tls_alone_and_is_who_it_says(demo: Demo) -> None:
    stack = demo.world.stack
    url = stack.broker_url("zurich")
    assert redis.Redis.from_url(url).ping() is True
    with pytest.raises(redis.ConnectionError):
        redis.Redis.from_url(url.replace("rediss://", "redis://").partition("?")[0]).ping()
    with pytest.raises(redis.ConnectionError, match="CERTIFICATE_VERIFY_FAILED"):
        redis.Redis.from_url(url.partition("?")[0] + "?ssl_cert_reqs=required").ping()


def test_a_node_reaches_its_own_queue_and_no_other(demo: Demo) -> None:
    with redis.Redis.from_url(demo.world.stack.broker_url("zurich")) as zurich:
        assert zurich.llen("concordat:zurich:node.zurich") == 0
        for key in ("concordat:budapest:node.budapest", "concordat:coordinator"):
            with pytest.raises(redis.exceptions.NoPermissionError):
                zurich.llen(key)
        with pytest.raises(redis.exceptions.NoPermissionError):
            zurich.keys("*")
