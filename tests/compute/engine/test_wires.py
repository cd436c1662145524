"""The mesh: who gets in, who notices what, and what somebody on the wire can see."""

import socket
import ssl
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress

import numpy as np
import pytest

from compute.engine import wires
from compute.engine.certificates import Identity
from compute.engine.wires import Peer
from concordat import ring
from concordat.canonical import b64
from concordat.reasons import Reason, Refused
from tests.support.engines import DEALER, Place, random_case, run_here

JOB = b"j" * 32


class Recorder:
    """A proxy before one engine, that passes on and keeps what goes through it, in both directions."""

    def __init__(self, place):
        self.seen = bytearray()
        self._target = place.listener.getsockname()
        self._server = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._server.getsockname()[1]}"
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        with suppress(OSError):
            while True:
                caller, _ = self._server.accept()
                behind = socket.create_connection(self._target)
                for ends in ((caller, behind), (behind, caller)):
                    threading.Thread(target=self._pump, args=ends, daemon=True).start()

    def _pump(self, source, sink):
        with suppress(OSError):
            while data := source.recv(1 << 16):
                self.seen += data
                sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)


def entropy(data):
    counts = np.bincount(np.frombuffer(data, dtype=np.uint8), minlength=256)
    shares = counts[counts > 0] / counts.sum()
    return float(-(shares * np.log2(shares)).sum())


def test_who_records_the_wires_sees_nothing_in_clear():
    """Every connection of a whole job goes through a recorder, the dealer's too."""
    case = random_case("mlp")
    places = [Place() for _ in range(DEALER + 1)]
    recorders = [Recorder(place) for place in places]
    peers = [place.endpoint | {"address": tap.address} for place, tap in zip(places, recorders, strict=True)]
    answers = run_here(case, places=places, peers=peers)
    assert all(answer["ok"] for answer in answers)
    seen = b"".join(bytes(tap.seen) for tap in recorders)
    assert len(seen) > sum(answer["bytes_sent"] for answer in answers)
    # Neither the request for randomness, nor a job's name, nor any share: no 8 bytes of what the parties hold.
    assert b"comparison" not in seen
    assert b"truncation" not in seen
    secrets = b"".join(ring.to_bytes(share) for share in (*case.model_shares, *case.input_shares[0]))
    assert not any(secrets[start : start + 8] in seen for start in range(0, len(secrets), 8))
    assert entropy(seen) > 7.99  # of 8 bits a byte


def mesh(count, **changes):
    """`count` engines that connect; what each of them got, or the Refused that it ended with."""
    identities = [Identity.create() for _ in range(count)]
    listeners = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    peers = [
        Peer("127.0.0.1", listener.getsockname()[1], identity.certificate)
        for listener, identity in zip(listeners, identities, strict=True)
    ]

    def one(rank):
        told = {"job": JOB, "startup_seconds": 20, "round_seconds": 20} | changes.get(f"rank{rank}", {})
        try:
            with closing(listeners[rank]):
                return wires.connect(identities[rank], listeners[rank], rank=rank, peers=peers, **told)
        except Refused as refused:
            return refused

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(one, range(count)))


def test_a_message_arrives_whole_and_in_order():
    first, second = mesh(2)
    large = bytes(range(256)) * (1 << 15)
    for data in (b"", b"a", large):
        first.send(1, data)
    assert [second.receive(0, most=len(large)) for _ in range(3)] == [b"", b"a", large]
    assert first.bytes_sent == 1 + len(large)


def test_both_may_send_more_than_the_buffers_hold():
    first, second = mesh(2)
    large = bytes(8 << 20)
    with ThreadPoolExecutor(2) as pool:
        assert (
            list(pool.map(lambda end: end[0].exchange([end[1]], [large]), [(first, 1), (second, 0)])) == [[[large]]] * 2
        )


def test_a_message_of_another_length_is_refused():
    first, second = mesh(2)
    first.send(1, b"12345")
    with pytest.raises(Refused) as caught:
        second.receive(0, most=4)
    assert caught.value.reason is Reason.MALFORMED


def test_who_is_silent_is_given_up_when_the_round_is_over():
    _, second = mesh(2, rank1={"round_seconds": 0.2})
    with pytest.raises(Refused, match="in time") as caught:
        second.receive(0, most=4)
    assert caught.value.reason is Reason.PEER_LOST


def test_who_leaves_is_missed_at_once():
    first, second = mesh(2)
    first.close()
    with pytest.raises(Refused, match="broke") as caught:
        second.receive(0, most=4)
    assert caught.value.reason is Reason.PEER_LOST


def test_engines_that_were_told_different_jobs_do_not_talk():
    outcomes = mesh(3, rank2={"job": b"k" * 32})
    assert all(isinstance(outcome, Refused) for outcome in outcomes)
    assert Reason.CONFLICT in {outcome.reason for outcome in outcomes}


def test_only_tls_1_3_is_spoken():
    place, old = Place(), Identity.create()
    place.identity.trust([old.certificate])
    old.trust([place.identity.certificate])
    old.client.minimum_version = old.client.maximum_version = ssl.TLSVersion.TLSv1_2
    with place.listener, ThreadPoolExecutor(1) as pool:
        call = socket.create_connection(place.listener.getsockname())
        accepted, _ = place.listener.accept()
        answering = pool.submit(place.identity.server.wrap_socket, accepted, server_side=True)
        with pytest.raises(OSError, match="protocol version"):
            old.client.wrap_socket(call)
        with pytest.raises(OSError, match="UNSUPPORTED_PROTOCOL"):
            answering.result()


def test_a_certificate_is_short_enough_for_an_acceptance_and_no_two_are_alike():
    one, two = Identity.create(), Identity.create()
    assert one.certificate != two.certificate
    assert len(b64(one.certificate)) < 1000


def test_what_is_no_certificate_is_not_trusted():
    with pytest.raises(Refused) as caught:
        Identity.create().trust([b"certificate"])
    assert (caught.value.reason, caught.value.field) == (Reason.FIELD_INVALID, "peers")
