"""A chain of Foundry's anvil for some tests. `.ci/run` installs it from npm into `var/tools`."""

import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support.redis import free_port

CHAIN_ID = 31338
_INSTALLED = Path(__file__).parents[2] / "var/tools/node_modules/@foundry-rs/anvil-linux-amd64/bin/anvil"


class Anvil:
    """`url` is its JSON-RPC address."""

    def __init__(self, url: str) -> None:
        self.url = url

    def ask(self, method: str, *parameters: Any) -> Any:
        call = {"jsonrpc": "2.0", "id": 1, "method": method, "params": parameters}
        answer = httpx.post(self.url, json=call, timeout=10).json()
        assert "error" not in answer, answer
        return answer["result"]

    @property
    def block(self) -> int:
        return int(self.ask("eth_blockNumber"), 16)


@contextmanager
def anvil(*options: str, fund: str) -> Iterator[Anvil]:
    """A running chain on which the address `fund` has money; it is gone when the context is left."""
    program = shutil.which("anvil") or (str(_INSTALLED) if _INSTALLED.exists() else None)
    if program is None:
        pytest.skip("anvil is neither in the path nor in var/tools")
    port = free_port()
    command = [program, "--quiet", "--host", "127.0.0.1", "--port", str(port), "--chain-id", str(CHAIN_ID), *options]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        chain = Anvil(f"http://127.0.0.1:{port}")
        _wait(chain, process)
        chain.ask("anvil_setBalance", fund, hex(10**21))
        yield chain
    finally:
        process.kill()
        process.wait()


def _wait(chain: Anvil, process: "subprocess.Popen[bytes]") -> None:
    deadline = time.monotonic() + 30
    while True:
        try:
            chain.ask("eth_chainId")
        except httpx.TransportError:
            if process.poll() is not None or time.monotonic() > deadline:
                raise
            time.sleep(0.02)
        else:
            return
