"""Attachments, decisions on data use, incidents, comments, roles: where the log cannot be written, nothing happened."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.apps import apps
from django.contrib.sessions.models import Session

from concordat import clock
from governance.models import Study
from governance.services import attachments, boards, comments, data_use, incidents, people
from ledger import selectors as ledger
from tests.governance.conftest import Consortium
from tests.support.officers import signed_in
from tests.support.triggers import without_rules

Deed = Callable[[], object]


class Broken(Exception):
    """The ledger is down."""


def _rows() -> dict[str, list[dict[str, Any]]]:
    models = [*apps.get_app_config("governance").get_models(), *apps.get_app_config("ledger").get_models(), Session]
    return {model.__name__: list(model._default_manager.order_by("pk").values()) for model in models}


def attach(c: Consortium) -> Deed:
    study, by = c.submitted(), c.member("zurich", "data-steward")
    given = {"kind": "charter", "institution": "zurich", "name": "a", "media_type": "text/plain", "content": b"a"}
    return lambda: attachments.add(by=by, study=study, **given)


def read(c: Consortium) -> Deed:
    attached: Any = attach(c)()
    by = c.member("budapest", "auditor")
    return lambda: attachments.read(by=by, study=str(attached.study.uuid), attachment=str(attached.uuid))


def decide(c: Consortium) -> Deed:
    datasets = [{"institution": "zurich", "terms": ["DUO:0000007"]}]
    study = c.submitted(data_use={"study": ["DUO:0000007"], "datasets": datasets})
    Study.objects.update(in_force=study.versions.get())  # so that a denial ends something
    steward = c.officer("zurich", "data-steward")
    c.roster("zurich", [(steward, "data-steward")])
    fields = {"study": str(study.uuid), "institution": "zurich", "decision": "denies", "reason": "No."}
    return lambda: c.act(steward, "decide-data-use", **fields)


def report(c: Consortium) -> Deed:
    study, by = c.submitted(), c.member("zurich", "clinician")
    with without_rules(Study):
        Study.objects.update(state="suspended")
    found = clock.now() - timedelta(hours=1)
    return lambda: incidents.report(
        by=by, study=study, institution=c.at["zurich"], kind="breach", discovered=found, summary="It broke."
    )


def step(c: Consortium) -> Deed:
    incident: Any = report(c)()
    by = c.member("zurich", "institution-admin")
    return lambda: incidents.step(by=by, incident=incident, to="notified", text="Told.")


def comment(c: Consortium) -> Deed:
    study, by = c.submitted(), c.member("zurich", "clinician")
    return lambda: comments.write(by=by, study=study, institution=c.at["zurich"], text="Well.", internal=False)


def remove(c: Consortium) -> Deed:
    admin, member = c.member("zurich", "institution-admin"), c.member("zurich", "irb-member")
    officer, office = str(member.officer.uuid), c.member("zurich", "irb-chair")
    boards.give_seat(by=office, board=c.at["zurich"], officer=officer, scientist=True, affiliated=True)
    signed_in(member)
    return lambda: people.remove_member(by=admin, membership=member.memberships.get())


CASES = [
    (attach, attachments),
    (read, attachments),
    (decide, data_use),
    (report, incidents),
    (step, incidents),
    (comment, comments),
    (remove, people),
    (remove, boards),
]


@pytest.mark.parametrize(("prepare", "service"), CASES, ids=lambda value: getattr(value, "__name__", str(value)))
def test_a_deed_and_its_record_happen_together_or_not_at_all(
    consortium: Consortium, monkeypatch: pytest.MonkeyPatch, prepare: Callable[[Consortium], Deed], service: Any
) -> None:
    deed = prepare(consortium)
    real = service.record

    def broken(**given: Any) -> None:
        real(**given)
        raise Broken

    before = _rows()
    with monkeypatch.context() as patch:
        patch.setattr(service, "record", broken)
        with pytest.raises(Broken):
            deed()
    after = _rows()
    # The challenge was given in a transaction of its own; it stays unused.
    for rows in (before, after):
        rows["SigningChallenge"] = [row for row in rows["SigningChallenge"] if row["used"] is not None]
    assert after == before
    entries = ledger.entries().count()
    deed()
    assert ledger.entries().count() > entries
