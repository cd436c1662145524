"""What the coordinator may ask of a node through the broker: five thin tasks that take a ticket or an identifier."""

from collections.abc import Callable

import structlog
from celery import Celery

from compute.node.jobs import Node
from concordat.reasons import Refused

log = structlog.get_logger()


def register(app: Celery, node: Node) -> None:
    """Give the worker its tasks."""

    @app.task(name="node.reserve")
    def reserve(ticket: str) -> None:
        _guarded("node.reserve", node.reserve, ticket)

    @app.task(name="node.start")
    def start(job: str) -> None:
        _guarded("node.start", node.start, job)

    @app.task(name="node.testify")
    def testify(job: str) -> None:
        _guarded("node.testify", node.testify, job)

    @app.task(name="node.witness")
    def witness(size: str) -> None:
        _guarded("node.witness", node.witness, size)

    @app.task(name="node.release")
    def release(job: str) -> None:
        _guarded("node.release", node.release, job)


def _guarded(task: str, verb: Callable[[str], None], argument: str) -> None:
    try:
        verb(argument)
    except Refused as refused:
        log.warning("task.refused", task=task, reason=refused.reason.value, field=refused.field)
