"""The node's Celery worker: one queue of its own, under a key prefix of its own, on a broker that it does not trust.

No result backend (it would keep exception texts), no remote control, and no Django, whatever the environment says.
A message is acknowledged before it is worked on: a task lost with its worker is not repeated, the coordinator's
time-outs notice it. The prefix is what the broker's access list confines this node's user to.
"""

import logging

from celery import Celery

from compute import queues
from compute.node import tasks
from compute.node.coordinator import HttpCoordinator
from compute.node.heartbeat import Heartbeat
from compute.node.home import NodeHome
from compute.node.jobs import Node
from concordat import logs

THREADS = 4


def make_app(home: NodeHome) -> Celery:
    """The worker's configuration, without its tasks."""
    app = Celery("concordat-node", fixups=[], set_as_current=False)
    app.conf.update(
        broker_url=home.settings["broker"],
        # Messages are not kept aside until acknowledged: their lock is a script, which the access list forbids.
        broker_transport_options={"global_keyprefix": queues.key_prefix(home.institution), "ack_emulation": False},
        broker_connection_max_retries=None,
        task_default_queue=queues.queue(home.institution),
        **queues.WORKER,
    )
    return app


def run(home: NodeHome) -> None:
    """Work until told to stop. Raises Refused before that if keys, pins or the engines' address are not in order."""
    logs.configure()
    logging.captureWarnings(True)
    home.keys.load()
    home.check_mesh()
    node = Node(home, HttpCoordinator(home))
    app = make_app(home)
    tasks.register(app, node)
    node.recover()
    # Over a session of its own, so that no job waits for a report.
    heartbeat = Heartbeat(node, HttpCoordinator(home)).start()
    try:
        node.warm()
        app.Worker(
            pool="threads",
            concurrency=THREADS,
            quiet=True,
            without_gossip=True,
            without_mingle=True,
            without_heartbeat=True,
        ).start()
    finally:
        heartbeat.close()
        node.close()
