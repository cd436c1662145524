"""Every member sees every institution's keys, roster version and node; none of it is about a person."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.urls import reverse
from time_machine import TimeMachineFixture

from concordat import clock
from concordat.key_change import build_change
from concordat.keystore import Keystore
from governance import selectors
from governance.admin.institutions import seen
from governance.models import NodeStatus
from governance.services import institutions, nodes
from tests.governance.conftest import Consortium
from tests.support.officers import signed_in as browser


def page(consortium: Consortium, slug: str, *, by: str = "budapest") -> str:
    client = browser(consortium.chairs[by].user)
    address = reverse("admin:governance_institution_change", args=[consortium.at[slug].pk])
    return str(client.get(address).content.decode())


def test_every_member_sees_the_keys_of_every_institution_and_why_one_was_revoked(
    consortium: Consortium, tmp_path: Path
) -> None:
    new = Keystore(tmp_path / "new").create(["sealing"])
    old = consortium.keys["zurich"]
    token = build_change(
        selectors.key_history(consortium.at["zurich"]),
        kind="sealing",
        key=new.sealing.public,
        ground="loss",
        issued=clock.now(),
        offline=old.offline,
    )
    institutions.change_key(token=token)
    shown = page(consortium, "zurich")
    for text in (new.sealing.kid, old.sealing.kid, old.identity.kid, old.chain.address, "loss", "Version 1"):
        assert text in shown
    assert consortium.chairs["zurich"].user.officer.name not in shown


def test_it_says_when_the_node_was_seen_and_what_it_said(
    consortium: Consortium, time_machine: TimeMachineFixture
) -> None:
    time_machine.move_to(clock.now(), tick=False)
    late = clock.now() - timedelta(minutes=5)
    nodes.report(institution=consortium.at["zurich"], software="0.1.0", policy="", busy=True, time=late)
    shown = page(consortium, "zurich")
    for text in ("seen just now", "0.1.0", "refuses everything", "taken", "300 seconds behind"):
        assert text in shown


@pytest.mark.parametrize(
    ("ago", "sentence"), [(0, "seen just now"), (1, "seen 1 minute ago"), (3, "seen 3 minutes ago"), (9, "seen 9 min")]
)
def test_a_node_is_seen_so_long_ago(consortium: Consortium, ago: int, sentence: str) -> None:
    zurich, now = consortium.at["zurich"], clock.now()
    nodes.report(institution=zurich, software="0.1.0", policy="", busy=False, time=now)
    NodeStatus.objects.update(seen=now - timedelta(minutes=ago))
    zurich.refresh_from_db()
    assert seen(zurich, now).startswith(sentence)


def test_a_node_that_stops_reporting_is_silent_since_then(consortium: Consortium) -> None:
    zurich, now = consortium.at["zurich"], clock.now()
    nodes.report(institution=zurich, software="0.1.0", policy="", busy=False, time=now)
    assert seen(zurich, now + timedelta(hours=1)) == f"silent since {NodeStatus.objects.get().seen:%Y-%m-%d %H:%M} UTC"


def test_an_institution_without_a_node_is_not_called_silent(consortium: Consortium) -> None:
    assert seen(consortium.at["long-beach"], clock.now()) == ""
    assert seen(consortium.at["notary"], clock.now()) == "never seen"
    assert "runs no node" in page(consortium, "long-beach")


def test_who_is_a_member_nowhere_sees_no_institution(consortium: Consortium, django_user_model: Any) -> None:
    stranger = django_user_model.objects.create_user("stranger", is_staff=True)
    address = reverse("admin:governance_institution_change", args=[consortium.at["zurich"].pk])
    assert browser(stranger).get(address).status_code == 403
