"""What every test shares: a state folder of its own, the coordinator's keys, and skips that CI turns into failures."""

import os
from collections.abc import Generator
from pathlib import Path

import pytest

from concordat.keystore import Keystore


@pytest.fixture(scope="session", autouse=True)
def _state(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Django's settings point into a temporary folder, so that no test touches `var/`."""
    from django.conf import settings

    state = tmp_path_factory.mktemp("state")
    settings.STATE_DIR = state
    settings.KEYS_DIR = state / "keys"
    Keystore(settings.KEYS_DIR).create(["identity", "chain"])
    return state


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
