"""Hand tasks to the broker. They carry tickets or an identifier, nothing else."""

from celery import current_app
from kombu.exceptions import KombuError, OperationalError
from redis.exceptions import RedisError

from compute import queues
from concordat.reasons import Reason, Refused

_IMPATIENT = {"socket_connect_timeout": 2, "socket_timeout": 5, "max_retries": 1, "interval_start": 0}
"""The database holds what is to be done and the sweep repeats it: better to fail now than to hold a request up."""

_LAPSES = {"node.witness": 60.0}
"""Seconds after which a message that nobody took is worth nothing, as another has come: so a node that is away for a
week does not find one for every head of the log."""


def to_node(task: str, *arguments: str, institution: str) -> None:
    """Queue a task for an institution's node. Raises Refused(BROKER_UNAVAILABLE)."""
    _send(task, *arguments, queue=queues.queue(institution), prefix=queues.key_prefix(institution))


def to_coordinator(task: str, argument: str) -> None:
    """Queue a task for a worker of our own. Raises Refused(BROKER_UNAVAILABLE)."""
    _send(task, argument, queue=queues.COORDINATOR, prefix=queues.COORDINATOR_PREFIX)


def _send(task: str, *arguments: str, queue: str, prefix: str) -> None:
    options = {**_IMPATIENT, "global_keyprefix": prefix}
    try:
        with current_app.connection_for_write(transport_options=options) as connection:
            lapse = _LAPSES.get(task)
            current_app.send_task(task, list(arguments), queue=queue, connection=connection, retry=False, expires=lapse)
    except (KombuError, OperationalError, RedisError, OSError) as error:
        raise Refused(Reason.BROKER_UNAVAILABLE) from error
