"""A conformance double of a FHIR R4 server: NOT one. It does what the standards say of the few calls that are made.

It is served over real HTTP or TLS on this machine and checks what a strict server would: the client assertion (RFC
7523, SMART Backend Services: signature, issuer, audience, expiry, used once), scopes, media types, searches by POST.
Real servers differ, and a test against this one shows nothing about any of them.
"""

import json
import ssl
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit
from uuid import uuid4

import simplejson
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import ECKey

from concordat.client.session import ASSERTION_TYPE

Json = dict[str, Any]
CLIENT = "concordat-backend"
_MEDIA = "application/fhir+json"
_INCLUDED = {"MedicationStatement:medication": "Medication", "ResearchSubject:study": "ResearchStudy"}
_DEFAULT_MEDIA_FORM = "application/x-www-form-urlencoded"


class FhirServerDouble:
    """`base` and `token` are its addresses. `resources` are what it has, `seen` the requests in order (method, path and
    form), `troubles` what it answers to the next FHIR calls in place of what was asked: a status and headers each."""

    page = 2

    def __init__(self, key: ECKey, resources: list[Json]) -> None:
        self.key = key
        self.resources = list(resources)
        self.seen: list[tuple[str, str, Json]] = []
        self.troubles: list[tuple[int, dict[str, str]]] = []
        self.next_at = ""
        self.outcome: Json | None = None  # what it says beside every answer to a search
        self.unknown: set[str] = set()  # types that it does not know
        self.withheld = 0  # how many matches it says that it has, and does not give
        self.padding = 0  # bytes of white space before each answer to a FHIR call
        self.drip: tuple[int, float] | None = None  # of an answer to a FHIR call: bytes at once, then seconds for each
        self.delay = 0.0  # seconds before each of them
        self.base = self.token = ""
        self.given: list[set[str]] = []  # the scopes of each token
        self._tokens: dict[str, set[str]] = {}
        self._used: set[str] = set()
        self._pages: dict[str, list[Json]] = {}

    def sign_in(self, form: dict[str, str]) -> tuple[int, Json]:
        try:
            claims = jwt.decode(form["client_assertion"], self.key, algorithms=["ES384"]).claims
        except JoseError:
            return 401, {"error": "invalid_client"}
        fine = form["grant_type"] == "client_credentials" and form["client_assertion_type"] == ASSERTION_TYPE
        fine = fine and claims["iss"] == claims["sub"] == CLIENT and claims["aud"] == self.token
        fine = fine and time.time() < claims["exp"] <= time.time() + 300 and claims["jti"] not in self._used
        if not fine:
            return 400, {"error": "invalid_client"}
        self._used.add(claims["jti"])
        token = uuid4().hex
        self._tokens[token] = set(form["scope"].split())
        self.given.append(self._tokens[token])
        return 200, {"access_token": token, "token_type": "bearer", "expires_in": 300, "scope": form["scope"]}

    def forget_tokens(self) -> None:
        self._tokens.clear()

    def scopes(self, header: str) -> set[str] | None:
        return self._tokens.get(header.removeprefix("Bearer "))

    def search(self, kind: str, form: dict[str, str]) -> Json:
        found = [each for each in self.resources if each["resourceType"] == kind and self._matches(each, form)]
        included = _INCLUDED.get(form.get("_include", ""))
        found += [each for each in self.resources if each["resourceType"] == included]
        entries = [{"fullUrl": f"{self.base}/{each['resourceType']}/{each['id']}", "resource": each} for each in found]
        matches = sum(each["resource"]["resourceType"] == kind for each in entries)
        return {**self._paged(entries), "total": matches + self.withheld}

    def following(self, identity: str) -> Json:
        return self._paged(self._pages.pop(identity))

    def transaction(self, bundle: Json) -> Json:
        """All or nothing; conditional creates by identifier, updates as creates, of the versions that are named. What
        refers to another entry by its `fullUrl` refers to where that is, then."""
        answers = []
        places: dict[str, str] = {}
        for entry in bundle["entry"]:
            how, resource = entry["request"], dict(entry["resource"])
            if how["method"] == "PUT":
                there = [each for each in self.resources if _place(each) == how["url"]]
                self.resources = [each for each in self.resources if each not in there] + [
                    _next_version(resource, there)
                ]
            else:
                system, _, value = how["ifNoneExist"].removeprefix("identifier=").partition("|")
                wanted = {"system": system, "value": value}
                there = [each for each in self.resources if wanted in (each.get("identifier") or [])]
                resource = there[0] if there else _next_version({**resource, "id": uuid4().hex}, [])
                self.resources += [] if there else [resource]
            status = "200 OK" if there else "201 Created"
            answers.append({"response": {"status": status, "location": _place(resource)}})
            places[entry.get("fullUrl", "")] = _place(resource)
        self.resources = [_resolved(each, places) for each in self.resources]
        return {"resourceType": "Bundle", "type": "transaction-response", "entry": answers}

    def outdated(self, bundle: Json) -> bool:
        """Whether a transaction names another version of something than what is there."""
        there = {_place(each): f'W/"{each.get("meta", {}).get("versionId")}"' for each in self.resources}
        named = [each["request"] for each in bundle["entry"] if "ifMatch" in each["request"]]
        return any(there.get(each["url"]) != each["ifMatch"] for each in named)

    def _matches(self, resource: Json, form: dict[str, str]) -> bool:
        if "_id" in form:
            return resource["id"] in form["_id"].split(",")
        if "identifier" in form:
            system, _, value = form["identifier"].partition("|")
            return {"system": system, "value": value} in (resource.get("identifier") or [])
        if "individual" in form:
            return bool(resource["individual"]["reference"] == form["individual"])
        if resource["subject"]["reference"] != form["patient"]:
            return False
        wanted = form.get("combo-code", form.get("code"))
        parts = [resource, *(resource.get("component") or [])] if "combo-code" in form else [resource]
        codes = {
            f"{code['system']}|{code['code']}" for part in parts for code in part.get("code", {}).get("coding", [])
        }
        return wanted is None or bool(codes & set(wanted.split(",")))

    def _paged(self, entries: list[Json]) -> Json:
        bundle: Json = {"resourceType": "Bundle", "type": "searchset", "entry": entries[: self.page]}
        if self.outcome is not None:
            bundle["entry"].append({"resource": self.outcome, "search": {"mode": "outcome"}})
        if entries[self.page :]:
            identity = uuid4().hex
            self._pages[identity] = entries[self.page :]
            bundle["link"] = [{"relation": "next", "url": self.next_at or f"{self.base}?_page={identity}"}]
        return bundle


def _place(resource: Json) -> str:
    return f"{resource['resourceType']}/{resource['id']}"


def _resolved(value: Any, places: Mapping[str, str]) -> Any:
    if isinstance(value, dict):
        told = {name: _resolved(each, places) for name, each in value.items()}
        return told | {"reference": places[value["reference"]]} if value.get("reference") in places else told
    return [_resolved(each, places) for each in value] if isinstance(value, list) else value


def _next_version(resource: Json, there: list[Json]) -> Json:
    number = int(there[0].get("meta", {}).get("versionId", 0)) if there else 0
    return {**resource, "meta": {**resource.get("meta", {}), "versionId": str(number + 1)}}


class _Dripping:
    """What is written goes out at once at first, and then byte after byte."""

    def __init__(self, file: Any, first: int, pause: float) -> None:
        self._file, self._left, self._pause = file, first, pause

    def write(self, data: bytes) -> None:
        self._file.write(data[: self._left])
        rest, self._left = data[self._left :], max(0, self._left - len(data))
        for number in range(len(rest)):
            time.sleep(self._pause)
            self._file.write(rest[number : number + 1])

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)


class _Handler(BaseHTTPRequestHandler):
    double: FhirServerDouble

    def do_GET(self) -> None:
        self._answer({}, None)

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.headers["Content-Type"].startswith(_DEFAULT_MEDIA_FORM):
            form = {name: said[0] for name, said in parse_qs(body.decode(), strict_parsing=True).items()}
            if self.path == "/token":
                self._say(*self.double.sign_in(form))
                return
            self._answer(form, None)
        else:
            self._answer({}, json.loads(body, parse_float=Decimal) if self.headers["Content-Type"] == _MEDIA else None)

    def _answer(self, form: dict[str, str], bundle: Json | None) -> None:
        double, address = self.double, urlsplit(self.path)
        double.seen.append((self.command, self.path, form))
        time.sleep(double.delay)
        if double.drip is not None:
            self.wfile = _Dripping(self.wfile, *double.drip)  # type: ignore[assignment]
        scopes = double.scopes(self.headers.get("Authorization", ""))
        if double.troubles:
            status, headers = double.troubles.pop(0)
            self._say(status, {"resourceType": "OperationOutcome", "text": "about patient p1"}, headers)
        elif scopes is None:
            self._say(401, {"resourceType": "OperationOutcome"})
        elif bundle is not None and address.path == "/fhir/":
            needed = {f"system/{each['resource']['resourceType']}.write" for each in bundle["entry"]}
            if needed <= scopes and double.outdated(bundle):
                self._say(412, {"resourceType": "OperationOutcome"})
                return
            with suppress(ConnectionError):  # as a test has it: done, and the connection cut before the answer
                self._say(*((200, double.transaction(bundle)) if needed <= scopes else (403, {})))
        elif address.query:
            self._say(200, double.following(address.query.removeprefix("_page=")))
        else:
            kind = address.path.removeprefix("/fhir/").removesuffix("/_search")
            if kind in double.unknown:
                self._say(404, {"resourceType": "OperationOutcome"})
                return
            allowed = f"system/{kind}.read" in scopes and self.headers["Accept"] == _MEDIA
            self._say(*((200, double.search(kind, form)) if allowed else (403, {})))

    def _say(self, status: int, content: Json, headers: dict[str, str] | None = None) -> None:
        padding = 0 if self.path == "/token" else self.double.padding
        body = b" " * padding + simplejson.dumps(content, use_decimal=True).encode()
        self.send_response(status)
        for name, value in {"Content-Type": _MEDIA, "Content-Length": str(len(body)), **(headers or {})}.items():
            self.send_header(name, value)
        with suppress(ConnectionError):  # the client may have had enough
            self.end_headers()
            self.wfile.write(body)

    def log_message(self, format: str, *arguments: Any) -> None:
        """Nothing: pytest shows what failed."""


@contextmanager
def fhir_server_double(
    key: ECKey, resources: list[Json], *, certificates: Path | None = None
) -> Iterator[FhirServerDouble]:
    """A running one, by TLS if there are certificates; it is gone when the context is left."""
    double = FhirServerDouble(key, resources)
    handler = type("Handler", (_Handler,), {"double": double})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    scheme = "http"
    if certificates is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificates / "server.pem", certificates / "server.key")
        server.socket = context.wrap_socket(server.socket, server_side=True)
        scheme = "https"
    address = f"{scheme}://127.0.0.1:{server.server_port}"
    double.base, double.token = f"{address}/fhir", f"{address}/token"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield double
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
