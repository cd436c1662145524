"""manage.py retention set INSTITUTION DAYS LAW | end RULE | list: how long records of people are kept, and why."""

from typing import Any
from uuid import UUID

from django.core.management.base import BaseCommand, CommandError, CommandParser

from concordat.law import Exemption
from concordat.reasons import Refused
from ledger.models import RetentionRule
from ledger.services import retention


class Command(BaseCommand):
    help = "Set, end or list retention rules. Erasing a person is refused while one applies. Rules stand in the log."

    def add_arguments(self, parser: CommandParser) -> None:
        acts = parser.add_subparsers(dest="act", required=True)
        setting = acts.add_parser("set")
        setting.add_argument("institution", help="whose records")
        setting.add_argument("days", type=int, help="from the last consent, verdict or result of a person")
        setting.add_argument("law", help="the provision, such as 45 CFR 164.316(b)(2); it names no person")
        setting.add_argument("--exemption", choices=list(Exemption), default=Exemption.LEGAL_OBLIGATION)
        setting.add_argument("--study", default="", help="for one study only")
        ending = acts.add_parser("end")
        ending.add_argument("rule", type=UUID, help="as it was printed when it was set")
        acts.add_parser("list")

    def handle(self, *_: Any, **options: Any) -> None:
        try:
            match options["act"]:
                case "set":
                    said = {name: options[name] for name in ("institution", "days", "law", "study")}
                    rule = retention.set_rule(**said, exemption=Exemption(options["exemption"]))
                    self.stdout.write(f"Retention rule {rule.uuid} is set.")
                case "end":
                    rule = retention.end_rule(rule=options["rule"])
                    self.stdout.write(f"Retention rule {rule.uuid} has ended.")
                case _:
                    for rule in RetentionRule.objects.filter(ended=None).order_by("pk"):
                        where = rule.study or "all studies"
                        self.stdout.write(f"{rule.uuid}  {rule.holder}  {where}  {rule.days} days  {rule.law}")
        except Refused as refused:
            raise CommandError(f"{refused.detail} {refused.info.remedy}") from refused
