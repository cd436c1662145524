"""The four nodes at work on what the coordinator's broker was handed: real nodes and engines, the real REST interface.

Each task runs in a thread, and the nodes' HTTP requests are answered by Django in the thread that owns the test's
database.
"""

import queue
import threading
from concurrent.futures import Future
from contextlib import suppress

import httpx
from django.core.wsgi import get_wsgi_application

from compute.node.coordinator import HttpCoordinator
from compute.node.jobs import Node
from compute.services import dispatch
from concordat.reasons import Refused
from tests.support.consortium import NODES


class OtherThread(httpx.BaseTransport):
    """Hands requests to the thread that owns the database, and waits for its answer."""

    def __init__(self) -> None:
        self.requests: queue.Queue[tuple[Future, httpx.Request]] = queue.Queue()
        self.django = httpx.WSGITransport(get_wsgi_application())

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        answer: Future[httpx.Response] = Future()
        self.requests.put((answer, request))
        return answer.result(60)

    def serve(self, *, seconds: float) -> None:
        """Answer one request, if there is one."""
        with suppress(queue.Empty):
            answer, request = self.requests.get(timeout=seconds)
            response = self.django.handle_request(request)
            response.read()
            answer.set_result(response)


class Nodes:
    """The four nodes, each task in a thread of its own."""

    def __init__(self, world) -> None:
        self.world, self.http, self.handed = world, OtherThread(), 0
        homes = {slug: world.consortium.homes[slug] for slug in NODES}
        self.nodes = {slug: Node(home, HttpCoordinator(home, transport=self.http)) for slug, home in homes.items()}

    def deliver(self) -> None:
        """Hand out what the broker is given, and answer the nodes, until nothing is left to do."""
        working: list[threading.Thread] = []
        while self._hand_out(working) or any(thread.is_alive() for thread in working):
            with self.world.commit():
                self.http.serve(seconds=0.05)

    def _hand_out(self, working: list[threading.Thread]) -> bool:
        tasks = [sent for sent in self.world.sent[self.handed :] if sent[-1] in self.nodes]
        self.handed = len(self.world.sent)
        for task, *arguments, to in tasks:
            verb = getattr(self.nodes[to], task.removeprefix("node."))
            thread = threading.Thread(target=_guarded, args=(verb, *arguments), daemon=True)
            thread.start()
            working.append(thread)
        return bool(tasks)


def _guarded(verb, *arguments: str) -> None:
    with suppress(Refused):
        verb(*arguments)


def step(world, nodes, job):
    with world.commit():
        dispatch.push(job=job)
    nodes.deliver()
    job.refresh_from_db()
    return job
