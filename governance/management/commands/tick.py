"""Let approvals lapse and write reminders now, as the worker's clock does every minute."""

from typing import Any

from django.core.management.base import BaseCommand

from concordat import clock
from governance.services import clockwork


class Command(BaseCommand):
    help = f"{__doc__} Twice is no harm."

    def handle(self, *args: Any, **options: Any) -> None:
        clockwork.tick(clock.now())
