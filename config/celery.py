"""The coordinator's Celery application. Nodes run one of their own (`compute.node`)."""

import os

from celery import Celery

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

from django.conf import settings

COORDINATOR_QUEUE = "coordinator"

app = Celery("concordat")
app.conf.update(
    broker_url=settings.REDIS_URL,
    broker_transport_options={"global_keyprefix": "concordat:", "visibility_timeout": 3600},
    broker_connection_retry_on_startup=True,
    task_default_queue=COORDINATOR_QUEUE,
    task_ignore_result=True,
    task_acks_late=True,
    task_serializer="json",
    accept_content=["json"],
    worker_enable_remote_control=False,
    worker_send_task_events=False,
    worker_hijack_root_logger=False,
    worker_prefetch_multiplier=1,
    timezone="UTC",
    beat_schedule={
        "publish the log": {"task": "ledger.publish", "schedule": 2.0},
        "send and settle anchors": {"task": "ledger.anchor", "schedule": 2.0},
        "move jobs on": {"task": "compute.sweep", "schedule": 2.0},
    },
)
app.autodiscover_tasks(["ledger", "governance", "compute"])
