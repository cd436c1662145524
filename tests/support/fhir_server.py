"""A FHIR R4 server that is not ours, for some tests: the micro hospital system of `sekmet-fhir`.

It signs clients in as SMART Backend Services, validates what it is given (`fhir.resources`, R4B), searches an index in
SQLite and rolls transactions back. `.ci/run` installs it into an environment of its own, `var/tools/sekmet`, exactly as
`fhir_server.txt` pins it. It is a server to test against, and no product in use at a hospital. Why this one, and what
else the registries have: `docs/decisions/0047-a-fhir-server-that-is-not-ours.md`.
"""

import json
import os
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import simplejson
from joserfc.jwk import ECKey

from concordat.client.ehr import READ, Config
from concordat.client.session import MachineSignIn
from tests.support.redis import free_port

Json = dict[str, Any]
CLIENT = "concordat-backend"
WRITE = "system/*.write"
"""This server asks for it of every transaction, whatever is in it: SMART leaves that to the server."""
RETRACT = f"system/RiskAssessment.read system/Observation.read {WRITE}"

LISTED = ("RiskAssessment.identifier.token", "ResearchSubject.individual.reference", "ResearchSubject.study.reference")
"""Search parameters of R4 that this server's table does not list, and the kind of each."""

_PYTHON = Path(__file__).parents[2] / "var/tools/sekmet/bin/python"
_START = """
import ctypes, sys
ctypes.CDLL(None).prctl(1, 9)  # PR_SET_PDEATHSIG: it ends with its parent
from sekmet.fhir.search_params import PARAMS, SearchParam
for listed in sys.argv[2:]:
    kind, name, sort = listed.split(".")
    PARAMS.setdefault(kind, {})[name] = SearchParam(name, sort, (name,))
from sekmet.cli import app
app(["serve", "--config", sys.argv[1]])
"""
_REGISTRY = "registry"
_MEDIA = {"Content-Type": "application/fhir+json"}


class FhirServer:
    """`config` is what stands in a client's `ehr.json`; `resources` and `put` go past the client, as the hospital's own
    software does."""

    def __init__(self, root: str, key: ECKey) -> None:
        self.base, self.token = f"{root}/fhir", f"{root}/auth/token"
        self.config: Config = {"base": self.base, "token": self.token, "client": CLIENT}
        self.config |= {"write": WRITE, "retract": RETRACT}
        auth = MachineSignIn(token_url=self.token, client_id=_REGISTRY, key=key, scopes="system/*.*")
        self.http = httpx.Client(base_url=f"{self.base}/", auth=auth, timeout=30)

    def put(self, resources: Sequence[Json]) -> None:
        """Store them under their ids, all or none."""
        entries = [
            {"resource": each, "request": {"method": "PUT", "url": f"{each['resourceType']}/{each['id']}"}}
            for each in resources
        ]
        bundle = {"resourceType": "Bundle", "type": "transaction", "entry": entries}
        answer = self.http.post("", content=simplejson.dumps(bundle, use_decimal=True), headers=_MEDIA)
        assert answer.is_success, answer.text

    def resources(self, kind: str, **search: str) -> list[Json]:
        """Of a type, all that the search finds on one page."""
        answer = self.http.get(kind, params={"_count": "1000", **search})
        assert answer.is_success, answer.text
        return [each["resource"] for each in answer.json().get("entry", []) if each["search"]["mode"] == "match"]


@contextmanager
def fhir_server(folder: Path, key: ECKey, *, listed: Sequence[str] = LISTED, **more: Any) -> Iterator[FhirServer]:
    """A running one that knows the client's public `key` and allows it to read what it asks for and to write anything.
    It is gone when the context is left.

    Args:
        listed: search parameters that it knows besides its own; without them it is as it comes.
        more: settings of its own.
    """
    if not _PYTHON.exists():
        pytest.skip("the FHIR server is not in var/tools/sekmet")
    registry = ECKey.generate_key("P-384", auto_kid=True)
    root = f"http://127.0.0.1:{free_port()}"
    clients = [_client(CLIENT, key, f"{READ} {RETRACT}"), _client(_REGISTRY, registry, "system/*.*")]
    settings: Json = {
        "base_url": f"{root}/fhir",
        "host": "127.0.0.1",
        "port": int(root.rpartition(":")[2]),
        "data_dir": str(folder / "data"),
        "simulator": {"enabled": False},
        "server_auth": {"types": ["smart"], "smart_clients": clients, **more.pop("server_auth", {})},
        **more,
    }
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "settings.json").write_text(json.dumps(settings))  # YAML, too
    with (folder / "server.log").open("wb") as log:
        process = subprocess.Popen(
            [_PYTHON, "-c", _START, folder / "settings.json", *listed],
            cwd=folder,
            stdout=log,
            stderr=log,
            env={"PATH": os.environ["PATH"], "PYTHONDONTWRITEBYTECODE": "1"},
        )
    server = FhirServer(root, registry)
    try:
        _wait(server, process, folder / "server.log")
        yield server
    finally:
        server.http.close()
        process.kill()
        process.wait()


def _client(name: str, key: ECKey, scopes: str) -> Json:
    return {"client_id": name, "jwks": {"keys": [key.as_dict(private=False)]}, "scopes": scopes}


def _wait(server: FhirServer, process: "subprocess.Popen[bytes]", log: Path) -> None:
    deadline = time.monotonic() + 60
    while True:
        try:
            httpx.get(f"{server.base}/metadata", timeout=10).raise_for_status()
        except httpx.HTTPError:
            if process.poll() is not None or time.monotonic() > deadline:
                raise AssertionError(log.read_text()) from None
            time.sleep(0.05)
        else:
            return
