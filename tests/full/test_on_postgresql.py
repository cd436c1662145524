"""The suites that use the database, once more on PostgreSQL, each test with its first case, and all of what PostgreSQL
alone can show (`postgresql.py`)."""

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
SAME_ON_BOTH = [
    *("tests/api/test_access.py", "tests/api/test_sweep.py", "tests/api/test_schema.py", "tests/api/test_*_page.py"),
    *("tests/governance/test_*page*.py", "tests/governance/test_draft_form.py", "tests/governance/test_letters.py"),
    *("tests/governance/test_second_factor.py", "tests/governance/test_sign_in.py", "tests/governance/test_oidc.py"),
    *("tests/governance/test_productions.py", "tests/governance/test_matrix.py", "tests/governance/test_words.py"),
    *("tests/governance/test_admin.py", "tests/ledger/test_dossier.py", "tests/ledger/test_signing.py"),
    *("tests/api/test_tiles.py", "tests/api/test_key_sets.py", "tests/api/test_outbound.py"),
    *("tests/api/test_errors.py", "tests/api/test_parsers.py", "tests/api/test_browse.py"),
]
"""What is refused before anything is written, what pages and papers say, how people and machines sign in, and what is
fetched from or signed by others."""


@pytest.mark.parametrize("folders", [("ledger", "governance"), ("compute", "api")], ids="-".join)
def test_the_suites_pass_on_postgresql(folders: tuple[str, ...], tmp_path: Path) -> None:
    suites = [ROOT / "tests" / folder for folder in folders]
    # Given by name because pytest does not collect a file of that name by itself: it would fail on SQLite.
    paths = [*suites, *(path for suite in suites for path in suite.glob("postgresql.py"))]
    options = ["-q", "-n", "2", "-m", "not full and not engines", "-p", "no:cacheprovider"]
    options += ["--reuse-db", "--migrations", "-p", "tests.support.first_cases"]
    options += [f"--basetemp={tmp_path / 'pytest'}"]
    options += [f"--ignore={ROOT / path}" for path in WITHOUT_DATABASE]
    options += [f"--ignore-glob={ROOT / path}" for path in SAME_ON_BOTH]
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
