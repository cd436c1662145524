"""The officers' site as it is deployed, on a database of its own, and Chromium with a virtual passkey to visit it.

The log's tables are append-only, so Django's live server, which empties all tables after each test, is of no use here:
the tests write through the project's services into the server's own SQLite file, and each makes a study of its own.
"""

import base64
import json
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import environ
import pytest
from axe_playwright_python.sync_playwright import Axe
from django.conf import settings
from django.contrib.auth.models import User
from django.db import connections
from django.db.backends.sqlite3.base import DatabaseWrapper
from django.test.utils import override_settings
from django.urls import reverse
from django_otp.oath import TOTP
from playwright.sync_api import Browser, ConsoleMessage, Locator, Page, Request, expect, sync_playwright

from compute import broker
from concordat import clock
from concordat.keystore import Keystore
from config.local.stack import Stack, run_manage
from config.local.supervisor import Supervisor
from governance.models import Definition, DefinitionVote, Passkey, Study, Submission
from governance.services import definitions, second_factors, studies
from ledger.models import ChainTransaction, TransactionState
from tests.governance.conftest import REGISTRY, ROLES, Consortium, Officer
from tests.support.consortium import DOMAIN
from tests.support.consortium import Consortium as FoundedConsortium
from tests.support.decided import Decided
from tests.support.keys import coordinator_keys

CHROMIUM = shutil.which("chromium")
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
PROTOCOL = json.loads((Path(__file__).parents[2] / "examples/heart_disease/protocol.json").read_text())
PASSWORD = "correct horse battery staple"
WIDTHS, SCHEMES = (1280, 390), ("light", "dark")
WCAG = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]
WATCH = """document.addEventListener("securitypolicyviolation", (event) =>
  console.error(`securitypolicyviolation: ${event.violatedDirective} ${event.blockedURI}`));"""


@dataclass
class Site:
    """The running server, and the consortium behind it."""

    stack: Stack
    consortium: Consortium

    def url(self, name: str, *arguments: Any) -> str:
        return self.stack.base_url + reverse(f"admin:{name}", args=arguments)

    def study_url(self, study: Study) -> str:
        return self.url("governance_study_change", study.pk)

    def protocol(self, **changes: Any) -> dict[str, Any]:
        """A protocol with the texts of the worked example, under a name of its own so that no test meets another's."""
        name = f"study-{uuid4().hex[:8]}"
        texts = {field: PROTOCOL[field] for field in ("summary", "computed", "opened", "sections")}
        own = {"study": name, "title": f"Explained prediction ({name})"}
        return self.consortium.protocol(**texts | own | changes)

    def amended(self, study: Study, **changes: Any) -> Submission:
        """The version in force with these changes, put before the boards."""
        assert study.in_force is not None
        return studies.submit(institution=study.institution, content=study.in_force.content | changes)

    def submitted(self, **changes: Any) -> Study:
        return self.consortium.submitted(**self.protocol(**changes))

    def approved(self, **changes: Any) -> Study:
        return self.consortium.approved(**self.protocol(**changes))

    def vote(self, slug: str, of: Definition) -> None:
        """An approval, with the next nonce of the institution's chain key."""
        nonce = DefinitionVote.objects.filter(institution__slug=slug).count()
        definitions.relay_vote(vote=self.consortium.vote(slug, of, nonce=nonce))

    def member(self, slug: str, role: str) -> User:
        user = self.consortium.member(slug, role)
        user.set_password(PASSWORD)
        user.save()
        return user

    def put_on_roster(self, user: User, slug: str, role: str) -> None:
        """The institution signs, with its offline key, a roster with the passkey that this officer registered."""
        officer = Officer(user, self.consortium.at[slug], Passkey.objects.get(officer__user=user))  # type: ignore[arg-type]
        made = self.consortium
        chair = (made.chairs[slug], "irb-chair") if slug in made.chairs else (made.signatory, "institution-admin")
        made.roster(slug, [chair, (officer, role)])


@dataclass
class Visit:
    """One person's browser. Whatever the console or the content security policy complains of ends up in `complaints`;
    a refused request is one too, until the test has read its refusal on the page."""

    site: Site
    page: Page
    complaints: list[str] = field(default_factory=list)
    app: str = ""

    def __post_init__(self) -> None:
        self.page.on("console", self._heard)
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("requestfailed", self._failed)

    def _heard(self, message: ConsoleMessage) -> None:
        icon = message.location["url"].endswith("/favicon.ico")  # Chromium asks once; there is none
        if message.type in ("error", "warning") and not icon:
            self.complaints.append(f"{message.type}: {message.text} at {message.location['url']}")

    def _failed(self, request: Request) -> None:
        if request.failure != "net::ERR_ABORTED":  # the page was left while it was loading: nobody waits for it
            self.complaints.append(f"failed: {request.url} ({request.failure})")

    def give_password(self, user: User) -> "Visit":
        """The first step; the page of the second one follows."""
        self.page.goto(self.site.url("index"))
        self.page.get_by_label("E-mail address").fill(user.username)
        self.page.get_by_label("Password").fill(PASSWORD)
        self.page.get_by_role("button", name="Log in").click()
        self.page.wait_for_url(re.compile("/second-factor/"))
        return self

    def sign_in(self, user: User) -> "Visit":
        """Both steps."""
        return self.give_password(user).second_step(user)

    def second_step(self, user: User) -> "Visit":
        """The first time a passkey is made; in another browser a recovery code stands in for it."""
        if "/set-up/" in self.page.url:
            self.give_passkey()
            self.page.get_by_role("button", name="Register a passkey").click()
            self.page.wait_for_url(self.site.url("recovery_codes"))
        else:
            self.page.get_by_text("You have lost it?").click()
            self.page.get_by_label("Recovery code").fill(second_factors.make_recovery_codes(by=user)[0])
            self.page.get_by_role("button", name="Use recovery code").click()
            self.page.wait_for_url(self.site.url("second_factors"))
        self.page.goto(self.site.url("index"))
        self.page.get_by_role("button", name="Log out").wait_for()
        return self

    def sign_in_with_app(self, user: User) -> "Visit":
        """Both steps, the second with an authenticator app that is set up on the way."""
        self.give_password(user)
        secret = self.page.get_by_role("definition").first.inner_text()
        self.page.get_by_label("Code from your authenticator app").fill(code(secret, clock.now()))
        self.page.get_by_role("button", name="Take the app into use").click()
        self.page.wait_for_url(self.site.url("recovery_codes"))
        self.app = secret
        return self

    def next_code(self) -> str:
        """A code of the app that has not served yet."""
        return code(self.app, clock.now() + timedelta(seconds=30))

    def give_passkey(self) -> None:
        """An authenticator that confirms every request, as a person with a fingerprint reader would."""
        session = self.page.context.new_cdp_session(self.page)
        session.send("WebAuthn.enable")
        options = {
            "protocol": "ctap2",
            "transport": "internal",
            "hasResidentKey": True,
            "hasUserVerification": True,
            "isUserVerified": True,
            "automaticPresenceSimulation": True,
        }
        session.send("WebAuthn.addVirtualAuthenticator", {"options": options})

    def register_passkey(self) -> None:
        """It was made when signing in for the first time; this opens the page that lists it."""
        self.page.goto(self.site.url("governance_passkey_changelist"))

    def refusal(self) -> str:
        """The refusal that the page shows; the browser's own note of the refused request is expected then."""
        shown: Locator = self.page.get_by_role("alert")
        shown.wait_for()
        refused = [each for each in self.complaints if "responded with a status of 4" in each]
        assert len(refused) == 1
        self.complaints.remove(refused[0])
        return shown.inner_text()

    def violations(self) -> list[str]:
        """Serious and critical findings of axe-core for WCAG 2.2 AA, one line for each element."""
        self.page.evaluate("Promise.all(document.getAnimations().map((each) => each.finished))")
        options = {"runOnly": {"type": "tag", "values": WCAG}, "resultTypes": ["violations"]}
        found = Axe().run(self.page, options=options).response["violations"]
        return [
            f"{each['id']}: {node['html']} {node['failureSummary']}"
            for each in found
            if each["impact"] in ("serious", "critical")
            for node in each["nodes"]
        ]

    def scrolls_sideways(self) -> bool:
        return bool(self.page.evaluate("document.documentElement.scrollWidth > document.documentElement.clientWidth"))


def code(secret: str, at: datetime) -> str:
    """What an authenticator app shows, by the secret as it stands on the page."""
    app = TOTP(base64.b32decode(secret + "=" * (-len(secret) % 8)))
    app.time = at.timestamp()
    return f"{app.token():06}"


def inspect(own: Visit, address: str, folder: Path) -> list[str]:
    """What is wrong with a page in any of its looks; a picture of each look is left in the folder."""
    own.page.goto(address)
    return look(own, folder)


def look(own: Visit, folder: Path) -> list[str]:
    """The same for what the browser shows now."""
    wrong = []
    name = f"{sum(1 for _ in folder.glob('*.png')):02} {own.page.title().replace('/', ' ')}"
    for width in WIDTHS:
        own.page.set_viewport_size({"width": width, "height": 900})
        for scheme in SCHEMES:
            own.page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
            own.page.screenshot(path=folder / f"{name} {width} {scheme}.png", full_page=True)
            wrong += [f"{name}, {scheme}: {each}" for each in own.violations()]
        if own.scrolls_sideways():
            wrong.append(f"{name} is wider than {width} px")
    return wrong


expect.set_options(timeout=20_000)  # five seconds, else: too few on a busy machine


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    if CHROMIUM is None:
        pytest.skip("Chromium is not installed (apt-get install chromium)")
    with sync_playwright() as playwright, pytest.MonkeyPatch.context() as patch:
        # Playwright's loop runs in this thread, which Django takes for a coroutine that must not use the database.
        patch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "true")
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def running_site(chromium: Browser, django_db_blocker: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """The site that all tests share but those which need people of their own."""
    with serving(Consortium, django_db_blocker, tmp_path_factory) as site:
        yield site


@pytest.fixture(scope="session")
def deciding_site(
    chromium: Browser, django_db_blocker: Any, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Site]:
    """A site of its own, whose log holds one decision that all five institutions made."""

    def decide(_: object) -> Decided:
        coordinator = Keystore(settings.KEYS_DIR).identity
        agreed = FoundedConsortium(tmp_path_factory.mktemp("consortium"), coordinator=coordinator)
        agreed.boards.origin = settings.BASE_URL
        with override_settings(ANCHOR_ADDRESS=DOMAIN.registry, CHAIN_RPC="http://127.0.0.1:1"):  # nobody answers there
            return Decided(agreed, nullcontext)

    with pytest.MonkeyPatch.context() as patch:
        for function in ("to_node", "to_coordinator"):
            patch.setattr(broker, function, lambda *_, **__: None)
        with serving(decide, django_db_blocker, tmp_path_factory, registry=DOMAIN.registry) as site:
            yield site


@contextmanager
def serving(
    made: Callable[[dict[str, Keystore]], Any],
    blocker: Any,
    folders: pytest.TempPathFactory,
    *,
    registry: str = REGISTRY,
) -> Iterator[Site]:
    """The web server with its own script, and a consortium that its database holds."""
    stack = Stack(folders.mktemp("site"), registry_address=registry, passwords={"coordinator": "none"})
    stack.choose_ports()
    coordinator_keys(stack.keys)
    folder = folders.mktemp("institutions")
    keystores = {slug: Keystore(folder / slug).create() for slug in ROLES}
    with _inside(stack, blocker):
        run_manage(stack, ["migrate", "--verbosity", "0"])  # here, tests make their tables without migrations
        site = Site(stack, made(keystores))
    with Supervisor(stack.logs) as supervisor:
        supervisor.start(stack.web())
        yield site


@pytest.fixture
def site(running_site: Site, django_db_blocker: Any) -> Iterator[Site]:
    """The running site; in the test, the project's services write into its database. No chain knows of the votes that
    a test leaves behind, so they end with it: the next test's chain would wait for them."""
    with _inside(running_site.stack, django_db_blocker):
        yield running_site
        ChainTransaction.objects.exclude(state=TransactionState.FINAL).update(state=TransactionState.FAILED)


@contextmanager
def _inside(stack: Stack, blocker: Any) -> Iterator[None]:
    """This process as one more of the coordinator's: with its settings, keys and database."""
    kept = connections["default"]
    url = environ.Env.db_url_config(f"sqlite:///{stack.database}")
    options = {"transaction_mode": "IMMEDIATE", "timeout": 30, "init_command": "PRAGMA journal_mode=WAL"}
    own = DatabaseWrapper({**kept.settings_dict, **url, "OPTIONS": options}, "default")
    with ExitStack() as undo:
        undo.enter_context(
            override_settings(
                BASE_URL=stack.base_url,
                SECRET_KEY=stack.secret_key,
                KEYS_DIR=stack.keys,
                REGISTRY_ADDRESS=stack.registry_address,
            )
        )
        undo.enter_context(blocker.unblock())
        connections["default"] = own
        undo.callback(connections.__setitem__, "default", kept)
        undo.callback(own.close)
        yield


@pytest.fixture
def visit(site: Site, chromium: Browser) -> Iterator[Callable[..., Visit]]:
    """Opens a browser for one more person. At the end nobody's console may have complained."""
    with ExitStack() as visits:
        opened = []

        def open_browser(*, width: int = 1280, scheme: str = "light") -> Visit:
            context = visits.enter_context(
                chromium.new_context(
                    viewport={"width": width, "height": 900},
                    color_scheme=scheme,  # type: ignore[arg-type]
                )
            )
            context.set_default_timeout(15_000)
            context.add_init_script(WATCH)
            opened.append(Visit(site, context.new_page()))
            return opened[-1]

        yield open_browser
        assert [complaint for each in opened for complaint in each.complaints] == []
