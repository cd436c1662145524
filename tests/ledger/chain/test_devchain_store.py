"""py-evm's store on SQLite: all or nothing, durable, one process at a time."""

import sqlite3
from pathlib import Path

import pytest

from ledger.chain.devchain.store import SqliteStore


class Interrupted(Exception):
    pass


def interrupted_write(store: SqliteStore) -> None:
    with store.transaction():
        store[b"key"] = b"half"
        raise Interrupted


def test_a_transaction_that_fails_leaves_nothing(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "store.sqlite3")
    with pytest.raises(Interrupted):
        interrupted_write(store)
    assert b"key" not in store
    with pytest.raises(KeyError):
        store[b"key"]


def test_what_was_written_is_there_after_reopening(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "store.sqlite3")
    with store.transaction():
        store[b"key"], store[b"other"] = b"value", b""
        del store[b"other"]
    store.close()
    reopened = SqliteStore(tmp_path / "store.sqlite3")
    assert reopened[b"key"] == b"value"
    assert b"other" not in reopened


def test_only_one_can_have_it_open(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "store.sqlite3")
    with pytest.raises(sqlite3.OperationalError, match="locked"):
        SqliteStore(tmp_path / "store.sqlite3")
    store.close()
    SqliteStore(tmp_path / "store.sqlite3").close()
