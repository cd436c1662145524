"""Calls to addresses that others name: to public machines alone, over TLS, bounded in time and size, one hop.

Whoever may name an address could otherwise have the coordinator call what only it can reach (CWE-918): a database, a
cloud's metadata service. The name is resolved once; every address that it has must be public, and the connection is
made to one of these very addresses, so that a name which changes in between leads nowhere else. Redirects are not
followed, and no proxy of the environment is used.
"""

import ipaddress
import ssl
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from socket import IPPROTO_TCP, SOCK_STREAM, gaierror, getaddrinfo
from typing import Any

import httpcore
from django.conf import settings

PORTS = frozenset({443, *range(1024, 65536)})
"""Not those of mail, databases behind stunnel and the like, which speak TLS too."""


class Why(StrEnum):
    """What came between; no text of a library, which may hold addresses."""

    FORBIDDEN = "address-forbidden"
    UNKNOWN = "name-unknown"
    TLS = "tls-failed"
    SILENT = "no-answer"
    LARGE = "answer-too-large"


class Unreached(Exception):
    """There is no answer. `why` says in one word what came between."""

    def __init__(self, why: Why) -> None:
        super().__init__(why.value)
        self.why = why


@dataclass(frozen=True)
class Answer:
    status: int
    headers: Mapping[str, str]
    content: bytes

    @property
    def ok(self) -> bool:
        return 200 <= self.status < 300


def call(
    method: str,
    url: str,
    *,
    seconds: float,
    most: int,
    content: bytes = b"",
    headers: Mapping[str, str] | None = None,
) -> Answer:
    """One request and its answer; looking the name up comes on top of `seconds`, which is the resolver's business.

    Args:
        url: https, as `concordat.client_keys.HttpsAddress` has it.
        most: bytes of the answer.

    Raises:
        Unreached: and then it is not known whether the other side has seen the request.
    """
    parsed = httpcore.URL(url)
    if parsed.scheme != b"https" or (parsed.port or 443) not in PORTS:
        raise Unreached(Why.FORBIDDEN)
    backend = _Bounded(time.monotonic() + seconds)
    context = ssl.create_default_context(cafile=settings.OUTBOUND_CA or None)
    sent = [("Host", _host(parsed)), ("Accept", "application/json"), *(headers or {}).items()]
    try:
        with (
            httpcore.ConnectionPool(ssl_context=context, network_backend=backend, retries=0) as pool,
            pool.stream(
                method,
                parsed,
                headers=sent,
                content=content or None,
                extensions={"timeout": dict.fromkeys(("connect", "read", "write", "pool"), seconds)},
            ) as response,
        ):
            body = b""
            for chunk in response.iter_stream():
                body += chunk
                if len(body) > most:
                    raise Unreached(Why.LARGE)
            named = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in response.headers}
            return Answer(response.status, named, body)
    except (httpcore.NetworkError, httpcore.TimeoutException, httpcore.ProtocolError, OSError, ValueError) as error:
        raise Unreached(Why.SILENT) from error


class _Bounded(httpcore.NetworkBackend):
    """Connects to public addresses only, and lets no stream go on beyond a time."""

    def __init__(self, until: float) -> None:
        self._until = until
        self._real = httpcore.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        error: httpcore.ConnectError | httpcore.ConnectTimeout | None = None
        for address in addresses(host, port)[:2]:
            try:
                return _Stream(self._real.connect_tcp(address, port, _left(self._until, timeout)), self._until)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as failed:
                error = failed
        assert error is not None
        raise error


class _Stream(httpcore.NetworkStream):
    """A stream with one deadline for all that it does: a drop a second would otherwise last for hours."""

    def __init__(self, real: httpcore.NetworkStream, until: float) -> None:
        self._real, self._until = real, until

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._real.read(max_bytes, _left(self._until, timeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._real.write(buffer, _left(self._until, timeout))

    def close(self) -> None:
        self._real.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        try:
            real = self._real.start_tls(ssl_context, server_hostname, _left(self._until, timeout))
        except httpcore.ConnectError as error:
            raise Unreached(Why.TLS) from error
        return _Stream(real, self._until)

    def get_extra_info(self, info: str) -> Any:
        return self._real.get_extra_info(info)


def addresses(host: str, port: int) -> list[str]:
    """The addresses behind a name. Raises Unreached: UNKNOWN; FORBIDDEN if a single one of them is not public."""
    try:
        found = getaddrinfo(host, port, type=SOCK_STREAM, proto=IPPROTO_TCP)
    except (gaierror, UnicodeError) as error:
        raise Unreached(Why.UNKNOWN) from error
    each = list(dict.fromkeys(str(entry[4][0]) for entry in found))
    if not settings.OUTBOUND_PRIVATE and not all(public(address) for address in each):
        raise Unreached(Why.FORBIDDEN)
    return each


def public(address: str) -> bool:
    """Whether it is a machine on the internet: not private, loopback, link-local, shared, reserved or multicast
    (IANA's registries of special addresses), nor one of these written as IPv6; of IPv6, global unicast alone."""
    ip = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(ip, ipaddress.IPv6Address):
        inner = ip.ipv4_mapped or ip.sixtofour or (ip.teredo[1] if ip.teredo else None) or _translated(ip)
        if inner is not None:
            return public(str(inner))
        if ip not in _UNICAST:
            return False
    return ip.is_global and not ip.is_multicast and not any(ip in network for network in _SPECIAL)


_UNICAST = ipaddress.IPv6Network("2000::/3")
"""All that IANA gives to machines. Some of the rest leads to private networks: site-local addresses, IPv4 addresses in
forms that were given up, and the prefix of RFC 8215, which translates to private IPv4."""

_SPECIAL = (ipaddress.IPv4Network("192.0.0.0/24"), ipaddress.IPv6Network("3fff::/20"))
"""What `ipaddress` takes for global: protocols' own addresses, some of which clouds use for metadata, and those of
documentation (RFC 9637)."""

_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")


def _translated(ip: ipaddress.IPv6Address) -> ipaddress.IPv4Address | None:
    """RFC 6052."""
    return ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF) if ip in _NAT64 else None


def _left(until: float, timeout: float | None) -> float:
    left = until - time.monotonic()
    if left <= 0:
        raise httpcore.ReadTimeout
    return left if timeout is None else min(left, timeout)


def _host(url: httpcore.URL) -> str:
    host = url.host.decode("ascii")
    return host if url.port in (None, 443) else f"{host}:{url.port}"
