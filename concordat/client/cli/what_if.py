"""`concordat what-if`: a question about a record that was predicted before."""

import click

from concordat import what_if
from concordat.client import again, governance, predict
from concordat.client.cli.common import SECONDS, App, following, wait_or_not
from concordat.client.cli.prediction import READ
from concordat.client.follow import check_not_ended
from concordat.client.retraction import check_not_taken_back
from concordat.client.work import Work


@click.command("what-if")
@click.argument("request")
@click.argument("questions", metavar="NAME=VALUE...", nargs=-1, required=True)
@wait_or_not("the answer can be opened")
@SECONDS
@click.pass_obj
def what_if_command(app: App, request: str, questions: tuple[str, ...], wait: bool, seconds: float) -> None:
    """Ask what REQUEST's record would be predicted if it were different: NAME=VALUE, NAME-=20, several with commas.

    It is computed securely, as a request of its own whose id is printed; `open` shows the answers. It counts in the
    definition's budgets. Of a record whose result was taken back nothing is asked.
    """
    work = Work.of(app.home.work, request)
    check_not_taken_back(app.home, work)
    with app.api(f"{READ} predictions.write") as api:
        definition = governance.fetch_definition(app.home, api, work.content["definition"])
        values = definition.schema.encode_row(work.content["values"]).values
        changes = [what_if.parse(question, definition.schema, values) for question in questions]
        asked = again.what_if(app.home, definition, work, changes)
        app.progress.print(f"Request {asked.request}")
        status = predict.submit(asked, api)
        if wait:
            with following(app) as told:
                status = predict.wait(asked, api, seconds=seconds, on_change=told)
    app.answer({**status}, lambda console: console.print(asked.request))
    check_not_ended(status)
