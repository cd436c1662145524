"""Our own patients' records at a FHIR R4 server: what a schema asks for is read, and a result is written back.

Signed in as a SMART Backend Service (client credentials with private_key_jwt, ES384) with the home's client key.
Parameters go in the body of a search by POST, so that no patient's id stands in an address of ours. Reads are repeated
on trouble, and so are writes: a result that a server takes twice it has once (`concordat.fhir.result`), and what it has
taken back it does not take back again (`concordat.client.retraction`). Answers have a size at most, and where nobody
waits, all of it has a time (`concordat.client.bounds`).

https://hl7.org/fhir/smart-app-launch/backend-services.html, https://hl7.org/fhir/R4/search.html
"""

import ssl
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from decimal import Decimal
from itertools import chain, starmap
from typing import Any, Literal, NotRequired
from urllib.parse import urljoin, urlsplit

import httpx
import simplejson
from joserfc.jwk import ECKey
from pydantic import with_config
from typing_extensions import TypedDict

from concordat import canonical, clock
from concordat.client.bounds import PLAIN, Bounds
from concordat.client.heard import Heard
from concordat.client.home import ClientHome
from concordat.client.session import ATTEMPTS, NO_ANSWER, TRANSIENT, MachineSignIn, pause
from concordat.fhir.elements import element, is_id, text
from concordat.fields import STRICT, Text, WebAddress, read
from concordat.files import about
from concordat.reasons import Reason, Refused
from concordat.schema import FeatureSchema

READ_RECORD = "system/Patient.read system/Observation.read system/Condition.read system/MedicationStatement.read"
READ = f"{READ_RECORD} system/ResearchSubject.read system/ResearchStudy.read"
WRITE = "system/RiskAssessment.write system/Observation.write system/Provenance.write"
RETRACT = f"system/RiskAssessment.read system/Observation.read {WRITE}"
"""Scopes that are asked for unless `ehr.json` says otherwise; of `READ` the record's only, with `subjects: false`."""

TIMEOUT = 30.0
"""Seconds that the server may be silent."""

MOST_PAGES = 1000
_CODES = 20
_FHIR = "application/fhir+json"
_HERE = frozenset({"localhost", "127.0.0.1", "::1"})
_SUBJECTS_REFUSED = (
    'Allow this client to read ResearchSubject and ResearchStudy there; or say "subjects": false in ehr.json, if the '
    "server holds none that could say who has left a study."
)


@with_config(STRICT)
class Config(TypedDict):
    """`ehr.json`: the FHIR server's `base` address, its `token` endpoint and our `client` id there. If they are others:
    the scopes for reading, for writing and for taking back, and a file of `authorities` (PEM) that TLS trusts in place
    of the system's. `subjects` is false where the server holds no ResearchSubjects that could say who has left a study:
    then none are asked for."""

    base: WebAddress
    token: WebAddress
    client: Text
    read: NotRequired[Text]
    write: NotRequired[Text]
    retract: NotRequired[Text]
    authorities: NotRequired[Text]
    subjects: NotRequired[bool]


class Ehr:
    """The server. Every call raises Refused: EHR_REFUSED, or EHR_UNAVAILABLE; neither quotes what the server said."""

    def __init__(
        self,
        config: Config,
        key: ECKey,
        *,
        scopes: str,
        attempts: int = ATTEMPTS,
        seconds: float | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.received: set[str] = set()
        """The types of the resources that it answered with so far, whatever became of them."""
        self._base = config["base"].rstrip("/") + "/"
        self._with_subjects = config.get("subjects", True)
        for address in (self._base, config["token"]):
            parts = urlsplit(address)
            if parts.scheme != "https" and parts.hostname not in _HERE:
                raise Refused(Reason.FIELD_INVALID, detail="A server elsewhere is reached by https.", field="ehr.json")
        auth = MachineSignIn(
            token_url=config["token"],
            client_id=config["client"],
            key=key,
            scopes=scopes,
            check=_checked,
            unavailable=Reason.EHR_UNAVAILABLE,
        )
        try:
            trusted = ssl.create_default_context(cafile=config.get("authorities"))
        except OSError:  # a worker that asks a server beside its other work must not end by it
            detail = "The file of authorities cannot be read, or holds no certificates (PEM)."
            raise Refused(Reason.FIELD_INVALID, detail=detail, field="ehr.json") from None
        self._bounds = Bounds(seconds, timeout=TIMEOUT)
        self._http = httpx.Client(
            auth=auth, verify=trusted, headers=PLAIN, event_hooks=self._bounds.hooks, follow_redirects=False
        )
        self._attempts, self._sleep = attempts, sleep

    @classmethod
    def of(cls, home: ClientHome, *, to: Literal["read", "write", "retract"] = "read", **patience: Any) -> "Ehr":
        """The home's, signed in for what is `to` be done; `patience` is how many `attempts` it takes, and how many
        `seconds` everything may take from now: then what is on its way is cut off, and nothing more is asked.

        Raises:
            Refused: HOME_INCOMPLETE without an `ehr.json`, MALFORMED and FIELD_INVALID.
        """
        config = _config(home)
        if config is None:
            detail = f"{home.directory} has no ehr.json."
            raise Refused(Reason.HOME_INCOMPLETE, detail=detail, field="home")
        usual = {"read": READ if config.get("subjects", True) else READ_RECORD, "write": WRITE, "retract": RETRACT}
        return cls(config, home.keys.client, scopes=config.get(to, usual[to]), **patience)

    def __enter__(self) -> "Ehr":
        return self

    def __exit__(self, *_: object) -> None:
        self._bounds.over()
        self._http.close()

    @property
    def base(self) -> str:
        """Its address."""
        return self._base.rstrip("/")

    def patient(self, identity: str, schema: FeatureSchema) -> dict[str, Any]:
        """A Bundle of what the schema asks for of one patient, and of their ResearchSubjects and studies, for
        `read_bundle`; nothing else is fetched.

        Args:
            identity: the Patient's id at the server.

        Raises:
            Refused: FIELD_INVALID; EHR_UNAVAILABLE, also for what was changed while it was read; EHR_REFUSED for
                another Patient than was asked for, or for less than the server says that it has.
        """
        _check_identity(identity)
        found: dict[str, dict[str, Any]] = {}
        searches = [("Patient", {"_id": identity}), *_searches(identity, schema)]
        entries = chain.from_iterable(starmap(self._search, searches))
        for entry in chain(entries, self._subjects(identity)):
            if found.setdefault(entry["fullUrl"], entry)["resource"] != entry["resource"]:
                raise Refused(Reason.EHR_UNAVAILABLE, detail="A resource was changed while the record was read.")
        persons = [each["resource"] for each in found.values() if each["resource"]["resourceType"] == "Patient"]
        if any(person.get("id") != identity for person in persons):
            raise Refused(Reason.EHR_REFUSED, detail="The server answered with another Patient than was asked for.")
        bundle = {"resourceType": "Bundle", "type": "collection", "timestamp": clock.rfc3339(clock.now())}
        return {**bundle, "entry": list(found.values())}

    def named(self, kind: str, identities: Sequence[str]) -> Iterator[dict[str, Any]]:
        """The resources of a type that the server answers with, now, where these ids are asked for: in whatever state
        they are, and fewer where it has fewer. Raises Refused(FIELD_INVALID) for what is no id, too."""
        for identity in identities:
            _check_identity(identity)
        for some in _some(identities):
            for entry in self._search(kind, {"_id": some, "_count": "200"}):
                yield entry["resource"]

    def identified(self, kind: str, identifier: Mapping[str, str]) -> list[dict[str, Any]]:
        """The resources of a type that the server answers with where those with this Identifier are asked for, such
        that they can be written back: decimals are Decimals, since how many digits one has says how precise it is
        (https://hl7.org/fhir/R4/datatypes.html#decimal)."""
        wanted = {"identifier": f"{identifier['system']}|{identifier['value']}", "_count": "200"}
        return [entry["resource"] for entry in self._search(kind, wanted, number=Decimal)]

    def write(self, bundle: Mapping[str, Any]) -> list[str]:
        """Send a transaction; answers where each resource is now, or was already. Raises Refused(EHR_REFUSED) if the
        server answers with fewer resources, or another status than 200 or 201 for one."""
        self._bounds.begin()
        answer = self._send(self._base, content=simplejson.dumps(bundle, use_decimal=True).encode())
        entries = [element(each.get("response")) for each in _entries(answer)]
        done = [each for each in entries if text(each.get("status"))[:3] in ("200", "201")]
        if len(done) != len(bundle["entry"]) or len(entries) != len(done):
            raise Refused(Reason.EHR_REFUSED, detail="The server did not say of every resource that it has it.")
        asked = [entry["request"]["url"] for entry in bundle["entry"]]
        return [text(each.get("location")) or url for each, url in zip(done, asked, strict=True)]

    def _subjects(self, identity: str) -> Iterator[dict[str, Any]]:
        """The patient's ResearchSubjects, with their studies. A server that does not know the type answers 404 and has
        none; one that refuses may have some, and then it is not known who has left a study."""
        if not self._with_subjects:
            return
        parameters = {"individual": f"Patient/{identity}", "_count": "200", "_include": "ResearchSubject:study"}
        try:
            yield from self._search("ResearchSubject", parameters, known=False)
        except Refused as refused:
            if refused.reason is not Reason.EHR_REFUSED:
                raise
            detail = f"Of ResearchSubjects: {refused.detail} {_SUBJECTS_REFUSED}"
            raise Refused(Reason.EHR_REFUSED, detail=detail, field="ResearchSubject") from None

    def _search(
        self, kind: str, parameters: Mapping[str, str], *, known: bool = True, number: Callable[[str], object] = float
    ) -> Iterator[dict[str, Any]]:
        self._bounds.begin()
        page = self._send(f"{self._base}{kind}/_search", known=known, number=number, data=dict(parameters))
        total, matches = page.get("total"), 0
        for _ in range(MOST_PAGES):
            for entry in _entries(page):
                resource = entry.get("resource")
                if isinstance(resource, dict) and resource.get("resourceType") == "OperationOutcome":
                    _check_outcome(resource)
                elif isinstance(resource, dict):
                    self.received.add(str(resource.get("resourceType")))
                    matches += resource.get("resourceType") == kind
                    place = f"{self._base}{resource.get('resourceType')}/{resource.get('id')}"
                    yield {"fullUrl": str(entry.get("fullUrl") or place), "resource": resource}
            following = _next(page)
            if not following:
                if isinstance(total, int) and matches < total:
                    detail = "The server says that it has more than it gave: something may be withheld."
                    raise Refused(Reason.EHR_REFUSED, detail=detail)
                return
            page = self._send(self._address(following), number=number)
        raise Refused(Reason.EHR_REFUSED, detail=f"A search has more than {MOST_PAGES} pages.")

    def _address(self, following: str) -> str:
        try:
            address = urljoin(self._base, following)
            elsewhere = urlsplit(address)[:2] != urlsplit(self._base)[:2]
            httpx.URL(address)
        except (ValueError, httpx.InvalidURL):
            raise Refused(Reason.EHR_REFUSED, detail="The next page is said to be at what is no address.") from None
        if elsewhere:
            raise Refused(Reason.EHR_REFUSED, detail="The next page is said to be at another server.")
        return address

    def _send(
        self, address: str, *, known: bool = True, number: Callable[[str], object] = float, **body: Any
    ) -> dict[str, Any]:
        """GET without a body, POST with one; repeated on trouble. Of a type that need not be `known`, 404 is an empty
        answer (https://hl7.org/fhir/R4/http.html#summary)."""
        headers = {"Accept": _FHIR, **({"Content-Type": _FHIR} if "content" in body else {})}
        for attempt in range(1, self._attempts + 1):
            try:
                response = self._http.request("POST" if body else "GET", address, headers=headers, **body)
            except NO_ANSWER as error:
                if not self._waited(attempt, pause(attempt)):
                    raise Refused(Reason.EHR_UNAVAILABLE) from error
                continue
            if response.status_code == httpx.codes.NOT_FOUND and not known:
                return {}
            if response.status_code not in TRANSIENT or not self._waited(attempt, pause(attempt, response)):
                return _json(_checked(response), number)
        raise AssertionError("every attempt returns, raises or is followed by another")

    def _waited(self, attempt: int, seconds: float) -> bool:
        """Whether there is another attempt, after a pause of so many seconds."""
        again = attempt < self._attempts and seconds < self._bounds.left
        if again:
            self._sleep(seconds)
        return again


def address_of(home: ClientHome) -> str:
    """The address of the home's FHIR server; empty without an `ehr.json`. Raises Refused as `Ehr.of`."""
    config = _config(home)
    return "" if config is None else config["base"].rstrip("/")


def fetch_patient(home: ClientHome, identity: str, schema: FeatureSchema, heard: Heard) -> dict[str, Any]:
    """What the home's FHIR server has of one patient, as `Ehr.patient`; what it answered with, and its address, are
    noted in `heard`, also if the rest is refused."""
    with Ehr.of(home) as ehr:
        heard.source, heard.kinds = ehr.base, ehr.received
        return ehr.patient(identity, schema)


def _config(home: ClientHome) -> Config | None:
    try:
        with about("ehr.json"):
            return read(canonical.decode((home.directory / "ehr.json").read_bytes()), Config)
    except FileNotFoundError:
        return None


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


def _check_identity(identity: str) -> None:
    if not is_id(identity):
        detail = "A resource's id has up to 64 letters, digits, dots and hyphens."
        raise Refused(Reason.FIELD_INVALID, detail=detail, field="ehr")


def _some(codes: Sequence[str]) -> Iterator[str]:
    once = list(dict.fromkeys(codes))
    return (",".join(once[start : start + _CODES]) for start in range(0, len(once), _CODES))


def _checked(response: httpx.Response) -> httpx.Response:
    if response.is_success:
        return response
    detail = f"The server answered {response.status_code}."
    later = response.status_code in TRANSIENT or response.status_code >= httpx.codes.INTERNAL_SERVER_ERROR
    raise Refused(Reason.EHR_UNAVAILABLE if later else Reason.EHR_REFUSED, detail=detail)


def _json(response: httpx.Response, number: Callable[[str], object]) -> dict[str, Any]:
    try:
        content = canonical.decode_decimals(response.content, number)
    except Refused:
        content = None
    if not isinstance(content, dict) or content.get("resourceType") != "Bundle":
        raise Refused(Reason.EHR_UNAVAILABLE, detail="The server's answer is no FHIR Bundle.")
    return content


def _check_outcome(outcome: Mapping[str, Any]) -> None:
    """A server may say beside its answer that it gave less than was asked for. Raises Refused(EHR_REFUSED) for anything
    but information; its text, which may name a person, is not repeated."""
    issues = outcome.get("issue")
    said = (
        {str(each.get("severity")) for each in issues if isinstance(each, dict)} if isinstance(issues, list) else {""}
    )
    if said - {"information"}:
        raise Refused(Reason.EHR_REFUSED, detail="The server gave less than was asked for, and says so.")


def _entries(bundle: Mapping[str, Any]) -> list[dict[str, Any]]:
    listed = bundle.get("entry")
    return [each for each in listed if isinstance(each, dict)] if isinstance(listed, list) else []


def _next(bundle: Mapping[str, Any]) -> str:
    listed = bundle.get("link")
    links = [each for each in listed if isinstance(each, dict)] if isinstance(listed, list) else []
    return next((str(each.get("url", "")) for each in links if each.get("relation") == "next"), "")
