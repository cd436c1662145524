"""manage.py hand_out_package RECORD FOLDER GROUND: what reopens a decision, for those who hold its keys."""

from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import transaction

from compute.models import Job
from compute.services import packages
from concordat import record_number
from concordat.files import write_private
from concordat.reasons import Reason, Refused


class Command(BaseCommand):
    help = "Write a decision's records packages into FOLDER, sealed as they are. The log says so, and on which ground."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("record", help="the decision's number, such as C-0000042-3")
        parser.add_argument("folder", type=Path, help="an existing folder")
        parser.add_argument("ground", help="the authority, such as an order's reference; it names no person")

    def handle(self, *_: Any, **options: Any) -> None:
        folder: Path = options["folder"]
        try:
            job = Job.objects.filter(prediction_entry=record_number.parse(options["record"])).first()
            if job is None:
                raise Refused(Reason.NOT_FOUND, detail="No decision has this number.", field="record")
            with transaction.atomic():  # what could not be written was not handed out
                for package in packages.hand_out(job=job, role="operator", ground=options["ground"]):
                    file = folder / f"{options['record']}.{package.stage}.package"
                    write_private(file, package.content.encode(), replace=False)
                    self.stdout.write(f"Written: {file}")
        except Refused as refused:
            raise CommandError(f"{refused.detail} {refused.info.remedy}") from refused
        except OSError as error:
            raise CommandError(f"{folder}: {error.strerror}") from error
