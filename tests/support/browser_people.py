"""People before a running site, each with a browser of their own: what they press, and what they try past the pages."""

import re
from collections.abc import Callable, Collection, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from html import unescape
from typing import Any

from django.contrib.auth.models import User
from playwright.sync_api import Locator, Page

from concordat.determination import Path
from concordat.events import Event
from concordat.findings import needed
from concordat.reasons import REASONS, Reason
from governance.models import Study
from ledger.models import LogEntry
from tests.browser.conftest import Site, Visit

_ERROR = re.compile(r'<li class="error">(.*?)</li>', re.DOTALL)


@dataclass
class Person:
    """An officer who has signed in. `post` and `ask` send what the pages do not offer, with this person's session."""

    own: Visit
    user: User

    @classmethod
    def arrives(cls, site: Site, own: Visit, slug: str, role: str, *, listed: bool = False) -> "Person":
        """Signed in for the first time, with a new passkey; `listed`: on the roster of the institution."""
        user = site.member(slug, role)
        own.sign_in(user)
        if listed:
            site.put_on_roster(user, slug, role)
        return cls(own, user)

    @property
    def page(self) -> Page:
        return self.own.page

    @property
    def name(self) -> str:
        return self.user.officer.name

    def see(self, address: str) -> Locator:
        self.page.goto(address)
        return self.page.get_by_role("main")

    def task(self, text: str, about: str) -> None:
        """Where a task of this person's queue leads."""
        queue = self.see(self.own.site.url("index")).get_by_role("table").first
        queue.get_by_role("link").filter(has_text=about).filter(has_text=text).click()

    def form(self, study: Study, verb: str) -> Locator:
        """The form behind a button of the study's page."""
        self.see(self.own.site.study_url(study))
        self.page.get_by_role("navigation", name="What you can do").get_by_role("link", name=verb).click()
        return self.page.get_by_role("form", name=verb)

    def press(self, within: Locator, button: str) -> None:
        """A form that is sent, and the page that answers it."""
        with self.page.expect_navigation():
            within.get_by_role("button", name=button, exact=True).click()

    def sign(self, form: Locator, button: str) -> Mapping[str, Any]:
        """What the form says is read, and signed with the passkey; answers what was sent."""
        form.get_by_role("button", name=button).click()
        with self.page.expect_navigation(), self.page.expect_request("**/acts/sign/") as sent:
            form.get_by_role("button", name="Sign with passkey").click()
        body: Mapping[str, Any] = sent.value.post_data_json
        return body

    def approve(self, study: Study) -> Mapping[str, Any]:
        """Alone, on the expedited path."""
        form = self.form(study, "Sign the determination")
        form.get_by_role("radio", name="Approve", exact=True).check()
        for code in needed(Path.EXPEDITED, waiver=False):
            form.locator(f'input[name="findings.{code}"][value="met"]').check()
        return self.sign(form, "Sign the determination")

    def route(self, study: Study) -> None:
        """To the expedited path, on the first of the categories that fit."""
        form = self.form(study, "Choose the path of review")
        form.get_by_role("radio", name="Expedited review").first.check()
        form.get_by_label("Ground").fill("No more than minimal risk.")
        self.press(form, "Choose this path")

    # --- past the pages

    def post(self, address: str, **form: Any) -> str:
        """The refusal that the next page shows to a form; empty where it was done."""
        sent = self.page.request.post(address, multipart={**form, "csrfmiddlewaretoken": self._token()})
        return " ".join(unescape(each) for each in _ERROR.findall(sent.text()))

    def ask(self, act: str, **fields: Any) -> str:
        """The refusal of a statement to sign; empty where there is one."""
        address = self.own.site.url("acts_ask")
        return self._refusal(address, {"act": act, "fields": fields, "method": "passkey"})

    def sign_again(self, sent: Mapping[str, Any]) -> str:
        """The refusal of a signature that was sent before."""
        return self._refusal(self.own.site.url("acts_sign"), sent)

    def _refusal(self, address: str, body: Mapping[str, Any]) -> str:
        answer = self.page.request.post(address, data=dict(body), headers={"X-CSRFToken": self._token()})
        return "" if answer.ok else f"{answer.json()['sentence']} {answer.json()['remedy']}"

    def _token(self) -> str:
        """As the pages carry it in their forms."""
        return next(each["value"] for each in self.page.context.cookies() if each["name"] == "csrftoken")


def refused(reasons: Reason | Collection[Reason], attempt: Callable[..., str], /, *args: Any, **fields: Any) -> None:
    """It is answered with the sentence and the remedy of one of these reasons, and nothing is written."""
    wanted = [reasons] if isinstance(reasons, Reason) else list(reasons)
    with nothing_changes():
        said = attempt(*args, **fields)
    told = [reason for reason in wanted if REASONS[reason].sentence in said and REASONS[reason].remedy in said]
    assert told, f"“{said}” says none of: {', '.join(wanted)}"


@contextmanager
def nothing_changes() -> Any:
    """Every write leaves an entry in the log: there is none but of what was read, and no study moves."""
    before = _everything()
    yield
    assert _everything() == before


def _everything() -> tuple[int, list[tuple[Any, ...]]]:
    written = LogEntry.objects.exclude(event=Event.RECORD_READ).count()
    return written, list(Study.objects.order_by("pk").values_list("pk", "state", "epoch", "expires", "in_force"))
