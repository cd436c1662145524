"""Answers that wait for news, and answers that are not sent twice."""

import threading
from collections.abc import Callable, Iterator

import pytest

from api import waiting
from compute.models import Job
from concordat.states import JobState
from governance.models import Institution
from tests.api.conftest import JOB, SAMPLES, Caller

PATH = f"predictions/{JOB}"


@pytest.fixture
def caller(objects: Job, signed_in: Callable[..., Caller]) -> Caller:
    return signed_in("long-beach")


@pytest.fixture
def looks(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Every pause between two looks, none of which takes time."""
    pauses: list[float] = []
    clock = iter(range(1000))
    monkeypatch.setattr(waiting.time, "sleep", pauses.append)
    monkeypatch.setattr(waiting.time, "monotonic", lambda: next(clock))
    return pauses


def known(caller: Caller) -> str:
    return caller.get(PATH).headers["ETag"]


def test_what_has_not_changed_is_not_sent_again(caller: Caller) -> None:
    again = caller.get(PATH, **{"If-None-Match": known(caller)})
    assert (again.status_code, again.content) == (304, b"")
    Job.objects.update(state=JobState.COMPUTING)
    assert caller.get(PATH, **{"If-None-Match": known(caller) + "x"}).json()["state"] == "computing"


@pytest.mark.parametrize("path", ["institutions", "institutions/mayo", "predictions", "studies", "models"])
def test_every_reading_has_a_tag(caller: Caller, path: str) -> None:
    tag = caller.get(path).headers["ETag"]
    assert caller.get(path, **{"If-None-Match": tag}).status_code == 304
    assert caller.get(path, **{"If-None-Match": '"another"'}).status_code == 200


def test_a_refusal_is_never_a_304(caller: Caller, signed_in: Callable[..., Caller]) -> None:
    assert signed_in("mayo").get(PATH, **{"If-None-Match": known(caller)}).status_code == 404
    assert caller.get("predictions?sate=final", **{"If-None-Match": "*"}).status_code == 422


def test_an_answer_waits_until_there_is_news(
    caller: Caller, looks: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    tag = known(caller)

    def sleep(seconds: float) -> None:
        looks.append(seconds)
        if len(looks) == 3:
            Job.objects.update(state=JobState.COMPUTING)

    monkeypatch.setattr(waiting.time, "sleep", sleep)
    answer = caller.get(PATH, **{"If-None-Match": tag, "Prefer": "wait=10"})
    assert (answer.json()["state"], len(looks)) == ("computing", 3)
    assert answer.headers["Preference-Applied"] == "wait=10"
    assert answer.headers["ETag"] == known(caller) != tag


@pytest.mark.parametrize(("prefer", "pauses"), [("wait=3", 2), ("respond-async, wait=3", 2), ("wait=99999", 19)])
def test_it_does_not_wait_for_ever(caller: Caller, looks: list[float], prefer: str, pauses: int) -> None:
    answer = caller.get(PATH, **{"If-None-Match": known(caller), "Prefer": prefer})
    assert (answer.status_code, len(looks)) == (304, pauses)
    assert answer.headers["Preference-Applied"].startswith("wait="), "or the caller takes it for declined"


@pytest.mark.parametrize("prefer", ["", "wait", "wait=", "wait=x", "wait=-1", "await=9", "wait=1.5", "wait=0"])
def test_a_preference_that_is_not_understood_is_passed_over(caller: Caller, looks: list[float], prefer: str) -> None:
    answer = caller.get(PATH, **{"If-None-Match": known(caller), "Prefer": prefer})
    assert (answer.status_code, looks) == (304, [])


def test_who_says_nothing_of_what_it_knows_is_answered_at_once(caller: Caller, looks: list[float]) -> None:
    assert caller.get(PATH, Prefer="wait=9").status_code == 200
    assert looks == []


@pytest.fixture
def all_wait() -> Iterator[None]:
    while waiting.AT_ONCE.acquire(blocking=False):
        pass
    yield
    for _ in range(4):
        waiting.AT_ONCE.release()


def test_those_who_wait_leave_threads_for_others(caller: Caller, looks: list[float], all_wait: None) -> None:
    answer = caller.get(PATH, **{"If-None-Match": known(caller), "Prefer": "wait=9"})
    assert (answer.status_code, looks) == (304, [])
    assert "Preference-Applied" not in answer.headers


def test_one_institution_cannot_have_all_the_places(
    caller: Caller, looks: list[float], signed_in: Callable[..., Caller], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each call that waits makes the next one before it looks again."""
    others, theirs = signed_in("mayo"), f"audits/{SAMPLES['audit']}"
    Job.objects.filter(uuid=SAMPLES["audit"]).update(requester=Institution.objects.get(slug="mayo"))
    ours = (caller, PATH, known(caller))
    another = (others, theirs, others.get(theirs).headers["ETag"])
    calls, waited = [ours, ours, ours, another, another, another], []

    def call(seconds: float = 0) -> None:
        if calls:
            who, path, tag = calls.pop(0)
            answer = who.get(path, **{"If-None-Match": tag, "Prefer": "wait=9"})
            waited.append((who is caller, "Preference-Applied" in answer.headers))
            call()

    monkeypatch.setattr(waiting.time, "sleep", call)
    call()
    assert sorted(waited) == [(False, False), (False, True), (False, True), (True, False), (True, True), (True, True)]


def test_a_wait_that_fails_gives_its_place_back(
    caller: Caller, looks: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    tag = known(caller)

    def sleep(seconds: float) -> None:
        Job.objects.all().delete()

    monkeypatch.setattr(waiting.time, "sleep", sleep)
    for _ in range(5):
        assert caller.get(PATH, **{"If-None-Match": tag, "Prefer": "wait=9"}).status_code == 404
    assert isinstance(waiting.AT_ONCE, threading.BoundedSemaphore)
    assert waiting.AT_ONCE.acquire(blocking=False)
    waiting.AT_ONCE.release()


class TestFilters:
    def test_a_list_is_narrowed(self, caller: Caller, objects: Job) -> None:
        def found(query: str) -> int:
            return len(caller.get(f"predictions?{query}").json()["items"])

        assert found("state=reserved") == found(f"definition={objects.definition.digest}") == 1
        assert found("state=final") == found("definition=sha256:" + "1" * 64) == 0
        assert found(f"state=reserved&definition={objects.definition.digest}") == 1
        Job.objects.update(prediction_entry=42)
        assert found(f"record={Job.objects.get(uuid=JOB).record}") == 1

    @pytest.mark.parametrize(
        ("query", "field"),
        [("state=done", "state"), ("definition=abc", "definition"), ("record=C-1", "record"), ("sate=final", "sate")],
    )
    def test_what_is_no_filter_or_no_value_is_refused_by_name(self, caller: Caller, query: str, field: str) -> None:
        answer = caller.get(f"predictions?{query}")
        assert answer.status_code in (400, 422)
        assert answer.json()["field"] == field
