"""The desk's pages: what each person reads there, and what each form does, or why it does not."""

from html import unescape
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse

from concordat import clock
from concordat.canonical import encode
from governance import acts, rulebook
from governance.models import Conflict, Draft, Opinion, RelianceAgreement, Review, Study, Submission
from governance.permissions import Verb
from governance.services import boards, reviews, studies
from governance.services.second_factors import Kind
from governance.services.sign_in import SecondFactor
from governance.states import StudyState
from tests.governance.conftest import Consortium
from tests.support.officers import signed_in


def page(user: User, study: Study) -> str:
    answer = signed_in(user).get(reverse("admin:governance_study_change", args=[study.pk]), follow=True)
    return str(answer.content.decode())


def send(user: User, name: str, *arguments: Any, **form: Any) -> Any:
    client: Client = signed_in(user)
    client.get(reverse("admin:governance_passkey_changelist"))
    form["csrfmiddlewaretoken"] = client.cookies["csrftoken"].value
    return client.post(reverse(f"admin:{name}", args=arguments), form, follow=True)


def said(answer: Any) -> str:
    return " ".join(str(message) for message in answer.context["messages"])


def listed(user: User, query: str = "") -> str:
    address = reverse("admin:governance_study_changelist")
    return str(signed_in(user).get(f"{address}{query}").content.decode())


# --- reading


def test_what_a_definition_gives_away_is_read_where_it_is_shown(consortium: Consortium) -> None:
    known = consortium.registered()
    shown = unescape(page(consortium.chairs["zurich"].user, known.study))
    assert known.content["extraction"]["statement"] in shown


def test_the_page_says_all_that_is_decided_on(consortium: Consortium) -> None:
    study = consortium.submitted(
        data_use={"study": ["DUO:0000006"], "datasets": [{"institution": "cleveland", "terms": ["DUO:0000028"]}]},
        attachments=[{"kind": "charter", "institution": "zurich"}],
    )
    consortium.local_context(study)
    consortium.sign(consortium.chairs["budapest"], study)
    shown = page(consortium.chairs["zurich"].user, study)
    version = study.versions.get()
    for text in (
        version.content["summary"],
        version.content["computed"],
        version.content["opened"],
        version.content["risks"]["misuse"],
        version.digest,
        "consent of each person",
        'institution specific restriction <span class="quiet">(DUO:0000028)</span>',
        "needs-human",
        "Charter with liability terms, of Hospital of zurich",
        consortium.chairs["budapest"].user.officer.name,
        "Verifiable by anyone",
        "by reliance; local context filed",
        "none yet, by the log",
        "The board of Hospital of budapest decided (initial, expedited): approved.",
        "Hospital of cleveland and Hospital of zurich",
    ):
        assert text in shown, text


@pytest.mark.parametrize(
    ("target", "words"),
    [
        ("log-odds", "in log-odds: what each factor adds to the logarithm of the odds"),
        ("probability", "in probability: by how many percentage points each factor changes it"),
    ],
)
def test_a_definition_says_plainly_what_is_explained(consortium: Consortium, target: str, words: str) -> None:
    study = consortium.approved()
    consortium.register(consortium.content(study, consortium.import_model(), target=target))
    shown = page(consortium.chairs["zurich"].user, study)
    assert f"a prediction and its explanation, {words}</dd>" in shown


def test_an_attested_signature_is_called_so(consortium: Consortium) -> None:
    study, chair = consortium.submitted(), consortium.chairs["zurich"]
    review = str(consortium.review(study, "zurich").uuid)
    reviews.route(by=chair.user, review=review, path="expedited", category="5", ground="Minimal risk.")
    fields = {"review": review, "outcome": "modifications-required", "reasons": "Say more."}
    asked = acts.ask(by=chair.user, act="determine", fields=fields, method="totp")
    acts.sign(by=chair.user, nonce=asked.nonce, confirmed=SecondFactor(Kind.TOTP, clock.now()))
    shown = page(chair.user, study)
    assert "Attested, not verified</span>" in shown
    assert "Verifiable by anyone" not in shown
    assert "Say more." in shown


def test_an_amendment_is_shown_as_before_and_after(consortium: Consortium) -> None:
    study = consortium.approved()
    studies.submit(institution=study.institution, content=study.versions.get().content | {"opened": "One number."})
    shown = page(consortium.chairs["zurich"].user, study)
    assert "Against version 1, which is in force" in shown
    assert "state-material" in shown
    assert shown.index("The prediction and ten coefficients.") < shown.index("<ins>One number.")


def test_a_declared_conflict_is_shown_within_the_board_s_own_institution(consortium: Consortium) -> None:
    study, chair = consortium.submitted(), consortium.chairs["zurich"].user
    boards.declare_conflict(by=chair, board=consortium.at["zurich"], study=str(study.uuid), ground="A relative.")
    assert "of the board of Hospital of zurich" in page(consortium.member("zurich", "irb-administrator"), study)
    abroad = page(consortium.chairs["budapest"].user, study)
    assert "of the board of Hospital of zurich" not in abroad
    assert "A relative." not in abroad


def test_an_opinion_is_shown_to_who_gave_it_alone(consortium: Consortium) -> None:
    study = consortium.submitted()
    member, other = consortium.member("zurich", "irb-member"), consortium.member("zurich", "irb-member")
    review = str(consortium.review(study, "zurich").uuid)
    answer = send(
        member, "governance_opine", study.uuid, review=review, recommendation="deferred", comment="Too early."
    )
    assert "Your opinion is kept" in said(answer)
    assert f"Opinion of {member.officer}: deferred. Too early." in page(member, study)
    assert "Opinion of" not in page(other, study)
    assert "Too early." not in page(other, study)


def test_another_institution_s_draft_is_seen_nowhere(consortium: Consortium) -> None:
    lead, other = consortium.member("cleveland", "investigator"), consortium.member("zurich", "investigator")
    study = studies.save_draft(institution=consortium.at["cleveland"], content=consortium.protocol(), by=lead).study
    assert "A draft, which only Hospital of cleveland sees" in page(lead, study)
    assert study.title in listed(lead)
    assert study.title not in listed(other)
    assert study.title not in listed(other, "?state=draft")
    assert study.title not in page(other, study)
    assert (
        study.title not in signed_in(other).get(reverse("admin:governance_draft", args=[study.uuid])).content.decode()
    )


def test_the_list_says_whom_each_study_waits_for_and_filters_by_state(consortium: Consortium) -> None:
    chair = consortium.chairs["zurich"].user
    study = consortium.submitted()
    assert "the boards of Hospital of budapest, Hospital of cleveland and Hospital of zurich" in listed(chair)
    assert study.title in listed(chair, "?state=submitted")
    assert study.title not in listed(chair, "?state=approved")


def test_the_list_is_filtered_by_nothing_else(consortium: Consortium) -> None:
    address = reverse("admin:governance_study_changelist")
    for query in ("?draft__content__title=x", "?state__startswith=s", "?institution__slug=zurich"):
        answer = signed_in(consortium.chairs["zurich"].user).get(address + query)
        assert answer.status_code in (302, 400), query


def test_a_lapsed_approval_is_found_among_the_expired(consortium: Consortium) -> None:
    study, chair = consortium.approved(), consortium.chairs["zurich"].user
    Study.objects.filter(pk=study.pk).update(expires=clock.now())
    assert study.title in listed(chair, "?state=expired")
    assert study.title not in listed(chair, "?state=approved")


# --- verbs without a signature


CASES = {
    "governance_withdraw": {},
    "governance_continue_review": {"report": "All is well."},
    "governance_route": {"route": "expedited 5", "ground": "Minimal risk."},
    "governance_opine": {"recommendation": "approved"},
    "governance_declare_conflict": {"board": "zurich", "ground": "A relative."},
}


@pytest.mark.parametrize("name", CASES)
def test_an_outsider_does_nothing(consortium: Consortium, name: str) -> None:
    study = consortium.submitted()
    form = CASES[name] | {"review": str(consortium.review(study, "zurich").uuid)}
    before = _state(study)
    answer = send(consortium.member("notary", "irb-chair"), name, study.uuid, **form)
    assert "No study that you can see has this identifier." in said(answer)
    assert _state(study) == before


@pytest.mark.parametrize("name", CASES)
def test_another_role_does_nothing(consortium: Consortium, name: str) -> None:
    study = consortium.submitted()
    form = CASES[name] | {"review": str(consortium.review(study, "zurich").uuid)}
    before = _state(study)
    answer = send(consortium.member("zurich", "auditor"), name, study.uuid, **form)
    assert "needs the role" in said(answer) or "not a member of" in said(answer)
    assert _state(study) == before


@pytest.mark.parametrize("name", CASES)
def test_in_another_state_nothing_is_done(consortium: Consortium, name: str) -> None:
    study, chair = consortium.approved(), consortium.chairs["zurich"]
    form = CASES[name] | {"review": str(consortium.review(study, "zurich").uuid)}
    lead = consortium.member("cleveland", "investigator")
    consortium.act(
        consortium.chairs["cleveland"], "terminate", study=str(study.uuid), institution="cleveland", ground="An end."
    )
    before = _state(study)
    user = lead if name in ("governance_withdraw", "governance_continue_review") else chair.user
    assert "The study is terminated" in said(send(user, name, study.uuid, **form))
    assert _state(study) == before


def test_reading_is_not_doing(consortium: Consortium) -> None:
    study = consortium.submitted()
    client = signed_in(consortium.chairs["zurich"].user)
    for name in CASES:
        assert client.get(reverse(f"admin:{name}", args=[study.uuid])).status_code == 405


def test_the_chair_routes_a_review(consortium: Consortium) -> None:
    study = consortium.submitted()
    review = consortium.review(study, "zurich")
    form = CASES["governance_route"] | {"review": str(review.uuid)}
    assert "The path is chosen." in said(send(consortium.chairs["zurich"].user, "governance_route", study.uuid, **form))
    review.refresh_from_db()
    assert (review.path, review.category) == ("expedited", "5")


def test_an_opinion_carries_its_findings(consortium: Consortium) -> None:
    study = consortium.submitted()
    form = {"recommendation": "approved", "findings.risks-minimised": "met", "note.risks-minimised": "By design."}
    form["review"] = str(consortium.review(study, "zurich").uuid)
    send(consortium.chairs["zurich"].user, "governance_opine", study.uuid, **form)
    assert Opinion.objects.get().findings == {"risks-minimised": {"answer": "met", "note": "By design."}}


def test_an_investigator_withdraws_and_asks_for_another_period(consortium: Consortium) -> None:
    lead, study = consortium.member("cleveland", "investigator"), consortium.approved()
    asked = send(lead, "governance_continue_review", study.uuid, report="All is well.")
    assert "asked for another period" in said(asked)
    assert study.submissions.first().kind == "continuing-review"
    assert "withdrawn" in said(send(lead, "governance_withdraw", study.uuid))
    study.refresh_from_db()
    assert study.state == StudyState.APPROVED


def test_a_conflict_is_declared(consortium: Consortium) -> None:
    study, chair = consortium.submitted(), consortium.chairs["zurich"].user
    send(chair, "governance_declare_conflict", study.uuid, board="zurich", ground="A relative.")
    assert Conflict.objects.get().officer.user == chair


# --- reliance


def test_either_side_ends_an_agreement_and_nobody_else(consortium: Consortium) -> None:
    agreement = RelianceAgreement.objects.get()
    member = consortium.member("long-beach", "irb-member")
    for user in (consortium.chairs["zurich"].user, member):
        send(user, "governance_end_reliance", agreement.uuid)
        agreement.refresh_from_db()
        assert agreement.ended is None
    send(consortium.signatory.user, "governance_end_reliance", agreement.uuid)
    agreement.refresh_from_db()
    assert agreement.ended is not None


def test_agreements_are_shown_to_their_own_sides(consortium: Consortium) -> None:
    address = reverse("admin:governance_relianceagreement_changelist")
    own = signed_in(consortium.signatory.user).get(address).content.decode()
    assert "Hospital of long-beach relies on Hospital of cleveland" in own
    assert "in force" in own
    abroad = signed_in(consortium.chairs["zurich"].user).get(address).content.decode()
    assert "Your institution has none." in abroad


# --- help


def test_help_is_written_from_the_tables(consortium: Consortium) -> None:
    shown = signed_in(consortium.member("zurich", "auditor")).get(reverse("admin:help")).content.decode()
    for verb in Verb:
        assert f"<dt>{verb}</dt>" in shown
    for machine in rulebook.MACHINES:
        for state, after in machine.rows():
            assert state in shown
            assert ", ".join(after) in shown


def _state(study: Study) -> bytes:
    """All that one of the forms could change."""
    study.refresh_from_db()
    return encode(
        {
            "state": study.state,
            "submissions": [[str(each.uuid), each.state] for each in Submission.objects.filter(study=study)],
            "reviews": [[str(each.uuid), each.path, each.outcome] for each in Review.objects.all()],
            "counts": [Opinion.objects.count(), Conflict.objects.count(), Draft.objects.count()],
        }
    )
