"""What `concordat audit` and `concordat training` have in common: asking, following, taking back."""

from uuid import UUID

import click

from concordat.client import governance, many
from concordat.client.cli.common import DIGEST, SECONDS, App, following, person_option, wait_or_not
from concordat.client.follow import check_not_ended
from concordat.client.home import Many
from concordat.client.work import CohortWork


def read_scopes(which: Many) -> str:
    """What is needed to verify one."""
    return f"definitions.read {which}.read ledger.read"


def add_commands(group: click.Group, which: Many, *, one: str, then: str) -> None:
    """Give the group its `request`, `watch` and `cancel`.

    Args:
        one: what one is called, with its article.
        then: what can be done with a result.
    """

    @group.command(
        help=f"Ask for {one}, and print the request's id. The parties' nodes bring the rows that their own "
        f"institutions allow; after a crash, `{group.name} watch` sends the same request again."
    )
    @click.option(
        "--definition", "digest", type=DIGEST, required=True, help=f"Digest of the approved definition of {one}."
    )
    @click.option("--purpose", required=True, help="One of the definition's purposes.")
    @person_option("Your own handle of who asks, no name.")
    @wait_or_not(f"the result can be {then}")
    @SECONDS
    @click.pass_obj
    def request(app: App, digest: str, purpose: str, person: UUID, wait: bool, seconds: float) -> None:
        with app.api(f"{read_scopes(which)} {which}.write") as api:
            definition = governance.fetch_definition(app.home, api, digest)
            work = many.prepare(app.home, definition, which, purpose=purpose, person=str(person))
            app.progress.print(f"Request {work.request}")
            status = many.submit(work, api)
            if wait:
                with following(app) as told:
                    status = many.wait(work, api, seconds=seconds, on_change=told)
        app.answer({**status}, lambda console: console.print(work.request))
        check_not_ended(status)

    @group.command(help=f"Follow REQUEST until its result can be {then}; send it first if a crash came between.")
    @click.argument("request")
    @SECONDS
    @click.pass_obj
    def watch(app: App, request: str, seconds: float) -> None:
        work = CohortWork.of(app.home.many(which), request)
        with app.api(f"{which}.read {which}.write") as api:
            if not work.job:
                many.submit(work, api)
            with following(app) as told:
                status = many.wait(work, api, seconds=seconds, on_change=told)
        app.answer({**status}, lambda console: console.print(f"{status['state']}  {status['record']}"))

    @group.command(help="Take REQUEST back before there is a result; what is running is stopped.")
    @click.argument("request")
    @click.pass_obj
    def cancel(app: App, request: str) -> None:
        with app.api(f"{which}.write") as api:
            status = many.cancel(CohortWork.of(app.home.many(which), request), api)
        app.answer({**status}, lambda console: console.print(status["state"]))
