"""The interface describes itself, to machines and to people, without sign-in."""

import json
import re

import pytest
import yaml
from django.conf import settings
from django.test import Client
from django.urls import reverse

from api.described import described
from api.templatetags.prose import SECTIONS, prose
from concordat.reasons import Reason

COMMITTED = yaml.safe_load((settings.BASE_DIR / "docs/reference/openapi.yaml").read_text())


def test_the_document_is_the_committed_one(client: Client) -> None:
    answer = client.get(reverse("api-document"))
    assert answer["Content-Type"] == "application/json"
    assert json.loads(answer.content) == COMMITTED


def test_every_operation_and_shape_is_on_the_page_and_every_link_leads_somewhere(client: Client) -> None:
    page = client.get(reverse("api")).content.decode()
    marks = set(re.findall(r'id="([^"]+)"', page))
    operations = {each["operationId"] for item in COMMITTED["paths"].values() for each in item.values()}
    assert operations | {f"shape-{name}" for name in COMMITTED["components"]["schemas"]} <= marks
    assert set(re.findall(r'href="#([^"]+)"', page)) <= marks


def test_no_text_shows_its_marks_or_the_path_of_a_page_that_stands_here(client: Client) -> None:
    page = client.get(reverse("api")).content.decode()
    assert "`" not in page
    assert "<code>wait=N</code> (RFC 7240)" in page
    assert [name for name in SECTIONS if f"docs/reference/{name}.md" in page] == []
    assert '<a href="#reasons">Reasons</a> lists the codes' in page
    assert all(f"<code>{code}</code></th>" in page for code in Reason)


def test_what_is_escaped_stays_escaped() -> None:
    assert prose("`<b>` & docs/reference/omop.md") == "<code>&lt;b&gt;</code> &amp; docs/reference/omop.md"


def test_an_operation_says_what_it_needs_and_gives() -> None:
    found = {each.id: each for _, operations in described().groups for each in operations}
    asked = found["predictions_create"]
    assert (asked.method, asked.path, asked.scope) == ("POST", "/api/v1/predictions", "predictions.write")
    assert (asked.body, asked.media) == ("PredictionRequest", ("application/json",))
    assert [(each.name, each.place, each.required) for each in asked.parameters] == [
        ("Idempotency-Key", "header", True)
    ]
    answers = {each.status: each for each in asked.answers}
    assert (answers["202"].shape, answers["202"].text) == ("PredictionAnswer", "Location: Where to follow it.")
    assert answers["429"].shape == "Problem"
    assert found["token_create"].scope == ""


@pytest.mark.parametrize("name", ["api", "api-document"])
def test_neither_page_takes_anything(client: Client, name: str) -> None:
    assert client.post(reverse(name)).status_code == 405
