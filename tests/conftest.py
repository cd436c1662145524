"""What every test shares: a state folder of its own, the coordinator's keys, and skips that CI turns into failures."""

import os
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest

from tests.support.keys import coordinator_keys
from tests.support.triggers import drop_triggers


@pytest.fixture(scope="session", autouse=True)
def _state(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Django's settings point into a temporary folder, so that no test touches `var/`. A password is hashed as
    it always is, in fewer rounds."""
    from django.conf import settings
    from django.contrib.auth.hashers import PBKDF2PasswordHasher

    state = tmp_path_factory.mktemp("state")
    settings.STATE_DIR = state
    settings.KEYS_DIR = state / "keys"
    settings.STATIC_ROOT = state / "static"
    settings.STATIC_ROOT.mkdir()
    coordinator_keys(settings.KEYS_DIR)
    PBKDF2PasswordHasher.iterations = 1000
    return state


@pytest.fixture
def committed(transactional_db: None) -> Iterator[None]:
    """A database in which transactions end for real. Emptying it afterwards takes the append-only triggers away."""
    yield
    drop_triggers()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """With CONCORDAT_REQUIRE=all nothing may be skipped: what a test needs has to be there."""
    report = yield
    if report.skipped and os.environ.get("CONCORDAT_REQUIRE") == "all" and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"skipped, but CONCORDAT_REQUIRE=all allows no skip: {report.longrepr}"
    return report
