"""The conversation with a coordinator: sign-in, what is repeated and what is not, and refusals by their own names."""

import json
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, HTTPServer

import httpx
import pytest
from joserfc import jwt
from joserfc.jwk import ECKey

from concordat.client.session import ATTEMPTS, PATIENT_ATTEMPTS, Session
from concordat.reasons import Reason, Refused

KEY = ECKey.generate_key("P-384", {"kid": "k"})
TOKEN = {"token_type": "Bearer", "access_token": "t", "expires_in": 300, "scope": "ledger.read"}

Answer = Callable[[httpx.Request], httpx.Response]


class Coordinator:
    """Answers calls from a list, tokens always, and remembers both."""

    def __init__(self, *answers: httpx.Response | Exception) -> None:
        self.answers = list(answers)
        self.calls: list[httpx.Request] = []
        self.signed_in: list[httpx.Request] = []
        self.pauses: list[float] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        if request.url.path == "/api/v1/token":
            self.signed_in.append(request)
            return httpx.Response(200, json={**TOKEN, "access_token": f"t{len(self.signed_in)}"})
        self.calls.append(request)
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    def session(self, attempts: int = ATTEMPTS) -> Session:
        return Session(
            coordinator="https://concordat.example",
            client_id="zurich",
            key=KEY,
            scopes="ledger.read",
            attempts=attempts,
            transport=httpx.MockTransport(self),
            sleep=self.pauses.append,
        )


def problem(reason: Reason, status: int, **headers: str) -> httpx.Response:
    body = {"type": f"urn:concordat:reason:{reason}", "detail": "why", "field": "what", "instance": "urn:uuid:1"}
    return httpx.Response(status, json=body, headers=headers)


OK = {"fine": True}


def test_it_signs_in_once_with_a_short_assertion_for_this_coordinator() -> None:
    coordinator = Coordinator(httpx.Response(200, json=OK), httpx.Response(200, json=OK))
    session = coordinator.session()
    assert session.get("ledger/checkpoint") == session.get("ledger/checkpoint") == OK
    (asked,) = coordinator.signed_in
    form = dict(httpx.QueryParams(asked.content.decode()))
    claims = jwt.decode(form["client_assertion"], KEY, algorithms=["ES384"]).claims
    assert (claims["iss"], claims["sub"]) == ("zurich", "zurich")
    assert claims["aud"] == "https://concordat.example/api/v1/token"
    assert claims["exp"] - claims["iat"] <= 300
    assert [call.headers["Authorization"] for call in coordinator.calls] == ["Bearer t1", "Bearer t1"]


def test_a_token_that_is_no_longer_taken_is_replaced_once() -> None:
    coordinator = Coordinator(problem(Reason.SIGN_IN_REQUIRED, 401), httpx.Response(200, json=OK))
    assert coordinator.session().get("x") == OK
    assert coordinator.calls[-1].headers["Authorization"] == "Bearer t2"


def test_it_does_not_sign_in_for_ever() -> None:
    coordinator = Coordinator(*[problem(Reason.SIGN_IN_REQUIRED, 401)] * 2)
    with pytest.raises(Refused, match=f"^{Reason.SIGN_IN_REQUIRED}:"):
        coordinator.session().get("x")
    assert len(coordinator.signed_in) == 2


def test_a_refused_sign_in_has_its_reason() -> None:
    transport = httpx.MockTransport(lambda request: problem(Reason.SIGN_IN_REFUSED, 401))
    session = Session(coordinator="https://c.example", client_id="z", key=KEY, scopes="", transport=transport)
    with pytest.raises(Refused, match=f"^{Reason.SIGN_IN_REFUSED}:"):
        session.get("x")


@pytest.mark.parametrize("reason", [Reason.CONSENT_WITHDRAWN, Reason.WRONG_STATE, Reason.NOT_FOUND])
def test_a_problem_is_the_same_refusal_here_as_there(reason: Reason) -> None:
    with pytest.raises(Refused) as caught:
        Coordinator(problem(reason, 409)).session().get("x")
    assert (caught.value.reason, caught.value.detail, caught.value.field) == (reason, "why", "what")


def test_an_internal_error_carries_its_reference() -> None:
    with pytest.raises(Refused, match="urn:uuid:1"):
        Coordinator(problem(Reason.INTERNAL, 500)).session().get("x")


@pytest.mark.parametrize("body", ["", "<html>", "[]", json.dumps({"type": "urn:concordat:reason:news-to-us"})])
def test_an_answer_without_a_reason_we_know_is_a_coordinator_that_does_not_answer(body: str) -> None:
    with pytest.raises(Refused, match=f"^{Reason.COORDINATOR_UNAVAILABLE}:.*418"):
        Coordinator(httpx.Response(418, text=body)).session().get("x")


TROUBLE = [httpx.ConnectError("down"), httpx.ReadTimeout("slow"), httpx.Response(503), httpx.Response(502)]


@pytest.mark.parametrize("trouble", TROUBLE)
def test_reads_are_repeated(trouble: httpx.Response | Exception) -> None:
    coordinator = Coordinator(trouble, httpx.Response(200, json=OK))
    assert coordinator.session().get("x") == OK
    assert len(coordinator.pauses) == 1


@pytest.mark.parametrize("trouble", TROUBLE)
def test_posts_are_repeated_under_the_same_idempotency_key(trouble: httpx.Response | Exception) -> None:
    coordinator = Coordinator(trouble, httpx.Response(202, json=OK))
    assert coordinator.session().post("x", {}, idempotency_key="k") == OK
    assert [call.headers["Idempotency-Key"] for call in coordinator.calls] == ["k", "k"]


@pytest.mark.parametrize("trouble", TROUBLE)
def test_other_posts_are_never_repeated(trouble: httpx.Response | Exception) -> None:
    coordinator = Coordinator(trouble)
    with pytest.raises(Refused, match=f"^{Reason.COORDINATOR_UNAVAILABLE}:"):
        coordinator.session().post("x", {})
    assert len(coordinator.calls) == 1


@pytest.mark.parametrize(("attempts", "pauses"), [(ATTEMPTS, [0.5, 1, 2]), (PATIENT_ATTEMPTS, [0.5, 1, 2, 4, 8, 16])])
def test_it_gives_up_after_some_attempts_and_waits_longer_each_time(attempts: int, pauses: list[float]) -> None:
    coordinator = Coordinator(*[httpx.ConnectError("down")] * attempts)
    with pytest.raises(Refused, match=f"^{Reason.COORDINATOR_UNAVAILABLE}:"):
        coordinator.session(attempts).get("x")
    assert coordinator.pauses == pauses


def test_it_waits_as_long_as_it_is_told_but_not_for_ever() -> None:
    told = [problem(Reason.RATE_LIMITED, 429, **{"Retry-After": seconds}) for seconds in ("7", "9999")]
    coordinator = Coordinator(*told, httpx.Response(200, json=OK))
    assert coordinator.session().get("x") == OK
    assert coordinator.pauses == [7, 30]


@pytest.mark.parametrize("told", ["²", "٣", "-1", "1e9", "", "Fri, 27 Nov 2026 10:00:00 GMT"])
def test_what_is_no_number_of_seconds_is_passed_over(told: str) -> None:
    limited = httpx.Response(429, headers={"Retry-After": told.encode()})
    coordinator = Coordinator(limited, httpx.Response(200, json=OK))
    assert coordinator.session().get("x") == OK
    assert coordinator.pauses == [0.5]


BAD = [{"Content-Encoding": "gzip"}, {"Location": "mailto:x"}, {"Set-Cookie": "a=²"}]


@pytest.mark.parametrize("headers", BAD)
@pytest.mark.parametrize("path", ["token", "x"])
def test_an_answer_that_cannot_be_made_out_is_none(path: str, headers: dict[str, str]) -> None:
    encoded = [(name.encode(), value.encode()) for name, value in headers.items()]

    def answer(request: httpx.Request) -> httpx.Response:
        if path == "x" and request.url.path.endswith("/token"):
            return httpx.Response(200, json=TOKEN)
        return httpx.Response(302, headers=encoded, stream=httpx.ByteStream(b"no gzip"))

    transport = httpx.MockTransport(answer)
    session = Session(
        coordinator="https://c.example", client_id="z", key=KEY, scopes="", transport=transport, sleep=lambda _: None
    )
    with pytest.raises(Refused, match=f"^{Reason.COORDINATOR_UNAVAILABLE}:"):
        session.get("x")
    with pytest.raises(Refused, match=f"^{Reason.COORDINATOR_UNAVAILABLE}:"):
        session.get("x")


@pytest.mark.parametrize("content", [b"<html>Sign in to the network</html>", b"", b"\xff", b'{"expires_in": 1.5}'])
def test_a_success_that_is_no_json_is_not_the_coordinators(content: bytes) -> None:
    """A proxy's own page, say: what waits for the coordinator tries again, and gives nothing up."""
    calls = [lambda it: it.get("x"), lambda it: it.get_newer("x", "", seconds=9), lambda it: it.put("x", {})]
    for call in calls:
        with pytest.raises(Refused, match=f"^{Reason.COORDINATOR_UNAVAILABLE}:"):
            call(Coordinator(httpx.Response(200, content=content)).session())
    transport = httpx.MockTransport(lambda request: httpx.Response(200, content=content))
    session = Session(coordinator="https://c.example", client_id="z", key=KEY, scopes="", transport=transport)
    with pytest.raises(Refused, match=f"^{Reason.COORDINATOR_UNAVAILABLE}:.*no token"):
        session.get("x")


def test_an_etag_that_cannot_be_given_back_is_none() -> None:
    odd = httpx.Response(200, json=OK, headers={"ETag": '"²"'.encode()})
    coordinator = Coordinator(odd, httpx.Response(200, json=OK))
    session = coordinator.session()
    known = session.get_newer("x", "", seconds=9).etag
    assert session.get_newer("x", known, seconds=9).content == OK


def test_it_follows_no_redirect_with_a_token() -> None:
    coordinator = Coordinator(httpx.Response(302, headers={"Location": "https://elsewhere.example"}))
    with pytest.raises(Refused, match=f"^{Reason.COORDINATOR_UNAVAILABLE}:"):
        coordinator.session().get("x")
    assert len(coordinator.calls) == 1


def test_what_is_newer_is_asked_for_with_what_is_known() -> None:
    coordinator = Coordinator(
        httpx.Response(200, json=OK, headers={"ETag": '"1"'}),
        httpx.Response(304, headers={"ETag": '"1"', "Preference-Applied": "wait=9"}),
    )
    session = coordinator.session()
    first = session.get_newer("predictions/1", "", seconds=9)
    again = session.get_newer("predictions/1", first.etag, seconds=9)
    assert (first.content, first.waited, again.content, again.waited) == (OK, False, None, True)
    asked = [(each.headers.get("If-None-Match"), each.headers.get("Prefer")) for each in coordinator.calls]
    assert asked == [(None, None), ('"1"', "wait=9")]


def test_unchanged_is_no_answer_for_who_knows_nothing() -> None:
    coordinator = Coordinator(httpx.Response(304), httpx.Response(304))
    for call in (lambda session: session.get_newer("x", "", seconds=9), lambda session: session.get("x")):
        with pytest.raises(Refused, match=r"^coordinator-unavailable:"):
            call(coordinator.session())


def test_behind_a_proxy_it_goes_by_that(monkeypatch: pytest.MonkeyPatch) -> None:
    """As HTTP_PROXY says, and past it as NO_PROXY says: the proxy here answers for whomever it is asked."""
    asked: list[str] = []

    class Proxy(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked.append(self.path)
            self._answer({**TOKEN})

        def do_GET(self) -> None:
            asked.append(self.path)
            self._answer({"hello": "there"})

        def _answer(self, content: object) -> None:
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            body = json.dumps(content).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Proxy)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{server.server_port}")
    monkeypatch.setenv("NO_PROXY", "elsewhere.example")
    try:
        with Session(coordinator="http://coordinator.example", client_id="zurich", key=KEY, scopes="x") as session:
            assert session.get("hello") == {"hello": "there"}
    finally:
        server.shutdown()
    assert asked == ["http://coordinator.example/api/v1/token", "http://coordinator.example/api/v1/hello"]
