"""One timeline of a study: the log in sentences, comments where they may be read, with signatures and the chain."""

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.template.loader import render_to_string

from concordat import clock
from concordat.events import EVENTS, Event
from governance import timeline
from governance.models import Comment, Study
from ledger import selectors
from ledger.services import publish
from tests.governance.conftest import Consortium

LEFT_OUT = {Event.STUDY_DRAFTED}
"""A draft's entries do not name its study in the open."""


def comment(consortium: Consortium, study: Study, slug: str, text: str, *, internal: bool = False) -> Comment:
    officer = consortium.member(slug, "irb-member").officer
    return Comment.objects.create(
        study=study, institution=consortium.at[slug], officer=officer, internal=internal, text=text, written=clock.now()
    )


def sentences(study: Study, user: User, **options: Any) -> list[str]:
    return [entry.sentence for entry in timeline.events(study, user, **options)]


def test_every_event_that_names_a_study_has_a_sentence_made_of_its_public_fields() -> None:
    about_a_study = {event for event, info in EVENTS.items() if "study" in info.public} - LEFT_OUT
    assert about_a_study <= set(timeline.SENTENCES)
    for event in timeline.SENTENCES:
        public: dict[str, Any] = dict.fromkeys(EVENTS[event].public, "x")
        assert "{" not in timeline.sentence(event, public | {"boards": ["zurich"]}, {"zurich": "Zurich"})


@pytest.mark.parametrize(
    ("event", "public", "expected"),
    [
        (
            Event.STUDY_SUBMITTED,
            {"institution": "a", "boards": ["a", "b"], "kind": "initial", "study": "s", "submission": ""},
            "Alpha put a version before the boards (initial): Alpha, b.",
        ),
        (
            Event.REVIEW_ROUTED,
            {"institution": "a", "path": "full-board", "category": ""},
            "Alpha's board chose how it reviews: full-board.",
        ),
        (
            Event.DATA_USE_DECIDED,
            {"institution": "a", "allowed": False},
            "The data steward of Alpha decided on the use of its data: denied.",
        ),
        (
            Event.INCIDENT_STEP,
            {"institution": "a", "late": True, "step": "notified"},
            "Alpha took a step about an incident, late: notified.",
        ),
    ],
)
def test_an_entry_reads_like_this(event: Event, public: dict[str, Any], expected: str) -> None:
    assert timeline.sentence(event, public, {"a": "Alpha"}) == expected


def test_a_study_s_life_comes_with_names_numbers_reasons_and_how_far_it_is_on_the_chain(
    consortium: Consortium,
) -> None:
    study, chair = consortium.submitted(), consortium.chairs["zurich"]
    consortium.sign(chair, study, "modifications-required", reasons="Shorten the consent form.")
    publish.publish()
    found = list(timeline.events(study, chair.user))
    assert [entry.time for entry in found] == sorted((entry.time for entry in found), reverse=True)
    signed = next(entry for entry in found if "decided (initial, expedited)" in entry.sentence)
    assert signed.signer == f"{chair.user.officer.name}, irb-chair"
    assert signed.verifiable
    assert signed.text == "Shorten the consent form."
    assert signed.actor == "Hospital of zurich"
    for entry in found:
        assert entry.index is not None
        assert entry.status is selectors.status(entry.index)
        assert selectors.entry(entry.index).record_number == entry.number


def test_comments_are_read_by_all_whom_the_study_concerns_and_internal_ones_at_home(consortium: Consortium) -> None:
    study = consortium.submitted()
    comment(consortium, study, "zurich", "To everybody.")
    comment(consortium, study, "zurich", "Among us.", internal=True)
    zurich, budapest = (consortium.chairs[slug].user for slug in ("zurich", "budapest"))
    assert [entry.text for entry in timeline.events(study, zurich) if entry.text] == ["Among us.", "To everybody."]
    assert [entry.text for entry in timeline.events(study, budapest) if entry.text] == ["To everybody."]


def test_another_study_s_entries_and_everyday_ones_are_left_out(consortium: Consortium) -> None:
    definition = consortium.voted()
    study, user = definition.study, consortium.chairs["zurich"].user
    consortium.submitted(study="another-study")
    consortium.request(definition)
    shown = sentences(study, user)
    assert sum("put a version before the boards" in each for each in shown) == 1
    assert not any("consented" in each for each in shown)
    assert any("consented" in each for each in sentences(study, user, everything=True))
    assert sum("approves the definition" in each for each in shown) == 4


def test_one_page_is_read_in_a_fixed_number_of_queries(
    consortium: Consortium, django_assert_max_num_queries: Any
) -> None:
    study, user = consortium.approved(), consortium.chairs["zurich"].user
    for number in range(30):
        comment(consortium, study, "zurich", f"Comment {number}.")
    with django_assert_max_num_queries(10):
        page = timeline.context(study, user)["timeline"]
        assert len(page.object_list) == timeline.PER_PAGE
    last = timeline.context(study, user, page=2)["timeline"]
    assert not last.has_next()
    assert len(timeline.events(study, user)) == page.paginator.count
    assert timeline.events(study, user)[-1] == list(timeline.events(study, user))[-1]


def test_the_partial_shows_it_and_escapes_what_people_wrote(consortium: Consortium) -> None:
    study, chair = consortium.submitted(), consortium.chairs["zurich"]
    consortium.sign(chair, study, "modifications-required", reasons="<script>Shorter</script>")
    comment(consortium, study, "zurich", "Among <b>us</b>.", internal=True)
    shown = render_to_string("governance/study/timeline.html", timeline.context(study, chair.user))
    assert "<script>" not in shown
    assert "&lt;b&gt;us" in shown
    assert "internal" in shown
    assert f"Signed by {chair.user.officer.name}, irb-chair." in shown
