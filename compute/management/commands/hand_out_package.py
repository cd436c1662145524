"""manage.py hand_out_package RECORD FOLDER GROUND: what reopens a decision, for those who hold its keys."""

from pathlib import Path
from typing import Any, get_args

from django.core.management.base import BaseCommand, CommandError, CommandParser

from compute.models import Job
from compute.services import packages
from concordat import record_number
from concordat.files import write_private
from concordat.package import Stage
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
            files = {each: folder / f"{options['record']}.{each}.package" for each in get_args(Stage)}
            for file in files.values():
                if file.exists() or not folder.is_dir():
                    raise Refused(Reason.FILE_UNREADABLE, detail=f"{file} cannot be written anew.", field="folder")
            # Logged and committed before anything is written: rather one entry too many than one too few.
            for package in packages.hand_out(job=job, role="operator", ground=options["ground"]):
                write_private(files[package.stage], package.content.encode(), replace=False)
                self.stdout.write(f"Written: {files[package.stage]}")
        except Refused as refused:
            raise CommandError(f"{refused.detail} {refused.info.remedy}") from refused
        except OSError as error:
            raise CommandError(f"{folder}: {error.strerror}") from error
