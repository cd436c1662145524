"""Whatever dies between two lines, one request becomes one job."""

import stat
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from compute.models import Job
from concordat.client import predict
from concordat.client.home import ClientHome
from concordat.client.work import Work
from concordat.reasons import Reason, Refused
from tests.concordat.client.conftest import World


class Killed(BaseException):
    """The process is gone: nothing after this line runs, and no handler of an ordinary error sees it."""


class LosesAnswers(httpx.BaseTransport):
    """Delivers every call; the first answers to posted predictions never arrive."""

    def __init__(self, inner: httpx.BaseTransport, loss: Callable[[], BaseException], times: int = 1) -> None:
        self.inner, self.loss, self.left = inner, loss, times
        self.keys: list[str] = []

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        response = self.inner.handle_request(request)
        response.read()
        if request.method == "POST" and request.url.path.endswith("/predictions"):
            self.keys.append(request.headers["Idempotency-Key"])
            if self.left:
                self.left -= 1
                raise self.loss()
        return response


@pytest.fixture
def home(world: World) -> ClientHome:
    return world.homes["long-beach"]


def test_killed_between_the_coordinators_write_and_its_answer(world: World, home: ClientHome, work: Work) -> None:
    world.transport = LosesAnswers(world.transport, Killed)
    with pytest.raises(Killed):
        predict.submit(work, world.api("long-beach"))
    assert Job.objects.count() == 1
    after_restart = Work.of(home.work, work.request)
    assert after_restart.job == ""
    status = predict.submit(after_restart, world.api("long-beach"))
    assert Job.objects.count() == 1
    assert after_restart.job == status["prediction"] == str(Job.objects.get().uuid)


def test_killed_before_anything_was_sent(world: World, home: ClientHome, work: Work) -> None:
    after_restart = Work.of(home.work, work.request)
    predict.submit(after_restart, world.api("long-beach"))
    assert Job.objects.count() == 1
    assert after_restart.output_key.public == work.output_key.public


def test_an_answer_lost_on_the_way_is_asked_for_again_under_the_same_key(world: World, work: Work) -> None:
    world.transport = transport = LosesAnswers(world.transport, lambda: httpx.ReadError("reset"), times=2)
    predict.submit(work, world.api("long-beach"))
    assert Job.objects.count() == 1
    assert transport.keys == [work.request] * 3


def test_submitting_twice_is_submitting_once(world: World, work: Work) -> None:
    api = world.api("long-beach")
    assert predict.submit(work, api) == predict.submit(work, api)
    assert Job.objects.count() == 1


def test_another_job_for_the_same_request_is_not_accepted(work: Work) -> None:
    work.submitted("one")
    with pytest.raises(Refused, match=f"^{Reason.CONFLICT}:"):
        work.submitted("another")
    assert work.job == "one"


def test_nothing_can_be_followed_before_it_was_sent(world: World, work: Work) -> None:
    with pytest.raises(Refused, match=f"^{Reason.WRONG_STATE}:"):
        predict.wait(work, world.api("long-beach"), seconds=1)


def test_its_files_are_the_owners_alone(home: ClientHome, work: Work) -> None:
    def mode(path: Any) -> int:
        return stat.S_IMODE(path.stat().st_mode)

    assert [mode(folder) for folder in (home.work, work.folder)] == [0o700, 0o700]
    assert {file.name: mode(file) for file in work.folder.iterdir()} == {"request.json": 0o600, "output.key": 0o600}


@pytest.mark.parametrize("request_id", ["", "../keys", "00000000-0000-0000-0000-000000000000"])
def test_what_was_never_begun_is_not_found(home: ClientHome, request_id: str, world: World) -> None:
    with pytest.raises(Refused, match=f"^{Reason.NOT_FOUND}:"):
        Work.of(home.work, request_id)
