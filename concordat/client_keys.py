"""With what an institution's systems sign in at the coordinator: one key, or the address of a set of them.

A key is a public JWK, as SMART Backend Services has it: P-384 for ES384, or RSA of 2048 bits or more for RS384. A set
is a JWKS (RFC 7517) that the institution publishes itself, where it can then replace keys without asking anybody.
Either stands in a document that the institution's *offline* key signs: whoever has taken over a server can add neither.

https://hl7.org/fhir/smart-app-launch/client-confidential-asymmetric.html
"""

import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from joserfc.errors import JoseError
from joserfc.jwk import ECKey, RSAKey
from pydantic import AfterValidator, Discriminator, Tag, with_config
from pydantic_core import PydanticCustomError
from typing_extensions import TypedDict

from concordat.canonical import digest
from concordat.fields import STRICT
from concordat.reasons import Reason, Refused

ALGORITHMS = ("ES384", "RS384")
SMALLEST_RSA, LARGEST_RSA = 2048, 8192
"""Bits. Beyond the largest, verifying would take long, and anybody may ask for it."""

MOST_KEYS = 20

_ADDRESS = re.compile(r"https://[A-Za-z0-9.-]+(:[0-9]{1,5})?(/[A-Za-z0-9._~!$&'()*+,;=:@%/-]*)?(\?[^\s#]*)?")
_LONGEST_ADDRESS = 500
_PRIVATE = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth", "k"})


def _https(value: str) -> str:
    if len(value) > _LONGEST_ADDRESS or not _ADDRESS.fullmatch(value):
        raise PydanticCustomError("address", "an address begins with https://, names a host, no user, and no fragment")
    return value


HttpsAddress = Annotated[str, AfterValidator(_https)]


@with_config(STRICT)
class EcJwk(TypedDict):
    """A P-384 key; its `kid` is the RFC 7638 thumbprint."""

    kty: Literal["EC"]
    crv: Literal["P-384"]
    x: str
    y: str
    alg: Literal["ES384"]
    use: Literal["sig"]
    kid: str


@with_config(STRICT)
class RsaJwk(TypedDict):
    """An RSA key; its `kid` is the RFC 7638 thumbprint."""

    kty: Literal["RSA"]
    n: str
    e: str
    alg: Literal["RS384"]
    use: Literal["sig"]
    kid: str


@with_config(STRICT)
class KeySetAddress(TypedDict):
    """Where the institution publishes its JWKS."""

    jwks_url: HttpsAddress


def _form(value: object) -> str:
    if not isinstance(value, Mapping):
        return "(EC)"
    return "(address)" if "jwks_url" in value else "(RSA)" if value.get("kty") == "RSA" else "(EC)"


ClientKey = Annotated[
    Annotated[EcJwk, Tag("(EC)")] | Annotated[RsaJwk, Tag("(RSA)")] | Annotated[KeySetAddress, Tag("(address)")],
    Discriminator(_form),
]


def check_client_key(client: Mapping[str, Any], *, field: str) -> None:
    """Raises Refused(FIELD_INVALID), naming `field`, unless it is a fit key under its own thumbprint, or an address."""
    if "jwks_url" in client:
        return
    try:
        thumbprint = _imported(client).thumbprint()
    except (JoseError, ValueError, TypeError) as error:
        detail = f"This is neither a P-384 key nor an RSA key of {SMALLEST_RSA} to {LARGEST_RSA} bits."
        raise Refused(Reason.FIELD_INVALID, detail=detail, field=field) from error
    if client["kid"] != thumbprint:
        raise Refused(Reason.FIELD_INVALID, detail="`kid` is not the key's thumbprint.", field=f"{field}.kid")


def client_key_id(client: Mapping[str, Any]) -> str:
    """How a client key is named: by its `kid`, or by the digest of the address."""
    return digest(str(client["jwks_url"]).encode()) if "jwks_url" in client else str(client["kid"])


def read_key_set(document: object) -> list[dict[str, Any]]:
    """The keys of a published JWKS that may sign in, each with `alg`; those for anything else are passed over.

    Raises:
        Refused: FIELD_INVALID for what is no JWKS, for more than `MOST_KEYS` keys, for a key without `kid`, for two of
            one `kid`, for an unfit key of a fit kind, and for a set that holds any private key.
    """
    match document:
        case {"keys": [*keys]} if len(keys) <= MOST_KEYS and all(isinstance(key, dict) for key in keys):
            pass
        case _:
            raise _invalid(f"A key set is an object with `keys`, a list of at most {MOST_KEYS} keys.")
    if any(_PRIVATE & key.keys() for key in keys):
        raise _invalid("A key set holds public keys only: replace the key whose private half was published.")
    found = [{**key, "alg": alg} for key in keys if (alg := _algorithm(key)) and key.get("use", "sig") == "sig"]
    names = [key.get("kid") for key in found]
    if not all(isinstance(name, str) and name for name in names) or len(set(names)) != len(names):
        raise _invalid("Every key of a set has a `kid`, which no other key of it has.")
    for key in found:
        try:
            _imported(key)
        except (JoseError, ValueError, TypeError) as error:
            raise _invalid("A key of the set is damaged, or too small.") from error
    return found


def _algorithm(key: Mapping[str, Any]) -> str:
    """The one algorithm that the key may be used with here; empty for none."""
    match key:
        case {"kty": "EC", "crv": "P-384"}:
            fit = "ES384"
        case {"kty": "RSA"}:
            fit = "RS384"
        case _:
            return ""
    return fit if key.get("alg", fit) == fit else ""


def _imported(key: Mapping[str, Any]) -> ECKey | RSAKey:
    """Raises ValueError for an RSA key that is too small or too large; what joserfc raises for none."""
    public: Any = dict(key)
    if key.get("kty") != "RSA":
        return ECKey.import_key(public)
    rsa = RSAKey.import_key(public)
    if not SMALLEST_RSA <= rsa.raw_value.key_size <= LARGEST_RSA:
        raise ValueError("the size of the RSA key")
    return rsa


def _invalid(detail: str) -> Refused:
    return Refused(Reason.FIELD_INVALID, detail=detail, field="keys")
