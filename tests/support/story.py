"""The study of a story that browsers tell: where it stands, and who is there."""

from collections.abc import Callable
from dataclasses import dataclass, field

from playwright.sync_api import Locator

from concordat.reasons import Reason
from governance.models import AgendaItem, Study
from tests.browser.conftest import Site, Visit
from tests.support.browser_people import Person

Visitor = Callable[..., Visit]

NO_OFFICER = (Reason.ROLE_MISSING, Reason.WRONG_INSTITUTION)


@dataclass
class Story:
    """The site, the study once there is one, and the people by a word for each."""

    site: Site
    visit: Visitor
    slug: str
    people: dict[str, Person] = field(default_factory=dict)

    def __getitem__(self, name: str) -> Person:
        return self.people[name]

    def arrives(self, name: str, slug: str, role: str, *, listed: bool = False) -> Person:
        self.people[name] = Person.arrives(self.site, self.visit(), slug, role, listed=listed)
        return self.people[name]

    @property
    def study(self) -> Study:
        return Study.objects.get(slug=self.slug)

    @property
    def item(self) -> AgendaItem:
        """What the board has last placed."""
        return AgendaItem.objects.filter(review__submission__study=self.study).latest("pk")

    @property
    def chairs(self) -> list[Person]:
        return [self["budapest"], self["cleveland"], self["zurich"]]

    def review(self, board: str) -> str:
        return str(self.site.consortium.review(self.study, board).uuid)

    def page(self, person: Person) -> Locator:
        return person.see(self.site.study_url(self.study))

    def at_item(self, person: Person) -> Locator:
        return person.see(self.site.url("governance_agendaitem_change", self.item.pk))

    def at_verb(self, verb: str) -> str:
        return self.site.url(f"governance_{verb}", self.study.uuid)

    def at_item_verb(self, verb: str) -> str:
        return self.site.url("governance_agendaitem_do", self.item.uuid, verb)

    def board(self, of: str, person: Person) -> Locator:
        self.page(person)
        return person.page.get_by_role("article", name=f"Board of Hospital of {of}").first
