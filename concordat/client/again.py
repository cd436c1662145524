"""Questions about a record that was predicted before: the same person, ground and purpose, in a request of its own."""

from collections.abc import Sequence

from concordat.client import predict
from concordat.client.governance import CheckedDefinition
from concordat.client.home import ClientHome
from concordat.client.work import Work
from concordat.consent import Consent
from concordat.fields import read
from concordat.reasons import Reason, Refused
from concordat.request import peek_request
from concordat.signatures import peek
from concordat.what_if import Change


def what_if(home: ClientHome, definition: CheckedDefinition, work: Work, changes: Sequence[Change]) -> Work:
    """Prepare a request that asks what the model would predict if values of an earlier request's record were different.

    It is a job like any other: it counts in the budgets, and needs the legal ground to be there still.

    Raises:
        Refused: FIELD_INVALID for no change, or another definition than the earlier request's; as `predict.prepare`.
    """
    content = work.content
    if content["definition"] != definition.digest:
        raise Refused(Reason.FIELD_INVALID, detail="The request was made under another definition.", field="definition")
    if not changes:
        raise Refused(Reason.FIELD_INVALID, detail="Name at least one change.", field="what_ifs")
    asked = peek_request(content["token"])
    statement = asked["basis"]["consent"]
    consent = read(peek(statement)[1], Consent)["consent"] if statement else ""
    return predict.prepare(
        home,
        definition,
        content["values"],
        purpose=asked["purpose"],
        person=asked["person"],
        consent=consent,
        subject="" if consent else asked["subject"],
        urgency=asked["urgency"],
        what_ifs=changes,
        about=work.requests[-1],
    )
