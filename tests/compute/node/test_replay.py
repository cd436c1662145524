"""A ticket serves once, whatever happens to the process."""

import signal
import subprocess
import sys
import textwrap
from datetime import timedelta
from pathlib import Path

import pytest

from compute.node.replay import ReplayCache, TicketState
from compute.node.state import transaction
from concordat import clock
from concordat.reasons import Reason, Refused

NOW = clock.parse("2026-03-02T09:00:00Z")
ROOT = Path(__file__).parents[3]


def document(ticket="t1", batch="b1", job="j1", request=None):
    return {"ticket": ticket, "batch": batch, "job": job, "request": request or f"request of {ticket}"}


def claim(cache, ticket="t1", batch="b1", job="j1", request=None, now=NOW):
    cache.claim({f"token of {ticket}": document(ticket, batch, job, request)}, now=now)


def started(cache, batch="b1"):
    return [seen.ticket for seen in cache.start(batch)]


@pytest.fixture
def cache(tmp_path):
    return ReplayCache(tmp_path / "state.sqlite3")


@pytest.mark.parametrize(("ticket", "batch"), [("t1", "b1"), ("t1", "b2"), ("t2", "b1")])
def test_neither_a_ticket_nor_a_batch_is_claimed_twice(cache, tmp_path, ticket, batch):
    claim(cache)
    for again in (cache, ReplayCache(tmp_path / "state.sqlite3")):
        with pytest.raises(Refused) as caught:
            claim(again, ticket, batch)
        assert caught.value.reason is Reason.TICKET_REPLAYED


def test_a_claim_survives_a_process_that_is_killed_at_once(tmp_path):
    path = tmp_path / "state.sqlite3"
    program = f"""
        import os, signal
        from pathlib import Path
        from compute.node.replay import ReplayCache
        from concordat import clock
        cache = ReplayCache(Path({str(path)!r}))
        cache.claim({{"x": dict(ticket="t1", batch="b1", job="j1", request="r")}}, now=clock.now())
        os.kill(os.getpid(), signal.SIGKILL)
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(program)], cwd=ROOT, check=False)
    assert done.returncode == -signal.SIGKILL
    with pytest.raises(Refused) as caught:
        claim(ReplayCache(path))
    assert caught.value.reason is Reason.TICKET_REPLAYED


def test_an_accepted_ticket_starts_once(cache):
    claim(cache)
    assert not cache.start("b1")
    cache.answered("t1", "answer", accepted=True)
    assert [started(cache), started(cache)] == [["t1"], []]


def test_a_refused_ticket_never_starts(cache):
    claim(cache)
    cache.answered("t1", "answer", accepted=False)
    assert not cache.start("b1")


def test_what_was_seen_is_remembered(cache):
    claim(cache)
    cache.answered("t1", "answer", accepted=True)
    seen = cache.seen("t1")
    assert (seen.token, seen.claimed, seen.state, seen.answer) == ("token of t1", NOW, TicketState.ACCEPTED, "answer")
    assert cache.seen("another") is None


def test_tickets_of_a_batch_are_claimed_together_or_not_at_all(cache):
    claim(cache, "t9", "b9", request="computed")
    cache.answered("t9", "answer", accepted=True)
    assert started(cache, "b9") == ["t9"]
    assert [cache.computed("computed"), cache.computed("another")] == [True, False]
    with pytest.raises(Refused):
        cache.claim({"one": document("t1"), "two": document("t2", request="computed")}, now=NOW)
    assert cache.seen("t1") is None


def two_accepted(cache):
    cache.claim({"one": document("t1"), "two": document("t2", job="j2")}, now=NOW)
    for ticket in ("t1", "t2"):
        cache.answered(ticket, "answer", accepted=True)


def test_they_start_together_and_once(cache):
    two_accepted(cache)
    assert [(seen.ticket, seen.state) for seen in cache.start("b1")] == [
        ("t1", TicketState.ACCEPTED),
        ("t2", TicketState.ACCEPTED),
    ]
    assert started(cache) == []
    assert {cache.seen(ticket).state for ticket in ("t1", "t2")} == {TicketState.STARTED}


def test_what_was_taken_back_has_its_place_and_does_not_start(cache):
    two_accepted(cache)
    assert cache.let_go("another") is None
    assert [cache.let_go("t1"), cache.let_go("t1")] == [None, None]
    assert [seen.state for seen in cache.start("b1")] == [TicketState.ENDED, TicketState.ACCEPTED]
    assert [cache.seen(ticket).state for ticket in ("t1", "t2")] == [TicketState.ENDED, TicketState.STARTED]
    claim(cache, "t3", "b3", request="request of t1")  # it was not computed: it may be asked again
    assert cache.let_go("t2") == "b1"


def test_a_batch_of_which_all_was_taken_back_does_not_start(cache):
    two_accepted(cache)
    assert [cache.let_go("t1"), cache.let_go("t2")] == [None, "b1"]
    assert started(cache) == []


def test_a_ticket_that_was_taken_back_is_not_accepted_any_more(cache):
    claim(cache)
    assert cache.let_go("t1") == "b1"
    with pytest.raises(Refused) as caught:
        cache.answered("t1", "answer", accepted=True)
    assert caught.value.reason is Reason.EXPIRED
    cache.answered("t1", "answer", accepted=False)
    assert cache.seen("t1").state is TicketState.REFUSED


def test_what_an_older_folder_has_seen_is_still_seen(tmp_path):
    """One ticket a batch, in a table of another name."""
    path = tmp_path / "state.sqlite3"
    columns = "ticket TEXT PRIMARY KEY, batch TEXT NOT NULL UNIQUE, job TEXT, request TEXT, token TEXT, claimed TEXT"
    with transaction(path) as database:
        database.execute(
            f"CREATE TABLE tickets ({columns}, state TEXT, accepted INTEGER, started INTEGER, answer TEXT)"
        )
        row = ("t1", "b1", "j1", "r", "token", clock.rfc3339(NOW), "ended", 1, 1, "answer")
        database.execute(f"INSERT INTO tickets VALUES ({', '.join('?' * len(row))})", row)
    for cache in (ReplayCache(path), ReplayCache(path)):
        assert cache.seen("t1").state is TicketState.ENDED
        for again in (document("t1", "b2"), document("t2", "b1"), document("t2", "b2", request="r")):
            with pytest.raises(Refused):
                cache.claim({"token": again}, now=NOW)


def test_a_request_whose_ticket_lapsed_may_have_another(cache):
    claim(cache, request="r")
    cache.answered("t1", "answer", accepted=True)
    claim(cache, "t2", "b2", request="r")
    cache.answered("t2", "answer", accepted=True)
    assert started(cache, "b2") == ["t2"]


@pytest.mark.parametrize("end", [ReplayCache.end, lambda cache, ticket: cache.answered(ticket, "no", accepted=False)])
def test_a_request_is_computed_once_whatever_became_of_it(cache, end):
    for number in "12":
        claim(cache, f"t{number}", f"b{number}", f"j{number}", request="r")
        cache.answered(f"t{number}", "answer", accepted=True)
    assert started(cache, "b1") == ["t1"]
    assert started(cache, "b2") == []
    end(cache, "t1")
    assert started(cache, "b2") == []
    with pytest.raises(Refused) as caught:
        claim(cache, "t3", "b3", "j3", request="r")
    assert caught.value.reason is Reason.TICKET_REPLAYED


def test_unfinished_is_all_that_has_not_ended(cache):
    for number in "1234":
        claim(cache, f"t{number}", f"b{number}", f"j{number}")
    cache.answered("t2", "answer", accepted=True)
    cache.answered("t3", "answer", accepted=False)
    cache.answered("t4", "answer", accepted=True)
    cache.end("t4")
    assert [seen.ticket for seen in cache.unfinished()] == ["t1", "t2"]


def test_a_days_jobs_are_those_that_are_accepted_or_were_started_whatever_became_of_them(cache):
    for number in "12345":
        claim(cache, f"t{number}", f"b{number}")
        cache.answered(f"t{number}", "answer", accepted=number != "4")
    assert started(cache, "b1") == ["t1"]
    cache.end("t1")
    assert started(cache, "b2") == ["t2"]
    cache.answered("t2", "dropped out", accepted=False)
    cache.let_go("t5")  # accepted, and taken back before it started
    claim(cache, "t6", "b6", now=NOW + timedelta(days=1))
    cache.answered("t6", "answer", accepted=True)
    assert cache.accepted_on(NOW, besides=[]) == 3
    assert cache.accepted_on(NOW, besides=["t1", "t4"]) == 2
    assert cache.accepted_on(NOW + timedelta(days=1), besides=[]) == 1
    assert cache.accepted_on(NOW + timedelta(days=2), besides=[]) == 0
