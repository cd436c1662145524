"""What every test shares: a state folder of its own, the coordinator's keys, and skips that CI turns into failures."""

import json
import os
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from jsonschema import Draft202012Validator

from concordat import event_schema
from concordat.events import EVENTS
from tests.support.keys import coordinator_keys
from tests.support.triggers import drop_triggers

# How long an example takes says how busy the machine is. A run that decides whether a change may land (`.ci/run`) tries
# the same examples each time, and any other run new ones: a fault that only chance finds is for who is at work.
settings.register_profile("untimed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("repeatable", settings.get_profile("untimed"), derandomize=True)
settings.load_profile("repeatable" if os.environ.get("CONCORDAT_REQUIRE") == "all" else "untimed")


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


@pytest.fixture(scope="session", autouse=True)
def _entries_as_their_schemas_say(_state: Path) -> Iterator[None]:
    """Whatever a test records is held against the schema of its event."""
    from ledger.services import record

    write = record._leaf
    validators: dict[object, Draft202012Validator] = {}

    def leaf(draft: record.Draft, *how: Any) -> bytes:
        written, info = write(draft, *how), EVENTS[draft.event]
        form = draft.event, *map(tuple, (info.public, info.private, info.documents))
        if form not in validators:
            validators[form] = Draft202012Validator(event_schema.of(draft.event))
        validators[form].validate(json.loads(written))
        return written

    record._leaf = leaf
    yield
    record._leaf = write


@pytest.fixture
def committed(transactional_db: None) -> Iterator[None]:
    """A database in which transactions end for real. Emptying it afterwards takes the append-only triggers away."""
    yield
    drop_triggers()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest first: workers are given tests in portions, and nobody shall wait for a demonstration at the end."""
    for item in items:
        if "nodes" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.engines)
    items.sort(key=lambda item: item.get_closest_marker("demo") is None)


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
