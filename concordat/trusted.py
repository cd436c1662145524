"""Whose certificates an HTTPS client believes: the same for every connection of a process."""

import os
import ssl
from functools import cache

import httpx


def authorities() -> ssl.SSLContext:
    """httpx's usual context: its own list, or what SSL_CERT_FILE and SSL_CERT_DIR name. Reading the list takes 40 ms of
    a processor, which is many times what a request takes; so it is read once."""
    return _authorities(os.environ.get("SSL_CERT_FILE"), os.environ.get("SSL_CERT_DIR"))


@cache
def _authorities(*_: str | None) -> ssl.SSLContext:
    return httpx.create_ssl_context()
