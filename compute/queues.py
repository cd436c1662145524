"""Names on the broker, and how every worker is set up, the coordinator's and the nodes'. No Django, no Celery.

Every institution has a key prefix of its own, so that the broker's access list can confine its node to its own queue.
"""

from typing import Any

COORDINATOR = "coordinator"
"""The queue of the coordinator's own workers."""

COORDINATOR_PREFIX = "concordat:"
"""What every key on the broker begins with."""


def queue(institution: str) -> str:
    """The name of an institution's queue."""
    return f"node.{institution}"


def key_prefix(institution: str) -> str:
    """What every key of an institution's queue begins with."""
    return f"{COORDINATOR_PREFIX}{institution}:"


COORDINATOR_ACCESS = f"resetchannels ~{COORDINATOR_PREFIX}* &{COORDINATOR_PREFIX}* +@all -@dangerous -@admin +info"
"""The coordinator's rules in the broker's access list, after its password."""

NODE_COMMANDS = (
    "hello",
    "ping",
    "client|setname",
    "multi",
    "exec",
    "brpop",
    "lpush",
    "rpush",
    "llen",
    "sadd",
    "smembers",
)
"""All that a node's worker asks of the broker: take from its queue, put back, bind it. No scripts, which could stall
the broker for everyone, and nothing that lists keys."""


def node_access(institution: str) -> str:
    """A node's rules in the broker's access list, after its password."""
    prefix = key_prefix(institution)
    return f"resetchannels ~{prefix}* &{prefix}* -@all " + " ".join(f"+{command}" for command in NODE_COMMANDS)


WORKER: dict[str, Any] = {
    "broker_connection_retry_on_startup": True,
    "task_ignore_result": True,
    "task_serializer": "json",
    "accept_content": ["json"],
    "worker_enable_remote_control": False,
    "worker_send_task_events": False,
    "worker_hijack_root_logger": False,
    "worker_prefetch_multiplier": 1,
    "timezone": "UTC",
}
"""Celery's settings: JSON alone, no results (they would keep exception texts), and nobody steers a worker remotely."""
