"""Key changes come in without sign-in, since they say all by their signature; nodes say that they are there."""

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from api.models import AccessToken
from concordat import canonical, clock
from concordat.key_change import PROVEN, build_change
from concordat.keystore import Keystore, Kind
from governance import selectors
from governance.models import Institution, KeyChange, NodeStatus
from tests.api.conftest import Caller

STATUS = {"software": "0.1.0", "policy": canonical.digest(b"policy"), "busy": False, "clock": "2026-01-31T12:00:00Z"}


@pytest.fixture
def successors(tmp_path_factory: pytest.TempPathFactory) -> Keystore:
    return Keystore(tmp_path_factory.mktemp("successors") / "keys").create()


@pytest.fixture
def make(members: dict[str, Institution], keystores: dict[str, Keystore], successors: Keystore) -> Callable[..., str]:
    def change(slug: str, kind: Kind, *, ground: Any = "rotation", offline: Any = None, key: bool = True) -> str:
        return build_change(
            selectors.key_history(members[slug]),
            kind=kind,
            key=successors.public()[kind] if key else None,
            ground=ground,
            issued=clock.now(),
            offline=offline or keystores[slug].offline,
            successor=getattr(successors, kind) if key and kind in PROVEN else None,
        )

    return change


def hand_in(client: Client, change: str) -> Any:
    return client.post("/api/v1/key-changes", {"change": change}, content_type="application/json")


def test_a_stolen_client_key_is_revoked_without_it_and_its_tokens_end_at_once(
    client: Client, make: Callable[..., str], signed_in: Callable[..., Caller], ask_token: Any, assertion: Any
) -> None:
    thief = signed_in("zurich")
    assert thief.get("institutions").status_code == 200
    answer = hand_in(client, make("zurich", "client", ground="compromise", key=False))
    assert answer.status_code == 201
    assert (answer.json()["institution"], answer.json()["kind"]) == ("zurich", "client")
    assert thief.get("institutions").status_code == 401
    assert ask_token(assertion("zurich")).status_code == 401


def test_a_replaced_client_key_signs_in(
    client: Client, make: Callable[..., str], successors: Keystore, ask_token: Any, assertion: Any
) -> None:
    assert hand_in(client, make("zurich", "client")).status_code == 201
    assert ask_token(assertion("zurich")).status_code == 401
    assert ask_token(assertion("zurich", key=successors.client)).status_code == 200


def test_a_change_of_another_key_leaves_sign_in_alone(
    client: Client, make: Callable[..., str], signed_in: Callable[..., Caller]
) -> None:
    caller = signed_in("zurich")
    assert hand_in(client, make("zurich", "sealing")).status_code == 201
    assert caller.get("institutions").status_code == 200


def test_an_old_change_said_again_by_anybody_ends_no_token(
    client: Client, make: Callable[..., str], successors: Keystore, ask_token: Any, assertion: Any
) -> None:
    change = make("zurich", "client")
    assert hand_in(client, change).status_code == 201
    ask_token(assertion("zurich", key=successors.client))
    assert hand_in(client, change).status_code == 201
    assert AccessToken.objects.count() == 1


def test_handing_in_twice_answers_the_same(client: Client, make: Callable[..., str]) -> None:
    change = make("zurich", "chain")
    assert hand_in(client, change).json() == hand_in(client, change).json()
    assert KeyChange.objects.count() == 1


@pytest.mark.parametrize("content", [{}, {"change": "a.b.c"}, {"change": "x", "institution": "zurich"}])
def test_rubbish_changes_nothing(client: Client, members: dict[str, Institution], content: dict[str, str]) -> None:
    answer = client.post("/api/v1/key-changes", content, content_type="application/json")
    assert answer.status_code in {400, 422}
    assert not KeyChange.objects.exists()


def test_handing_in_is_limited_by_address(client: Client, members: dict[str, Institution], settings: Any) -> None:
    settings.CALLS_A_MINUTE = settings.CALLS_A_MINUTE | {"key-changes": 1}
    assert [hand_in(client, "a.b.c").status_code for _ in range(3)][-1] == 429


def test_every_member_reads_the_signed_changes(
    client: Client, make: Callable[..., str], signed_in: Callable[..., Caller]
) -> None:
    change = make("zurich", "sealing")
    hand_in(client, change)
    page = signed_in("mayo").get("institutions/changes").json()
    assert [each["change"] for each in page["items"]] == [change]
    assert page["items"][0]["digest"] == canonical.digest(change.encode())


def test_a_node_says_that_it_is_there(signed_in: Callable[..., Caller]) -> None:
    answer = signed_in("zurich").post("node/status", STATUS)
    assert answer.status_code == 200
    status = NodeStatus.objects.get()
    assert (status.institution.slug, status.software, status.policy) == ("zurich", "0.1.0", STATUS["policy"])
    assert clock.rfc3339(status.seen) == answer.json()["seen"]


def test_who_runs_no_node_has_none_to_report(signed_in: Callable[..., Caller]) -> None:
    assert signed_in("mayo").post("node/status", STATUS).status_code == 403
    assert not NodeStatus.objects.exists()


@pytest.mark.parametrize("change", [{"policy": "open"}, {"clock": "now"}, {"software": ""}, {"note": "hello"}])
def test_a_malformed_report_is_refused(signed_in: Callable[..., Caller], change: dict[str, str]) -> None:
    assert signed_in("zurich").post("node/status", STATUS | change).status_code in {400, 422}
    assert not NodeStatus.objects.exists()
