"""Whether the committed artefacts are what the reviewed sources compile to is found out by `make lint`."""

import shutil
from pathlib import Path

import pytest

from ledger.contracts import CONTRACTS, artefact, build


@pytest.mark.full
def test_compiling_twice_gives_the_same_bytes() -> None:
    assert build.compiled("AnchorLog") == build.compiled("AnchorLog")


@pytest.mark.parametrize("name", CONTRACTS)
def test_a_changed_source_makes_its_artefact_stale(name: str, tmp_path: Path) -> None:
    for path in build.HERE.glob("*.[vj]*"):
        shutil.copy(path, tmp_path)
    source = tmp_path / f"{name}.vy"
    source.write_text(source.read_text().replace("assert ", "assert True or ", 1))

    assert build.stale(tmp_path) == [name]


def test_check_fails_on_a_missing_artefact(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for path in build.HERE.glob("*.vy"):
        shutil.copy(path, tmp_path)
    assert build.stale(tmp_path) == list(CONTRACTS)

    monkeypatch.setattr(build, "stale", lambda: ["AnchorLog"])
    assert build.main(["--check"]) == 1


@pytest.mark.parametrize("name", CONTRACTS)
def test_an_artefact_names_its_compiler_and_source(name: str) -> None:
    assert artefact(name).compiler == "vyper 0.4.3"
    assert len(bytes.fromhex(artefact(name).source_sha256)) == 32
    assert artefact(name).bytecode.find(artefact(name).runtime) > 0


@pytest.mark.parametrize("name", CONTRACTS)
def test_no_contract_can_be_changed_or_taken_over(name: str) -> None:
    """No owner, no upgrade: the words by which such functions are known do not occur."""
    functions = {item["name"].lower() for item in artefact(name).abi if item["type"] == "function"}
    assert not [f for f in functions for word in ("owner", "admin", "upgrade", "set_", "pause") if word in f]
