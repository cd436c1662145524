"""What was dealt ahead: bound to its terms, used once or never, gone afterwards."""

import signal
import sqlite3
import stat
import subprocess
import sys
import tempfile
from contextlib import closing, suppress
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from compute.node import pool
from compute.node.pool import Pool, terms
from concordat import clock
from concordat.canonical import digest
from concordat.reasons import Reason, Refused
from tests.support.consortium import new_uuid

NOW = clock.now()
TERMS = terms(definition=digest("a definition"), what_ifs=0, runs=2)
CONTENT = {"plan": digest("plan"), "keys": ["key"], "corrections": ""}


@pytest.fixture
def path(tmp_path) -> Path:
    return tmp_path / "state.sqlite3"


@pytest.fixture
def kept(path):
    """A pool with one batch, and its name."""
    batch = new_uuid()
    Pool(path).keep(batch, CONTENT, terms=TERMS, now=NOW)
    return batch


def claim(path, batch, *, ticket="ticket", now=NOW, on=TERMS):
    return Pool(path).claim(batch, terms=on, ticket=ticket, now=now, until=now + timedelta(minutes=1))


def test_a_name_is_dealt_once(path, kept):
    with pytest.raises(Refused) as caught:
        Pool(path).keep(kept, CONTENT, terms=TERMS, now=NOW)
    assert caught.value.reason is Reason.RANDOMNESS_USED
    assert Pool(path).holds([new_uuid(), kept])
    assert not Pool(path).holds([new_uuid()])


def test_the_oldest_make_room_for_so_many_bytes(path, kept, monkeypatch):
    monkeypatch.setattr(pool, "MOST_BYTES", 200)
    newer = new_uuid()
    Pool(path).keep(newer, CONTENT, terms=TERMS, now=NOW)
    assert not Pool(path).holds([kept])
    assert Pool(path).holds([newer])


def test_a_used_key_is_not_in_the_write_ahead_log_either(path):
    batch = new_uuid()
    Pool(path).keep(batch, CONTENT | {"keys": ["a secret key"]}, terms=TERMS, now=NOW)
    with closing(sqlite3.connect(path)) as other:  # the log is not removed while somebody has the file open
        other.execute("SELECT 1 FROM batches").fetchall()
        claim(path, batch)
        Pool(path).take("ticket")
        assert all(b"a secret key" not in file.read_bytes() for file in path.parent.glob("state.sqlite3*"))


def test_a_batch_is_used_by_the_one_ticket_that_claimed_it(path, kept):
    assert claim(path, kept)
    assert Pool(path).take("another") is None
    assert Pool(path).take("ticket") == CONTENT
    assert Pool(path).take("ticket") is None


def test_no_second_ticket_gets_it_whatever_became_of_the_first(path, kept):
    assert claim(path, kept)
    assert not claim(path, kept, ticket="another")
    Pool(path).take("ticket")
    assert not claim(path, kept, ticket="another")


@pytest.mark.parametrize(
    "other",
    [
        terms(definition=digest("another"), what_ifs=0, runs=2),
        terms(definition=digest("a definition"), what_ifs=1, runs=2),
    ],
)
def test_a_job_on_other_terms_does_not_get_it(path, kept, other):
    assert not claim(path, kept, on=other)


def test_other_software_does_not_get_it(path, kept, monkeypatch):
    monkeypatch.setattr(pool, "__version__", "another")
    assert not claim(path, kept, on=terms(definition=digest("a definition"), what_ifs=0, runs=2))


def test_it_waits_for_a_day_and_once_it_is_claimed_for_as_long_as_the_reservation(path, kept):
    assert not claim(path, kept, now=NOW + timedelta(days=1))
    assert claim(path, kept)
    Pool(path).purge(now=NOW + timedelta(minutes=2))
    assert Pool(path).take("ticket") is None


def test_what_was_claimed_before_a_restart_is_burnt(path, kept):
    claim(path, kept)
    Pool(path).forget_claimed()
    assert Pool(path).take("ticket") is None
    assert not claim(path, kept, ticket="another")


def test_a_batch_that_is_erased_is_not_in_the_file_which_is_its_owners_alone(path, kept):
    assert b'"keys":["key"]' in path.read_bytes()
    claim(path, kept)
    Pool(path).take("ticket")
    assert not any(b'"keys":["key"]' in file.read_bytes() for file in path.parent.glob("state.sqlite3*"))
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_the_oldest_make_room(path, monkeypatch):
    monkeypatch.setattr(pool, "MOST", 2)
    batches = [new_uuid() for _ in range(3)]
    for batch in batches:
        Pool(path).keep(batch, CONTENT, terms=TERMS, now=NOW)
    assert [claim(path, batch, ticket=batch) for batch in batches] == [False, True, True]


def test_a_process_that_is_killed_between_claim_and_use_leaves_nothing_to_use(path, kept):
    program = (
        "import os, signal, sys; from pathlib import Path;"
        "from compute.node.pool import Pool; from concordat import clock;"
        "path, batch, terms = sys.argv[1:];"
        "now = clock.parse('2020-01-01T00:00:00Z'); until = clock.parse('2099-01-01T00:00:00Z');"
        "assert Pool(Path(path)).claim(batch, terms=terms, ticket='ticket', now=now, until=until);"
        "assert Pool(Path(path)).take('ticket');"
        "os.kill(os.getpid(), signal.SIGKILL)"
    )
    killed = subprocess.run(
        [sys.executable, "-c", program, str(path), kept, TERMS], cwd=Path(__file__).parents[3], timeout=60, check=False
    )
    assert killed.returncode == -signal.SIGKILL
    assert Pool(path).take("ticket") is None
    assert not claim(path, kept, ticket="another")


class AnyOrder(RuleBasedStateMachine):
    """Whatever is called in whatever order, with restarts in between, no batch is taken twice."""

    names = st.sampled_from(["one", "two"])
    tickets = st.sampled_from(["first", "second", "third"])

    def __init__(self):
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.path = Path(self.folder.name) / "state.sqlite3"
        self.dealt, self.taken = 0, []
        self.claimed: dict[str, set[str]] = {}

    def teardown(self):
        self.folder.cleanup()

    @rule(name=names)
    def keep(self, name):
        self.dealt += 1
        with suppress(Refused):
            Pool(self.path).keep(name, {"serial": self.dealt}, terms=TERMS, now=NOW)

    @rule(name=names, ticket=tickets)
    def claim(self, name, ticket):
        claim(self.path, name, ticket=ticket)

    @rule(ticket=tickets)
    def take(self, ticket):
        content = Pool(self.path).take(ticket)
        if content:
            self.taken.append(content["serial"])

    @rule()
    def restart(self):
        Pool(self.path).forget_claimed()

    @invariant()
    def nothing_is_taken_twice(self):
        assert len(self.taken) == len(set(self.taken))


TestAnyOrder = AnyOrder.TestCase
TestAnyOrder.settings = settings(max_examples=20, stateful_step_count=12)
