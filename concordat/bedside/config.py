"""What a hospital decides about its bedside: `bedside.json` in the client home."""

from decimal import Decimal
from typing import Annotated, Any, Literal, NotRequired
from urllib.parse import urlsplit

from annotated_types import Ge, MaxLen, MinLen
from pydantic import with_config
from typing_extensions import TypedDict

from concordat import canonical
from concordat.client.home import ClientHome
from concordat.display import check_viewer
from concordat.fields import STRICT, DecimalText, Digest, Slug, Text, WebAddress, read
from concordat.files import about
from concordat.reasons import Reason, Refused

FILE = "bedside.json"

_LOOPBACK = ("localhost", "127.0.0.1")

PORT = 8460
KEEP_DAYS = 90
EHR_MINUTES = 60

PositiveInt = Annotated[int, Ge(1)]


@with_config(STRICT)
class Ehr(TypedDict):
    """An EHR that may ask: the `iss` of its tokens, its public keys as a JWK Set or where those are, and the origins of
    its pages, which browsers let call us."""

    issuer: Text
    jwks: NotRequired[dict[str, Any]]
    jwks_url: NotRequired[WebAddress]
    origins: list[WebAddress]


@with_config(STRICT)
class Config(TypedDict):
    """`address` is where EHRs and browsers reach this process, without a path: loopback, or https where a proxy on this
    machine ends TLS. `service` is the id of the CDS service, `title` what is predicted, in a few words. Results of one
    `definition` are shown, asked for one `purpose`, to people in the role `viewer`. `ehrs` names one EHR, or none: ids
    of patients are one EHR's own.

    No card is shown for a probability below the `threshold`. Inputs older than `stale_after_hours` make a result stale;
    a result that has not come after `late_after_minutes` is late. What was asked longer ago than `keep_days` is deleted
    (`KEEP_DAYS` unless it says so). What became of records at the FHIR server is looked at every `ehr_minutes`
    (`EHR_MINUTES` unless it says so)."""

    v: Literal[1]
    address: WebAddress
    service: Slug
    title: Annotated[str, MinLen(1), MaxLen(60)]
    definition: Digest
    purpose: Slug
    viewer: Text
    threshold: DecimalText
    stale_after_hours: PositiveInt
    late_after_minutes: PositiveInt
    keep_days: NotRequired[PositiveInt]
    ehr_minutes: NotRequired[PositiveInt]
    ehrs: list[Ehr]


def load(home: ClientHome) -> Config:
    """The checked configuration.

    Raises:
        Refused: HOME_INCOMPLETE if there is none; MALFORMED, FIELD_MISSING, FIELD_UNKNOWN or FIELD_INVALID, naming it.
    """
    try:
        content = (home.directory / FILE).read_bytes()
    except FileNotFoundError:
        detail = f"The home has no {FILE}; docs/how-to/show-results-at-the-bedside.md says what it holds."
        raise Refused(Reason.HOME_INCOMPLETE, detail=detail, field="home") from None
    with about(FILE):
        return check(read(canonical.decode(content), Config))


def keep_days(config: Config) -> int:
    """For how many days what was asked is kept."""
    return config.get("keep_days", KEEP_DAYS)


def ehr_minutes(config: Config) -> int:
    """Every how many minutes the worker looks at the FHIR server what became of the records that it read there."""
    return config.get("ehr_minutes", EHR_MINUTES)


def port(config: Config) -> int:
    """Where to listen on this machine: what the address says, or `PORT` if a proxy has the address (https)."""
    address = urlsplit(config["address"])
    return address.port or 80 if address.scheme == "http" else PORT


def check(config: Config) -> Config:
    """The configuration, if its fields go together. Raises Refused(FIELD_INVALID), naming the field."""
    address = urlsplit(config["address"])
    if address.path.strip("/") or address.query or address.fragment:
        raise _wrong("address", "An address without a path is expected.")
    if address.scheme != "https" and address.hostname not in _LOOPBACK:
        raise _wrong("address", "Patients' results go over https, or do not leave this machine (http://127.0.0.1:…).")
    check_viewer(config["viewer"])
    if not 0 <= Decimal(config["threshold"]) <= 1:
        raise _wrong("threshold", "A probability lies between 0 and 1.")
    if 24 * keep_days(config) <= config["stale_after_hours"]:  # deleted, it would look as if nothing had been asked
        raise _wrong("keep_days", "A result is kept for longer than it is shown: see stale_after_hours.")
    for place, ehr in enumerate(config["ehrs"]):
        if ("jwks" in ehr) == ("jwks_url" in ehr):
            raise _wrong(f"ehrs.{place}", "An EHR's keys are given by one of jwks and jwks_url.")
        if not ehr.get("jwks_url", "https:").startswith("https:"):
            raise _wrong(f"ehrs.{place}.jwks_url", "Keys are fetched over https.")
    if len(config["ehrs"]) > 1:  # a patient's id means somebody else in each of them
        raise _wrong("ehrs", "A bedside answers one EHR: give each a home and a process of its own.")
    return config


def _wrong(field: str, detail: str) -> Refused:
    return Refused(Reason.FIELD_INVALID, detail=detail, field=field)
