"""What was put before the boards of a study, and the protocols' text, for those whom the study concerns."""

from collections.abc import Callable

from django.test import Client

from compute.models import Job
from concordat import clock
from governance.models import ProtocolVersion, Study, Submission
from tests.api.conftest import DIGEST, Caller
from tests.api.test_access import check_problem


def test_its_submissions_are_listed_with_their_versions_and_reviews(
    objects: Job, signed_in: Callable[..., Caller]
) -> None:
    study, now = Study.objects.get(), clock.now()
    amended = ProtocolVersion.objects.create(
        study=study, number=2, digest="sha256:" + "2" * 64, base=DIGEST, content={}, submitted=now
    )
    Submission.objects.create(study=study, version=amended, kind="amendment", material=False, submitted=now)
    caller = signed_in("zurich")
    latest, first = caller.get("studies/heart/submissions").json()["items"]
    assert (latest["kind"], latest["version"], latest["protocol"]) == ("amendment", 2, amended.digest)
    assert (latest["settled"], latest["reviews"]) == ("", [])
    assert (first["kind"], first["version"], first["state"]) == ("initial", 1, "approved")
    assert sorted(each["board"] for each in first["reviews"]) == ["budapest", "cleveland", "long-beach", "zurich"]
    assert caller.get("studies/heart").json()["submission"] == latest


def test_its_protocol_is_read_by_digest(objects: Job, signed_in: Callable[..., Caller]) -> None:
    ProtocolVersion.objects.create(
        study=Study.objects.get(),
        number=2,
        digest="sha256:" + "2" * 64,
        base=DIGEST,
        content={"title": "Heart"},
        submitted=clock.now(),
    )
    answer = signed_in("zurich").get(f"studies/heart/protocols/sha256:{'2' * 64}").json()
    assert answer["content"] == {"title": "Heart"}
    assert (answer["version"], answer["base"]) == (2, DIGEST)


def test_another_studys_protocol_is_not_found_under_this_one(
    client: Client, objects: Job, signed_in: Callable[..., Caller]
) -> None:
    study = Study.objects.get()
    other = Study.objects.create(slug="liver", title="Liver", institution=study.institution, created=clock.now())
    digest = "sha256:" + "2" * 64
    ProtocolVersion.objects.create(study=other, number=1, digest=digest, base=digest, content={}, submitted=clock.now())
    check_problem(signed_in("zurich").get(f"studies/heart/protocols/{digest}"), 404, "not-found")
