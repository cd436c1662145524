"""A PostgreSQL database for one test, on the server that libpq's own variables name (PGHOST, PGPORT, PGUSER, …)."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import quote
from uuid import uuid4

import psycopg
import pytest


def server() -> str:
    """The server's address up to the name of a database; by default `postgres` on this machine, without a password."""
    user, password = os.environ.get("PGUSER", "postgres"), os.environ.get("PGPASSWORD", "")
    host, port = os.environ.get("PGHOST", "127.0.0.1"), os.environ.get("PGPORT", "5432")
    return f"postgres://{quote(user)}:{quote(password)}@{quote(host, safe='')}:{port}"


@contextmanager
def database() -> Iterator[str]:
    """The URL of a new, empty database. It is removed afterwards, with those that Django's tests make beside
    it, alone or in two processes."""
    name = f"concordat_{uuid4().hex}"
    try:
        admin = psycopg.connect(f"{server()}/postgres", autocommit=True, connect_timeout=5)
    except psycopg.OperationalError as error:
        pytest.skip(f"no PostgreSQL server: {error}")
    with admin:
        admin.execute(f'CREATE DATABASE "{name}"')
        try:
            yield f"{server()}/{name}"
        finally:
            for each in (name, f"test_{name}", f"test_{name}_gw0", f"test_{name}_gw1"):
                admin.execute(f'DROP DATABASE IF EXISTS "{each}" WITH (FORCE)')
