"""The client as a package: built from here, installed where there is nothing else, and used."""

import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from config.licences import runtime_requirements

pytestmark = [pytest.mark.full, pytest.mark.timeout(600)]

ROOT = Path(__file__).parents[2]


def run(*command: object, **options: object) -> str:
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, check=False, **options)  # type: ignore[call-overload]
    assert done.returncode == 0, done.stdout + done.stderr
    return str(done.stdout)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    build = folder / "build"  # setuptools leaves its traces beside what it builds
    run("git", "clone", "--quiet", "--no-hardlinks", ROOT, build)
    run(sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "-w", folder, build)
    (found,) = folder.glob("*.whl")
    return found


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder with the commands of a fresh environment that has the client, and what it asks for."""
    folder = tmp_path_factory.mktemp("client")
    run(sys.executable, "-m", "venv", folder)
    run(folder / "bin" / "pip", "install", "--quiet", "--disable-pip-version-check", wheel)
    return folder / "bin"


def test_it_holds_the_client_and_nothing_of_the_service(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    assert {name.split("/")[0] for name in names if ".dist-info" not in name} == {"concordat"}
    needed = {path for path in run("git", "ls-files", "concordat", cwd=ROOT).splitlines() if not path.endswith(".py")}
    assert needed <= set(names)


def test_what_it_asks_for_are_versions_that_are_tested_here() -> None:
    asked = [
        Requirement(text) for text in tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    ]
    pinned = {
        canonicalize_name(each.name): next(iter(each.specifier)).version
        for each in runtime_requirements()
        if each.specifier
    }
    wrong = [each.name for each in asked if not each.specifier.contains(pinned[canonicalize_name(each.name)])]
    assert wrong == []


def test_it_works_where_neither_django_nor_torch_is_installed(
    installed: Path, tmp_path: Path, settings: object, db: None
) -> None:
    names = run(installed / "pip", "list", "--format=freeze").lower()
    assert "django" not in names
    assert "torch" not in names
    options = ["--slug", "geneva", "--name", "Geneva", "--jurisdiction", "CH", "--coordinator", "https://localhost"]
    token = run(installed / "concordat", "--home", tmp_path / "home", "init", *options)
    assert token.count(".") == 2
    every = run(installed / "python", "-c", IMPORT_ALL, cwd=tmp_path)
    assert int(every) > 100


IMPORT_ALL = """
import importlib, pkgutil, concordat
names = [each.name for each in pkgutil.walk_packages(concordat.__path__, "concordat.") if "__main__" not in each.name]
for name in names:
    importlib.import_module(name)
print(len(names))
"""
