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
    operation = page.locator("#predictions_create")
    operation.locator("summary").focus()
    page.keyboard.press("Enter")
    expect(operation.get_by_role("row", name="Idempotency-Key")).to_be_visible()
    assert look(own, tmp_path) == []
    operation.get_by_role("link", name="PredictionRequest").click()
    expect(page.get_by_role("region", name="PredictionRequest", exact=True)).to_be_in_viewport()
    assert own.complaints == []
