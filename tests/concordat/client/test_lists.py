"""What there is: the client's lists, for programs and at the command line."""

import json
from pathlib import Path
from typing import Any

import pytest

from api.views import base
from concordat.canonical import digest
from concordat.client import consents
from concordat.client.governance import CheckedDefinition
from concordat.client.lists import Lists
from concordat.reasons import Reason, Refused
from governance.models import Consent, ProtocolVersion, Study
from tests.concordat.client.conftest import STUDY, Run, World, machine


def test_studies_and_where_their_review_stands(agreed: CheckedDefinition, run: Run) -> None:
    (listed,) = machine(run("study", "list", output="json"))["studies"]
    assert (listed["study"], listed["state"]) == (STUDY, "approved")
    assert machine(run("study", "list", "--state", "expired", output="json")) == {"studies": []}
    shown = machine(run("study", "show", STUDY, output="json"))
    assert shown["study"] == listed
    assert [each["kind"] for each in shown["submissions"]] == ["initial"]
    text = run("study", "show", STUDY).stdout
    assert f"initial, version 1, approved  {listed['protocol']}" in text
    assert "field-invalid" in run("study", "list", "--state", "agreed").stderr


def test_a_protocol_is_put_before_the_boards(agreed: CheckedDefinition, run: Run, tmp_path: Path) -> None:
    content = ProtocolVersion.objects.get().content | {"study": "another-one", "title": "Another"}
    file, report = tmp_path / "protocol.json", tmp_path / "report.txt"
    file.write_text(json.dumps(content))
    report.write_text("As the first one, elsewhere.")
    for _ in range(2):
        submitted = run("study", "submit", file, "--report", report, home="cleveland")
        assert submitted.stdout.strip() == digest(content)
    study = Study.objects.get(slug="another-one")
    assert study.submissions.get().report == "As the first one, elsewhere."
    assert run("study", "submit", report, home="cleveland").exit_code == 1


def test_models_and_definitions_with_whole_digests(agreed: CheckedDefinition, run: Run) -> None:
    (model,) = machine(run("model", "list", "--owner", "cleveland", "--name", "heart", output="json"))["models"]
    assert model["model"] == agreed.content["model"]
    assert machine(run("model", "list", "--owner", "zurich", output="json")) == {"models": []}
    asked = ("--study", STUDY, "--kind", "explain", "--model", model["model"])
    (definition,) = machine(run("definition", "list", *asked, output="json"))["definitions"]
    assert (definition["digest"], definition["state"]) == (agreed.digest, "approved")
    assert machine(run("definition", "list", "--kind", "audit", output="json")) == {"definitions": []}
    assert f"{model['model']}  heart" in run("model", "list").stdout
    assert f"{agreed.digest}  explain  approved  {STUDY}" in run("definition", "list").stdout


def test_consents_and_where_they_stand_and_not_whose_they_are(
    world: World, agreed: CheckedDefinition, run: Run
) -> None:
    given, home = world.consent(), world.homes["long-beach"]
    person = str(Consent.objects.get().subject)
    (listed,) = machine(run("consent", "list", "--study", STUDY, output="json"))["consents"]
    shown = run("consent", "show", given, "--recorded", output="json")
    assert (listed["consent"], machine(shown)) == (given, listed)
    assert "until 2" in run("consent", "list").stdout
    consents.withdraw(home, world.api("long-beach"), given)
    assert "withdrawn 2" in run("consent", "list").stdout
    assert person not in shown.stdout + run("consent", "list").stdout
    assert machine(run("consent", "list", "--study", "another-one", output="json")) == {"consents": []}
    assert run("consent", "show", given, "--recorded", "--fhir").exit_code == 2


def test_a_list_is_read_to_its_end(
    world: World, agreed: CheckedDefinition, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = [world.consent() for _ in range(3)]
    assert Consent.objects.count() == 3
    monkeypatch.setattr(base, "PAGE", 1)
    listed = machine(run("consent", "list", output="json"))["consents"]
    assert [each["consent"] for each in listed] == given[::-1]


class Answers:
    """A session that answers with what it is given, one after the other, and notes what was asked."""

    def __init__(self, *answers: Any) -> None:
        self.answers, self.asked = list(answers), []  # type: ignore[var-annotated]

    def get(self, path: str, **query: str | int) -> Any:
        self.asked.append((path, query))
        return self.answers.pop(0)


EVENT = {
    **dict.fromkeys(("institution", "study", "definition", "model", "job"), ""),
    "type": "key.changed",
    "timestamp": "2026-01-31T12:00:00Z",
    "index": 3,
    "record": "C-0000003-1",
    "self": "/",
}


def test_events_go_on_over_pages_that_hold_none() -> None:
    session = Answers({"items": [], "after": 1999, "more": True}, {"items": [EVENT], "after": 2003, "more": False})
    assert [each["index"] for each in Lists(session).events()] == [3]  # type: ignore[arg-type]
    assert session.asked == [("events", {"after": -1}), ("events", {"after": 1999})]


def test_a_coordinator_that_says_more_and_goes_no_further_is_asked_no_more() -> None:
    session = Answers({"items": [], "after": 7, "more": True})
    assert list(Lists(session).events(7)) == []  # type: ignore[arg-type]


def test_an_item_without_its_shape_is_refused() -> None:
    with pytest.raises(Refused) as caught:
        Lists(Answers({"items": [{"study": "heart"}], "next": ""})).studies()  # type: ignore[arg-type]
    assert caught.value.reason is Reason.FIELD_MISSING
