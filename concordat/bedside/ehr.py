"""Which EHR is asking: the JSON web tokens by which CDS clients are trusted (CDS Hooks 2.0, "Trusting CDS Clients").

A token is signed with ES384 or RS384 by a key of an issuer that the configuration names, is for the very address that
is called, lives five minutes at most, and is taken once.
"""

import json
import threading
import time
from collections.abc import Callable
from typing import Any

import httpx
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet
from joserfc.jws import extract_compact
from pydantic import with_config
from typing_extensions import TypedDict

from concordat.bedside.config import Config, Ehr
from concordat.bedside.store import Store
from concordat.fields import ANSWER, Text, read
from concordat.reasons import Reason, Refused

ALGORITHMS = ["ES384", "RS384"]
LONGEST = 300
"""Seconds that a token may live: as long as its `jti` has to be remembered."""
SKEW = 60
"""Seconds by which the clocks of EHR and hospital may differ."""

_FETCH_SECONDS, _FETCH_AGAIN, _FETCH_EVERY, _LAPSE = 2.0, 60.0, 600.0, 3600.0
_LARGEST_SET = 1 << 18


@with_config(ANSWER)
class _Claims(TypedDict):
    iss: Text
    aud: str | list[str]
    exp: int
    iat: int
    jti: Text


class Ehrs:
    """The EHRs that may ask. `fetch` reads a JWK Set from an address (`ehrs.jwks_url`).

    Raises:
        Refused: FIELD_INVALID for configured keys that are none.
    """

    def __init__(self, config: Config, store: Store, fetch: Callable[[str], bytes] | None = None) -> None:
        self._known = {ehr["issuer"]: _Keys(ehr, fetch or _fetch) for ehr in config["ehrs"]}
        self._store = store

    def check(self, authorization: str, *, audiences: set[str]) -> str:
        """The issuer of the token in an `Authorization` header.

        Args:
            audiences: addresses that may stand in `aud`: those of the endpoint that was called.

        Raises:
            Refused: SIGN_IN_REQUIRED without a bearer token; SIGN_IN_REFUSED naming the claim or header that is wrong.
        """
        scheme, _, token = authorization.partition(" ")
        if scheme.lower() != "bearer" or not token:
            raise Refused(Reason.SIGN_IN_REQUIRED, detail="A signed token is expected (CDS Hooks, Bearer JWT).")
        claims = self._verified(token.strip())
        now = int(time.time())
        wanted = {claims["aud"]} if isinstance(claims["aud"], str) else set(claims["aud"])
        if not wanted & audiences:
            raise _refused("aud", "The token is for another address.")
        if not claims["iat"] - SKEW <= now < claims["exp"] + SKEW:
            raise _refused("exp", "The token's time has not come or has passed.")
        if claims["exp"] - claims["iat"] > LONGEST:
            raise _refused("exp", f"A token lives {LONGEST} seconds at most.")
        if not self._first(claims, now):
            raise _refused("jti", "The token was used before.")
        return claims["iss"]

    def _verified(self, token: str) -> _Claims:
        try:
            unverified = extract_compact(token.encode())
            claimed: Any = json.loads(unverified.payload)
            keys = self._known.get(str(claimed.get("iss"))) if isinstance(claimed, dict) else None
            if keys is None:
                raise _refused("iss", "No EHR of this name is known here.")
            header = unverified.headers()
            if header.get("alg") not in ALGORITHMS:
                raise _refused("alg", f"A token is signed with one of: {', '.join(ALGORITHMS)}.")
            if header.get("typ", "JWT") != "JWT":
                raise _refused("typ", "A token's type is JWT.")
            return read(jwt.decode(token, keys.of(str(header.get("kid", ""))), algorithms=ALGORITHMS).claims, _Claims)
        except (JoseError, ValueError, Refused) as error:
            if isinstance(error, Refused) and error.reason is Reason.SIGN_IN_REFUSED:
                raise
            raise _refused(
                error.field if isinstance(error, Refused) else "", "The token is none, or not signed by its issuer."
            ) from None

    def _first(self, claims: _Claims, now: int) -> bool:
        """Whether this token is taken for the first time."""
        with self._store.write() as db:
            db.execute("DELETE FROM token_seen WHERE until < ?", (now - SKEW,))
            seen = (claims["iss"], claims["jti"], claims["exp"] + SKEW)
            return db.execute("INSERT OR IGNORE INTO token_seen VALUES (?, ?, ?)", seen).rowcount == 1


class _Keys:
    """An EHR's keys: given, or fetched at the start, every ten minutes while they are used, and when one is missing,
    once a minute at most. Nobody waits for that: a token whose key is not known yet is refused, and taken when it comes
    again. Fetched keys that could not be fetched anew for an hour are believed no more."""

    def __init__(self, ehr: Ehr, fetch: Callable[[str], bytes]) -> None:
        self._url, self._fetch = ehr.get("jwks_url", ""), fetch
        try:
            self._keys = KeySet.import_key_set(ehr["jwks"]) if "jwks" in ehr else KeySet([])  # type: ignore[arg-type]
        except (JoseError, KeyError, TypeError, ValueError) as error:
            detail = f"The jwks of {ehr['issuer']} is no JWK Set of public keys."
            raise Refused(Reason.FIELD_INVALID, detail=detail, field="ehrs.jwks") from error
        self._asked = self._fetched = -_LAPSE
        self._lock = threading.Lock()
        if self._url:
            self._refresh()

    def of(self, kid: str) -> KeySet:
        """A set of the one key of that id. Raises Refused(SIGN_IN_REFUSED)."""
        found = self._find(kid)
        if self._url:
            age = time.monotonic() - self._fetched
            if not found or age > _FETCH_EVERY:
                self._wake()
            if age > _LAPSE:
                found = []
        if not found:
            raise _refused("kid", "The issuer has no such key here.")
        return KeySet(found)

    def _find(self, kid: str) -> list[Any]:
        return [key for key in self._keys.keys if kid and key.kid == kid]

    def _wake(self) -> None:
        """Fetch beside the request, one at a time and not too often."""
        with self._lock:
            if time.monotonic() - self._asked < _FETCH_AGAIN:
                return
            self._asked = time.monotonic()
        threading.Thread(target=self._refresh, daemon=True).start()

    def _refresh(self) -> None:
        self._asked = time.monotonic()
        try:
            fetched: Any = json.loads(self._fetch(self._url))
            self._keys, self._fetched = KeySet.import_key_set(fetched), time.monotonic()
        except (httpx.HTTPError, JoseError, Refused, ValueError, KeyError, TypeError):
            return  # the keys that are known stay; the token's is not among them


def _fetch(url: str) -> bytes:
    """Raises httpx.HTTPError, also for what is too long or takes too long."""
    until, content = time.monotonic() + 2 * _FETCH_SECONDS, b""
    with httpx.stream("GET", url, timeout=_FETCH_SECONDS, follow_redirects=False) as response:
        response.raise_for_status()
        for part in response.iter_bytes():
            content += part
            if len(content) > _LARGEST_SET or time.monotonic() > until:
                raise httpx.HTTPError("a set of keys is short, and comes soon")
    return content


def _refused(field: str, detail: str) -> Refused:
    return Refused(Reason.SIGN_IN_REFUSED, detail=detail, field=field)
