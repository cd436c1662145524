"""The bedside's pages in a real browser: by mouse, by keyboard, on a telephone, in the dark, and on paper."""

import re
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from concordat import clock
from concordat.bedside.receipts import Receipts
from tests.browser.conftest import WATCH, Visit, look
from tests.concordat.bedside.conftest import Hospital, curious  # noqa: F401  (fixtures)
from tests.concordat.client.conftest import away, stage, stages, world  # noqa: F401
from tests.support.bedside import PATIENT, Running, running

pytestmark = [pytest.mark.full, pytest.mark.timeout(600), pytest.mark.django_db]

MEASURED = {"cp": "asymptomatic", "trestbps": 165, "chol": 310, "exang": True, "oldpeak": 2.4, "thalch": None}


@pytest.fixture
def there(curious: Hospital) -> Iterator[Running]:  # noqa: F811
    with running(curious.config, curious.home) as bedside:
        yield bedside


@pytest.fixture
def own(chromium: Browser) -> Iterator[Visit]:
    """A browser in which nothing may complain: neither the console, nor the content security policy."""
    with ExitStack() as closing:
        context = chromium.new_context(viewport={"width": 1280, "height": 900})
        closing.callback(context.close)
        context.set_default_timeout(15_000)
        context.add_init_script(WATCH)
        visit = Visit(None, context.new_page())  # type: ignore[arg-type]  # no site of the coordinator's
        yield visit
        assert visit.complaints == []


def opened(there: Running, own: Visit, patient: str = PATIENT) -> Page:
    item = there.bedside.items.latest(patient)
    assert item is not None
    own.page.goto(there.bedside.link(item))
    return own.page


def test_every_page_in_every_look(curious: Hospital, there: Running, own: Visit, tmp_path: Path) -> None:  # noqa: F811
    item = curious.opened(**MEASURED)
    page, wrong = opened(there, own), []
    result = page.url
    page.get_by_text("What the institutions state").click()
    page.get_by_text("Or change values").click()
    wrong += look(own, tmp_path)
    page.goto(result + "/patient")
    wrong += look(own, tmp_path)
    page.goto(result)
    page.get_by_label("A question", exact=True).fill("What if the blood pressure were lower?")
    page.get_by_role("button", name="Understand the question").click()
    wrong += look(own, tmp_path)
    page.goto(result)
    page.get_by_label("A question", exact=True).fill("Whose fault is it?")
    page.get_by_role("button", name="Understand the question").click()
    expect(page.get_by_label("A question", exact=True)).to_be_focused()
    expect(page.get_by_label("A question", exact=True)).to_have_value("Whose fault is it?")
    expect(page.get_by_label("A question", exact=True)).to_have_accessible_description(re.compile("not understood"))
    wrong += look(own, tmp_path)
    assert all("status of 422" in each for each in own.complaints)  # so the console says it, too
    own.complaints.clear()
    page.get_by_label("A question", exact=True).fill("Why not low?")
    page.get_by_role("button", name="Understand the question").click()
    wrong += look(own, tmp_path)
    kept: Any = item.result
    curious.items.opened(item, {**kept, "explanation": {**kept["explanation"], "reliable": False}})
    page.goto(result)
    wrong += look(own, tmp_path)
    curious.items.opened(item, kept)
    question = curious.items.ask(item, {"thalch": 160.0}, once="6f1d1f7e-2c0b-4c3e-9d56-0b7a3a9f5b01")
    curious.items.opened(question, {"what_ifs": [{"probability": "0.5000"}]})
    with curious.store.write() as db:
        hours_ago = clock.rfc3339(clock.now() - timedelta(hours=3))
        db.execute("UPDATE document SET content = ? WHERE name = 'authority'", (hours_ago,))
    page.goto(result)
    expect(page.get_by_text("Not checked.")).to_be_visible()
    expect(page.get_by_role("cell", name="(not measured: reference value)")).to_be_visible()
    wrong += look(own, tmp_path)
    curious.items.end("consent-withdrawn")
    page.goto(result)
    expect(page.get_by_text("No longer to be used.")).to_be_visible()
    wrong += look(own, tmp_path)
    curious.items.retract(patient=PATIENT, why="wrong-patient")
    page.goto(result)
    wrong += look(own, tmp_path)
    assert wrong == []


def test_by_keyboard_alone_from_the_result_to_a_computed_answer(
    curious: Hospital,  # noqa: F811
    there: Running,
    own: Visit,
) -> None:
    item = curious.opened(**MEASURED)
    page = opened(there, own)

    def tab_to(words: str) -> None:
        for _ in range(60):
            page.keyboard.press("Tab")
            focused = page.evaluate("(document.activeElement.labels?.[0] ?? document.activeElement).textContent.trim()")
            if focused.startswith(words):
                return
        raise AssertionError(f"{words} is not reached")

    tab_to("Reason for overriding it")
    outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
    assert outline == "solid"
    page.keyboard.type("Other findings")
    tab_to("Override")
    page.keyboard.press("Enter")
    expect(page.get_by_text("overridden: Other findings contradict it")).to_be_visible()
    page.wait_for_load_state()  # keys that are pressed while a page is loading may go to nothing
    tab_to("A question")
    page.keyboard.type("What if the blood pressure were 120?")
    page.keyboard.press("Enter")
    expect(page.get_by_text("Resting blood pressure 165 mmHg → 120 mmHg")).to_be_visible()
    tab_to("Yes, compute it")
    page.keyboard.press("Enter")
    expect(page.get_by_role("cell", name=re.compile("service is down|being computed"))).to_be_visible()
    (question,) = curious.items.questions(item)
    curious.worker().round()
    curious.world.compute(curious.definition, of=question.id)
    curious.worker().round()
    page.get_by_role("link", name="Look again").click()
    expect(page.get_by_role("cell", name=re.compile(r"^\d+\.\d %$"))).to_be_visible()
    said = [(each.decision, each.reason) for each in Receipts(curious.store).of(item)]
    assert said == [("shown", ""), ("overridden", "findings-contradict")]


def test_a_slider_moves_its_number_and_a_number_its_slider(
    curious: Hospital,  # noqa: F811
    there: Running,
    own: Visit,
) -> None:
    curious.opened(**MEASURED)
    page = opened(there, own)
    page.get_by_text("Or change values").click()
    slider, number = page.get_by_label("Cholesterol, slider"), page.get_by_label("Cholesterol", exact=True)
    number.fill("200")
    assert float(slider.input_value()) == 200
    slider.focus()
    page.keyboard.press("ArrowRight")
    assert float(number.input_value()) > 200
    number.fill("180")
    page.get_by_role("button", name="See how it is understood").click()
    expect(page.get_by_text("Cholesterol 310 mg/dL → 180 mg/dL")).to_be_visible()


def test_on_paper_the_patients_version_has_no_buttons(
    curious: Hospital,  # noqa: F811
    there: Running,
    own: Visit,
) -> None:
    curious.opened(**MEASURED)
    page = opened(there, own)
    page.goto(page.url + "/patient")
    expect(page.get_by_role("button", name="Print")).to_be_visible()
    page.emulate_media(media="print")
    expect(page.get_by_role("button", name="Print")).to_be_hidden()
    assert page.pdf(format="A4").startswith(b"%PDF")


def test_without_scripts_every_form_still_works(curious: Hospital, there: Running, chromium: Browser) -> None:  # noqa: F811
    curious.opened(**MEASURED)
    with ExitStack() as closing:
        context = chromium.new_context(java_script_enabled=False)
        closing.callback(context.close)
        page = opened(there, Visit(None, context.new_page()))  # type: ignore[arg-type]
        page.get_by_text("Or change values").click()
        expect(page.get_by_label("Cholesterol, slider")).to_be_hidden()
        page.get_by_label("Cholesterol", exact=True).fill("180")
        page.get_by_role("button", name="See how it is understood").click()
        page.get_by_role("button", name="Yes, compute it").click()
        expect(page.get_by_role("cell", name="Cholesterol 310 mg/dL → 180 mg/dL")).to_be_visible()
