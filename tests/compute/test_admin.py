"""Officers read where a job stands and why, at institutions that have to do with it; nobody changes anything."""

import re
from html import unescape
from uuid import uuid4

import pytest
from django.contrib.auth.models import User
from django.urls import reverse

from compute.models import Job
from compute.services.progress import take_progress
from concordat import clock
from concordat.reasons import REASONS, Reason
from governance.models import Institution, Membership
from governance.services import model_cards, recalls
from tests.support.officers import signed_in


@pytest.fixture
def sign_in(client):
    def enter(institution: Institution) -> None:
        user = User.objects.create_user(f"officer-{institution.slug}", is_staff=True)
        Membership.objects.create(
            user=user, institution=institution, role=Membership.Role.IRB_MEMBER, since=clock.now()
        )
        signed_in(user, client)

    return enter


def test_a_refused_job_says_why(world, client, sign_in):
    job = world.dispatched()
    world.answer(job, "zurich", world.refusal(job, "zurich", Reason.POLICY_REFUSES))
    sign_in(world.bodies["budapest"])
    for page in (reverse("admin:compute_job_changelist"), reverse("admin:compute_job_change", args=[job.pk])):
        text = client.get(page).content.decode()
        assert "refused" in text
        assert "Refused by zurich." in text
        assert world.consortium.subject not in text


def test_a_sentence_is_said_once(world):
    sentence = REASONS[Reason.POLICY_REFUSES].sentence
    for detail, said in (("", sentence), (sentence, sentence), ("By zurich.", f"{sentence} By zurich.")):
        assert Job(reason=Reason.POLICY_REFUSES, detail=detail).why == said
    assert Job().why == ""


def test_a_job_is_found_by_the_id_that_the_command_line_prints(world, client, sign_in):
    job, page = world.ask(), reverse("admin:compute_job_changelist")
    sign_in(world.bodies["budapest"])
    for named in (job.request_uuid, job.uuid):
        shown = client.get(page, {"q": str(named)}).content.decode()
        assert f">{job.request_uuid}</a>" in shown
        assert "1 job" in shown
    assert "0 jobs" in client.get(page, {"q": str(uuid4())}).content.decode()
    assert "Uuid" not in shown + client.get(reverse("admin:compute_job_change", args=[job.pk])).content.decode()


def test_times_say_their_zone(world, client, sign_in):
    job = world.ask()
    sign_in(world.bodies["budapest"])
    for page in (reverse("admin:compute_job_changelist"), reverse("admin:compute_job_change", args=[job.pk])):
        assert f"{job.created:%Y-%m-%d %H:%M} UTC" in client.get(page).content.decode()


def test_a_page_leads_to_its_entries_in_the_log_and_to_no_empty_history(world, client, sign_in):
    job = world.ask()
    sign_in(world.bodies["zurich"])
    for name, row in (("job", job), ("modelversion", world.model)):
        shown = client.get(reverse(f"admin:compute_{name}_change", args=[row.pk])).content.decode()
        assert "historylink" not in shown
        (link,) = re.findall(r'href="([^"]+)">Its entries in the log', shown)
        entries = client.get(unescape(link)).content.decode()
        assert "1 log entry" in entries or "2 log entries" in entries, link
        assert client.get(reverse(f"admin:compute_{name}_history", args=[row.pk])).status_code == 404


def test_an_institution_outside_the_study_sees_no_job(world, client, sign_in):
    job = world.ask()
    sign_in(
        Institution.objects.create(
            slug="geneva", name="Geneva", jurisdiction="CH", roles=["party"], enrolment="", enrolled=clock.now()
        )
    )
    assert str(job.uuid) not in client.get(reverse("admin:compute_job_changelist")).content.decode()
    assert client.get(reverse("admin:compute_job_change", args=[job.pk])).status_code == 302


def test_nothing_can_be_changed(world, client, sign_in):
    job = world.ask()
    sign_in(world.bodies["cleveland"])
    for name, arguments in (("change", [job.pk]), ("delete", [job.pk]), ("add", [])):
        assert client.post(reverse(f"admin:compute_job_{name}", args=arguments)).status_code == 403


def test_how_far_a_computation_is(world, client, sign_in):
    job = world.computing()
    page = reverse("admin:compute_job_change", args=[job.pk])
    sign_in(world.bodies["zurich"])
    assert "rounds" not in client.get(page).content.decode()
    take_progress(job=job, node=world.bodies["cleveland"], done=1200, rounds=4800)
    assert "1,200 of 4,800 rounds" in client.get(page).content.decode()


def test_a_recall_stands_at_the_model_and_at_its_jobs(world, client, sign_in):
    job = world.ask()
    pages = (
        reverse("admin:compute_modelversion_change", args=[world.model.pk]),
        reverse("admin:compute_job_change", args=[job.pk]),
    )
    sign_in(world.bodies["zurich"])
    assert all("was recalled" not in client.get(page).content.decode() for page in pages)
    recalls.recall(institution=world.bodies["cleveland"], token=world.consortium.recall())
    for page in pages:
        assert "advice: “Assess the risk without the model.”" in client.get(page).content.decode()
    assert "icon-yes" in client.get(reverse("admin:compute_modelversion_changelist")).content.decode()


def test_what_its_owner_states_stands_at_the_model(world, client, sign_in):
    page = reverse("admin:compute_modelversion_change", args=[world.model.pk])
    sign_in(world.bodies["zurich"])
    assert "no model card of its owner is in force" in client.get(page).content.decode()
    for sequence, text in enumerate(["A state.", "Ten < firms & states."], start=1):
        card = world.consortium.card(sequence=sequence, attributes={"funding": [text]})
        model_cards.describe(institution=world.bodies["cleveland"], token=card)
    shown = client.get(page).content.decode()
    assert "Card 2 of" in shown
    assert "Ten &lt; firms &amp; states." in shown
    assert "A state." not in shown
    assert "Fairness in test data" in shown  # which is not stated


def test_a_model_is_seen_by_its_owner_and_its_parties(world, client, sign_in):
    page = reverse("admin:compute_modelversion_changelist")
    sign_in(world.bodies["zurich"])
    assert "1 model version" in client.get(page).content.decode()
    sign_in(world.bodies["long-beach"])
    assert "1 model version" not in client.get(page).content.decode()
