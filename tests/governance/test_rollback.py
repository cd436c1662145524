"""Where the log cannot be written, nothing has happened."""

from collections.abc import Callable
from typing import Any

import pytest
from django.apps import apps
from django.contrib.auth.models import User

from concordat import definition as documents
from governance.services import (
    boards,
    definitions,
    determinations,
    institutions,
    model_cards,
    people,
    recalls,
    reliance,
    reviews,
    settling,
    stops,
    studies,
)
from governance.services import consent as consents
from tests.governance.conftest import NEWCOMER, Consortium


class Broken(Exception):
    """The ledger is down."""


def _rows() -> dict[str, list[dict[str, Any]]]:
    models = [*apps.get_app_config("governance").get_models(), User, *apps.get_app_config("ledger").get_models()]
    return {model.__name__: list(model.objects.order_by("pk").values()) for model in models}


def enrol(c: Consortium) -> Callable[[], object]:
    return lambda: institutions.enrol(token=c.enrolment(NEWCOMER))


def roster(c: Consortium) -> Callable[[], object]:
    token = c.roster_token("zurich", [])
    return lambda: institutions.publish_roster(token=token)


def invite(c: Consortium) -> Callable[[], object]:
    admin = c.member("zurich", "institution-admin")
    return lambda: people.invite(by=admin, email="a@b.org", name="A", institution=c.at["zurich"], role="auditor")


def submit(c: Consortium) -> Callable[[], object]:
    return lambda: c.submitted()


def determine(c: Consortium) -> Callable[[], object]:
    study, chair = c.submitted(), c.chairs["zurich"]
    c.convene(chair, study, "disapproved")
    return lambda: c.act(chair, "determine", review=str(c.review(study, "zurich").uuid))


def suspend(c: Consortium) -> Callable[[], object]:
    study = c.approved()
    return lambda: c.stop("suspend", c.chairs["zurich"], study)


def close(c: Consortium) -> Callable[[], object]:
    study, admin = c.approved(), c.officer("cleveland", "institution-admin")
    c.roster("cleveland", [(c.chairs["cleveland"], "irb-chair"), (admin, "institution-admin")])
    return lambda: c.stop("close", admin, study)


def draft(c: Consortium) -> Callable[[], object]:
    author = c.member("cleveland", "investigator")
    content = {"study": "later", "title": "An idea"}
    return lambda: studies.save_draft(institution=c.at["cleveland"], content=content, by=author)


def take_back(c: Consortium) -> Callable[[], object]:
    study, author = c.submitted(), c.member("cleveland", "investigator")
    return lambda: studies.withdraw(study=study, by=author)


def route(c: Consortium) -> Callable[[], object]:
    study, chair = c.submitted(), c.chairs["zurich"]
    given = {"path": "expedited", "category": "5", "ground": "Minimal risk."}
    return lambda: reviews.route(by=chair.user, review=str(c.review(study, "zurich").uuid), **given)


def opine(c: Consortium) -> Callable[[], object]:
    study, chair = c.submitted(), c.chairs["zurich"]
    given = {"recommendation": "approved", "findings": {}, "comment": "Yes."}
    return lambda: reviews.give_opinion(by=chair.user, review=str(c.review(study, "zurich").uuid), **given)


def rely(c: Consortium) -> Callable[[], object]:
    return lambda: c.relies("long-beach", "zurich")


def file_context(c: Consortium) -> Callable[[], object]:
    study = c.submitted()
    return lambda: c.local_context(study)


def declare(c: Consortium) -> Callable[[], object]:
    study, chair = c.submitted(), c.chairs["zurich"]
    given = {"board": chair.institution, "study": str(study.uuid), "ground": "Shares."}
    return lambda: boards.declare_conflict(by=chair.user, **given)


def seat(c: Consortium) -> Callable[[], object]:
    chair = c.chairs["zurich"]
    given = {"board": chair.institution, "officer": str(chair.user.officer.uuid), "scientist": True, "affiliated": True}
    return lambda: boards.give_seat(by=chair.user, **given)


def disclose(c: Consortium) -> Callable[[], object]:
    study, model = c.approved(), c.import_model()
    key = c.keys["cleveland"].identity
    return lambda: definitions.disclose(token=documents.sign_disclosure(model=model, study=study.slug, key=key))


def register(c: Consortium) -> Callable[[], object]:
    content = c.content(c.approved(), c.import_model())
    return lambda: c.register(content)


def vote(c: Consortium) -> Callable[[], object]:
    known = c.registered()
    return lambda: definitions.relay_vote(vote=c.vote("zurich", known, approve=False))


def give(c: Consortium) -> Callable[[], object]:
    c.approved()
    token = c.consent()
    return lambda: consents.give(institution=c.at["long-beach"], token=token)


def withdraw(c: Consortium) -> Callable[[], object]:
    c.approved()
    consent = consents.give(institution=c.at["long-beach"], token=c.consent())
    token = c.withdrawal(str(consent.uuid))
    return lambda: consents.withdraw(institution=c.at["long-beach"], token=token)


def describe(c: Consortium) -> Callable[[], object]:
    token = c.card(c.import_model())
    return lambda: model_cards.describe(institution=c.at["cleveland"], token=token)


def recall(c: Consortium) -> Callable[[], object]:
    token = c.recall(c.registered().content["model"])
    return lambda: recalls.recall(institution=c.at["cleveland"], token=token)


CASES = [
    (enrol, institutions),
    (roster, institutions),
    (invite, people),
    (submit, studies),
    (determine, determinations),
    (determine, settling),
    (draft, studies),
    (take_back, studies),
    (route, reviews),
    (opine, reviews),
    (rely, reliance),
    (file_context, reliance),
    (declare, boards),
    (seat, boards),
    (suspend, stops),
    (close, stops),
    (disclose, definitions),
    (register, definitions),
    (vote, definitions),
    (give, consents),
    (withdraw, consents),
    (describe, model_cards),
    (recall, recalls),
]


@pytest.mark.parametrize(("prepare", "service"), CASES, ids=lambda value: getattr(value, "__name__", str(value)))
def test_a_deed_and_its_record_happen_together_or_not_at_all(
    consortium: Consortium,
    monkeypatch: pytest.MonkeyPatch,
    prepare: Callable[[Consortium], Callable[[], object]],
    service: Any,
) -> None:
    act = prepare(consortium)
    real = service.record

    def broken(**given: Any) -> None:
        real(**given)
        raise Broken

    before = _rows()
    with monkeypatch.context() as patch:
        patch.setattr(service, "record", broken)
        with pytest.raises(Broken):
            act()
    after = _rows()
    # The challenge was given before, in a transaction of its own; it stays unused.
    for rows in (before, after):
        rows["SigningChallenge"] = [row for row in rows["SigningChallenge"] if row["used"] is not None]
    assert after == before
    act()
    assert _rows()["LogEntry"] != before["LogEntry"]
