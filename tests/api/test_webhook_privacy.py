"""What travels in a message: a real decision is made, and nothing about the person or what came out is told of it."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from api.models import Delivery
from api.webhooks import endpoints, outbox
from api.webhooks.audience import TOLD
from concordat import clock
from concordat.signatures import peek
from tests.support.certificates import make_certificates
from tests.support.consortium import EVERYONE
from tests.support.coordinator import World
from tests.support.https import HttpsServer, https_server


@pytest.fixture
def server(tmp_path: Path, settings: Any) -> Iterator[HttpsServer]:
    make_certificates(tmp_path / "tls")
    settings.OUTBOUND_PRIVATE, settings.OUTBOUND_CA = True, str(tmp_path / "tls" / "ca.pem")
    with https_server(tmp_path / "tls") as running:
        yield running


def test_a_decision_is_told_of_without_anything_about_the_person(world: World, server: HttpsServer) -> None:
    events = [event.value for event in TOLD]
    for slug in EVERYONE:
        endpoints.register(institution=world.bodies[slug], url=f"{server.url}/{slug}", events=events)
    job = world.recorded()
    outbox.collect()
    assert outbox.send_due(clock.now()) == Delivery.objects.count() > 0
    sent = b"".join(each.path.encode() + repr(each.headers).encode() + each.content for each in server.received)
    assert str(job.uuid).encode() in sent, "what is searched is what was sent"
    _, consent = peek(world.consortium.consent)
    private = [world.consortium.subject, world.consortium.consent, consent["consent"], consent["subject"]]
    for needle in [*private, *world.consortium.consent.split(".")[1:], job.ticket, "authorised", "reasons", "approve"]:
        assert needle.encode() not in sent
    told = {each.path for each in server.received if b"prediction.recorded" in each.content}
    assert told == {f"/{job.requester.slug}"}
