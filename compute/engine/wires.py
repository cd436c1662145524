"""The connections of one job: a full mesh of mutually authenticated TLS 1.3, one connection for each direction.

Every engine connects to every other to send, and accepts from every other to receive, so no connection is used by two
threads, and a round costs one one-way latency. Start-up and rounds have time-outs of their own. Whoever fails closes
its connections, which ends the wait of all others.
"""

import hashlib
import queue
import selectors
import socket
import ssl
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import accumulate

from compute.engine.certificates import Identity
from concordat.reasons import Reason, Refused

_HEADER = 8
_ACCEPTED, _ANOTHER_JOB = b"\x01", b"\x00"
_CHUNK = 1 << 20
_QUEUED = 2  # messages to a peer; whoever is ahead by more, as a dealer may be, waits


@dataclass(frozen=True)
class Peer:
    """Where another engine listens, and its certificate (DER)."""

    host: str
    port: int
    certificate: bytes


class Wires:
    """Everybody's connections to and from us. Payload bytes are counted, framing and TLS are not.

    A message consists of parts, each of which is digested by itself.

    Attributes:
        sent, received: by rank, SHA-256 of every part sent to that engine, or received from it, in order.
    """

    def __init__(self, rank: int, sending: dict[int, ssl.SSLSocket], receiving: dict[int, ssl.SSLSocket]) -> None:
        self.rank = rank
        self.bytes_sent = 0
        self.sent: dict[int, list[bytes]] = {peer: [] for peer in sending}
        self.received: dict[int, list[bytes]] = {peer: [] for peer in receiving}
        self._receiving = receiving
        self._sending = sending
        self._failure: OSError | None = None
        self._queues: dict[int, queue.Queue[bytes | None]] = {peer: queue.Queue(_QUEUED) for peer in sending}
        self._senders = [
            threading.Thread(target=self._send_all, args=(sending[peer], waiting), daemon=True)
            for peer, waiting in self._queues.items()
        ]
        for sender in self._senders:
            sender.start()

    def send(self, peer: int, *parts: bytes) -> None:
        """Queue a message. Raises Refused(PEER_LOST) if an earlier one could not be sent."""
        if self._failure is not None:
            raise _lost(self._failure)
        data = b"".join(parts)
        self.bytes_sent += len(data)
        self.sent[peer] += map(digest_of, parts)
        self._queues[peer].put(len(data).to_bytes(_HEADER, "little") + data)

    def receive(self, peer: int, *, most: int) -> bytes:
        """The next message of a peer, of one part.

        Raises:
            Refused: PEER_LOST if none comes in time or the connection breaks; MALFORMED for a longer one.
        """
        data = self._next(peer, range(most + 1))
        self.received[peer].append(digest_of(data))
        return data

    def receive_parts(self, peer: int, lengths: Sequence[int]) -> list[bytes]:
        """The next message of a peer, whose parts have these lengths. Raises Refused as `receive` does."""
        total = sum(lengths)
        data = memoryview(self._next(peer, range(total, total + 1)))
        ends = list(accumulate(lengths))
        parts = [bytes(data[end - length : end]) for end, length in zip(ends, lengths, strict=True)]
        self.received[peer] += map(digest_of, parts)
        return parts

    def enter(self, peer: int, *, sent: Sequence[bytes] = (), received: Sequence[bytes] = ()) -> None:
        """Digests of parts that went to a peer, or came from it, before this job and belong to it: they are signed for
        as though they went now."""
        self.sent[peer] += sent
        self.received[peer] += received

    def _next(self, peer: int, lengths: range) -> bytes:
        try:
            header = _read(self._receiving[peer], _HEADER)
            length = int.from_bytes(header, "little")
            if length not in lengths:
                raise Refused(Reason.MALFORMED, detail="Another party's message has not the length that it must have.")
            return _read(self._receiving[peer], length)
        except OSError as error:
            raise _lost(self._failure or error) from error

    def exchange(self, peers: Sequence[int], parts: Sequence[bytes]) -> list[list[bytes]]:
        """One round: the same parts to each of `peers`, and as much from each of them."""
        for peer in peers:
            self.send(peer, *parts)
        lengths = [len(part) for part in parts]
        return [self.receive_parts(peer, lengths) for peer in peers]

    def gather(self, peers: Sequence[int], *, most: int) -> None:
        """Take a message of each of `peers` as they come. The wait for the first byte has no time-out.

        Raises:
            Refused: PEER_LOST as soon as one of them leaves instead, whichever it is.
        """
        with selectors.DefaultSelector() as selector:
            for peer in peers:
                selector.register(self._receiving[peer], selectors.EVENT_READ, peer)
            while selector.get_map():
                for key, _ in selector.select():
                    self.receive(key.data, most=most)
                    selector.unregister(key.fileobj)

    def flush(self) -> None:
        """Wait until all that was queued is on its way."""
        for waiting in self._queues.values():
            waiting.put(None)
        for sender in self._senders:
            sender.join()
        if self._failure is not None:
            raise _lost(self._failure)

    def close(self) -> None:
        for connection in (*self._sending.values(), *self._receiving.values()):
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
            connection.close()

    def _send_all(self, connection: ssl.SSLSocket, waiting: "queue.Queue[bytes | None]") -> None:
        while (data := waiting.get()) is not None:
            try:
                if self._failure is None:
                    connection.sendall(data)
            except OSError as error:  # what is queued after it is not sent, and nobody waits for it
                self._failure = error
                self.close()


def connect(
    identity: Identity,
    listener: socket.socket,
    *,
    rank: int,
    peers: Sequence[Peer],
    job: bytes,
    startup_seconds: float,
    round_seconds: float,
) -> Wires:
    """Meet all other engines of a job; `peers` are all engines by rank, ourselves included.

    `job` (32 bytes) is a digest of what every engine must have been told alike.

    Raises:
        Refused: PEER_ABSENT if one has not arrived after `startup_seconds`; PEER_UNVERIFIED if one shows another
            certificate; CONFLICT if one was told another job; PEER_LOST if one leaves while connecting.
    """
    deadline = time.monotonic() + startup_seconds
    identity.trust(peer.certificate for peer in peers)
    others = [other for other in range(len(peers)) if other != rank]
    arrivals = _Arrivals(identity, listener, rank, peers, job, deadline)
    accepting = threading.Thread(target=arrivals.accept, daemon=True)
    accepting.start()
    sending: dict[int, ssl.SSLSocket] = {}
    try:
        for other in others:
            sending[other] = _call(identity.client, peers[other], job, deadline)
    except Refused:
        arrivals.stop()
        for connection in (*sending.values(), *arrivals.found.values()):
            connection.close()
        raise
    accepting.join()
    arrivals.check()
    for connection in (*sending.values(), *arrivals.found.values()):
        connection.settimeout(round_seconds)
    return Wires(rank, sending, arrivals.found)


class _Arrivals:
    """The other engines' calls: their connections, by rank."""

    def __init__(
        self,
        identity: Identity,
        listener: socket.socket,
        rank: int,
        peers: Sequence[Peer],
        job: bytes,
        deadline: float,
    ) -> None:
        self.found: dict[int, ssl.SSLSocket] = {}
        self._ranks = {peer.certificate: other for other, peer in enumerate(peers) if other != rank}
        self._context = identity.server
        self._listener, self._job, self._deadline = listener, job, deadline
        self._failure: Refused | None = None
        self._strangers = False

    def accept(self) -> None:
        """Take calls until everybody is there. A stranger's call is hung up on, and does not end the wait."""
        while len(self.found) < len(self._ranks) and self._failure is None:
            try:
                self._listener.settimeout(_left(self._deadline))
                plain, _ = self._listener.accept()
            except OSError:
                return
            try:
                self._admit(plain)
            except ssl.SSLError:
                self._strangers = True
                plain.close()
            except OSError:
                plain.close()

    def stop(self) -> None:
        self._failure = Refused(Reason.PEER_LOST)
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)

    def check(self) -> None:
        if self._failure is not None:
            raise self._failure
        if len(self.found) < len(self._ranks):
            raise Refused(Reason.PEER_UNVERIFIED) if self._strangers else _absent()

    def _admit(self, plain: socket.socket) -> None:
        plain.settimeout(_left(self._deadline))
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection = self._context.wrap_socket(plain, server_side=True)
        rank = self._ranks[connection.getpeercert(binary_form=True) or b""]
        if _read(connection, len(self._job)) != self._job:
            connection.sendall(_ANOTHER_JOB)
            self._failure = _conflict()
            return
        connection.sendall(_ACCEPTED)
        self.found[rank] = connection


def digest_of(part: bytes) -> bytes:
    """What parties sign for of a part."""
    return hashlib.sha256(part).digest()


def _call(context: ssl.SSLContext, peer: Peer, hello: bytes, deadline: float) -> ssl.SSLSocket:
    try:  # it has been listening since before its node accepted: whoever is not there now has left
        plain = socket.create_connection((peer.host, peer.port), timeout=_left(deadline))
    except OSError as error:
        raise _absent() from error
    try:
        plain.settimeout(_left(deadline))
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection = context.wrap_socket(plain)
        if connection.getpeercert(binary_form=True) != peer.certificate:
            raise Refused(Reason.PEER_UNVERIFIED)
        connection.sendall(hello)
        if _read(connection, 1) != _ACCEPTED:
            raise _conflict()
    except TimeoutError as error:
        plain.close()
        raise _absent() from error
    except (ssl.SSLEOFError, ssl.SSLZeroReturnError) as error:
        plain.close()
        raise _lost(error) from error
    except ssl.SSLError as error:  # they are not who their node says, or find that of us
        plain.close()
        raise Refused(Reason.PEER_UNVERIFIED) from error
    except OSError as error:
        plain.close()
        raise _lost(error) from error
    return connection


def _read(connection: ssl.SSLSocket, count: int) -> bytes:
    """Exactly `count` bytes. Raises OSError."""
    data = bytearray(count)
    view, done = memoryview(data), 0
    while done < count:
        received = connection.recv_into(view[done : done + _CHUNK])
        if not received:
            raise ConnectionError("closed")
        done += received
    return bytes(data)


def _left(deadline: float) -> float:
    return max(0.001, deadline - time.monotonic())


def _conflict() -> Refused:
    return Refused(Reason.CONFLICT, detail="Another party was told another job.", field="job")


def _absent() -> Refused:
    return Refused(Reason.PEER_ABSENT, detail="Not every party was there before the start-up time was over.")


def _lost(error: OSError) -> Refused:
    late = isinstance(error, TimeoutError)
    detail = "No message of another party came in time." if late else "The connection to another party broke."
    return Refused(Reason.PEER_LOST, detail=detail)
