"""A model's card is written by its owner and read by everybody, as long as nothing changed from the reader's copy."""

from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.test import Client

from api.models import AccessToken
from api.scopes import Scope, allowed
from concordat import clock
from concordat.reasons import REASONS, Reason
from governance.models import ModelCard
from ledger.models import LogEntry
from tests.api.test_access import check_problem
from tests.support.consortium import OWNER, PARTIES, REQUESTER
from tests.support.coordinator import World

pytestmark = pytest.mark.django_db


class Owned:
    """The address of a model's card, called by institutions with all scopes that their roles have."""

    def __init__(self, world: World, client: Client) -> None:
        self.world, self.client, self.path = world, client, f"/api/v1/models/{world.model.digest}/card"

    def call(self, slug: str, method: str, body: dict[str, Any] | None = None, **headers: str) -> Any:
        caller, token = self.world.bodies[slug], uuid4().hex
        scopes, until = " ".join(allowed(caller.roles)), clock.now() + timedelta(minutes=5)
        AccessToken.objects.issue(token, institution=caller, scopes=scopes, expires=until)
        sent = {"Authorization": f"Bearer {token}", **headers}
        options = {"data": body, "content_type": "application/json"} if body is not None else {}
        return getattr(self.client, method)(self.path, headers=sent, **options)

    def put(self, slug: str = OWNER, **changes: Any) -> Any:
        return self.call(slug, "put", {"card": self.world.consortium.card(**changes)})


@pytest.fixture
def card(world: World, client: Client) -> Owned:
    return Owned(world, client)


def test_without_one_it_says_so(card: Owned) -> None:
    answer = card.call(REQUESTER, "get")
    said = {"model": card.world.model.digest, "last": 0, "sequence": 0, "statement": "", "received": ""}
    assert (answer.status_code, answer.json()) == (200, said)


def test_what_the_owner_puts_everybody_gets_once_for_each_change(card: Owned) -> None:
    put = card.put()
    assert put.status_code == 200
    got = card.call(REQUESTER, "get")
    assert got.json() == put.json()
    assert got.json()["sequence"] == 1
    again = card.call(PARTIES[1], "get", **{"If-None-Match": got["ETag"]})
    assert again.status_code == 304
    card.put(sequence=2)
    assert card.call(PARTIES[1], "get", **{"If-None-Match": got["ETag"]}).json()["sequence"] == 2


def test_the_same_again_changes_nothing_and_a_replayed_one_is_answered_with_the_newest(card: Owned) -> None:
    first, second = (card.world.consortium.card(sequence=number) for number in (1, 2))
    card.call(OWNER, "put", {"card": first})
    newest = card.call(OWNER, "put", {"card": second}).json()
    before = ModelCard.objects.count(), LogEntry.objects.count()
    for token in (second, first):
        assert card.call(OWNER, "put", {"card": token}).json() == newest
    assert (ModelCard.objects.count(), LogEntry.objects.count()) == before
    assert card.call(REQUESTER, "get").json() == newest


def test_who_does_not_own_it_does_not_find_it_and_who_owns_nothing_has_no_scope(card: Owned) -> None:
    other = card.world.bodies[PARTIES[1]]
    other.roles = ["owner"]
    other.save()
    check_problem(card.put(PARTIES[1]), 404, "not-found")
    assert check_problem(card.put(REQUESTER), 403, "role-missing")["field"] == Scope.MODELS_WRITE
    assert not ModelCard.objects.exists()


@pytest.mark.parametrize(
    ("changes", "reason", "field"),
    [
        ({"model": "sha256:" + "1" * 64}, Reason.DIGEST_MISMATCH, "card"),
        ({"owner": PARTIES[1]}, Reason.WRONG_INSTITUTION, "institution"),
        ({"owner": PARTIES[1], "institution": OWNER}, Reason.KEY_UNKNOWN, ""),
    ],
)
def test_a_card_that_is_not_the_owner_s_of_this_model_is_refused(
    card: Owned, changes: dict[str, Any], reason: Reason, field: str
) -> None:
    assert check_problem(card.put(**changes), REASONS[reason].status, reason)["field"] == field
    assert not ModelCard.objects.exists()


@pytest.mark.parametrize(
    ("body", "reason", "field"),
    [
        ({}, Reason.FIELD_MISSING, "card"),
        ({"card": "x"}, Reason.MALFORMED, ""),
        ({"card": "e30.e30.e30"}, Reason.DIGEST_MISMATCH, "card"),
        ({"kard": ""}, Reason.FIELD_UNKNOWN, "kard"),
    ],
)
def test_what_is_no_card_is_refused_by_name(card: Owned, body: dict[str, Any], reason: Reason, field: str) -> None:
    assert check_problem(card.call(OWNER, "put", body), REASONS[reason].status, reason)["field"] == field
