"""A bedside that runs: a store in a hospital's home, a web process on a port of its own, and an EHR that asks it."""

import json
import socket
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from uuid import uuid4

import httpx
import uvicorn
from joserfc import jwt
from joserfc.jwk import ECKey, RSAKey

from concordat import clock
from concordat.bedside.app import PATIENCE, build
from concordat.bedside.bedside import Bedside
from concordat.bedside.config import FILE, Config, check, load
from concordat.bedside.ehr import Ehrs
from concordat.bedside.store import Store
from concordat.client.home import ClientHome

ISSUER, ORIGIN = "https://ehr.example.org", "https://ehr.example.org"
PATIENT = "pat-1234"
SERVICE = "coronary-disease"


@dataclass
class Ehr:
    """An EHR with keys of its own."""

    key: ECKey | RSAKey = field(default_factory=lambda: ECKey.generate_key("P-384", {"kid": "k1"}, private=True))
    algorithm: str = "ES384"

    @property
    def jwks(self) -> dict[str, Any]:
        return {"keys": [self.key.as_dict(private=False)]}

    def token(self, audience: str | list[str], **changes: Any) -> str:
        header = {"alg": self.algorithm, "kid": str(self.key.kid), "typ": "JWT"} | changes.pop("header", {})
        now = int(time.time())
        claims = {"iss": ISSUER, "aud": audience, "iat": now, "exp": now + 120, "jti": str(uuid4())}
        return jwt.encode(
            header,
            {name: value for name, value in (claims | changes).items() if value is not None},
            self.key,
            algorithms=["ES384", "RS384", "HS256", "RS256"],
        )


def configured(home: ClientHome, definition: str, purpose: str, **changes: Any) -> Config:
    """`bedside.json` as a hospital writes it."""
    config = {
        "v": 1,
        "address": "http://127.0.0.1:8460",
        "service": SERVICE,
        "title": "Coronary disease",
        "definition": definition,
        "purpose": purpose,
        "viewer": "clinician",
        "threshold": "0.2",
        "stale_after_hours": 24,
        "late_after_minutes": 30,
        "ehrs": [],
    } | changes
    (home.directory / FILE).write_text(json.dumps(config))
    return load(home)


def taken(values: Mapping[str, Any], hours: float = 1) -> dict[str, str]:
    """Every value was measured so many hours ago."""
    moment = clock.rfc3339(clock.now() - timedelta(hours=hours))
    return dict.fromkeys(values, moment)


@dataclass
class Running:
    """A bedside that answers, and what calls it."""

    bedside: Bedside
    ehr: Ehr
    http: httpx.Client

    @property
    def service(self) -> str:
        return f"{self.bedside.address}/cds-services/{SERVICE}"

    def get(self, path: str, **options: Any) -> httpx.Response:
        return self.http.get(path, **options)

    def post(self, url: str, content: Any, *, audience: str = "", **claims: Any) -> httpx.Response:
        headers = {"Authorization": f"Bearer {self.ehr.token(audience or url, **claims)}"}
        return self.http.post(url, json=content, headers=headers)

    def hook(self, patient: str = PATIENT, **claims: Any) -> httpx.Response:
        """The chart of a patient is opened."""
        call = {
            "hook": "patient-view",
            "hookInstance": str(uuid4()),
            "context": {"userId": "Practitioner/7", "patientId": patient},
            "prefetch": {"bmi": 27.5},
        }
        return self.post(self.service, call, **claims)

    def cards(self, patient: str = PATIENT) -> list[dict[str, Any]]:
        answer = self.hook(patient)
        assert answer.status_code == 200, answer.text
        cards: list[dict[str, Any]] = answer.json()["cards"]
        return cards

    def feedback(self, card: str, outcome: str, **more: Any) -> httpx.Response:
        given = {"card": card, "outcome": outcome, "outcomeTimestamp": "2026-01-31T12:00:00Z", **more}
        return self.post(f"{self.service}/feedback", {"feedback": [given]})


@contextmanager
def running(config: Config, home: ClientHome, ehr: Ehr | None = None, **keys: Any) -> Iterator[Running]:
    """The web process of a home, under whichever port is free."""
    asking = ehr or Ehr()
    with socket.create_server(("127.0.0.1", 0)) as listening:
        address = f"http://127.0.0.1:{listening.getsockname()[1]}"
        known = {"issuer": ISSUER, "origins": [ORIGIN], **(keys or {"jwks": asking.jwks})}
        there = check(Config(**{**config, "address": address, "ehrs": [known]}))  # type: ignore[typeddict-item]
        bedside = Bedside(there, Store(home.directory, patience=PATIENCE), home.name)
        server = uvicorn.Server(uvicorn.Config(build(bedside, Ehrs(there, bedside.store)), log_level="warning"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
        thread.start()
        try:
            with httpx.Client(base_url=address, follow_redirects=False) as http:
                while not server.started:
                    time.sleep(0.01)
                yield Running(bedside, asking, http)
        finally:
            server.should_exit = True
            thread.join(timeout=10)
