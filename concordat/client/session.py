"""A signed-in conversation with one coordinator: tokens, retries, and refusals as the same named errors as everywhere.

Sign-in is SMART Backend Services (private_key_jwt, RFC 7523). A call is repeated only where repeating does no harm:
reads, puts, and posts under an idempotency key, which the coordinator answers once however often it hears them.
"""

import time
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import httpx
from joserfc import jwt
from joserfc.jwk import ECKey
from pydantic import with_config
from typing_extensions import TypedDict

from concordat import canonical
from concordat.canonical import Json
from concordat.fields import ANSWER, Text, read
from concordat.reasons import Reason, Refused
from concordat.trusted import authorities

ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
ASSERTION_SECONDS = 240
ATTEMPTS = 4
"""What a person waits for: some four seconds without an answer."""
PATIENT_ATTEMPTS = 7
"""What a process waits for that nobody watches: half a minute, in which a coordinator restarts."""

_PROBLEM = "urn:concordat:reason:"
TRANSIENT = {429, 502, 503, 504}
NO_ANSWER = (httpx.RequestError, httpx.InvalidURL, UnicodeError)
"""What httpx raises where there is no answer, or one with a Location, cookie or packing that it cannot make out."""
_EARLY_SECONDS = 30
_LONGEST_WAIT = 30.0


@with_config(ANSWER)
class _Token(TypedDict):
    access_token: Text
    expires_in: int


@with_config(ANSWER)
class _Problem(TypedDict):
    """Problem details (RFC 9457)."""

    type: str
    detail: str
    field: str
    instance: str


@dataclass(frozen=True)
class Newer:
    """`content` is None if nothing has changed; `waited` says whether the coordinator waited for that to happen."""

    content: Any
    etag: str
    waited: bool


class MachineSignIn(httpx.Auth):
    """Asks for a token when there is none, or it is about to end, or the coordinator no longer takes it."""

    requires_response_body = True

    def __init__(
        self,
        *,
        token_url: str,
        client_id: str,
        key: ECKey,
        scopes: str,
        check: Callable[[httpx.Response], httpx.Response] | None = None,
        unavailable: Reason = Reason.COORDINATOR_UNAVAILABLE,
    ) -> None:
        """`check` raises Refused for what is no success; without it, a coordinator's problem details are read.
        `unavailable` is the reason for a success without a token."""
        self._check = check or _check_problem
        self._unavailable = unavailable
        self._token_url = token_url
        self._client_id = client_id
        self._key = key
        self._scopes = scopes
        self._token = ""
        self._until = 0.0

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        if time.monotonic() >= self._until:
            yield from self.renew()
        request.headers["Authorization"] = f"Bearer {self._token}"
        response = yield request
        if response.status_code == httpx.codes.UNAUTHORIZED:
            yield from self.renew()
            request.headers["Authorization"] = f"Bearer {self._token}"
            yield request

    def renew(self) -> Generator[httpx.Request, httpx.Response, None]:
        """A new token. Raises Refused for an answer without one."""
        self._take(self._check((yield self._ask())))

    def _ask(self) -> httpx.Request:
        now = int(time.time())
        claims = {
            "iss": self._client_id,
            "sub": self._client_id,
            "aud": self._token_url,
            "iat": now,
            "exp": now + ASSERTION_SECONDS,
            "jti": str(uuid4()),
        }
        header = {"alg": "ES384", "kid": self._key.kid, "typ": "JWT"}
        form = {
            "grant_type": "client_credentials",
            "scope": self._scopes,
            "client_assertion_type": ASSERTION_TYPE,
            "client_assertion": jwt.encode(header, claims, self._key, algorithms=["ES384"]),
        }
        return httpx.Request("POST", self._token_url, data=form)

    def _take(self, response: httpx.Response) -> None:
        try:
            answer = read(canonical.decode(response.content), _Token)
        except Refused as error:
            raise Refused(self._unavailable, detail="The server's answer to a sign-in is no token.") from error
        self._token = answer["access_token"]
        self._until = time.monotonic() + answer["expires_in"] - _EARLY_SECONDS


class _OnlySignIn(httpx.Auth):
    """Has a token fetched in place of the request that it is given."""

    requires_response_body = True

    def __init__(self, sign_in: MachineSignIn) -> None:
        self._sign_in = sign_in

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        return self._sign_in.renew()


class Session:
    """Calls to `<coordinator>/api/v1`. Use it as a context manager, or close it.

    Every call raises Refused with the coordinator's own reason, or COORDINATOR_UNAVAILABLE when there was no answer.
    """

    def __init__(
        self,
        *,
        coordinator: str,
        client_id: str,
        key: ECKey,
        scopes: str,
        attempts: int = ATTEMPTS,
        transport: httpx.BaseTransport | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        base = coordinator.rstrip("/") + "/api/v1/"
        self._auth = MachineSignIn(token_url=base + "token", client_id=client_id, key=key, scopes=scopes)
        self._http = httpx.Client(
            base_url=base,
            auth=self._auth,
            verify=authorities(),
            transport=transport,
            timeout=30,
            follow_redirects=False,
        )
        self._attempts = attempts
        self._sleep = sleep

    def __enter__(self) -> "Session":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._http.close()

    def sign_in(self) -> None:
        """Sign in now, and not with the first call: who may not call is refused before anything is prepared for it."""
        self._send("POST", "token", auth=_OnlySignIn(self._auth))

    def get(self, path: str, **query: str | int) -> Any:
        """The JSON at `path`."""
        return _json(self._send("GET", path, params=query))

    def get_newer(self, path: str, known: str, *, seconds: int) -> Newer:
        """What is at `path`, if that is another than the one with the ETag `known`: the coordinator is asked to wait
        for that, up to so many seconds, which it may decline."""
        headers = {"If-None-Match": known, "Prefer": f"wait={seconds}"} if known else {}
        response = self._send("GET", path, known=bool(known), headers=headers)
        unchanged = response.status_code == httpx.codes.NOT_MODIFIED
        content = None if unchanged else _json(response)
        etag = response.headers.get("ETag", "")
        return Newer(content, etag if etag.isascii() else "", waited="Preference-Applied" in response.headers)

    def get_bytes(self, path: str) -> bytes:
        """What is at `path`, as it is."""
        return self._send("GET", path).content

    def post(self, path: str, body: Mapping[str, Json], *, idempotency_key: str = "") -> Any:
        """The JSON answer to `body`; repeated on trouble only under an idempotency key."""
        headers = {"Content-Type": "application/json"}
        if idempotency_key:
            headers["Idempotency-Key"] = idempotency_key
        response = self._send(
            "POST", path, repeatable=bool(idempotency_key), content=canonical.encode(body), headers=headers
        )
        return _json(response)

    def put(self, path: str, body: Mapping[str, Json]) -> Any:
        """The JSON answer to `body`, which says all that is to be at `path`."""
        headers = {"Content-Type": "application/json"}
        return _json(self._send("PUT", path, content=canonical.encode(body), headers=headers))

    def _send(
        self, method: str, path: str, *, repeatable: bool = True, known: bool = False, **options: Any
    ) -> httpx.Response:
        attempts = self._attempts if repeatable else 1
        for attempt in range(1, attempts + 1):
            try:
                response = self._http.request(method, path, **options)
            except NO_ANSWER as error:
                if attempt == attempts:
                    raise Refused(Reason.COORDINATOR_UNAVAILABLE) from error
                self._sleep(pause(attempt))
                continue
            if response.status_code not in TRANSIENT or attempt == attempts:
                return check(response, known=known)
            self._sleep(pause(attempt, response))
        raise AssertionError("every attempt returns, raises or is followed by another")


def check(response: httpx.Response, *, known: bool = False) -> httpx.Response:
    """The response, if it is a success, or says that what the caller has `known` is unchanged. Raises Refused with the
    reason that its problem details name."""
    if response.is_success or (known and response.status_code == httpx.codes.NOT_MODIFIED):
        return response
    try:
        problem = read(canonical.decode(response.content), _Problem)
        reason = Reason(problem["type"].removeprefix(_PROBLEM))
    except (Refused, ValueError) as error:
        detail = f"The coordinator answered {response.status_code} and gave no reason."
        raise Refused(Reason.COORDINATOR_UNAVAILABLE, detail=detail) from error
    detail = problem["detail"]
    if reason is Reason.INTERNAL:
        detail = f"{detail} Reference: {problem['instance']}."
    raise Refused(reason, detail=detail, field=problem["field"])


def _json(response: httpx.Response) -> Any:
    try:
        return canonical.decode(response.content)
    except Refused as error:
        detail = "What answered in the coordinator's place gave no JSON."
        raise Refused(Reason.COORDINATOR_UNAVAILABLE, detail=detail) from error


def _check_problem(response: httpx.Response) -> httpx.Response:
    return check(response)


def pause(attempt: int, response: httpx.Response | None = None) -> float:
    """Seconds: what Retry-After says, or 0.5, 1, 2 …, and never long."""
    told = response.headers.get("Retry-After", "") if response is not None else ""
    return min(float(told) if told.isascii() and told.isdigit() else 0.25 * 2**attempt, _LONGEST_WAIT)
