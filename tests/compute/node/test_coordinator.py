"""How long a node asks a coordinator that does not answer."""

import httpx
import pytest

from compute.node.coordinator import HttpCoordinator
from concordat import clock
from concordat.client import session
from concordat.client.session import PATIENT_ATTEMPTS
from concordat.reasons import Reason, Refused
from tests.support.consortium import new_uuid


@pytest.fixture
def calls(monkeypatch):
    """What was tried, at once: nobody waits in between."""
    monkeypatch.setattr(session, "pause", lambda *_: 0.0)
    return []


@pytest.fixture
def coordinator(consortium, calls):
    def away(request):
        calls.append(request)
        raise httpx.ConnectError("restarting")

    return HttpCoordinator(consortium.homes["zurich"], transport=httpx.MockTransport(away))


@pytest.mark.parametrize("call", ["job", "answer", "result"])
def test_what_belongs_to_a_job_outlasts_a_restart_of_the_coordinator(coordinator, calls, call):
    job = new_uuid()
    with pytest.raises(Refused) as caught:
        {
            "job": lambda: coordinator.job(job),
            "answer": lambda: coordinator.answer(job, "answer"),
            "result": lambda: coordinator.result(job, "receipt", None),
        }[call]()
    assert caught.value.reason is Reason.COORDINATOR_UNAVAILABLE
    assert len(calls) == PATIENT_ATTEMPTS


def test_a_report_of_status_is_not_repeated_since_another_follows(coordinator, calls):
    with pytest.raises(Refused):
        coordinator.status({"software": "1", "policy": "", "busy": False, "clock": clock.rfc3339(clock.now())})
    assert len(calls) == 1
