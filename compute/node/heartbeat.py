"""The node says every few minutes that it is there, so that people see whom to call when it falls silent; and it looks
for a head of the log to cosign, in case nobody asked it to.

Nothing depends on it: a node that cannot report goes on working, and the coordinator decides nothing by what it hears.
The policy's content stays at home; its digest lets the institution's own people see which one is in force.
"""

import sqlite3
import threading

import structlog

from compute.node.coordinator import Coordinator, Status
from compute.node.jobs import Node
from concordat import __version__, clock
from concordat.reasons import Refused

SECONDS = 120.0

log = structlog.get_logger()


class Heartbeat:
    """Reports once at the start, and then again and again, on a thread of its own."""

    def __init__(self, node: Node, coordinator: Coordinator, *, seconds: float = SECONDS) -> None:
        self._node = node
        self._coordinator = coordinator
        self._seconds = seconds
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="heartbeat", daemon=True)

    def start(self) -> "Heartbeat":
        self._thread.start()
        return self

    def close(self) -> None:
        """Say no more; a report that is on its way is not waited for."""
        self._ended.set()

    def beat(self) -> None:
        """Report once. Raises Refused as the coordinator's call does."""
        self._coordinator.status(status(self._node))

    def _run(self) -> None:
        while not self._ended.is_set():
            # Seeds are forgotten here as well, since there may be no job any more.
            for part in (self._node.forget_old_seeds, self.beat, self._node.witness):
                try:
                    part()
                except Refused as refused:
                    log.warning("heartbeat.refused", reason=refused.reason.value)
                except sqlite3.Error as error:  # a busy or a full disk now may be neither at the next beat
                    log.warning("heartbeat.failed", error=type(error).__name__)
            self._ended.wait(self._seconds)


def status(node: Node) -> Status:
    """What this node says of itself now."""
    return {
        "software": __version__,
        "policy": node.home.policy_digest,
        "busy": node.busy,
        "clock": clock.rfc3339(clock.now()),
    }
