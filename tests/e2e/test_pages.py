"""What the pages tell a newcomer to type works, in their order, against a consortium that is up."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.e2e.conftest import Demo
from tests.support.pages import Block, blocks

pytestmark = [pytest.mark.demo, pytest.mark.full, pytest.mark.xdist_group("demo"), pytest.mark.timeout(600)]

ROOT = Path(__file__).parents[2]
TUTORIAL = ROOT / "docs/tutorial/first-prediction.md"
ASKING = ROOT / "docs/how-to/ask-for-a-prediction.md"
WITHDRAWN = "concordat consent withdraw $CONSENT"


@pytest.fixture
def folder(demo: Demo, tmp_path: Path) -> Path:
    """The repository's folder as a newcomer has it, with the state of this demonstration in `var/demo`."""
    for each in ROOT.iterdir():
        if each.name not in ("var", ".git"):
            (tmp_path / each.name).symlink_to(each)
    (tmp_path / "var").mkdir()
    (tmp_path / "var" / "demo").symlink_to(demo.state)
    return tmp_path


def typed(folder: Path, told: list[Block]) -> str:
    """What a shell answers when all of it is typed, with the Python parts where they stand."""
    lines = ["set -euo pipefail", "shopt -s expand_aliases", f"alias concordat='{sys.executable} -m concordat.client'"]
    for each in told:
        if each.language == "shell":
            lines.append(each.code)
        else:
            names = "import os\nDEFINITION, CONSENT = os.environ['DEFINITION'], os.environ['CONSENT']\n"
            (folder / "told.py").write_text(names + each.code)
            lines.append(f"DEFINITION=$DEFINITION CONSENT=$CONSENT {sys.executable} told.py")
    script = folder / "told.sh"
    script.write_text("\n".join(lines) + "\n")
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "160"}
    done = subprocess.run(
        ["bash", script], cwd=folder, env=environment, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_tutorial_is_right(folder: Path) -> None:
    told = blocks(TUTORIAL)
    assert [each.code.splitlines()[0] for each in told if each.beforehand] == [
        "make demo",
        "python3.11 -m venv var/client",
    ]
    said = typed(folder, [each for each in told if not each.beforehand])
    assert "Signed in at" in said
    assert said.count("Record C-") == 2  # of the prediction, and of the question about it
    assert "No check failed." in said
    assert ", record C-" in said  # from Python


def test_asking_for_a_prediction_is_described_right(folder: Path) -> None:
    """Up to the withdrawal, after which the last command is refused, as the page says; and without what follows, of
    another institution."""
    told = blocks(ASKING)
    withdrawing = next(number for number, each in enumerate(told) if each.code.startswith(WITHDRAWN))
    mine, last = told[:withdrawing], told[withdrawing]
    mine = [
        Block("shell", each.code.replace("alias concordat='.venv/bin/python", f"alias concordat='{sys.executable}"))
        for each in mine
    ]
    number = "RECORD=$(concordat watch $REQUEST | grep -o 'C-[0-9]*-[0-9X]')\n"
    own = [
        Block("shell", number + each.code.replace("C-0000039-4", "$RECORD")) if "C-0000039-4" in each.code else each
        for each in mine
    ]
    withdraw, again = last.code.split("\n", 1)
    refused = Block("shell", f"{withdraw}\nif {again.strip()} 2> refusal; then exit 9; fi\ncat refusal\n")
    said = typed(folder, [*own, refused])
    assert "Record C-" in said
    assert "consent-withdrawn" in said
