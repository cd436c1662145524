"""The log's entries over the API: the same conditions as on the officers' page, and a cursor."""

from collections.abc import Callable
from uuid import uuid4

import pytest
from django.db import transaction

from api.views import ledger
from concordat.events import Event
from governance.models import Institution
from ledger.models import LogEntry
from ledger.services.record import Draft, record_all
from tests.api.conftest import Caller


@pytest.fixture
def entries(members: dict[str, Institution]) -> list[LogEntry]:
    request = str(uuid4())
    about = {"study": "heart", "institution": "zurich"}
    with transaction.atomic():
        return record_all(
            [
                Draft(event=Event.PREDICTION_RECORDED, public={**about, "request": request}),
                Draft(event=Event.DOSSIER_READ, public={"request": request, "role": "node"}),
                Draft(event=Event.STUDY_CLOSED, public={**about, "epoch": 1}),
                Draft(event=Event.STUDY_CLOSED, public={"study": "lung", "institution": "mayo", "epoch": 1}),
            ]
        )


def found(caller: Caller, query: str) -> list[str]:
    return [each["record"] for each in caller.get(f"ledger/entries?{query}").json()["items"]]


def test_every_institution_searches_all_of_it(entries: list[LogEntry], signed_in: Callable[..., Caller]) -> None:
    caller = signed_in("mayo")
    decision, reading, closed, other = (entry.record_number for entry in entries)
    assert found(caller, "study=heart") == [closed, decision]
    assert found(caller, "institution=mayo&event=study.closed") == [other]
    assert found(caller, f"record={reading}") == [reading]
    assert found(caller, "event=dossier.read&since=2020-01-01&until=2099-01-01") == [reading]
    assert found(caller, "study=heart&institution=mayo") == []
    (item,) = caller.get(f"ledger/entries?record={reading}").json()["items"]
    assert item["decision"] == decision
    assert item["description"]
    assert item["time"].endswith("Z")


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("record=C-0000000-0", "record"),
        ("study=atlantis", "study"),
        ("study=%20", "study"),
        ("institution=atlantis", "institution"),
        ("event=x", "event"),
        ("since=yesterday", "since"),
        ("until=2026-13-01", "until"),
        ("after=x", "after"),
    ],
)
def test_bad_input_is_refused_by_name(
    members: dict[str, Institution], signed_in: Callable[..., Caller], query: str, field: str
) -> None:
    answer = signed_in("mayo").get(f"ledger/entries?{query}")
    assert 400 <= answer.status_code < 500
    assert answer.json()["field"] == field


def test_it_needs_its_scope(members: dict[str, Institution], signed_in: Callable[..., Caller]) -> None:
    assert signed_in("mayo", scopes="studies.read").get("ledger/entries").status_code == 403


def test_the_link_leads_on_and_keeps_what_was_asked(
    entries: list[LogEntry], signed_in: Callable[..., Caller], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ledger, "PAGE", 1)
    caller = signed_in("mayo")
    first = caller.get("ledger/entries?study=heart").json()
    second = caller.get(first["next"].removeprefix("/api/v1/")).json()
    assert "study=heart" in first["next"]
    assert [each["record"] for each in first["items"] + second["items"]] == [
        entries[2].record_number,
        entries[0].record_number,
    ]
    assert second["next"] == ""
