"""Officers read where a job stands and why, at institutions that have to do with it; nobody changes anything."""

import pytest
from django.contrib.auth.models import User
from django.urls import reverse

from concordat import clock
from concordat.reasons import Reason
from governance.models import Institution, Membership
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


def test_a_model_is_seen_by_its_owner_and_its_parties(world, client, sign_in):
    page = reverse("admin:compute_modelversion_changelist")
    sign_in(world.bodies["zurich"])
    assert "1 model version" in client.get(page).content.decode()
    sign_in(world.bodies["long-beach"])
    assert "1 model version" not in client.get(page).content.decode()
