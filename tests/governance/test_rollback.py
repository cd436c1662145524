"""Where the log cannot be written, nothing has happened."""

from collections.abc import Callable
from typing import Any

import pytest
from django.apps import apps
from django.contrib.auth.models import User

from concordat import definition as documents
from governance.services import consent as consents
from governance.services import definitions, institutions, people, reviews, studies
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
    study = c.submitted()
    return lambda: c.sign(c.chairs["zurich"], study)


def suspend(c: Consortium) -> Callable[[], object]:
    study, chair = c.approved(), c.chairs["zurich"]
    return lambda: studies.suspend(study=study, institution=chair.institution, by=chair.user, ground="An incident.")


def close(c: Consortium) -> Callable[[], object]:
    study, admin = c.approved(), c.member("cleveland", "institution-admin")
    return lambda: studies.close(study=study, institution=c.at["cleveland"], by=admin, ground="Done.")


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


CASES = [
    (enrol, institutions),
    (roster, institutions),
    (invite, people),
    (submit, studies),
    (determine, reviews),
    (suspend, studies),
    (close, studies),
    (disclose, definitions),
    (register, definitions),
    (vote, definitions),
    (give, consents),
    (withdraw, consents),
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
