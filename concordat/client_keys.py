"""With what an institution's systems sign in at the coordinator: one key, a set of them, or the address of a set.

A key is a public JWK, as SMART Backend Services has it: P-384 for ES384, or RSA of 2048 bits or more for RS384. A set
is a JWKS (RFC 7517): handed in as a whole, or published by the institution itself, where it can then replace keys
without asking anybody. Each of the three stands in a document that the institution's *offline* key signs: whoever has
taken over a server can add none of them.

https://hl7.org/fhir/smart-app-launch/client-confidential-asymmetric.html
"""

import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from annotated_types import Len
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

_ADDRESS = re.compile(
    r"https://[A-Za-z0-9.-]+(?::(?P<port>[0-9]{1,5}))?"
    r"(/[A-Za-z0-9._~!$&'()*+,;=:@%/-]*)?(\?[A-Za-z0-9._~!$&'()*+,;=:@%/?-]*)?"
)
_LONGEST_ADDRESS = 500
_PRIVATE = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth", "k"})


def _https(value: str) -> str:
    found = _ADDRESS.fullmatch(value)
    if len(value) > _LONGEST_ADDRESS or found is None or not 0 < int(found["port"] or 443) < 1 << 16:
        raise PydanticCustomError("address", "an address begins with https://, names a host, no user, and no fragment")
    return value


HttpsAddress = Annotated[str, AfterValidator(_https)]


@with_config(STRICT)
class EcJwk(TypedDict):
    """A P-384 key; its `kid`, unless it is one of a set, is the RFC 7638 thumbprint."""

    kty: Literal["EC"]
    crv: Literal["P-384"]
    x: str
    y: str
    alg: Literal["ES384"]
    use: Literal["sig"]
    kid: str


@with_config(STRICT)
class RsaJwk(TypedDict):
    """An RSA key; `kid` as for P-384."""

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
    named = next((f"({form})" for form, field in (("address", "jwks_url"), ("set", "keys")) if field in value), "")
    return named or ("(RSA)" if value.get("kty") == "RSA" else "(EC)")


@with_config(STRICT)
class KeySet(TypedDict):
    """Several keys; `kid` is any text that no other key of the set has."""

    keys: Annotated[
        list[Annotated[Annotated[EcJwk, Tag("(EC)")] | Annotated[RsaJwk, Tag("(RSA)")], Discriminator(_form)]],
        Len(1, MOST_KEYS),
    ]


ClientKey = Annotated[
    Annotated[EcJwk, Tag("(EC)")]
    | Annotated[RsaJwk, Tag("(RSA)")]
    | Annotated[KeySet, Tag("(set)")]
    | Annotated[KeySetAddress, Tag("(address)")],
    Discriminator(_form),
]


def check_client_key(client: Mapping[str, Any], *, field: str) -> None:
    """Raises Refused(FIELD_INVALID), naming `field`, unless it is a fit key under its own thumbprint, a set of
    different fit keys under different names, or an address."""
    if "jwks_url" in client:
        return
    if "keys" not in client:
        if client["kid"] != _thumbprint(client, field):
            raise Refused(Reason.FIELD_INVALID, detail="`kid` is not the key's thumbprint.", field=f"{field}.kid")
        return
    keys = client["keys"]
    thumbprints = [_thumbprint(key, f"{field}.keys.{place}") for place, key in enumerate(keys)]
    for values, what in (([key["kid"] for key in keys], "`kid`"), (thumbprints, "key")):
        if not all(values) or len(set(values)) != len(values):
            detail = f"Every {what} of a set is there, and there once."
            raise Refused(Reason.FIELD_INVALID, detail=detail, field=f"{field}.keys")


def client_key_id(client: Mapping[str, Any]) -> str:
    """How a client key is named: by its `kid`, or by the digest of the set or of the address."""
    if "jwks_url" in client:
        return digest(str(client["jwks_url"]).encode())
    return digest(dict(client)) if "keys" in client else str(client["kid"])


def thumbprints(client: Mapping[str, Any]) -> frozenset[str]:
    """The RFC 7638 thumbprints of the keys that a client key names itself; of an address there are none."""
    if "jwks_url" in client:
        return frozenset()
    return frozenset(_imported(key).thumbprint() for key in signing_keys(client))


def signing_keys(client: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The public JWKs of a client key that is no address."""
    return [dict(key) for key in client.get("keys", [client])]


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


def _thumbprint(key: Mapping[str, Any], field: str) -> str:
    try:
        return _imported(key).thumbprint()
    except (JoseError, ValueError, TypeError) as error:
        detail = f"This is neither a P-384 key nor an RSA key of {SMALLEST_RSA} to {LARGEST_RSA} bits."
        raise Refused(Reason.FIELD_INVALID, detail=detail, field=field) from error


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
