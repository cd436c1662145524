"""Let an officer start over who has lost password, second factor or invitation: prints a new link."""

from typing import Any

from django.contrib.auth.models import User
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import transaction

from governance.services import invitations, second_factors


class Command(BaseCommand):
    help = f"{__doc__} Make sure by other means whom you hand it to."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("email")
        parser.add_argument(
            "--keep-factors", action="store_true", help="Only the password is lost: keep the second factors."
        )

    def handle(self, *args: Any, **options: Any) -> None:
        user = User.objects.filter(username=options["email"], officer__isnull=False).first()
        if user is None:
            raise CommandError("No officer has this e-mail address.")
        with transaction.atomic():
            user.set_unusable_password()
            user.save(update_fields=["password"])
            if not options["keep_factors"]:
                second_factors.remove_all(of=user)
        self.stdout.write("Hand this link over; it serves once, to set a password:")
        self.stdout.write(invitations.link(user))
