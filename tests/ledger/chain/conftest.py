"""A real embedded chain in a process of its own, and clients of contracts deployed on it."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from eth_account import Account
from eth_account.signers.local import LocalAccount

from ledger.chain.client import ChainClient
from ledger.chain.deploy import Deployment, deploy

CHAIN_ID = 31338
ROOT = Path(__file__).parents[3]


class ChainProcess:
    """`python -m ledger.chain.devchain` on a state directory; started, and killed at the end if still there."""

    def __init__(self, state: Path, fund: list[str], chain_id: int = CHAIN_ID) -> None:
        port_file = state.parent / f"{state.name}.port"
        port_file.unlink(missing_ok=True)
        command = [sys.executable, "-m", "ledger.chain.devchain", "--state", str(state), "--chain-id", str(chain_id)]
        funded = [part for address in fund for part in ("--fund", address)]
        self.process = subprocess.Popen(
            [*command, "--port-file", str(port_file), *funded],
            cwd=ROOT,
            env={name: value for name, value in os.environ.items() if name != "DJANGO_SETTINGS_MODULE"},
            stderr=subprocess.PIPE,
            text=True,
        )
        deadline = time.monotonic() + 60
        while not port_file.exists() and self.process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.02)
        self.url = f"http://127.0.0.1:{port_file.read_text().strip()}" if port_file.exists() else ""

    def stop(self, how: signal.Signals) -> int:
        self.process.send_signal(how)
        return self.process.wait(30)

    def complaint(self) -> str:
        """What a chain that would not start wrote, once it has ended."""
        return self.process.communicate(timeout=30)[1]


@pytest.fixture(scope="session")
def keys() -> list[LocalAccount]:
    """The operator, who deploys, anchors and relays, and four institutions without any ether."""
    return [Account.from_key(bytes([0xB0 + index]) * 32) for index in range(5)]


@pytest.fixture
def start(keys: list[LocalAccount]) -> Iterator[Callable[..., ChainProcess]]:
    started: list[ChainProcess] = []

    def starter(state: Path, **options: int) -> ChainProcess:
        started.append(ChainProcess(state, [keys[0].address], **options))
        return started[-1]

    yield starter
    for chain in started:
        if chain.process.poll() is None:
            chain.stop(signal.SIGKILL)


@pytest.fixture(scope="session")
def chain(keys: list[LocalAccount], tmp_path_factory: pytest.TempPathFactory) -> Iterator[ChainProcess]:
    """One chain for all tests that only use it; each deploys contracts of its own."""
    process = ChainProcess(tmp_path_factory.mktemp("chain") / "state", [keys[0].address])
    yield process
    process.stop(signal.SIGKILL)


@pytest.fixture
def deployed(chain: ChainProcess, keys: list[LocalAccount]) -> Deployment:
    return deploy_on(chain.url, keys)


@pytest.fixture
def client(chain: ChainProcess, deployed: Deployment) -> ChainClient:
    return client_of(chain.url, deployed)


@pytest.fixture(scope="session")
def deploy_on_url() -> Callable[[str, list[LocalAccount]], Deployment]:
    return deploy_on


@pytest.fixture(scope="session")
def client_of_url() -> Callable[..., ChainClient]:
    return client_of


def deploy_on(url: str, keys: list[LocalAccount]) -> Deployment:
    """Four institutions, of whom two authorise."""
    return deploy(
        rpc_url=url,
        chain_id=CHAIN_ID,
        deployer=keys[0],
        submitters=[keys[0].address],
        institutions=[key.address for key in keys[1:]],
        quorum=2,
    )


def client_of(url: str, deployment: Deployment, **options: object) -> ChainClient:
    return ChainClient(
        url,
        deployment.chain_id,
        deployment.anchor_address,
        deployment.registry_address,
        **options,  # type: ignore[arg-type]
    )
