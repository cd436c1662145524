"""docs/how-to/receive-webhooks.md: its events are those there are, its times those that are kept, its code runs."""

import json
import re
from collections.abc import Callable, Iterator
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import pytest

from api.models import Webhook
from api.webhooks import endpoints, outbox
from api.webhooks.audience import TOLD
from compute.models import Job
from concordat import canonical, clock
from concordat.enrolment import build_enrolment
from concordat.keystore import Keystore
from concordat.pins import Pins
from governance.models import Institution
from tests.api.conftest import JOB, Caller
from tests.api.test_webhooks import happen, send
from tests.support.certificates import make_certificates
from tests.support.https import HttpsServer, Received, Said, https_server
from tests.support.pages import blocks, page

FILE = page("receive-webhooks")
PAGE = FILE.read_text()
(CODE,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
ROWS = [row.split("|")[1] for row in PAGE.splitlines() if row.startswith("| `")]


def test_every_event_is_in_the_table_and_no_other() -> None:
    named = [name.replace("…", "*") for row in ROWS for name in re.findall(r"`([a-z.…-]+)`", row)]
    for event in TOLD:
        assert [name for name in named if fnmatch(event.value, name)], event
    for name in named:
        assert [event for event in TOLD if fnmatch(event.value, name)], name


def test_the_times_are_those_that_are_kept() -> None:
    minutes = [delay.total_seconds() / 60 for delay in outbox.DELAYS[1:]]
    said = re.search(r"after 5 seconds, 5 and 30 minutes, ([0-9, and]+) hours", PAGE)
    assert outbox.DELAYS[0].total_seconds() == 5
    assert said
    assert minutes == [5, 30, *(int(hours) * 60 for hours in re.findall(r"\d+", said[1]))]
    assert outbox.DISABLED_AFTER.days == 5


def test_an_address_is_registered_and_begun_anew_as_written(signed_in: Callable[..., Caller]) -> None:
    """Each request as it stands, with the address and the tag of this webhook in their places."""
    caller = signed_in("long-beach")
    (asked, content), (again, change) = (
        told(begins) for begins in ("POST /api/v1/webhooks", "PATCH /api/v1/webhooks/…")
    )
    assert asked == ["POST /api/v1/webhooks"]
    made = send(caller, "POST", asked[0].removeprefix("POST /api/v1/"), content)
    assert made.status_code == 201
    assert again == ["PATCH /api/v1/webhooks/…", 'If-Match: "sha256:…"']
    path = again[0].removeprefix("PATCH /api/v1/").replace("…", made.json()["webhook"])
    stopped = send(caller, "PATCH", path, {"active": False}, **{"If-Match": made["ETag"]})
    begun = send(caller, "PATCH", path, change, **{"If-Match": stopped["ETag"]})
    assert (begun.status_code, begun.json()["state"]) == (200, "active")


def told(begins: str) -> tuple[list[str], Any]:
    """The lines and the JSON content of the request that begins so."""
    (code,) = [each.code for each in blocks(FILE) if each.code.startswith(begins)]
    lines, content = code.split("{", 1)
    return [line for line in lines.splitlines() if line], json.loads("{" + content)


@pytest.fixture
def server(tmp_path: Path, settings: Any) -> Iterator[HttpsServer]:
    make_certificates(tmp_path / "tls")
    settings.OUTBOUND_PRIVATE, settings.OUTBOUND_CA = True, str(tmp_path / "tls" / "ca.pem")
    with https_server(tmp_path / "tls") as running:
        yield running


def test_the_code_receives(
    objects: Job,
    members: dict[str, Institution],
    server: HttpsServer,
    settings: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    home, keys = tmp_path / "home", Keystore(tmp_path / "home" / "keys")
    home.mkdir()
    enrolment = build_enrolment(
        keys.create(), institution="zurich", name="Zurich", jurisdiction="CH", roles=["party"], issued=clock.now()
    )
    pins = {
        "coordinator_key": Keystore(settings.KEYS_DIR).identity.public.b64,
        "log_origin": "localhost/concordat",
        "enrolments": {"zurich": enrolment},
        "chain_id": 31338,
        "registry": "0x52908400098527886E0F7030069857D2E4169EE7",
    }
    Pins.install(home, canonical.encode(pins), institution="zurich", identity=keys.identity.public)
    monkeypatch.chdir(tmp_path)
    code: dict[str, Any] = {}
    exec(CODE, code)
    handled: list[Any] = []

    def answer(request: Received) -> Said:
        return Said(status=code["told"](request.headers, request.content, handled.append), content=b"")

    server.says = answer
    headers, example = told("POST /concordat")
    endpoints.register(institution=members["long-beach"], url=server.url, events=["prediction.recorded"])
    happen()
    outbox.collect()
    assert outbox.send_due(clock.now()) == 1
    assert [message["data"]["job"] for message in handled] == [JOB]
    (seen,) = server.received
    sent = json.loads(seen.content)
    assert (example.keys(), example["data"].keys()) == (sent.keys(), sent["data"].keys())
    assert {line.partition(":")[0].lower() for line in headers[1:]} <= {name.lower() for name in seen.headers}
    assert code["told"](seen.headers, seen.content, handled.append) == 204
    assert len(handled) == 1
    assert code["told"](seen.headers, seen.content + b" ", handled.append) == 400
    assert Webhook.objects.get().last_failure == ""
