"""What the coordinator may ask of a node through the broker: five thin tasks that take tickets or an identifier."""

from collections.abc import Callable

import structlog
from celery import Celery

from compute.node.jobs import Node
from concordat.reasons import Refused

log = structlog.get_logger()


def register(app: Celery, node: Node) -> None:
    """Give the worker its tasks."""

    @app.task(name="node.reserve")
    def reserve(first: str, *others: str) -> None:
        _guarded("node.reserve", node.reserve, first, *others)

    @app.task(name="node.start")
    def start(batch: str) -> None:
        _guarded("node.start", node.start, batch)

    @app.task(name="node.testify")
    def testify(job: str) -> None:
        _guarded("node.testify", node.testify, job)

    @app.task(name="node.witness")
    def witness(size: str) -> None:
        _guarded("node.witness", node.witness, size)

    @app.task(name="node.release")
    def release(ticket: str) -> None:
        _guarded("node.release", node.release, ticket)


def _guarded(task: str, verb: Callable[..., None], *arguments: str) -> None:
    try:
        verb(*arguments)
    except Refused as refused:
        log.warning("task.refused", task=task, reason=refused.reason.value, field=refused.field)
