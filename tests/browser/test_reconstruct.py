"""docs/how-to/reconstruct-a-decision.md, followed to the letter by somebody who has a record number."""

import io
import re
import shlex
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect
from pypdf import PdfReader

from concordat import canonical, model_file
from concordat.events import Event
from concordat.verifier.__main__ import main
from ledger.models import LogEntry
from ledger.selectors import private_fields
from tests.browser.conftest import Site, Visit, look
from tests.support.decided import Decided

pytestmark = [pytest.mark.full, pytest.mark.timeout(600)]

PAGE = (Path(__file__).parents[2] / "docs/how-to/reconstruct-a-decision.md").read_text()
STEPS = {int(number): text for number, text in re.findall(r"^(\d+)\. (.*(?:\n(?!\d+\. |#).*)*)", PAGE, flags=re.M)}


@pytest.fixture(scope="module")
def running_site(deciding_site: Site) -> Site:
    return deciding_site


def says(step: int, *labels: str) -> str:
    """The step names these labels, in this order; answers the last."""
    text, place = STEPS[step], 0
    for label in labels:
        assert f"**{label}**" in text[place:], f"step {step} does not name “{label}”"
        place = text.index(f"**{label}**")
    return labels[-1]


def command(step: int, number: str) -> list[str]:
    """The line that the step shows, with the number of this decision."""
    (line,) = re.findall(r"^ {8}python -m ledger\.verify (.*)$", STEPS[step], flags=re.M)
    return shlex.split(line.replace("C-0000042-3", number))


def download(page: Page, label: str, folder: Path) -> Path:
    with page.expect_download() as begun:
        page.get_by_role("button", name=label, exact=True).click()
    path = folder / begun.value.suggested_filename
    begun.value.save_as(path)
    return path


def test_a_lawyer_reconstructs_a_decision_as_the_page_says(
    site: Site,
    visit: Callable[..., Visit],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    decided: Decided = site.consortium  # type: ignore[assignment]
    assert sorted(STEPS) == list(range(1, 15))
    folder, pictures = tmp_path / "folder", tmp_path / "pictures"
    folder.mkdir(), pictures.mkdir()
    own = visit()
    page = own.page

    reviewer = site.member("zurich", "legal-reviewer")
    own.sign_in(reviewer)  # 1
    expect(page.get_by_role("heading", name=says(2, "Decisions"))).to_be_visible()
    page.get_by_role("link", name=says(2, "Decisions", "Reconstruct a decision")).click()
    assert look(own, pictures) == []
    page.get_by_label(says(3, "Record number")).fill(decided.number.lower())
    page.get_by_role("button", name=says(3, "Open the decision")).click()
    expect(page.get_by_text("A legal reviewer reads a decision in a matter that names it")).to_be_visible()
    decided.matter("zurich", reviewer, prefix="ZHREAD")
    page.get_by_label(says(3, "Record number")).fill(decided.number.lower())
    page.get_by_role("button", name=says(3, "Open the decision")).click()
    expect(page.get_by_role("heading", name=f"Decision {decided.number}")).to_be_visible()
    assert look(own, pictures) == []

    expect(page.locator(".verdict").first).to_contain_text(says(4, "No check failed."))
    for head in re.findall(r"\*\*([^*]+)\*\*", STEPS[5]):
        expect(page.get_by_role("heading", name=head, exact=True)).to_be_visible()
    expect(page.get_by_role("heading", name=says(6, "What is proven, and what is not"))).to_be_visible()
    expect(page.get_by_role("heading", name=says(7, "Every check, with its result"))).to_be_visible()
    checks = page.locator("table").filter(has_text="In words").get_by_role("row")
    assert checks.count() > 20
    expect(page.get_by_role("heading", name=says(8, "Timeline"))).to_be_visible()
    expect(page.locator("ol.timeline")).not_to_contain_text("legal-reviewer")

    expect(page.get_by_role("heading", name=says(9, "Files to take along"))).to_be_visible()
    paper = download(page, says(9, "Files to take along", "PDF, to print"), folder)
    bundle = download(page, says(10, "Bundle (zip), to verify"), folder)
    own.complaints[:] = [each for each in own.complaints if "/files/" not in each]  # a download ends the navigation
    pages = PdfReader(io.BytesIO(paper.read_bytes())).pages
    for number, each in enumerate(pages, 1):
        text = each.extract_text()
        assert f"page {number} of {len(pages)}" in text
        assert f"Decision {decided.number}" in text
        assert canonical.digest(bundle.read_bytes()) in text
    readings = LogEntry.objects.filter(event=Event.MATTER_DOSSIER_READ).order_by("index")
    assert [private_fields(entry)["form"] for entry in readings][-3:] == ["page", "pdf", "bundle"]

    (folder / "disclosure.json").write_bytes(canonical.encode(decided.disclosure))
    monkeypatch.chdir(folder)
    assert main(command(11, decided.number)) == 0
    assert says(12, "no check failed") in capsys.readouterr().out.splitlines()[-1]
    told = "".join(each.extract_text() for each in PdfReader(folder / "with-result.pdf").pages)
    assert "Predicted probability" in told
    assert "Predicted probability" not in "".join(each.extract_text() for each in pages)
    other = decided.disclosure | {"record": "C-0000000-1"}
    (folder / "disclosure.json").write_bytes(canonical.encode(other))
    assert main(command(11, decided.number)) == 1
    assert says(12, "no check failed", "THE DISCLOSURE DOES NOT FIT") in capsys.readouterr().out

    (folder / "disclosure.json").write_bytes(canonical.encode(decided.disclosure))
    owned = decided.consortium
    (folder / "model.json").write_bytes(model_file.write(owned.manifest, owned.kept))
    assert main(command(13, decided.number)) == 0
    (line,) = [line for line in capsys.readouterr().out.splitlines() if " replay " in line]
    assert "off by" in line
    assert "is allowed" in line


def test_the_page_is_used_by_keyboard_and_printed_without_its_buttons(site: Site, visit: Callable[..., Visit]) -> None:
    decided: Decided = site.consortium  # type: ignore[assignment]
    own = visit()
    own.sign_in(site.member("long-beach", "regulator"))
    own.page.goto(site.url("decision", decided.number))
    buttons = own.page.locator(".files button")
    buttons.first.focus()
    for _ in range(buttons.count() - 1):
        own.page.keyboard.press("Tab")
    expect(buttons.last).to_be_focused()
    own.page.emulate_media(media="print")
    expect(own.page.locator(".files")).to_be_hidden()
    expect(own.page.locator("#header")).to_be_hidden()
    expect(own.page.locator("ol.timeline")).to_be_visible()
