"""docs/how-to/produce-a-decision.md, followed to the letter by an administrator and a legal reviewer."""

import csv
import hashlib
import re
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect

from concordat import canonical
from governance.models import Production
from tests.browser.conftest import Site, Visit, look
from tests.support.decided import Decided
from tests.support.matters import SAID

pytestmark = [pytest.mark.full, pytest.mark.timeout(600)]

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/how-to/produce-a-decision.md").read_text()
STEPS = {int(number): text for number, text in re.findall(r"^(\d+)\. (.*(?:\n(?!\d+\. |#).*)*)", PAGE, flags=re.M)}


@pytest.fixture(scope="module")
def running_site(deciding_site: Site) -> Site:
    return deciding_site


def says(step: int, *labels: str) -> str:
    """The step names these labels, in this order; answers the last."""
    text, place = STEPS[step], 0
    for label in labels:
        assert f"**{label}**" in text[place:], f"step {step} does not name “{label}”"
        place = text.index(f"**{label}**", place)
    return labels[-1]


def commands() -> list[str]:
    """The lines that step 12 shows."""
    return re.findall(r"^ {8}(\S.*)$", STEPS[12], flags=re.M)


def labelled(page: Page, label: str) -> Locator:
    """The field of this label."""
    return page.get_by_label(re.compile(rf"^{re.escape(label)}( \(UTC\))?:?$"))


def fill(page: Page, decided: Decided) -> None:
    """The form of steps 2 and 3."""
    for label, field in (
        ("Short title", "title"),
        ("Court and docket number", "docket"),
        ("What the paper orders or allows", "authority"),
        ("Requesting party", "party"),
        ("Purpose", "purpose"),
    ):
        labelled(page, says(2, label)).fill(SAID[field])
    labelled(page, says(2, "Authority")).select_option("subpoena")
    labelled(page, says(2, "Date of the paper")).fill("2026-01-31")
    labelled(page, says(3, "Protective order")).fill(SAID["protective_order"])
    labelled(page, says(3, "Protective order", "Prefix of page numbers")).fill("LBDOE")
    labelled(page, says(3, "End of the matter")).fill("2999-01-01T00:00")
    labelled(page, says(3, "End of the matter", "Record numbers of the decisions")).fill(decided.number.lower())


def test_a_lawyer_produces_a_decision_as_the_page_says(site: Site, visit: Callable[..., Visit], tmp_path: Path) -> None:
    decided: Decided = site.consortium  # type: ignore[assignment]
    assert sorted(STEPS) == list(range(1, 16))
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    administrator, reviewer = (site.member("long-beach", role) for role in ("institution-admin", "legal-reviewer"))

    office = visit()
    page = office.page
    office.sign_in(administrator)  # 1
    expect(page.get_by_role("heading", name=says(1, "Legal matters"))).to_be_visible()
    page.get_by_role("link", name=says(1, "Legal matters")).first.click()
    assert look(office, pictures) == []
    page.get_by_role("link", name=says(1, "Legal matters", "Open a matter")).click()
    assert look(office, pictures) == []
    fill(page, decided)
    page.get_by_role("button", name=says(4, "Open the matter")).click()
    expect(page.get_by_role("alert")).to_contain_text("it stands beside its field")
    assert look(office, pictures) == []
    labelled(page, says(2, "Satisfactory assurance")).select_option("protective-order")
    page.get_by_role("button", name=says(4, "Open the matter")).click()
    expect(page.get_by_role("heading", name=SAID["title"])).to_be_visible()
    expect(page.get_by_role("heading", name=says(5, "Grants"))).to_be_visible()
    page.get_by_text(says(5, "Grants", "Give a grant"), exact=True).click()
    labelled(page, says(5, "Legal reviewer")).select_option(label=reviewer.officer.name)
    labelled(page, says(5, "Legal reviewer", "Until")).fill("2998-01-01T00:00")
    page.get_by_role("button", name=says(5, "Until", "Give the grant")).click()
    expect(page.get_by_text("Given. The reviewer is told.")).to_be_visible()
    assert look(office, pictures) == []

    own = visit()
    page = own.page
    own.sign_in(reviewer)  # 6
    page.get_by_role("link", name=says(6, "Legal matters")).first.click()
    page.get_by_role("link", name=SAID["title"]).click()
    matter = page.url
    expect(page.get_by_role("heading", name=says(7, "Decisions"))).to_be_visible()
    page.get_by_role("link", name=re.compile(says(7, "Decisions", "Open"))).click()
    expect(page.get_by_role("heading", name=says(7, "Under which authority this was read"))).to_be_visible()
    expect(page.locator(".verdict").first).to_contain_text("No check failed.")
    expect(page.get_by_text(SAID["party"])).to_be_visible()
    assert look(own, pictures) == []

    page.goto(matter)
    expect(page.get_by_role("heading", name=says(8, "Privilege"))).to_be_visible()
    page.get_by_text(says(8, "Privilege", "Mark as privileged"), exact=True).click()
    labelled(page, says(8, "Decision")).select_option(decided.number)
    labelled(page, says(8, "What")).select_option("display")
    labelled(page, says(8, "What", "Privilege")).select_option("work-product")
    labelled(page, says(8, "What the privilege log says of it")).fill("Counsel's notes on what was shown.")
    page.get_by_role("button", name=says(8, "Mark it")).click()
    expect(page.get_by_text("Marked. It is withheld from now on.")).to_be_visible()

    expect(page.get_by_role("heading", name=says(9, "Productions"))).to_be_visible()
    page.get_by_role("link", name=says(9, "Productions", "Make a production")).click()
    assert look(own, pictures) == []
    choices = page.locator("fieldset select")
    for place in range(choices.count()):
        label = says(10, "Open it") if place != 1 else "Redact: Outside what was asked for"
        choices.nth(place).select_option(label=label)
    page.get_by_role("button", name=says(10, "Make the production")).click()
    expect(page.get_by_text("Production 1 is made.")).to_be_visible()
    assert look(own, pictures) == []
    with page.expect_download() as begun:
        page.get_by_role("button", name=re.compile(says(11, "Download"))).click()
    path = tmp_path / begun.value.suggested_filename
    begun.value.save_as(path)
    own.complaints[:] = [each for each in own.complaints if "/productions/" not in each]  # it ends the navigation
    digest = canonical.digest(path.read_bytes())
    assert digest == Production.objects.get(matter__uuid=matter.rstrip("/").rpartition("/")[2]).digest
    expect(page.get_by_text(digest)).to_be_visible()

    folder = tmp_path / "handed-over"
    with zipfile.ZipFile(path) as archive:
        archive.extractall(folder)
    sums, verifies = commands()
    done = subprocess.run(sums.split(), cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0
    assert all(line.endswith(says(12, "OK")) for line in done.stdout.splitlines())
    with (folder / "index.csv").open(newline="") as file:
        lines = list(csv.DictReader(file))
    (produced,) = [line["FILE"] for line in lines if line["FILE"].endswith(".zip")]
    assert hashlib.sha256((folder / produced).read_bytes()).hexdigest() == lines[-1]["SHA256"]
    words = verifies.replace("files/LBDOE-0000010.zip", produced).split()
    assert words[:3] == ["python", "-m", "ledger.verify"]
    done = subprocess.run(
        [sys.executable, *words[1:]],
        cwd=folder,
        env={"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0
    assert says(12, "no check failed") in done.stdout.splitlines()[-1]
    for step in (13, 14):
        for name in re.findall(r"`([\w.-]+\.(?:txt|csv|pdf))`", STEPS[step]):
            assert (folder / name).exists()

    page.goto(matter)
    expect(page.get_by_role("heading", name=says(15, "Access log"))).to_be_visible()
    log = page.get_by_role("table").last
    for said in ("page", "production 1 made", "production 1 taken"):
        expect(log).to_contain_text(said)
    assert look(own, pictures) == []

    page = office.page
    page.goto(matter)
    for label in ("Close the matter", "End or prolong"):
        assert f"**{label}**" in PAGE
    page.get_by_text("Close the matter", exact=True).first.click()
    page.get_by_role("button", name="Close the matter").click()
    expect(page.get_by_text("Closed. Nobody reads in it any more.")).to_be_visible()
    own.page.goto(matter)
    expect(own.page.get_by_text("No matter that you can see has this identifier.")).to_be_visible()
