"""Several transactions at the same moment on PostgreSQL: not by luck, but because each is seen to wait for a lock."""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

from django.db import connection, transaction

from ledger.models import LogHead

SECONDS = 30.0


def at_once(*calls: Callable[[], Any]) -> list[Any]:
    """The calls' answers, or what they raised. None gets past the log's head before every one waits or has ended."""
    with waiting_for_the_log(*calls) as started:
        pass
    return [each.exception(SECONDS) or each.result() for each in started]


@contextmanager
def waiting_for_the_log(*calls: Callable[[], Any]) -> Iterator[list[Future[Any]]]:
    """Inside, the caller's transaction holds the log's head, and the calls, each in a thread, wait in theirs."""
    LogHead.objects.get_or_create(pk=1)
    with ThreadPoolExecutor(len(calls)) as pool, transaction.atomic():
        LogHead.objects.select_for_update().get(pk=1)
        started = [pool.submit(_in_a_connection_of_its_own, call) for call in calls]
        _until_all_wait(started)
        yield started


def _in_a_connection_of_its_own(call: Callable[[], Any]) -> Any:
    try:
        return call()
    finally:
        connection.close()


def _until_all_wait(started: list[Future[Any]]) -> None:
    deadline = time.monotonic() + SECONDS
    with connection.cursor() as cursor:
        while True:
            cursor.execute("SELECT pg_stat_clear_snapshot()")
            cursor.execute(
                "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
            )
            if cursor.fetchone()[0] >= sum(not each.done() for each in started):
                return
            assert time.monotonic() < deadline, "a transaction neither waits nor ends"
            time.sleep(0.01)
