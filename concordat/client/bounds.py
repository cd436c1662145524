"""What a server's answers may cost us: a size of all that belongs to one question, and a time for everything.

A timeout bounds each silence of a server, and not how long it speaks: one that sends a byte every few seconds is never
silent. When the time is over, the connections themselves are therefore shut down, whatever they are waiting for. What
is left is the operating system's own time for finding a server's name.
"""

import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from typing import Any

import httpx

from concordat.reasons import Reason, Refused

LARGEST = 64 << 20
"""Bytes of the answers to one question at most, over all its pages: some fifty thousand resources."""

PLAIN = {"Accept-Encoding": "identity"}
"""Headers of every request: of what is packed, nobody knows the size before it is unpacked."""


class Bounds:
    """`hooks` are an `httpx.Client`'s event hooks. Beyond the size, reading raises Refused(EHR_REFUSED); beyond the
    time it raises httpx.TransportError.

    Args:
        seconds: for everything from now on; None for no end.
        timeout: seconds of each silence at most.
    """

    def __init__(self, seconds: float | None, *, timeout: float) -> None:
        self._until = float("inf") if seconds is None else time.monotonic() + seconds
        self._timeout, self._room = timeout, LARGEST
        self._streams: list[Any] = []
        self._watch: threading.Timer | None = None
        if seconds is not None:
            self._watch = threading.Timer(seconds, self._cut)
            self._watch.daemon = True
            self._watch.start()

    @property
    def hooks(self) -> Mapping[str, list[Callable[..., Any]]]:
        return {"request": [self._asked], "response": [self._answered]}

    @property
    def left(self) -> float:
        """Seconds that are left."""
        return self._until - time.monotonic()

    def begin(self) -> None:
        """Another question: the answers to it have the whole size again."""
        self._room = LARGEST

    def over(self) -> None:
        """Nothing more is asked."""
        if self._watch is not None:
            self._watch.cancel()

    def _asked(self, request: httpx.Request) -> None:
        if self.left <= 0:
            raise httpx.PoolTimeout("the time for all requests is over", request=request)
        kinds = ("connect", "read", "write", "pool")
        request.extensions["timeout"] = dict.fromkeys(kinds, min(self._timeout, self.left))
        request.extensions["trace"] = self._connected

    def _connected(self, event: str, told: Mapping[str, Any]) -> None:
        if event.endswith(("connect_tcp.complete", "start_tls.complete")):
            self._streams.append(told["return_value"])
            if self.left <= 0:  # connected as the time ended
                self._cut()

    def _cut(self) -> None:
        for stream in list(self._streams):
            with suppress(OSError):  # closed already
                stream.get_extra_info("socket").shutdown(socket.SHUT_RDWR)

    def _answered(self, response: httpx.Response) -> None:
        if response.headers.get("Content-Encoding", "identity").strip().lower() != "identity":
            detail = "The server packs its answers, unasked: their size could not be told before they are unpacked."
            raise Refused(Reason.EHR_REFUSED, detail=detail)
        assert isinstance(response.stream, httpx.SyncByteStream)
        response.stream = _Counted(response.stream, self._take)

    def _take(self, size: int) -> None:
        self._room -= size
        if self._room < 0:
            detail = f"The server's answers to one question are larger than {LARGEST >> 20} MiB."
            raise Refused(Reason.EHR_REFUSED, detail=detail)


class _Counted(httpx.SyncByteStream):
    """A body of which each part is counted as it comes."""

    def __init__(self, stream: httpx.SyncByteStream, take: Callable[[int], None]) -> None:
        self._stream, self._take = stream, take

    def __iter__(self) -> Iterator[bytes]:
        for part in self._stream:
            self._take(len(part))
            yield part

    def close(self) -> None:
        self._stream.close()
