"""The coordinator's Celery application. Nodes run one of their own (`compute.node`)."""

import os

from celery import Celery
from celery.signals import beat_embedded_init, setup_logging, task_postrun, worker_ready

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

from django.conf import settings

from compute import queues
from concordat import logs
from config.processes import die_with_parent

app = Celery("concordat")
app.conf.update(
    broker_url=settings.REDIS_URL,
    broker_transport_options={"global_keyprefix": queues.COORDINATOR_PREFIX, "visibility_timeout": 3600},
    task_default_queue=queues.COORDINATOR,
    task_acks_late=True,
    **queues.WORKER,
    beat_schedule={
        "publish the log": {"task": "ledger.publish", "schedule": 2.0},
        "send and settle anchors": {"task": "ledger.anchor", "schedule": 2.0},
        "stamp the log's head": {"task": "ledger.stamp", "schedule": 5.0},
        "complete the list of destroyed keys": {"task": "ledger.list_destroyed", "schedule": 60.0},
        "move jobs on": {"task": "compute.sweep", "schedule": 2.0},
        "let approvals lapse, remind people": {"task": "governance.tick", "schedule": 60.0},
        "send mail": {"task": "governance.mail", "schedule": 30.0},
        "tell institutions' systems": {"task": "api.webhooks", "schedule": 2.0, "options": {"expires": 2}},
    },
)


def _alive(**_: object) -> None:
    # Touched when the worker is ready and after every task, so that its age says whether work is being done.
    settings.STATE_DIR.mkdir(parents=True, exist_ok=True)
    (settings.STATE_DIR / "worker.alive").touch()


def _logs(**_: object) -> None:
    # With a receiver of this signal Celery sets up no logging of its own, which would print tracebacks.
    logs.configure()


def _clock_started(**_: object) -> None:
    # The clock is a process of the worker's own; after a killed worker it would go on queueing tasks for ever.
    die_with_parent()


beat_embedded_init.connect(_clock_started, weak=False)
setup_logging.connect(_logs, weak=False)
worker_ready.connect(_alive, weak=False)
task_postrun.connect(_alive, weak=False)
app.autodiscover_tasks(["ledger", "governance", "compute", "api"])
