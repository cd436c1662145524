"""Every verb of a person: wrong institution, wrong role and wrong state are each refused, and nothing happens."""

from collections.abc import Callable

import pytest
from django.contrib.auth.models import User

from concordat.reasons import Reason, Refused
from governance.models import Membership, Study
from governance.permissions import HOLDERS, Verb
from governance.policies import STATES
from governance.services import people, signing, studies
from governance.states import StudyState
from ledger.models import LogEntry
from tests.governance.conftest import Consortium

Act = Callable[[Consortium, Study, User], object]

ACTS: dict[Verb, Act] = {
    Verb.SUBMIT: lambda c, study, user: studies.submit(
        institution=c.at["cleveland"], content=c.protocol(summary="Another one."), by=user
    ),
    Verb.DETERMINE: lambda c, study, user: signing.challenge(by=user, study=study, determination="approved"),
    Verb.SUSPEND: lambda c, study, user: studies.suspend(
        study=study, institution=c.at["cleveland"], by=user, ground="An incident."
    ),
    Verb.CLOSE: lambda c, study, user: studies.close(
        study=study, institution=c.at["cleveland"], by=user, ground="It is done."
    ),
    Verb.INVITE: lambda c, study, user: people.invite(
        by=user, email="new@example.org", name="New", institution=c.at["cleveland"], role="auditor"
    ),
}
ALLOWED = {Verb.SUBMIT: StudyState.MODIFICATIONS_REQUIRED, Verb.SUSPEND: StudyState.APPROVED}


def in_state(consortium: Consortium, state: StudyState) -> Study:
    study = consortium.submitted()
    Study.objects.filter(pk=study.pk).update(state=state)
    study.refresh_from_db()
    return study


def holder(consortium: Consortium, verb: Verb, slug: str) -> User:
    return consortium.member(slug, sorted(HOLDERS[verb])[0])


def check_refused(act: Act, consortium: Consortium, study: Study, user: User, reason: Reason) -> None:
    before = (LogEntry.objects.count(), study.state, study.epoch, study.versions.count(), Membership.objects.count())
    with pytest.raises(Refused) as caught:
        act(consortium, study, user)
    assert caught.value.reason is reason
    study.refresh_from_db()
    after = (LogEntry.objects.count(), study.state, study.epoch, study.versions.count(), Membership.objects.count())
    assert after == before


@pytest.mark.parametrize("verb", ACTS)
def test_an_outsider_with_the_right_role_elsewhere(consortium: Consortium, verb: Verb) -> None:
    study = in_state(consortium, ALLOWED.get(verb, StudyState.SUBMITTED))
    check_refused(ACTS[verb], consortium, study, holder(consortium, verb, "notary"), Reason.WRONG_INSTITUTION)


@pytest.mark.parametrize(
    ("verb", "role"), [(verb, role) for verb in ACTS for role in Membership.Role.values if role not in HOLDERS[verb]]
)
def test_a_member_without_the_role(consortium: Consortium, verb: Verb, role: str) -> None:
    study = in_state(consortium, ALLOWED.get(verb, StudyState.SUBMITTED))
    check_refused(ACTS[verb], consortium, study, consortium.member("cleveland", role), Reason.ROLE_MISSING)


@pytest.mark.parametrize(
    ("verb", "state"),
    [(verb, state) for verb, states in STATES.items() if verb in ACTS for state in sorted(set(StudyState) - states)],
)
def test_the_wrong_state(consortium: Consortium, verb: Verb, state: StudyState) -> None:
    study = in_state(consortium, state)
    check_refused(ACTS[verb], consortium, study, holder(consortium, verb, "cleveland"), Reason.WRONG_STATE)


@pytest.mark.parametrize("verb", [Verb.SUBMIT, Verb.SUSPEND, Verb.CLOSE, Verb.INVITE])
def test_the_right_person_in_the_right_state(consortium: Consortium, verb: Verb) -> None:
    study = in_state(consortium, ALLOWED.get(verb, StudyState.SUBMITTED))
    user = holder(consortium, verb, "cleveland")
    before = LogEntry.objects.count()
    ACTS[verb](consortium, study, user)
    assert LogEntry.objects.count() == before + 1
