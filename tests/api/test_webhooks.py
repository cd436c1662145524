"""Webhooks: registered by the institution's own system, changed on a condition; and the events, to be asked for."""

import json
from collections.abc import Callable
from typing import Any
from uuid import uuid4

import pytest
from django.db import transaction

from api.models import Delivery, Webhook
from api.views import webhooks
from api.webhooks import endpoints, outbox
from api.webhooks.audience import TOLD, told
from compute.models import Job
from concordat.events import EVENTS, Event
from governance.models import Institution
from ledger.models import LogEntry
from ledger.services.record import record
from tests.api.conftest import DIGEST, JOB, Caller
from tests.api.test_access import check_problem

URL = "https://hospital.example/told"
NEW = {"url": URL, "events": ["prediction.recorded", "job.ended"]}


def send(caller: Caller, method: str, path: str, body: Any = None, **headers: str) -> Any:
    return caller.client.generic(
        method,
        f"/api/v1/{path}",
        json.dumps(body).encode() if body is not None else b"",
        content_type="application/json",
        headers=caller.headers | headers,
    )


@pytest.fixture
def caller(signed_in: Callable[..., Caller]) -> Caller:
    return signed_in("long-beach")


@pytest.fixture
def registered(caller: Caller) -> tuple[str, str]:
    """(path, ETag)."""
    answer = caller.post("webhooks", NEW)
    assert answer.status_code == 201
    return f"webhooks/{answer.json()['webhook']}", answer["ETag"]


def happen(event: Event = Event.PREDICTION_RECORDED, **public: Any) -> LogEntry:
    usual = {"job": JOB, "request": str(uuid4()), "definition": DIGEST, "model": DIGEST, "study": "heart"}
    fields = {name: value for name, value in (usual | public).items() if name in EVENTS[event].public}
    with transaction.atomic():
        return record(event=event, public=fields)


class TestRegistering:
    def test_a_webhook_is_shown_as_it_was_registered(self, caller: Caller, registered: tuple[str, str]) -> None:
        path, tag = registered
        answer = caller.get(path)
        assert (answer.json()["url"], answer.json()["state"], answer["ETag"]) == (URL, "active", tag)
        assert answer.json()["events"] == ["job.ended", "prediction.recorded"]
        assert caller.get(path, **{"If-None-Match": tag}).status_code == 304
        assert [each["url"] for each in caller.get("webhooks").json()["items"]] == [URL]

    def test_the_same_again_is_the_same_webhook(self, caller: Caller, registered: tuple[str, str]) -> None:
        again = caller.post("webhooks", NEW | {"events": NEW["events"][::-1] * 2})
        assert (again.status_code, again["ETag"]) == (201, registered[1])
        assert Webhook.objects.count() == 1

    def test_the_same_address_for_other_events_is_a_conflict(self, caller: Caller, registered: tuple[str, str]) -> None:
        check_problem(caller.post("webhooks", NEW | {"events": ["key.changed"]}), 409, "conflict")

    @pytest.mark.parametrize(
        ("changes", "field"),
        [
            ({"url": "http://hospital.example/"}, "url"),
            ({"url": "https://user:word@hospital.example/"}, "url"),
            ({"url": "ftp://hospital.example/"}, "url"),
            ({"url": ""}, "url"),
            ({"events": []}, "events"),
            ({"events": ["consent.given"]}, "events.0"),
            ({"events": ["everything"]}, "events.0"),
            ({"state": "active"}, "state"),
        ],
    )
    def test_what_is_wrong_is_named(self, caller: Caller, changes: dict[str, Any], field: str) -> None:
        answer = caller.post("webhooks", NEW | changes)
        assert (answer.status_code, answer.json()["field"]) == (422, field)
        assert not Webhook.objects.exists()

    def test_there_are_only_so_many(self, caller: Caller) -> None:
        for number in range(endpoints.MOST):
            assert caller.post("webhooks", NEW | {"url": f"{URL}/{number}"}).status_code == 201
        check_problem(caller.post("webhooks", NEW), 409, "conflict")

    def test_no_event_about_a_person_can_be_asked_for(self) -> None:
        for event in TOLD:
            assert not event.value.startswith(("consent.", "subject.", "ballot.", "opinion.", "record.", "comment."))


class TestChangesOnACondition:
    @pytest.mark.parametrize("method", ["PATCH", "DELETE"])
    def test_without_a_condition_nothing_changes(
        self, caller: Caller, registered: tuple[str, str], method: str
    ) -> None:
        check_problem(send(caller, method, registered[0], {"active": False}), 428, "precondition-missing")
        starred = send(caller, method, registered[0], {"active": False}, **{"If-Match": "*"})
        check_problem(starred, 428, "precondition-missing")
        assert Webhook.objects.get().state == "active"

    @pytest.mark.parametrize("method", ["PATCH", "DELETE"])
    def test_who_has_read_an_earlier_state_changes_nothing(
        self, caller: Caller, registered: tuple[str, str], method: str
    ) -> None:
        path, tag = registered
        first = send(caller, "PATCH", path, {"active": False}, **{"If-Match": tag})
        assert (first.status_code, first.json()["state"]) == (200, "paused")
        check_problem(send(caller, method, path, {"active": True}, **{"If-Match": tag}), 412, "precondition-failed")
        assert Webhook.objects.get().state == "paused"
        assert send(caller, "PATCH", path, {"active": True}, **{"If-Match": first["ETag"]}).json()["state"] == "active"

    def test_a_removed_webhook_is_gone_with_what_waited_for_it(
        self, objects: Job, caller: Caller, registered: tuple[str, str]
    ) -> None:
        happen()
        assert outbox.collect() == 1
        answer = send(caller, "DELETE", registered[0], **{"If-Match": registered[1]})
        assert (answer.status_code, answer.content) == (204, b"")
        check_problem(caller.get(registered[0]), 404, "not-found")
        assert not Delivery.objects.exists()

    def test_other_events_count_from_the_change_on(
        self, objects: Job, caller: Caller, registered: tuple[str, str]
    ) -> None:
        happen(Event.KEY_CHANGED, institution="mayo", kind="client", ground="rotation", sequence=1)
        assert outbox.collect() == 0
        send(caller, "PATCH", registered[0], {"events": ["key.changed"]}, **{"If-Match": registered[1]})
        happen(Event.KEY_CHANGED, institution="mayo", kind="client", ground="rotation", sequence=2)
        assert outbox.collect() == 1

    def test_what_happens_in_a_pause_is_not_told_afterwards(
        self, objects: Job, caller: Caller, registered: tuple[str, str]
    ) -> None:
        path, tag = registered
        happen()
        outbox.collect()
        tag = send(caller, "PATCH", path, {"active": False}, **{"If-Match": tag})["ETag"]
        assert Delivery.objects.get().state == "given-up"
        happen()
        assert outbox.collect() == 0
        send(caller, "PATCH", path, {"active": True}, **{"If-Match": tag})
        assert outbox.collect() == 0
        happen()
        assert outbox.collect() == 1


ABOUT: dict[Event, tuple[dict[str, Any], set[str]]] = {
    Event.PREDICTION_RECORDED: ({"institution": "long-beach"}, {"long-beach"}),
    Event.JOB_ENDED: ({"state": "refused", "reason": "consent-withdrawn"}, {"long-beach"}),
    Event.VERDICT: ({"institution": "long-beach", "authorised": False}, {"long-beach"}),
    Event.CANARY_FAILED: (
        {"institution": "long-beach", "examination": "asked"},
        {"long-beach", "cleveland", "budapest", "notary"},
    ),
    Event.STUDY_SUSPENDED: (
        {"institution": "zurich", "epoch": 1, "method": "passkey"},
        {"cleveland", "budapest", "zurich", "long-beach"},
    ),
    Event.DEFINITION_VOTED: (
        {"institution": "cleveland", "approve": True},
        {"cleveland", "budapest", "zurich", "long-beach", "notary"},
    ),
    Event.MODEL_DESCRIBED: (
        {"institution": "cleveland", "sequence": 1},
        {"cleveland", "budapest", "zurich", "long-beach", "mayo", "notary"},
    ),
    Event.MODEL_RECALLED: (
        {"institution": "cleveland", "reason": "security", "classification": "I"},
        {"cleveland", "budapest", "zurich", "long-beach", "notary"},
    ),
    Event.KEY_CHANGED: (
        {"institution": "mayo", "kind": "client", "ground": "rotation", "sequence": 1},
        {"cleveland", "budapest", "zurich", "long-beach", "mayo", "notary"},
    ),
    Event.HOLDER_TOLD: ({"institution": "zurich", "destroyed": "C-0000001-9"}, {"zurich"}),
}


class TestWhoIsTold:
    @pytest.mark.parametrize("event", ABOUT, ids=str)
    def test_an_event_concerns_those_who_may_look_it_up(
        self, objects: Job, members: dict[str, Institution], event: Event
    ) -> None:
        public, expected = ABOUT[event]
        for slug, institution in members.items():
            endpoints.register(institution=institution, url=f"https://{slug}.example/", events=[event.value])
        happen(event, **public)
        outbox.collect()
        told_of = Delivery.objects.values_list("webhook__institution__slug", flat=True)
        assert set(told_of) == expected

    @pytest.mark.parametrize("event", ABOUT, ids=str)
    def test_what_came_out_is_not_told(self, objects: Job, event: Event) -> None:
        public, _ = ABOUT[event]
        said = told(happen(event, **public))
        names = {"index", "record", "self", "institution", "study", "definition", "model", "job"}
        assert set(said) == names
        assert not {"refused", "consent-withdrawn", False, True, "asked"} & set(said.values())

    def test_a_name_that_nobody_knows_is_told_to_nobody(self, objects: Job, members: dict[str, Institution]) -> None:
        for slug, institution in members.items():
            endpoints.register(institution=institution, url=f"https://{slug}.example/", events=["job.ended"])
        happen(Event.JOB_ENDED, job=str(uuid4()), state="refused", reason="")
        assert outbox.collect() == 0


class TestEvents:
    """The way to catch up: the same events, by their place in the log."""

    def test_everything_since_a_place_in_the_log_in_order(self, objects: Job, caller: Caller) -> None:
        last = caller.get("events?after=-1").json()["after"]
        entries = [happen() for _ in range(3)]
        happen(Event.HOLDER_TOLD, institution="zurich", destroyed="C-0000001-9")
        answer = caller.get(f"events?after={last}").json()
        assert [each["index"] for each in answer["items"]] == [entry.index for entry in entries]
        assert answer["items"][0]["job"] == JOB
        assert (answer["after"], answer["more"]) == (entries[-1].index + 1, False)
        assert caller.get(f"events?after={answer['after']}").json() == {
            "items": [],
            "after": answer["after"],
            "more": False,
        }

    def test_what_a_page_does_not_hold_the_next_one_does(
        self, objects: Job, caller: Caller, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(webhooks, "PAGE", 2)
        monkeypatch.setattr(webhooks, "LOOKED_AT", 3)
        after = caller.get("events?after=-1").json()
        while after["more"]:
            after = caller.get(f"events?after={after['after']}").json()
        entries = [happen() for _ in range(7)]
        seen, pages, page = [], 0, after | {"more": True}
        while page["more"]:
            page = caller.get(f"events?after={page['after']}").json()
            seen += [each["index"] for each in page["items"]]
            pages += 1
        assert seen == [entry.index for entry in entries]
        assert pages == 4

    def test_another_institutions_predictions_are_not_among_them(
        self, objects: Job, signed_in: Callable[..., Caller]
    ) -> None:
        happen()
        assert JOB not in signed_in("mayo").get("events?after=-1").content.decode()

    @pytest.mark.parametrize("after", ["", "after=", "after=x", "after=-2", "after=1.5"])
    def test_a_place_is_a_number(self, caller: Caller, after: str) -> None:
        assert caller.get(f"events?{after}").status_code == 422
