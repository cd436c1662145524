"""manage.py legal_hold set INSTITUTION SUBJECT GROUND [--until TIME] | lift HOLD: forbid erasing while a duty lasts."""

from typing import Any
from uuid import UUID

from django.core.management.base import BaseCommand, CommandError, CommandParser

from concordat import clock
from concordat.law import Exemption
from concordat.reasons import Refused
from ledger.services import subjects


class Command(BaseCommand):
    help = "Set or lift a legal hold on a subject's key. Both are recorded in the log, the ground as a commitment."

    def add_arguments(self, parser: CommandParser) -> None:
        acts = parser.add_subparsers(dest="act", required=True)
        setting = acts.add_parser("set")
        setting.add_argument("institution", help="whose pseudonym it is")
        setting.add_argument("subject", type=UUID, help="the pseudonym that the institution uses for the person")
        setting.add_argument("ground", help="the duty, and how long it lasts")
        setting.add_argument("--exemption", choices=list(Exemption), default=Exemption.LEGAL_CLAIMS)
        setting.add_argument(
            "--until", default="", help="when it ends by itself, such as 2031-01-31T00:00:00Z, or P5Y from now"
        )
        lifting = acts.add_parser("lift")
        lifting.add_argument("hold", type=int, help="the number that was printed when it was set")

    def handle(self, *_: Any, **options: Any) -> None:
        try:
            if options["act"] == "set":
                held = subjects.hold(
                    **{name: options[name] for name in ("institution", "subject", "ground")},
                    exemption=Exemption(options["exemption"]),
                    until=clock.ahead(options["until"]) if options["until"] else None,
                )
                self.stdout.write(f"Legal hold {held.pk} is set.")
            else:
                held = subjects.lift(hold=options["hold"])
                self.stdout.write(f"Legal hold {held.pk} is lifted.")
        except Refused as refused:
            raise CommandError(f"{refused.detail} {refused.info.remedy}") from refused
