"""The parts of a study's page: what each shows to whom, and that its forms do what they say."""

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.template.loader import render_to_string
from django.urls import reverse

from concordat import clock
from governance.admin import parts
from governance.models import Comment, Incident, Institution, Review, Study
from governance.services import attachments
from tests.governance.conftest import Consortium
from tests.support.approval import approve
from tests.support.officers import signed_in


@pytest.fixture
def study(consortium: Consortium) -> Study:
    return consortium.submitted(attachments=[{"kind": "staff-training", "institution": "zurich"}])


def suspend(study: Study) -> None:
    """As if every board had approved it once, and one had suspended it since."""
    approve(study, state="suspended")


def render(name: str, study: Study, user: User) -> str:
    part = getattr(parts, name)(study, user)
    return render_to_string(f"governance/study/{name}.html", {"part": part})


def post(user: User, address: str, **form: Any) -> Any:
    client = signed_in(user)
    client.get(reverse("admin:governance_passkey_changelist"))
    return client.post(address, form | {"csrfmiddlewaretoken": client.cookies["csrftoken"].value}, follow=True)


def scan(c: Consortium, study: Study, slug: str = "zurich") -> attachments.Attachment:
    return attachments.add(
        study=study,
        kind="paper-approval",
        institution=slug,
        name="letter <b>.pdf",
        media_type="application/pdf",
        content=b"%PDF-1.7 approved",
        by=c.member(slug, "irb-administrator"),
    )


def test_attachments_show_what_is_lacking_and_offer_a_form_to_whom_it_serves(
    consortium: Consortium, study: Study
) -> None:
    shown = render("attachments", study, consortium.member("zurich", "institution-admin"))
    assert "staff-training of zurich: nothing is computed without it" in shown
    assert "Attach a document" in shown
    assert '<option value="">' not in shown  # the study's own is not zurich's to attach
    leading = render("attachments", study, consortium.member("cleveland", "investigator"))
    assert '<option value="">the study</option>' in leading
    assert "Attach a document" not in render("attachments", study, consortium.member("zurich", "auditor"))
    attached = scan(consortium, study)
    shown = render("attachments", study, consortium.member("zurich", "auditor"))
    assert attached.digest in shown
    assert "letter &lt;b&gt;.pdf" in shown
    assert reverse("admin:governance_attachment", args=[study.uuid, attached.uuid]) in shown


def test_incidents_are_reported_and_taken_on_from_the_page(consortium: Consortium, study: Study) -> None:
    clinician, admin = consortium.member("zurich", "clinician"), consortium.member("zurich", "institution-admin")
    assert "Report an incident" not in render("incidents", study, clinician)  # nothing was ever approved
    suspend(study)
    assert "Report an incident" in render("incidents", study, clinician)
    post(
        clinician,
        reverse("admin:governance_incident", args=[study.uuid]),
        institution="zurich",
        kind="breach",
        discovered=f"{clock.now() - timedelta(days=4):%Y-%m-%dT%H:%M}",
        summary="A record went astray.",
    )
    incident = Incident.objects.get()
    shown = render("incidents", study, admin)
    for text in ("overdue", "GDPR Article 33", "45 CFR 164.404", "A record went astray.", "Record step"):
        assert text in shown
    assert "Record step" not in render("incidents", study, clinician)
    assert "Record step" not in render("incidents", study, consortium.member("budapest", "institution-admin"))
    step = reverse("admin:governance_incident_step", args=[study.uuid, incident.uuid])
    post(admin, step, to="notified", text="The authority knows.")
    incident.refresh_from_db()
    assert incident.state == "notified"
    assert "late" in render("incidents", study, admin)


def test_a_report_without_a_date_is_refused_with_a_message(consortium: Consortium, study: Study) -> None:
    suspend(study)
    address = reverse("admin:governance_incident", args=[study.uuid])
    post(consortium.member("zurich", "clinician"), address, institution="zurich", kind="breach", summary="x")
    assert not Incident.objects.exists()


def test_comments_are_written_and_seen_by_whom_they_are_for(consortium: Consortium, study: Study) -> None:
    member = consortium.member("zurich", "irb-member")
    address = reverse("admin:governance_comment", args=[study.uuid])
    post(member, address, institution="zurich", text="Between <us>.", internal="on")
    post(member, address, institution="zurich", text="For all.")
    assert [each.internal for each in Comment.objects.order_by("pk")] == [True, False]
    mine, theirs = render("comments", study, member), render("comments", study, consortium.chairs["budapest"].user)
    assert "Between &lt;us&gt;." in mine
    assert "Between" not in theirs
    assert "For all." in theirs
    assert "<form" not in render("comments", study, consortium.member("zurich", "auditor"))


def test_an_outsider_s_posts_change_nothing(consortium: Consortium, study: Study) -> None:
    suspend(study)
    outsider = consortium.member("notary", "irb-member")
    post(outsider, reverse("admin:governance_comment", args=[study.uuid]), institution="notary", text="Hello.")
    post(outsider, reverse("admin:governance_incident", args=[study.uuid]), institution="notary", kind="breach")
    assert not Comment.objects.exists()
    assert not Incident.objects.exists()


@pytest.mark.parametrize("name", ["attach", "incident", "comment"])
def test_the_forms_addresses_answer_to_nothing_but_posts(consortium: Consortium, study: Study, name: str) -> None:
    address = reverse(f"admin:governance_{name}", args=[study.uuid])
    assert signed_in(consortium.member("zurich", "irb-member")).get(address).status_code == 405


def test_a_paper_approval_needs_its_scan_first_and_stays_attested(consortium: Consortium, study: Study) -> None:
    chair = consortium.chairs["zurich"]
    shown = render("paper", study, chair.user)
    assert "Attach scan" in shown
    assert "attest-paper" not in shown
    letter = scan(consortium, study)
    shown = render("paper", study, chair.user)
    assert 'data-act="attest-paper"' in shown
    assert letter.digest in shown
    review = Review.objects.get(board=consortium.at["zurich"])
    assert str(review.uuid) in shown
    consortium.act(chair, "attest-paper", review=str(review.uuid), scan=letter.digest, outcome="approved")
    for reader in (chair.user, consortium.member("budapest", "auditor")):
        shown = render("paper", study, reader)
        assert "attested, not verified" in shown
        assert "Attach scan" not in shown


def test_who_cannot_attest_for_a_board_is_offered_nothing(consortium: Consortium, study: Study) -> None:
    scan(consortium, study)
    for slug, role in (("zurich", "irb-member"), ("long-beach", "institution-admin")):
        assert render("paper", study, consortium.member(slug, role)).strip() == ""
    own = consortium.member("cleveland", "irb-chair")
    own.memberships.create(institution=consortium.at["cleveland"], role="investigator", since=clock.now())
    assert render("paper", study, own).strip() == ""  # nobody reviews their own study


def test_data_use_shows_terms_in_words_and_asks_who_decides(consortium: Consortium) -> None:
    use = {"study": ["DUO:0000007"], "datasets": [{"institution": "zurich", "terms": ["DUO:0000007"]}]}
    study = consortium.submitted(data_use=use)
    steward = consortium.officer("zurich", "data-steward")
    shown = render("data_use", study, steward.user)
    assert "disease specific research" in shown
    assert "needs-human" in shown
    assert 'data-act="decide-data-use"' in shown
    assert "data-act" not in render("data_use", study, consortium.member("budapest", "data-steward"))
    fields = {"study": str(study.uuid), "institution": "zurich", "reason": "It is that disease."}
    consortium.roster("zurich", [(steward, "data-steward")])
    consortium.act(steward, "decide-data-use", decision="allows", **fields)
    shown = render("data_use", study, consortium.member("budapest", "auditor"))
    assert f"{steward.user.officer.name} allows it" in shown
    assert "It is that disease." in shown


def test_no_part_shows_an_institution_that_takes_no_part(consortium: Consortium, study: Study) -> None:
    suspend(study)
    user = consortium.member("zurich", "institution-admin")
    user.memberships.create(institution=consortium.at["notary"], role="institution-admin", since=clock.now())
    notary = Institution.objects.get(slug="notary")
    for name in ("attachments", "incidents", "comments"):
        assert f'value="{notary.slug}"' not in render(name, study, user)
