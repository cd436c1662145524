"""The page of the interface can be read by everybody, without signing in and without another server."""

from collections.abc import Callable
from pathlib import Path

import pytest
from django.urls import reverse
from playwright.sync_api import expect

from tests.browser.conftest import Site, Visit, look

pytestmark = pytest.mark.full


def test_an_operation_is_found_opened_and_read_in_every_look(
    site: Site, visit: Callable[..., Visit], tmp_path: Path
) -> None:
    own = visit()
    page = own.page
    page.goto(site.stack.base_url + reverse("api"))
    page.get_by_role("navigation").get_by_role("link", name="predictions").click()
    assert page.evaluate("document.documentElement.scrollHeight") < 15_000
    operation = page.locator("details", has=page.locator("#predictions_create"))
    operation.locator("summary").focus()
    page.keyboard.press("Enter")
    expect(operation.get_by_role("row", name="Idempotency-Key")).to_be_visible()
    assert look(own, tmp_path) == []
    label = "getComputedStyle(document.querySelector('#predictions_create td:not(:empty)'), '::before').content"
    assert page.evaluate(label) == '"In: "'
    operation.get_by_role("link", name="PredictionRequest").click()
    expect(page.get_by_role("region", name="PredictionRequest", exact=True)).to_be_in_viewport()
    assert own.complaints == []


def test_a_link_from_elsewhere_unfolds_what_it_leads_to_and_paper_shows_all(
    site: Site, visit: Callable[..., Visit]
) -> None:
    page = visit().page
    page.goto(site.stack.base_url + reverse("api") + "#shape-Problem")
    expect(page.get_by_role("row", name="remedy")).to_be_in_viewport()
    folded = page.locator("#predictions_create")
    height = "document.querySelector('#predictions_create').checkVisibility({contentVisibilityAuto: true})"
    expect(folded).to_be_hidden()
    page.emulate_media(media="print")
    assert page.evaluate(height)


def test_at_a_telephones_width_no_word_of_a_text_is_broken(site: Site, visit: Callable[..., Visit]) -> None:
    own = visit(width=390)
    own.page.goto(site.stack.base_url + reverse("api") + "#shape-TokenQuestion")
    expect(own.page.get_by_text("client_credentials").first).to_be_visible()
    assert own.page.evaluate("getComputedStyle(document.querySelector('#shape-TokenQuestion td')).overflowWrap") == (
        "break-word"
    )
    assert not own.scrolls_sideways()
