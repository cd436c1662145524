"""Addresses that others name are called over TLS, at public machines only, and never for long."""

import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from api import outbound
from api.outbound import Unreached, Why
from tests.support.certificates import make_certificates
from tests.support.https import HttpsServer, Received, Said, https_server

PRIVATE = [
    *("127.0.0.1", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "0.0.0.0", "224.0.0.1"),
    *("255.255.255.255", "192.0.2.1", "198.18.0.1", "240.0.0.1"),
    *("::1", "::", "fe80::1", "fe80::1%eth0", "fc00::1", "ff02::1", "2001:db8::1"),
    *("::ffff:127.0.0.1", "::ffff:10.0.0.1", "64:ff9b::a00:1", "2002:7f00:1::"),
    *("fec0::1", "64:ff9b:1::7f00:1", "::7f00:1", "::ffff:0:7f00:1", "5f00::1", "3fff::1", "192.0.0.192"),
    *("::ffff:192.0.0.192", "64:ff9b::c000:c0"),
]
PUBLIC = ["93.184.215.14", "8.8.8.8", "2606:4700:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808"]


@pytest.fixture
def server(tmp_path: Path, settings: Any) -> Iterator[HttpsServer]:
    make_certificates(tmp_path / "tls")
    settings.OUTBOUND_PRIVATE, settings.OUTBOUND_CA = True, str(tmp_path / "tls" / "ca.pem")
    with https_server(tmp_path / "tls") as running:
        yield running


def why(url: str, *, seconds: float = 5, most: int = 1000) -> Why:
    with pytest.raises(Unreached) as caught:
        outbound.call("GET", url, seconds=seconds, most=most)
    return caught.value.why


@pytest.mark.parametrize("address", PRIVATE)
def test_what_is_no_machine_of_the_internet_is_not_public(address: str) -> None:
    assert not outbound.public(address)


@pytest.mark.parametrize("address", PUBLIC)
def test_machines_of_the_internet_are(address: str) -> None:
    assert outbound.public(address)


def test_a_request_arrives_under_the_name_that_was_asked_for(server: HttpsServer) -> None:
    server.says = lambda _: Said(status=201, content=b"yes", headers={"Cache-Control": "max-age=5"})
    answer = outbound.call("POST", server.url + "/a?b=c", seconds=5, most=10, content=b"x", headers={"X-One": "1"})
    assert (answer.status, answer.content, answer.headers["cache-control"]) == (201, b"yes", "max-age=5")
    (seen,) = server.received
    assert (seen.method, seen.path, seen.content, seen.headers["x-one"]) == ("POST", "/a?b=c", b"x", "1")
    assert seen.headers["host"] == f"localhost:{server.port}"


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "[::1]", "[::ffff:127.0.0.1]", "2130706433", "0x7f.1"])
def test_this_machine_is_not_called_under_any_of_its_names(server: HttpsServer, settings: Any, host: str) -> None:
    settings.OUTBOUND_PRIVATE = False
    assert why(f"https://{host}:{server.port}/") is Why.FORBIDDEN
    assert server.received == []


def test_a_name_with_one_private_address_among_public_ones_is_not_called(
    settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = [(socket.AF_INET, 0, 0, "", (address, 443)) for address in ("8.8.8.8", "10.0.0.1")]
    monkeypatch.setattr(outbound, "getaddrinfo", lambda *_args, **_kwargs: found)
    assert why("https://rebinding.example/") is Why.FORBIDDEN


def test_the_name_is_asked_once_and_the_connection_made_to_what_was_checked(
    server: HttpsServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, asked = outbound.getaddrinfo, []

    def resolve(host: str, *rest: Any, **how: Any) -> Any:
        asked.append(host)
        return real("127.0.0.1" if len(asked) == 1 else "192.0.2.1", *rest, **how)

    monkeypatch.setattr(outbound, "getaddrinfo", resolve)
    assert outbound.call("GET", server.url, seconds=5, most=10).ok
    assert asked == ["localhost"]


def test_a_redirect_is_an_answer_like_any_other(server: HttpsServer) -> None:
    server.says = lambda _: Said(status=302, headers={"Location": f"{server.url}/elsewhere"})
    assert outbound.call("GET", server.url, seconds=5, most=10).status == 302
    assert len(server.received) == 1


def test_proxies_of_the_environment_are_passed_over(server: HttpsServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:1")
    assert outbound.call("GET", server.url, seconds=5, most=10).ok


def test_plain_http_is_not_spoken(server: HttpsServer) -> None:
    assert why(server.url.replace("https", "http")) is Why.FORBIDDEN


@pytest.mark.parametrize("port", [22, 25, 636, 993])
def test_ports_of_other_services_are_not_called(settings: Any, port: int) -> None:
    assert why(f"https://8.8.8.8:{port}/") is Why.FORBIDDEN


def test_a_certificate_of_nobody_we_trust_ends_it(server: HttpsServer, settings: Any) -> None:
    settings.OUTBOUND_CA = ""
    assert why(server.url) is Why.TLS
    assert server.received == []


def test_a_certificate_of_another_name_ends_it(server: HttpsServer, monkeypatch: pytest.MonkeyPatch) -> None:
    real = outbound.getaddrinfo
    monkeypatch.setattr(outbound, "getaddrinfo", lambda _, *rest, **how: real("127.0.0.1", *rest, **how))
    assert why(f"https://other.example:{server.port}/") is Why.TLS


def test_more_than_is_asked_for_is_not_read(server: HttpsServer) -> None:
    server.says = lambda _: Said(content=b"x" * 1001)
    assert why(server.url) is Why.LARGE


def test_nobody_there_is_no_answer(server: HttpsServer) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        assert why(f"https://localhost:{unused.getsockname()[1]}/") is Why.SILENT
    assert why("https://no-such-name.invalid/") is Why.UNKNOWN


def test_a_drop_at_a_time_does_not_hold_us_up(server: HttpsServer) -> None:
    stop = threading.Event()

    def slowly(_: Received) -> Said:
        stop.wait(10)
        return Said()

    server.says, began = slowly, time.monotonic()
    assert why(server.url, seconds=0.5) is Why.SILENT
    assert time.monotonic() - began < 2
    stop.set()
