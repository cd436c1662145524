"""The suites that use the database, once more on PostgreSQL, with what only PostgreSQL can show (`postgresql.py`)."""

import os
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest

from tests.support.postgresql import database, server

pytestmark = [pytest.mark.full, pytest.mark.timeout(1800)]

ROOT = Path(__file__).parents[2]
WITHOUT_DATABASE = ["tests/compute/engine", "tests/compute/node", "tests/ledger/chain", "tests/ledger/contracts"]


@pytest.mark.parametrize("folder", ["ledger", "governance", "compute", "api"])
def test_the_suite_passes_on_postgresql(folder: str, tmp_path: Path) -> None:
    suite = ROOT / "tests" / folder
    # Given by name because pytest does not collect a file of that name by itself: it would fail on SQLite.
    paths = [suite, *suite.glob("postgresql.py")]
    options = ["-q", "-n", "2", "-m", "not full", "-p", "no:cacheprovider", "--reuse-db", "--migrations"]
    options += [f"--basetemp={tmp_path / 'pytest'}"]
    options += [f"--ignore={ROOT / path}" for path in WITHOUT_DATABASE]
    # What is about SQLite alone may be skipped there, whatever this run requires.
    environment = {
        name: value
        for name, value in os.environ.items()
        if name != "CONCORDAT_REQUIRE" and not name.startswith("PYTEST_")
    }
    with database() as url:
        done = subprocess.run(
            [sys.executable, "-m", "pytest", *options, *map(str, paths)],
            cwd=ROOT,
            env=environment | {"CONCORDAT_DATABASE_URL": url, "CONCORDAT_STATE": str(tmp_path)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=1780,
        )
        assert done.returncode == 0, done.stdout
        with psycopg.connect(f"{server()}/test_{url.rpartition('/')[2]}_gw0") as used:
            assert used.execute("SELECT count(*) > 0 FROM django_migrations").fetchone() == (True,)
