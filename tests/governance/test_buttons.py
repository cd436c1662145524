"""What a person is offered on a study's page is what the services would let them do; else the reason stands there."""

from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.contrib.auth.models import User
from pytest_django.fixtures import DjangoAssertNumQueries

from concordat import clock
from concordat.reasons import REASONS, Reason, Refused
from governance import acts, buttons
from governance.buttons import DEEDS, ELSEWHERE, Button
from governance.models import Study
from governance.permissions import HOLDERS, Role, Verb
from governance.services import boards, reviews, studies
from tests.governance.conftest import FINDINGS, Consortium


def offered(user: User, study: Study) -> dict[str, Button]:
    study.refresh_from_db()
    return {each.deed.name: each for each in buttons.buttons(buttons.desk(user, study, clock.now()))}


def on(shown: dict[str, Button]) -> set[str]:
    return {name for name, button in shown.items() if button.enabled}


def test_every_verb_has_a_button_or_is_done_elsewhere() -> None:
    here = {deed.verb for deed in DEEDS}
    assert here.isdisjoint(ELSEWHERE)
    assert here | set(ELSEWHERE) == set(Verb)


def test_every_deed_has_a_name_of_its_own() -> None:
    assert len({deed.name for deed in DEEDS}) == len(DEEDS)


def test_whose_role_never_can_is_shown_no_button(consortium: Consortium) -> None:
    study = consortium.submitted()
    for role in Role:
        shown = offered(consortium.member("zurich", role), study)
        assert {each.deed.verb for each in shown.values()} <= {verb for verb, held in HOLDERS.items() if role in held}
    assert offered(consortium.member("zurich", "auditor"), study) == {}
    assert offered(consortium.member("notary", "irb-chair"), study) == {}


def test_every_button_is_on_or_says_why_not(consortium: Consortium) -> None:
    study = consortium.submitted()
    for role in Role:
        for button in offered(consortium.member("zurich", role), study).values():
            assert button.enabled == (not button.why_not)


def test_a_chair_before_a_new_submission(consortium: Consortium) -> None:
    study, chair = consortium.submitted(), consortium.chairs["zurich"]
    shown = offered(chair.user, study)
    assert on(shown) == {"route", "opine", "attest-paper", "declare-conflict", "comment", "attach"}
    assert shown["determine"].why_not == REASONS[Reason.MEETING_NEEDED].sentence
    assert "The study is submitted" in shown["suspend"].why_not
    reviews.route(
        by=chair.user, review=str(consortium.review(study, "zurich").uuid), path="expedited", category="5", ground="x"
    )
    assert "determine" in on(offered(chair.user, study))
    consortium.sign(chair, study)
    shown = offered(chair.user, study)
    assert shown["determine"].why_not == "Hospital of zurich has decided on this already."


def test_a_member_is_told_of_the_delegation_that_is_missing(consortium: Consortium) -> None:
    study = consortium.submitted()
    chair = consortium.chairs["zurich"].user
    review = str(consortium.review(study, "zurich").uuid)
    reviews.route(by=chair, review=review, path="expedited", category="5", ground="x")
    shown = offered(consortium.member("zurich", "irb-member"), study)
    assert "or the chair's delegation" in shown["determine"].why_not
    assert "opine" in on(shown)


def test_nobody_is_offered_to_review_a_study_of_their_own(consortium: Consortium) -> None:
    study = consortium.submitted()
    both = consortium.member("cleveland", "irb-chair")
    both.memberships.create(institution=consortium.at["cleveland"], role="investigator", since=clock.now())
    shown = offered(both, study)
    for name in ("route", "opine", "determine"):
        assert shown[name].why_not == REASONS[Reason.SELF_REVIEW].sentence
    assert "withdraw" in on(shown)


def test_who_has_declared_a_conflict_is_offered_nothing_of_the_board_s(consortium: Consortium) -> None:
    study, chair = consortium.submitted(), consortium.chairs["zurich"].user
    boards.declare_conflict(by=chair, board=consortium.at["zurich"], study=str(study.uuid), ground="A relative.")
    shown = offered(chair, study)
    assert shown["route"].why_not == REASONS[Reason.CONFLICT_OF_INTEREST].sentence
    assert shown["declare-conflict"].why_not == "You have declared one already."
    assert on(shown) == {"comment", "attach"}


def test_an_investigator_through_a_study_s_life(consortium: Consortium) -> None:
    lead = consortium.member("cleveland", "investigator")
    study = consortium.submitted()
    assert {"draft", "withdraw", "close"} <= on(offered(lead, study))
    assert "The study is submitted" in offered(lead, study)["continue-review"].why_not
    consortium.local_context(study)
    for chair in consortium.chairs.values():
        consortium.sign(chair, study)
    shown = offered(lead, study)
    assert {"submit", "continue-review", "close"} <= on(shown)
    assert shown["withdraw"].why_not == "Nothing is before the boards."
    study.refresh_from_db()
    assert study.expires is not None
    with time_machine.travel(study.expires + timedelta(hours=1), tick=False):
        shown = offered(lead, study)
        assert "submit" in on(shown)
        assert shown["continue-review"].why_not == "The protocol has ended; submit an amended one."


def test_a_site_that_relies_files_its_context_and_one_that_does_not_is_told_so(consortium: Consortium) -> None:
    study = consortium.submitted()
    assert "file-local-context" in on(offered(consortium.signatory.user, study))
    shown = offered(consortium.chairs["zurich"].user, study)
    assert "relies on no other board" in shown["file-local-context"].why_not


def test_conditions_are_verified_where_they_were_set(consortium: Consortium) -> None:
    study = consortium.submitted()
    consortium.local_context(study)
    for slug in ("cleveland", "budapest"):
        consortium.sign(consortium.chairs[slug], study)
    consortium.sign(
        consortium.chairs["zurich"], study, "approved-with-conditions", findings=FINDINGS, conditions=["One."]
    )
    assert "verify-conditions" in on(offered(consortium.chairs["zurich"].user, study))
    shown = offered(consortium.chairs["budapest"].user, study)
    assert shown["verify-conditions"].why_not == "No condition of this board is open."


@pytest.mark.parametrize("act", ["suspend", "terminate", "close"])
def test_a_stop_is_offered_where_the_act_may_be_asked_for(consortium: Consortium, act: str) -> None:
    study = consortium.approved()
    people = [
        *(each.user for each in consortium.chairs.values()),
        consortium.signatory.user,
        consortium.member("cleveland", "investigator"),
        consortium.member("zurich", "irb-member"),
    ]
    for user in people:
        button = offered(user, study).get(act)
        slug = user.memberships.get().institution.slug
        assert bool(button and button.enabled) == _asks(user, act, study, slug)


def _asks(user: User, act: str, study: Study, slug: str) -> bool:
    fields: dict[str, Any] = {"study": str(study.uuid), "institution": slug, "ground": "An incident."}
    try:
        acts.ask(by=user, act=act, fields=fields, method="totp")
    except Refused:
        return False
    return True


def test_all_buttons_are_decided_in_a_bounded_number_of_queries(
    consortium: Consortium, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    study, chair = consortium.approved(), consortium.chairs["zurich"].user
    studies.continue_review(study=study, report="All is well.")
    with django_assert_max_num_queries(22):
        shown = offered(chair, study)
    assert {"route", "opine", "suspend", "terminate"} <= on(shown)
