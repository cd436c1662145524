"""What a clinician of Long Beach sees of a prediction: a card in the health record, and the hospital's own page."""

import json
import socket
import sys
from datetime import timedelta
from uuid import uuid4

from concordat import clock
from concordat.bedside import config as configuration
from concordat.bedside import record
from concordat.bedside.bedside import Bedside
from concordat.bedside.config import Config
from concordat.bedside.item import Item
from concordat.bedside.items import Items
from concordat.bedside.store import Store
from concordat.bedside.worker import Worker
from concordat.client import consents, governance
from concordat.client.api import Api, signed_in
from concordat.client.home import ClientHome
from concordat.client.work import Work
from concordat.files import write_private
from concordat.schema import FeatureSchema
from config.demo.consortium import LONG_BEACH, STUDY_FOLDER
from config.demo.screen import Screen
from config.local.stack import Stack
from config.local.supervisor import Program, Supervisor

PATIENT = "demo-patient"
"""As the health record would name the patient of the Bundle."""

_YEARS = 50
_SCOPES = "studies.read models.read definitions.read consents.write predictions.read predictions.write ledger.read"


class Ward:
    """Long Beach's bedside, beside its client home."""

    def __init__(self, home: ClientHome, api: Api, config: Config) -> None:
        self._home, self._api, self._config = home, api, config
        self._store = Store(home.directory)
        self._bedside = Bedside(config, self._store, home.institution)

    def work(self) -> None:
        """One round of the worker: sends, opens, looks whether everything still stands, hands in receipts."""
        Worker(self._home, self._api, self._store, self._config).round()

    def ask(self, schema: FeatureSchema, *, person: str, consent: str, request: str = "") -> Item:
        """The record of the Bundle, asked for here; a `request` was made already."""
        read = record.read_fhir(STUDY_FOLDER / "bundle.json", schema)
        return Items(self._store, self._config["definition"]).put(
            patient=PATIENT,
            values=read.values,
            taken=read.taken,
            source=read.source,
            origins=read.origins,
            person=person,
            consent=consent,
            subject="",
            request=request,
        )

    @property
    def latest(self) -> Item | None:
        return self._bedside.items.latest(PATIENT)

    def show(self, screen: Screen) -> None:
        """What the chart shows when it is opened."""
        handed = self._bedside.card(PATIENT)
        if handed is None:
            screen.plain("No card: the probability is below the hospital's threshold, which a receipt says.")
            return
        screen.plain("")
        for line in handed.made.text.rstrip().splitlines():
            screen.plain(line.replace("**", "").replace("\\", ""))

    def link(self, item: Item) -> str:
        return self._bedside.link(item)


def configure(home: ClientHome, definition: str, *, port: int) -> Config:
    """The hospital's decisions. The Bundle's values are years old when somebody tries this, so that they stay current
    here for much longer than a hospital would have it."""
    content = {
        "v": 1,
        "address": f"http://127.0.0.1:{port}",
        "service": "coronary-disease",
        "title": "Coronary disease",
        "definition": definition,
        "purpose": _purpose(),
        "viewer": "clinician",
        "threshold": "0.2",
        "stale_after_hours": _YEARS * 365 * 24,
        "late_after_minutes": 30,
        "keep_days": _YEARS * 365 + 1,
        "ehrs": [],
    }
    write_private(home.directory / configuration.FILE, json.dumps(content, indent=2).encode(), replace=True)
    return configuration.load(home)


def demonstrate(home: ClientHome, api: Api, definition: str, work: Work, *, person: str, consent: str) -> Ward:
    """The bedside, with the request that was made at the command line; what it opened, it verified once more."""
    ward = Ward(home, api, configure(home, definition, port=configuration.PORT))
    schema = governance.fetch_definition(home, api, definition).schema
    ward.ask(schema, person=person, consent=consent, request=work.request)
    ward.work()
    return ward


def bring_up(stack: Stack, supervisor: Supervisor) -> str:
    """The bedside's two processes, as a hospital runs them, with a result that may be shown or is on its way. Answers
    the address of its page, which opens for ten minutes; empty if there is no bedside here."""
    home = ClientHome(stack.node_home(LONG_BEACH.slug))
    if not (home.directory / configuration.FILE).exists():
        return ""
    config = configure(home, configuration.load(home)["definition"], port=(port := _free_port()))
    with signed_in(home, _SCOPES) as api:
        ward = Ward(home, api, config)
        item = ward.latest
        if item is None or item.retraction or item.state == "failed":
            item = _anew(home, api, ward, config["definition"])
    command = [sys.executable, "-m", "concordat.client", "--home", str(home.directory), "bedside"]
    supervisor.start(Program("bedside-work", [*command, "work"]))
    supervisor.start(Program("bedside-serve", [*command, "serve"], ready=lambda: _listens(port)))
    return ward.link(item)


def _anew(home: ClientHome, api: Api, ward: Ward, definition: str) -> Item:
    """Another patient with the same values consents: the first one has withdrawn."""
    checked = governance.fetch_definition(home, api, definition)
    consent = consents.give(
        home,
        api,
        subject=str(uuid4()),
        study=checked.content["study"],
        purposes=checked.content["purposes"],
        form=(STUDY_FOLDER / "consent-form.md").read_bytes(),
        version="1",
        language="en",
        until=clock.now() + timedelta(days=365),
    )
    return ward.ask(checked.schema, person=str(uuid4()), consent=consent)


def _purpose() -> str:
    template = json.loads((STUDY_FOLDER / "definition.template.json").read_text())
    return str(template["purposes"][0])


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0
