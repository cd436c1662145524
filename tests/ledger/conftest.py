"""An embedded chain in a process of its own; every test that asks for `contracts` gets contracts of its own on it."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.db import transaction

from concordat.events import Event
from concordat.keystore import Keystore
from concordat.votes import Domain
from ledger import tasks
from ledger.chain.deploy import Deployment, deploy
from ledger.models import LogEntry
from ledger.services import anchoring
from ledger.services.publish import publish
from ledger.services.record import Draft, record_all
from tests.support.consortium import Consortium
from tests.support.decision import SITE, Decision
from tests.support.triggers import drop_triggers

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def devchain(_state: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Its JSON-RPC address; the coordinator's account has money on it."""
    folder = tmp_path_factory.mktemp("devchain")
    port_file, address = folder / "port", Keystore(_state / "keys").chain.address
    options = ["--state", str(folder / "state"), "--port-file", str(port_file), "--fund", address]
    process = subprocess.Popen(
        [sys.executable, "-m", "ledger.chain.devchain", *options, "--chain-id", "31338"],
        cwd=ROOT,
        env={name: value for name, value in os.environ.items() if name != "DJANGO_SETTINGS_MODULE"},
    )
    deadline = time.monotonic() + 60
    while not port_file.exists() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.05)
    yield f"http://127.0.0.1:{port_file.read_text().strip()}"
    process.send_signal(signal.SIGKILL)
    process.wait(30)


@pytest.fixture
def institution(tmp_path: Path) -> Keystore:
    """A member of the registry, with a chain key of its own."""
    return Keystore(tmp_path / "institution").create(["chain"])


@pytest.fixture
def contracts(devchain: str, settings, institution: Keystore) -> Deployment:
    """Fresh contracts, configured in the settings."""
    account = Keystore(settings.KEYS_DIR).chain
    deployed = deploy(
        rpc_url=devchain,
        chain_id=31338,
        deployer=account,
        submitters=[account.address],
        institutions=[institution.chain.address],
        quorum=1,
    )
    settings.CHAIN_RPC, settings.CHAIN_ID = devchain, 31338
    settings.WITNESS_SECONDS = 0  # no node is at work in these tests
    settings.ANCHOR_ADDRESS, settings.REGISTRY_ADDRESS = deployed.anchor_address, deployed.registry_address
    return deployed


@pytest.fixture
def write():
    """Record entries about nothing in particular."""

    def writer(count: int = 1) -> list[LogEntry]:
        with transaction.atomic():
            return record_all([Draft(event=Event.DOSSIER_READ, public={"role": f"entry {i}"}) for i in range(count)])

    return writer


@pytest.fixture
def anchored(tmp_path, devchain, settings, monkeypatch, write, db) -> Decision:
    """A decision whose votes and whose head are on a real chain, with a later head as well."""
    account = Keystore(settings.KEYS_DIR).chain
    consortium = Consortium(tmp_path, coordinator=Keystore(settings.KEYS_DIR).identity)
    contracts = deploy(
        rpc_url=devchain,
        chain_id=31338,
        deployer=account,
        submitters=[account.address],
        institutions=[home.keys.chain.address for home in consortium.homes.values()],
        quorum=3,
    )
    settings.CHAIN_RPC, settings.BASE_URL = devchain, SITE
    settings.WITNESS_SECONDS = 0  # an anchor waits for nobody here
    settings.ANCHOR_ADDRESS, settings.REGISTRY_ADDRESS = contracts.anchor_address, contracts.registry_address
    monkeypatch.setattr("tests.support.consortium.DOMAIN", Domain(31338, contracts.registry_address))
    made = Decision.of(consortium)
    for vote in consortium.votes:
        anchoring.queue_vote(vote)
    for count in (0, 3):
        write(count)
        publish()
        tasks.anchor()
    return made


@pytest.fixture
def unprotected(db: None) -> None:
    """What an attacker with the database's own rights does first: the append-only triggers are gone."""
    drop_triggers()
