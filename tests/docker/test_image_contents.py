"""What each image holds is enough to run what it is for: the copied files alone, in a folder of their own."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
DOCKERFILE = ROOT / "docker" / "Dockerfile"


def lay_out(stage: str, folder: Path) -> None:
    """The project's files that a stage copies, without those that it removes again."""
    text = DOCKERFILE.read_text().split(f"FROM base AS {stage}\n")[1].split("\nFROM ")[0]
    for line in re.findall(r"^COPY (.+)$", text, flags=re.MULTILINE):
        *sources, target = line.split()
        for source in sources:
            into = target.endswith("/") and not (ROOT / source).is_dir()  # as Docker does
            there = folder / target / Path(source).name if into else folder / target
            there.parent.mkdir(parents=True, exist_ok=True)
            if (ROOT / source).is_dir():
                shutil.copytree(ROOT / source, there, ignore=shutil.ignore_patterns("__pycache__"), dirs_exist_ok=True)
            else:
                shutil.copy(ROOT / source, there)
    for removed in re.findall(r"^RUN rm -rf (.+)$", text, flags=re.MULTILINE):
        for path in removed.split():
            shutil.rmtree(folder / path)


def run(folder: Path, *command: str) -> str:
    environment = {"PATH": os.environ["PATH"], "CONCORDAT_STATE": str(folder / "state"), "HOME": str(folder)}
    done = subprocess.run(
        [sys.executable, *command], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("module", ["compute.node", "compute.engine"])
def test_a_nodes_image_runs_node_and_engine(tmp_path: Path, module: str) -> None:
    lay_out("node", tmp_path)
    assert not (tmp_path / "governance").exists()
    assert "usage" in run(tmp_path, "-m", module, "--help").lower()


def test_the_coordinators_image_passes_its_own_checks_without_engine_and_node(tmp_path: Path) -> None:
    lay_out("coordinator", tmp_path)
    assert not (tmp_path / "compute" / "engine").exists()
    assert not (tmp_path / "compute" / "node").exists()
    (tmp_path / "state").mkdir()
    assert "no issues" in run(tmp_path, "manage.py", "check")
    run(
        tmp_path,
        "-c",
        "import os, django; os.environ['DJANGO_SETTINGS_MODULE'] = 'config.settings'; django.setup();"
        "import config.urls, compute.tasks, ledger.tasks",
    )
