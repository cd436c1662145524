"""The shapes of documents: exactly which fields, of which form, with errors that name the field.

A shape is a typed dictionary, so a document stays the plain JSON object that is signed while its fields have types.
"""

import ipaddress
import re
from collections.abc import Callable, Hashable, Mapping
from functools import cache
from typing import Annotated, Any, LiteralString, TypeVar, cast

from annotated_types import Ge, Le
from pydantic import AfterValidator, ConfigDict, TypeAdapter, ValidationError
from pydantic_core import PydanticCustomError

from concordat import clock
from concordat.canonical import Json, digest_bytes
from concordat.reasons import Reason, Refused

STRICT = ConfigDict(extra="forbid", strict=True)
"""For documents that are signed or hashed: exactly these fields."""

ANSWER = ConfigDict(extra="ignore", strict=True)
"""For a server's answers: at least these fields."""

_SLUG = re.compile(r"[a-z][a-z0-9-]{0,62}")
_JURISDICTION = re.compile(r"[A-Z]{2}")
_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_DECIMAL = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?")
_WEB = re.compile(r"https?://[^\s/?#]+\S*")
_BROKER = re.compile(r"rediss?://[^\s/?#]+\S*|redis\+socket://\S+|unix://\S+")
_LONGEST = 2000
_HIDDEN = re.compile(
    r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f"  # control characters, but those that end a line, and tabs
    r"\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069"  # what turns the direction, or ends a line for some
    r"\U000e0000-\U000e007f]"  # tags, which nobody sees
)
"""What is agreed on, or read beside a patient, stands there in the order in which it is shown (Unicode UAX #9). Letters
that run from right to left need none of these."""

_REASONS = {"missing": Reason.FIELD_MISSING, "extra_forbidden": Reason.FIELD_UNKNOWN}

T = TypeVar("T")


def checked(check: Callable[[str], object], code: LiteralString, sentence: LiteralString) -> AfterValidator:
    """A validator for text that `check` does not refuse."""

    def validate(value: str) -> str:
        try:
            check(value)
        except Refused as error:
            raise PydanticCustomError(code, sentence) from error
        return value

    return AfterValidator(validate)


def _slug(value: str) -> str:
    if not _SLUG.fullmatch(value):
        raise PydanticCustomError("slug", "a short name is lower-case letters, digits and hyphens")
    return value


def _decimal(value: str) -> str:
    if not _DECIMAL.fullmatch(value):
        raise PydanticCustomError("decimal", 'a decimal is written as a string such as "-0.5"')
    return value


def _uuid(value: str) -> str:
    if not _UUID.fullmatch(value):
        raise PydanticCustomError("uuid", "an identifier is a UUID in lower case with hyphens")
    return value


def _jurisdiction(value: str) -> str:
    if not _JURISDICTION.fullmatch(value):
        raise PydanticCustomError("jurisdiction", "a jurisdiction is a two-letter country code such as CH")
    return value


def _text(value: str) -> str:
    if not value.strip() or len(value) > _LONGEST:
        raise PydanticCustomError("text", "a text has between 1 and 2000 characters")
    if _HIDDEN.search(value):
        raise PydanticCustomError("text", "a text has no control characters, and none that turn its direction")
    return value


def _web_address(value: str) -> str:
    if not _WEB.fullmatch(value):
        raise PydanticCustomError("address", "an address begins with http:// or https:// and names a host")
    return value


def _broker_address(value: str) -> str:
    if not _BROKER.fullmatch(value):
        raise PydanticCustomError("address", "a broker's address begins with rediss:// or redis:// and names a host")
    return value


def _ipv4(value: str) -> str:
    try:
        address = ipaddress.IPv4Address(value)
    except ValueError:
        address = None
    if address is None or address.is_unspecified or address.is_multicast:
        raise PydanticCustomError("ipv4", "an IPv4 address of one machine reads like 10.0.0.5")
    return value


Slug = Annotated[str, AfterValidator(_slug)]
MaybeSlug = Annotated[str, AfterValidator(lambda value: value and _slug(value))]
Jurisdiction = Annotated[str, AfterValidator(_jurisdiction)]
DecimalText = Annotated[str, AfterValidator(_decimal)]
Whole = Annotated[int, Ge(-(2**53)), Le(2**53)]
"""What JSON carries exactly, whoever reads it (RFC 8785)."""
MaybeDecimal = Annotated[str, AfterValidator(lambda value: value and _decimal(value))]
Digest = Annotated[str, checked(digest_bytes, "digest", "a digest reads sha256: and 64 lower-case hexadecimal digits")]
MaybeDigest = Annotated[str, checked(lambda text: text and digest_bytes(text), "digest", "a digest, or empty")]
Uuid = Annotated[str, AfterValidator(_uuid)]
Time = Annotated[str, checked(clock.parse, "time", "a time reads like 2026-01-31T12:00:00Z")]
Text = Annotated[str, AfterValidator(_text)]
WebAddress = Annotated[str, AfterValidator(_web_address)]
BrokerAddress = Annotated[str, AfterValidator(_broker_address)]
IPv4 = Annotated[str, AfterValidator(_ipv4)]


@cache
def _adapter(shape: Any) -> TypeAdapter[Any]:
    return TypeAdapter(shape)


def read(document: object, shape: type[T]) -> T:
    """`document`, checked to have exactly the fields of `shape`.

    Raises:
        Refused: FIELD_MISSING, FIELD_UNKNOWN or FIELD_INVALID, with the path of the first offending field.
    """
    try:
        checked: T = _adapter(cast(Hashable, shape)).validate_python(document)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        # A part in parentheses says which of several shapes was meant, and is no field.
        field = ".".join(part for part in map(str, first["loc"]) if not part.startswith("("))
        reason = _REASONS.get(first["type"], Reason.FIELD_INVALID)
        raise Refused(reason, detail=first["msg"], field=field) from None
    return checked


def plain(document: object) -> Mapping[str, Json]:
    """A typed document as the JSON value that is signed and hashed."""
    return cast(Mapping[str, Json], document)
