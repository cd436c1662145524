"""Pictures of the desk for the documentation. `make screenshots` keeps them; every other run only looks whether they
could be kept: of the right size, not blank, without a finding of axe-core."""

import os
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from PIL import Image
from playwright.sync_api import Browser, Page

from concordat import clock
from concordat.enrolment import build_enrolment
from governance.models import AgendaItem, Study
from governance.services import attendance, boards, comments, meetings, people, reviews, sittings
from tests.browser.conftest import PROTOCOL, Site, Visit, serving
from tests.governance.conftest import LAWS, ROLES, Consortium
from tests.support.boardroom import APPROVE

pytestmark = [pytest.mark.full, pytest.mark.timeout(900)]

LARGEST = 250_000
"""Bytes of one picture: the repository keeps every version of each."""

WIDE, TALL, NARROW = ({"width": width, "height": height} for width, height in ((1280, 960), (1280, 1560), (390, 1180)))
NAMES = {
    "cleveland": "Cleveland Clinic Foundation",
    "budapest": "Hungarian Institute of Cardiology",
    "zurich": "University Hospital, Zurich",
    "long-beach": "VA Medical Center, Long Beach",
    "notary": "Federal Notary",
}
OFFICERS = {
    ("zurich", "irb-chair"): ["Dr. Regula Frei", "Dr. Regula Frei"],
    ("cleveland", "irb-chair"): ["Dr. Sarah Okafor"],
    ("budapest", "irb-chair"): ["Dr. Eszter Varga"],
    ("long-beach", "institution-admin"): ["Maria Delgado"],
    ("cleveland", "investigator"): ["Dr. James Whitfield"],
    ("zurich", "irb-administrator"): ["Beat Widmer"],
    ("zurich", "irb-member"): ["Prof. Luca Bernasconi", "Dr. Nina Hofer", "Ursula Amstutz", "Pfr. Jonas Keller"],
}
"""Nobody who lives. The chair of Zurich signs once for the consortium and once before the browser."""


class Named(Consortium):
    """The same consortium with names that a reader can tell apart."""

    def enrolment(self, slug: str) -> str:
        return build_enrolment(
            self.keys[slug],
            institution=slug,
            name=NAMES[slug],
            jurisdiction=LAWS[slug],
            roles=list(ROLES[slug]),
            issued=clock.now(),
        )

    def member(self, slug: str, role: str) -> User:
        self.arrived: dict[tuple[str, str], int] = getattr(self, "arrived", {})
        number = self.arrived[slug, role] = self.arrived.get((slug, role), 0) + 1
        name, email = OFFICERS[slug, role][number - 1], f"{role}-{number}@{slug}.example.org"
        return people.add_member(email=email, name=name, institution=self.at[slug], role=role).user


@pytest.fixture(scope="module")
def running_site(chromium: Browser, django_db_blocker: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with serving(Named, django_db_blocker, tmp_path_factory) as site:
        yield site


def protocol(site: Site, study: str, title: str) -> dict[str, Any]:
    return site.protocol(study=study, title=title, contact=PROTOCOL["contact"])


def amended(site: Site) -> Study:
    """In force, with a definition that all have approved, and a material amendment before the boards."""
    made = site.consortium
    study = made.approved(**protocol(site, "heart-explained", "Explained prediction of coronary artery disease"))
    known = made.register(made.content(study, made.import_model()))
    for slug in ("cleveland", "budapest", "zurich", "long-beach"):
        site.vote(slug, known)
    site.amended(
        study,
        summary=f"{PROTOCOL['summary']} A second reader sees each explanation.",
        opened="The prediction, ten coefficients and the fit of the local model, to the requesting hospital alone.",
    )
    return study


def before_the_board(site: Site, administrator: User) -> AgendaItem:
    """Moved, and one has voted."""
    made = site.consortium
    study = made.submitted(**protocol(site, "sepsis-alert", "Early warning of sepsis on the ward"))
    made.local_context(study)
    board, chair = made.at["zurich"], made.chairs["zurich"].user
    members = [chair, *(site.member("zurich", "irb-member") for _ in range(4))]
    seats = [
        boards.give_seat(
            by=administrator,
            board=board,
            officer=str(each.officer.uuid),
            scientist=number < 3,
            affiliated=number != 4,
        )
        for number, each in enumerate(members)
    ]
    meeting = meetings.schedule(by=administrator, board=board, at=clock.now(), place="Room E14", kind="urgent")
    meetings.open(by=administrator, meeting=str(meeting.uuid))
    meetings.schedule(by=administrator, board=board, at=clock.now() + timedelta(days=12), place="Room E14")
    review = str(made.review(study, "zurich").uuid)
    reviews.give_opinion(
        by=members[2], review=review, recommendation="approved", findings={}, comment="The risks are stated plainly."
    )
    item = meetings.place(by=administrator, meeting=str(meeting.uuid), review=review)
    marks = {str(seat.uuid): "present" if number < 4 else "absent" for number, seat in enumerate(seats)}
    attendance.attend(by=administrator, item=str(item.uuid), marks=marks)
    sittings.open_item(by=administrator, item=str(item.uuid))
    sittings.move(by=administrator, item=str(item.uuid), motion=APPROVE)
    sittings.vote(by=members[1], item=str(item.uuid), choice="for")
    return item


class Album:
    """The folder for the pictures, and what is wrong with any of them."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.wrong = folder, list[str]()

    def take(self, own: Visit, name: str, size: dict[str, int], scheme: str = "light") -> None:
        """Of what the browser shows now, from there on down."""
        own.page.set_viewport_size(size)  # type: ignore[arg-type]
        own.page.emulate_media(color_scheme=scheme, reduced_motion="reduce")  # type: ignore[arg-type]
        path = self.folder / f"{name}.png"
        own.page.screenshot(path=path)
        with Image.open(path) as taken:
            taken.convert("RGB").quantize(64, dither=Image.Dither.NONE).save(path, optimize=True)
        with Image.open(path) as picture:
            colours = picture.convert("L").getcolors()
            if picture.size != (size["width"], size["height"]) or colours is None or len(colours) < 8:
                self.wrong.append(f"{name} is blank or of another size")
        if path.stat().st_size > LARGEST:
            self.wrong.append(f"{name} has {path.stat().st_size} bytes")
        self.wrong += [f"{name}: {each}" for each in own.violations()]


def from_the_top(page: Page, part: str) -> None:
    page.evaluate(f"document.querySelector('{part}').scrollIntoView({{block: 'start', behavior: 'instant'}})")


def test_pictures_of_the_desk(site: Site, visit: Callable[..., Visit], tmp_path: Path) -> None:
    folder = Path(os.environ.get("CONCORDAT_SCREENSHOTS") or tmp_path)
    folder.mkdir(parents=True, exist_ok=True)
    album, made, chair = Album(folder), site.consortium, visit()
    study = amended(site)
    comments.write(
        by=made.chairs["cleveland"].user,
        study=study,
        institution=made.at["cleveland"],
        text="Does the second reader belong to the same ward?",
        internal=False,
    )
    item = before_the_board(site, site.member("zurich", "irb-administrator"))
    alone = made.submitted(**protocol(site, "chest-pain-triage", "Chest pain in the emergency room"))
    made.local_context(alone)
    review = str(made.review(alone, "zurich").uuid)
    ground = "Records of care, no more than minimal risk."
    reviews.route(by=made.chairs["zurich"].user, review=review, path="expedited", category="5", ground=ground)
    user = site.member("zurich", "irb-chair")
    chair.sign_in(user)
    site.put_on_roster(user, "zurich", "irb-chair")
    page = chair.page

    page.goto(site.url("index"))
    album.take(chair, "queue", WIDE)
    page.goto(site.study_url(study))
    album.take(chair, "study", WIDE)
    album.take(chair, "study-dark", WIDE, "dark")
    page.set_viewport_size(NARROW)  # type: ignore[arg-type]
    page.reload()
    album.take(chair, "study-telephone", NARROW)
    page.goto(site.url("governance_agendaitem_change", item.pk))
    album.take(chair, "meeting", TALL)
    page.goto(site.study_url(alone) + "#act-determine")
    form = page.get_by_role("form", name="Sign the determination")
    form.get_by_role("radio", name="Refer to the full board").check()
    form.get_by_label("Reasons").fill("Whether minors are asked themselves has to be discussed.")
    form.get_by_role("button", name="Sign the determination").click()
    form.get_by_role("group", name="What you sign").wait_for()
    from_the_top(page, "#act-determine")
    album.take(chair, "signing", WIDE)
    page.goto(site.url("help"))
    album.take(chair, "help", WIDE)
    assert album.wrong == []
