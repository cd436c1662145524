"""A node says that it is there; whether anyone hears it changes nothing for its work."""

import threading

from compute.node.heartbeat import Heartbeat, status
from concordat import __version__, canonical, clock
from concordat.reasons import Reason, Refused


class Listener:
    def __init__(self, refuse=0):
        self.heard, self.refuse, self.twice = [], refuse, threading.Event()

    def status(self, said):
        self.heard.append(said)
        if len(self.heard) >= 2:
            self.twice.set()
        if len(self.heard) <= self.refuse:
            raise Refused(Reason.COORDINATOR_UNAVAILABLE)


def test_a_node_names_its_software_its_policy_by_digest_and_whether_it_is_busy(make_node, case, consortium):
    node, _, _ = make_node(case)
    said = status(node)
    policy = (consortium.homes["budapest"].directory / "policy.json").read_bytes()
    assert said == {
        "software": __version__,
        "policy": canonical.digest(policy),
        "busy": False,
        "clock": said["clock"],
    }
    assert abs((clock.now() - clock.parse(said["clock"])).total_seconds()) < 60
    node.reserve(case.token)
    assert status(node)["busy"] is True
    node.release(case.ticket["ticket"])
    assert status(node)["busy"] is False


def test_a_node_without_a_policy_says_so(make_node, case, consortium):
    node, _, _ = make_node(case)
    (consortium.homes["budapest"].directory / "policy.json").unlink()
    assert status(node)["policy"] == ""


def test_it_reports_at_the_start_and_again_and_goes_on_when_nobody_hears_it(make_node, case):
    node, _, _ = make_node(case)
    listener = Listener(refuse=1)
    heartbeat = Heartbeat(node, listener, seconds=0.01).start()
    try:
        assert listener.twice.wait(10)
    finally:
        heartbeat.close()


def test_after_its_end_it_says_no_more(make_node, case):
    node, _, _ = make_node(case)
    listener = Listener()
    heartbeat = Heartbeat(node, listener, seconds=0.01).start()
    heartbeat.close()
    heartbeat._thread.join(10)
    heard = len(listener.heard)
    assert not heartbeat._thread.is_alive()
    assert len(listener.heard) == heard
