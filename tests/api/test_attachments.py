"""An institution's system attaches what is its own to a study that concerns it."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from api.views import base
from concordat import clock
from concordat.canonical import b64, digest
from concordat.events import Event
from governance.models import Attachment, Institution, Study
from ledger import selectors as ledger
from tests.api.conftest import Caller

PATH = "studies/heart/attachments"
PDF = b"%PDF-1.7 agreement"


@pytest.fixture
def study(members: dict[str, Institution]) -> Study:
    """Led by cleveland, with zurich; mayo has nothing to do with it."""
    study = Study.objects.create(
        slug="heart", title="Heart", institution=members["cleveland"], created=clock.now(), state="submitted"
    )
    study.sites.set([members["cleveland"], members["zurich"]])
    return study


def body(**changes: Any) -> dict[str, Any]:
    return {
        "kind": "data-use-agreement",
        "institution": "zurich",
        "name": "agreement.pdf",
        "media_type": "application/pdf",
        "content": b64(PDF),
        "expires": clock.rfc3339(clock.now() + timedelta(days=90)),
    } | changes


def test_it_is_attached_under_its_digest_and_listed_for_everybody_in_the_study(
    study: Study, signed_in: Callable[..., Caller]
) -> None:
    answer = signed_in("zurich").post(PATH, body())
    assert (answer.status_code, answer.json()["digest"]) == (201, digest(PDF))
    for slug in ("zurich", "cleveland"):
        listed = signed_in(slug).get(PATH).json()["items"]
        assert listed == [answer.json()]
    assert "content" not in answer.json()


def test_a_list_goes_on(study: Study, signed_in: Callable[..., Caller], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(base, "PAGE", 1)
    caller = signed_in("zurich")
    for kind in ("data-use-agreement", "staff-training"):
        assert caller.post(PATH, body(kind=kind)).status_code == 201
    first = caller.get(PATH).json()
    second = caller.get(first["next"].removeprefix("/api/v1/")).json()
    assert [page["items"][0]["kind"] for page in (first, second)] == ["staff-training", "data-use-agreement"]
    assert second["next"] == ""


def test_it_is_read_with_its_content_and_that_is_recorded(study: Study, signed_in: Callable[..., Caller]) -> None:
    added = signed_in("zurich").post(PATH, body()).json()
    answer = signed_in("cleveland").get(f"{PATH}/{added['attachment']}")
    assert answer.json() == added | {"content": b64(PDF)}
    [entry] = ledger.entries(event=Event.RECORD_READ)
    assert entry.public == {"page": "attachment", "study": "heart", "institution": "cleveland"}


def test_it_is_not_found_under_another_study_and_nothing_is_recorded(
    study: Study, signed_in: Callable[..., Caller]
) -> None:
    added = signed_in("zurich").post(PATH, body()).json()
    other = Study.objects.create(
        slug="liver", title="Liver", institution=study.institution, created=clock.now(), state="submitted"
    )
    other.sites.add(study.institution)
    for caller, path in (("cleveland", "studies/liver/attachments"), ("mayo", PATH)):
        assert signed_in(caller).get(f"{path}/{added['attachment']}").status_code == 404
    assert not ledger.entries(event=Event.RECORD_READ).exists()


@pytest.mark.parametrize(
    ("caller", "changes", "status", "code", "field"),
    [
        ("mayo", {"institution": "mayo"}, 404, "not-found", ""),
        ("cleveland", {}, 403, "wrong-institution", "institution"),
        ("zurich", {"institution": ""}, 403, "wrong-institution", "institution"),
        ("zurich", {"content": "not/base64url"}, 422, "field-invalid", "content"),
        ("zurich", {"content": b64(b"\x7fELF")}, 422, "field-invalid", "content"),
        ("zurich", {"media_type": "image/png"}, 422, "field-invalid", "media_type"),
        ("zurich", {"media_type": "text/html"}, 422, "field-invalid", "media_type"),
        ("zurich", {"kind": "recipe"}, 422, "field-invalid", "kind"),
        ("zurich", {"expires": "tomorrow"}, 422, "field-invalid", "expires"),
        ("zurich", {"expires": "2020-01-01T00:00:00Z"}, 422, "field-invalid", "expires"),
        ("zurich", {"signature": "x"}, 422, "field-unknown", "signature"),
    ],
)
def test_what_is_refused_is_said_by_field(
    study: Study,
    signed_in: Callable[..., Caller],
    caller: str,
    changes: dict[str, Any],
    status: int,
    code: str,
    field: str,
) -> None:
    answer = signed_in(caller).post(PATH, body(**changes))
    assert answer["Content-Type"] == "application/problem+json"
    assert (answer.status_code, answer.json()["type"]) == (status, f"urn:concordat:reason:{code}")
    assert answer.json()["field"] == field
    assert not Attachment.objects.exists()


def test_a_file_of_the_largest_size_passes_and_a_larger_one_is_too_large(
    study: Study, signed_in: Callable[..., Caller], settings: Any
) -> None:
    caller, most = signed_in("zurich"), settings.ATTACHMENT_BYTES
    assert caller.post(PATH, body(content=b64(PDF.ljust(most)))).status_code == 201
    answer = caller.post(PATH, body(content=b64(PDF.ljust(most + 1))))
    assert (answer.status_code, answer.json()["type"]) == (413, "urn:concordat:reason:too-large")


def test_nobody_fills_the_database_by_the_minute(study: Study, signed_in: Callable[..., Caller], settings: Any) -> None:
    settings.CALLS_A_MINUTE = settings.CALLS_A_MINUTE | {"attachments": 1}
    caller = signed_in("zurich")
    assert [caller.post(PATH, body()).status_code for _ in range(2)] == [201, 429]
