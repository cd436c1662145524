"""Most tests make their tables from the models alone, for haste; what migrations make must be the same."""

import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from django.db import connection

ROOT = Path(__file__).resolve().parents[2]
SCHEMA = "SELECT type, name, sql FROM sqlite_master WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite_%'"
OWN = ("api_", "compute_", "governance_", "ledger_")


def parts(rows: list[tuple[str, str, str]]) -> dict[tuple[str, str], set[str]]:
    """Each table, index and trigger of ours, as the set of its parts: a column that came later stands further down."""
    return {
        (kind, name): {part.strip() for part in sql.replace("(", ",").replace(")", ",").split(",")}
        for kind, name, sql in rows
        if name.startswith(OWN) or kind != "table"
    }


@pytest.mark.full
@pytest.mark.django_db
def test_migrations_make_what_the_models_say(tmp_path: Path) -> None:
    if connection.vendor != "sqlite":
        pytest.skip("SQLite keeps the statements that made a table.")
    state = {"CONCORDAT_STATE": str(tmp_path), "CONCORDAT_DATABASE_URL": f"sqlite:///{tmp_path / 'migrated.sqlite3'}"}
    command = [sys.executable, "manage.py", "migrate", "--no-input", "--verbosity", "0"]
    subprocess.run(command, cwd=ROOT, env=os.environ | state, check=True, timeout=120)
    with sqlite3.connect(tmp_path / "migrated.sqlite3") as migrated:
        made = parts(migrated.execute(SCHEMA).fetchall())
    with connection.cursor() as cursor:
        said = parts(cursor.execute(SCHEMA).fetchall())
    made.pop(("table", "django_migrations"), None)
    assert {name for kind, name in said if kind == "trigger"}
    assert made == said
