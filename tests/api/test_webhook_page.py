"""docs/how-to/receive-webhooks.md: its events are those there are, its times those that are kept, its code runs."""

import re
from collections.abc import Iterator
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
from tests.api.conftest import JOB
from tests.api.test_webhooks import happen
from tests.support.certificates import make_certificates
from tests.support.https import HttpsServer, Received, Said, https_server

PAGE = (Path(__file__).parents[2] / "docs" / "how-to" / "receive-webhooks.md").read_text()
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
    page: dict[str, Any] = {}
    exec(CODE, page)
    handled: list[Any] = []

    def answer(request: Received) -> Said:
        return Said(status=page["told"](request.headers, request.content, handled.append), content=b"")

    server.says = answer
    endpoints.register(institution=members["long-beach"], url=server.url, events=["prediction.recorded"])
    happen()
    outbox.collect()
    assert outbox.send_due(clock.now()) == 1
    assert [message["data"]["prediction"] for message in handled] == [JOB]
    (seen,) = server.received
    assert page["told"](seen.headers, seen.content, handled.append) == 204
    assert len(handled) == 1
    assert page["told"](seen.headers, seen.content + b" ", handled.append) == 400
    assert Webhook.objects.get().last_failure == ""
