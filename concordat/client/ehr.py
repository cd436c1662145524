"""Our own patients' records at a FHIR R4 server: what a schema asks for is read, and a result is written back.

Signed in as a SMART Backend Service (client credentials with private_key_jwt, ES384) with the home's client key.
Parameters go in the body of a search by POST, so that no patient's id stands in an address of ours. Reads are repeated
on trouble, and so is the one write, which a server that takes it twice has once (`concordat.fhir.result`).

https://hl7.org/fhir/smart-app-launch/backend-services.html, https://hl7.org/fhir/R4/search.html
"""

import json
import re
import ssl
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NotRequired
from urllib.parse import urljoin, urlsplit

import httpx
from joserfc.jwk import ECKey
from pydantic import with_config
from typing_extensions import TypedDict

from concordat import canonical, clock
from concordat.client.home import ClientHome
from concordat.client.session import ATTEMPTS, TRANSIENT, MachineSignIn, pause
from concordat.fields import STRICT, Text, WebAddress, read
from concordat.reasons import Reason, Refused
from concordat.schema import FeatureSchema

READ = "system/Patient.read system/Observation.read system/Condition.read system/MedicationStatement.read"
WRITE = "system/RiskAssessment.write system/Observation.write system/Provenance.write"
"""Scopes that are asked for unless `ehr.json` says otherwise."""

MOST_PAGES = 1000
_CODES = 20
_ID = re.compile(r"[A-Za-z0-9.-]{1,64}", re.ASCII)
_FHIR = "application/fhir+json"
_HERE = frozenset({"localhost", "127.0.0.1", "::1"})


@with_config(STRICT)
class Config(TypedDict):
    """`ehr.json`: the FHIR server's `base` address, its `token` endpoint and our `client` id there. If they are others:
    the scopes for reading and writing, and a file of `authorities` (PEM) that TLS trusts in place of the system's."""

    base: WebAddress
    token: WebAddress
    client: Text
    read: NotRequired[Text]
    write: NotRequired[Text]
    authorities: NotRequired[Text]


class Ehr:
    """The server. Every call raises Refused: EHR_REFUSED, or EHR_UNAVAILABLE; neither quotes what the server said."""

    def __init__(self, config: Config, key: ECKey, *, scopes: str, sleep: Callable[[float], None] = time.sleep) -> None:
        self._base = config["base"].rstrip("/") + "/"
        for address in (self._base, config["token"]):
            parts = urlsplit(address)
            if parts.scheme != "https" and parts.hostname not in _HERE:
                raise Refused(Reason.FIELD_INVALID, detail="A server elsewhere is reached by https.", field="ehr.json")
        auth = MachineSignIn(
            token_url=config["token"], client_id=config["client"], key=key, scopes=scopes, check=_checked
        )
        trusted = ssl.create_default_context(cafile=config.get("authorities"))
        self._http = httpx.Client(auth=auth, verify=trusted, timeout=30, follow_redirects=False)
        self._sleep = sleep

    @classmethod
    def of(cls, home: ClientHome, *, write: bool = False) -> "Ehr":
        """The home's. Raises Refused: HOME_INCOMPLETE without an `ehr.json`, MALFORMED and FIELD_INVALID."""
        try:
            config = read(canonical.decode((home.directory / "ehr.json").read_bytes()), Config)
        except FileNotFoundError:
            detail = f"{home.directory} has no ehr.json."
            raise Refused(Reason.HOME_INCOMPLETE, detail=detail, field="home") from None
        scopes = config.get("write", WRITE) if write else config.get("read", READ)
        return cls(config, home.keys.client, scopes=scopes)

    def __enter__(self) -> "Ehr":
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()

    @property
    def base(self) -> str:
        """Its address."""
        return self._base.rstrip("/")

    def patient(self, identity: str, schema: FeatureSchema) -> dict[str, Any]:
        """A Bundle of what the schema asks for of one patient, for `read_bundle`; nothing else is fetched.

        Args:
            identity: the Patient's id at the server.
        """
        if not _ID.fullmatch(identity):
            detail = "A resource's id has up to 64 letters, digits, dots and hyphens."
            raise Refused(Reason.FIELD_INVALID, detail=detail, field="ehr")
        found: dict[str, dict[str, Any]] = {}
        for kind, parameters in [("Patient", {"_id": identity}), *_searches(identity, schema)]:
            for entry in self._search(kind, parameters):
                found.setdefault(entry["fullUrl"], entry)
        bundle = {"resourceType": "Bundle", "type": "collection", "timestamp": clock.rfc3339(clock.now())}
        return {**bundle, "entry": list(found.values())}

    def write(self, bundle: Mapping[str, Any]) -> list[str]:
        """Send a transaction; answers where each resource is now, or was already. Raises Refused(EHR_REFUSED) if the
        server answers with fewer resources, or another status than 200 or 201 for one."""
        answer = self._send(self._base, content=json.dumps(bundle, allow_nan=False).encode())
        entries = [each.get("response", {}) for each in _entries(answer)]
        done = [each for each in entries if str(each.get("status", ""))[:3] in ("200", "201")]
        if len(done) != len(bundle["entry"]) or len(entries) != len(done):
            raise Refused(Reason.EHR_REFUSED, detail="The server did not say of every resource that it has it.")
        return [str(each.get("location", "")) for each in done]

    def _search(self, kind: str, parameters: Mapping[str, str]) -> Iterator[dict[str, Any]]:
        page = self._send(f"{self._base}{kind}/_search", data=dict(parameters))
        for _ in range(MOST_PAGES):
            for entry in _entries(page):
                resource = entry.get("resource")
                if isinstance(resource, dict) and resource.get("resourceType") != "OperationOutcome":
                    place = f"{self._base}{resource.get('resourceType')}/{resource.get('id')}"
                    yield {"fullUrl": str(entry.get("fullUrl") or place), "resource": resource}
            following = _next(page)
            if not following:
                return
            address = urljoin(self._base, following)
            if urlsplit(address)[:2] != urlsplit(self._base)[:2]:
                raise Refused(Reason.EHR_REFUSED, detail="The next page is said to be at another server.")
            page = self._send(address)
        raise Refused(Reason.EHR_REFUSED, detail=f"A search has more than {MOST_PAGES} pages.")

    def _send(self, address: str, **body: Any) -> dict[str, Any]:
        """GET without a body, POST with one; repeated on trouble."""
        headers = {"Accept": _FHIR, **({"Content-Type": _FHIR} if "content" in body else {})}
        for attempt in range(1, ATTEMPTS + 1):
            try:
                response = self._http.request("POST" if body else "GET", address, headers=headers, **body)
            except httpx.TransportError as error:
                if attempt == ATTEMPTS:
                    raise Refused(Reason.EHR_UNAVAILABLE) from error
                self._sleep(pause(attempt))
                continue
            if response.status_code not in TRANSIENT or attempt == ATTEMPTS:
                return _json(_checked(response))
            self._sleep(pause(attempt, response))
        raise AssertionError("every attempt returns, raises or is followed by another")


def _searches(identity: str, schema: FeatureSchema) -> Iterator[tuple[str, dict[str, str]]]:
    """Which searches a schema needs: by the codes that it asks for. A path without codes needs all Observations, and a
    MedicationStatement may hold its code in the Medication that it refers to."""
    codes: dict[str, list[str]] = {"Observation": [], "Condition": [], "MedicationStatement": []}
    everything = False
    for feature in schema.features:
        if feature.patient is None and not (feature.path or "").startswith("Patient."):
            codes[feature.resource or "Observation"] += [f"{code.system}|{code.code}" for code in feature.codes]
            everything |= bool(feature.path and not feature.codes)
    patient = {"patient": f"Patient/{identity}", "_count": "200"}
    if everything:
        yield "Observation", patient
    else:
        for some in _some(codes["Observation"]):
            yield "Observation", {**patient, "combo-code": some}
    for some in _some(codes["Condition"]):
        yield "Condition", {**patient, "code": some}
    if codes["MedicationStatement"]:
        yield "MedicationStatement", {**patient, "_include": "MedicationStatement:medication"}


def _some(codes: Sequence[str]) -> Iterator[str]:
    once = list(dict.fromkeys(codes))
    return (",".join(once[start : start + _CODES]) for start in range(0, len(once), _CODES))


def _checked(response: httpx.Response) -> httpx.Response:
    if response.is_success:
        return response
    detail = f"The server answered {response.status_code}."
    later = response.status_code in TRANSIENT or response.status_code >= httpx.codes.INTERNAL_SERVER_ERROR
    raise Refused(Reason.EHR_UNAVAILABLE if later else Reason.EHR_REFUSED, detail=detail)


def _json(response: httpx.Response) -> dict[str, Any]:
    try:
        content = json.loads(response.content)
    except (ValueError, RecursionError):
        content = None
    if not isinstance(content, dict) or content.get("resourceType") != "Bundle":
        raise Refused(Reason.EHR_UNAVAILABLE, detail="The server's answer is no FHIR Bundle.")
    return content


def _entries(bundle: Mapping[str, Any]) -> list[dict[str, Any]]:
    listed = bundle.get("entry")
    return [each for each in listed if isinstance(each, dict)] if isinstance(listed, list) else []


def _next(bundle: Mapping[str, Any]) -> str:
    listed = bundle.get("link")
    links = [each for each in listed if isinstance(each, dict)] if isinstance(listed, list) else []
    return next((str(each.get("url", "")) for each in links if each.get("relation") == "next"), "")
