"""Create an officer's account, or give an existing one another role, and print the link that sets its password."""

import sys
from typing import Any

from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import transaction

from concordat.reasons import Refused
from governance import selectors
from governance.models import Membership
from governance.services import invitations, people


class Command(BaseCommand):
    help = __doc__

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("email")
        parser.add_argument("name", help="As it is printed under a signature.")
        parser.add_argument("institution", help="Its short name.")
        parser.add_argument("role", choices=Membership.Role.values)
        parser.add_argument(
            "--password-stdin",
            action="store_true",
            help="For demonstrations and tests: read the password from standard input instead of printing a link.",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            with transaction.atomic():
                membership = people.add_member(
                    email=options["email"],
                    name=options["name"],
                    institution=selectors.institution(options["institution"]),
                    role=options["role"],
                )
                if options["password_stdin"] and not membership.user.has_usable_password():
                    self._read_password(membership)
        except Refused as refused:
            raise CommandError(f"{refused.info.sentence} {refused.detail}") from refused
        self.stdout.write(f"{membership}")
        if not membership.user.has_usable_password():
            self.stdout.write("Hand this link over; it serves once, to set a password:")
            self.stdout.write(invitations.link(membership.user))

    def _read_password(self, membership: Membership) -> None:
        user = membership.user
        password = sys.stdin.readline().rstrip("\n")
        try:
            validate_password(password, user)
        except ValidationError as error:
            raise CommandError(" ".join(error.messages)) from error
        user.set_password(password)
        user.save(update_fields=["password"])
