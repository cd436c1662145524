"""Every verb of a person: wrong institution, wrong role and wrong state are each refused, and nothing happens."""

from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
from django.apps import apps

from concordat import clock
from concordat.reasons import Reason, Refused
from governance import acts
from governance.models import Membership, Study
from governance.permissions import HOLDERS, Verb
from governance.policies import STATES
from governance.services import boards, people, reviews, studies
from governance.states import StudyState
from tests.governance.conftest import Consortium, Officer
from tests.support.triggers import without_rules

Act = Callable[[Consortium, Study, Officer], object]

FINAL = {StudyState.TERMINATED, StudyState.CLOSED}


def signed(name: str, **fields: Any) -> Act:
    """The first of the two steps of a signature, in which everything is checked."""

    def act(c: Consortium, study: Study, officer: Officer) -> object:
        own = {"study": str(study.uuid), "institution": "cleveland", "review": str(c.review(study, "cleveland").uuid)}
        return acts.ask(by=officer.user, act=name, fields=own | fields, method="totp")

    return act


def plain(service: Callable[..., object], **given: Any) -> Act:
    """A verb without a signature."""

    def act(c: Consortium, study: Study, officer: Officer) -> object:
        own = {name: make(c, study) for name, make in given.items()}
        return service(by=officer.user, **own)

    return act


def _review(c: Consortium, study: Study) -> str:
    return str(c.review(study, "cleveland").uuid)


VERBS: dict[Verb, Act] = {
    Verb.DRAFT: plain(
        studies.save_draft,
        institution=lambda c, s: c.at["cleveland"],
        content=lambda c, s: {"study": s.slug, "title": "X"},
    ),
    Verb.SUBMIT: plain(
        studies.submit,
        institution=lambda c, s: c.at["cleveland"],
        content=lambda c, s: c.protocol(summary="Another one."),
    ),
    Verb.WITHDRAW: plain(studies.withdraw, study=lambda c, s: s),
    Verb.ROUTE: plain(
        reviews.route,
        review=_review,
        path=lambda c, s: "expedited",
        category=lambda c, s: "7",
        ground=lambda c, s: "Minimal risk.",
    ),
    Verb.OPINE: plain(
        reviews.give_opinion,
        review=_review,
        recommendation=lambda c, s: "approved",
        findings=lambda c, s: {},
        comment=lambda c, s: "Well thought out.",
    ),
    Verb.DETERMINE: signed("determine", outcome="referred", reasons="Too large for one reader."),
    Verb.ATTEST_PAPER: signed("attest-paper", outcome="approved", scan="sha256:" + "0" * 64),
    Verb.VERIFY_CONDITIONS: signed("verify-conditions", note="Seen."),
    Verb.DECLARE_CONFLICT: plain(
        boards.declare_conflict,
        board=lambda c, s: c.at["cleveland"],
        study=lambda c, s: str(s.uuid),
        ground=lambda c, s: "Shares in the owner.",
    ),
    Verb.SUSPEND: signed("suspend", ground="An incident."),
    Verb.TERMINATE: signed("terminate", ground="Serious harm."),
    Verb.CLOSE: signed("close", ground="It is done."),
    Verb.RELY: signed("propose-reliance", relying="cleveland", reviewing="zurich", responsibilities="All.", ends="x"),
    Verb.DELEGATE: signed("delegate", board="cleveland", scope="preside", delegate="x", ends="x"),
    Verb.INVITE: plain(
        people.invite,
        email=lambda c, s: "new@example.org",
        name=lambda c, s: "New",
        institution=lambda c, s: c.at["cleveland"],
        role=lambda c, s: "auditor",
    ),
}
ALLOWED = dict.fromkeys((Verb.SUBMIT, Verb.SUSPEND, Verb.TERMINATE, Verb.VERIFY_CONDITIONS), StudyState.APPROVED)
UNSEEN = {Reason.WRONG_INSTITUTION, Reason.NOT_FOUND}
"""To an outsider a study may not even be there."""


def in_state(study: Study, state: StudyState) -> Study:
    """The study as if it had come to that state; the rules are asked of nothing but the state here."""
    with without_rules(Study):
        Study.objects.filter(pk=study.pk).update(
            state=state, in_force=study.versions.first(), expires=clock.parse("2100-01-01T00:00:00Z")
        )
    study.refresh_from_db()
    return study


def rows() -> dict[str, int]:
    models = [model for app in ("governance", "ledger", "auth") for model in apps.get_app_config(app).get_models()]
    return {model.__name__: model.objects.count() for model in models}


def refused(act: Act, c: Consortium, study: Study, officer: Officer) -> Reason:
    before, epoch = rows(), study.epoch
    with pytest.raises(Refused) as caught:
        act(c, study, officer)
    study.refresh_from_db()
    assert (rows(), study.epoch) == (before, epoch)
    return caught.value.reason


@pytest.mark.parametrize("verb", VERBS)
def test_neither_an_outsider_nor_a_member_without_the_role(consortium: Consortium, verb: Verb) -> None:
    study = in_state(consortium.submitted(), ALLOWED.get(verb, StudyState.SUBMITTED))
    outsider = consortium.officer("notary", sorted(HOLDERS[verb])[0])
    assert refused(VERBS[verb], consortium, study, outsider) in UNSEEN
    for role in sorted(set(Membership.Role.values) - HOLDERS[verb]):
        member = consortium.officer("cleveland", role)
        assert refused(VERBS[verb], consortium, study, member) is Reason.ROLE_MISSING, role


@pytest.mark.parametrize("verb", [verb for verb in VERBS if verb in STATES])
def test_no_verb_in_the_wrong_state(consortium: Consortium, verb: Verb) -> None:
    study = consortium.submitted()
    holder = consortium.officer("cleveland", sorted(HOLDERS[verb])[0])
    for state in sorted(set(StudyState) - STATES[verb]):
        assert refused(VERBS[verb], consortium, in_state(study, state), holder) is Reason.WRONG_STATE, state


@pytest.mark.parametrize("verb", [Verb.DRAFT, Verb.WITHDRAW, Verb.ROUTE, Verb.DECLARE_CONFLICT, Verb.INVITE])
def test_the_right_person_in_the_right_state(consortium: Consortium, verb: Verb) -> None:
    study, before = consortium.submitted(), rows()["LogEntry"]
    VERBS[verb](consortium, study, consortium.officer("cleveland", sorted(HOLDERS[verb])[0]))
    assert rows()["LogEntry"] > before


def test_a_verb_that_no_person_has_is_no_person_s() -> None:
    assert {verb for verb, holders in HOLDERS.items() if not holders} == {Verb.DEFINE, Verb.CONSENT}


def test_whatever_is_signed_is_tried_here() -> None:
    tried = {act.verb for act in acts.ACTS.values()}
    with suppress(KeyError):
        tried -= {Verb.FILE_LOCAL_CONTEXT, Verb.DECIDE_DATA_USE}  # of relying sites and stewards: with their own tests
    assert tried <= set(VERBS)
