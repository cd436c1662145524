"""manage.py suspend_accounting set INSTITUTION SUBJECT RECIPIENT GROUND UNTIL [--oral] | end SUSPENSION."""

from typing import Any
from uuid import UUID

from django.core.management.base import BaseCommand, CommandError, CommandParser

from compute.services import suspensions
from concordat import clock
from concordat.reasons import Refused


class Command(BaseCommand):
    help = "Leave disclosures to an agency out of a person's accounts, at its request (45 CFR 164.528(a)(2))."

    def add_arguments(self, parser: CommandParser) -> None:
        acts = parser.add_subparsers(dest="act", required=True)
        setting = acts.add_parser("set")
        setting.add_argument("institution", help="whose pseudonym it is")
        setting.add_argument("subject", type=UUID, help="the pseudonym that the institution uses for the person")
        setting.add_argument(
            "recipient",
            help="an institution's short name; INSTITUTION/ROLE for somebody whom INSTITUTION itself let in, such as "
            "long-beach/regulator; or the ground on which packages were handed out",
        )
        setting.add_argument("ground", help="who said, and in which statement, that an account would impede them")
        setting.add_argument("until", help="when it ends, such as 2031-01-31T00:00:00Z, or P30D from now")
        setting.add_argument("--oral", action="store_true", help="only said, not written: 30 days at most")
        ending = acts.add_parser("end")
        ending.add_argument("suspension", type=int, help="the number that was printed when it was set")

    def handle(self, *_: Any, **options: Any) -> None:
        try:
            if options["act"] == "set":
                made = suspensions.suspend(
                    **{name: options[name] for name in ("institution", "subject", "recipient", "ground", "oral")},
                    until=clock.ahead(options["until"]),
                )
                self.stdout.write(f"Suspension {made.pk} lasts until {clock.rfc3339(made.until)}.")
            else:
                ended = suspensions.resume(suspension=options["suspension"])
                self.stdout.write(f"Suspension {ended.pk} is ended.")
        except Refused as refused:
            raise CommandError(f"{refused.detail} {refused.info.remedy}") from refused
