"""The coordinator's commands where there is no coordinator: a sentence, no traceback, and nothing made."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def run(state: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("CONCORDAT", "DJANGO"))}
    return subprocess.run(
        [sys.executable, "manage.py", *arguments],
        cwd=ROOT,
        env=environment | {"CONCORDAT_STATE": str(state)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_a_command_without_the_coordinator_s_settings_says_so_and_makes_no_database(tmp_path: Path) -> None:
    done = run(tmp_path, "export_subject", "long-beach", "6f1d2f3e-0000-4000-8000-000000000001")
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert str(tmp_path / "concordat.sqlite3") in done.stderr
    assert "CONCORDAT_STATE" in done.stderr
    assert not any(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["tick", "ledger_fsck"])
def test_a_database_without_tables_is_said_to_be_one(tmp_path: Path, name: str) -> None:
    (tmp_path / "concordat.sqlite3").touch()
    done = run(tmp_path, name)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert "has no tables" in done.stderr


def test_help_needs_no_coordinator(tmp_path: Path) -> None:
    assert run(tmp_path, "tick", "--help").returncode == 0
    assert not any(tmp_path.iterdir())
