"""What the pages tell a newcomer to type works, in their order, against a consortium that is up."""

import json
import re
import shutil
import sqlite3
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from uuid import UUID

import pytest

from concordat import canonical
from concordat.client import predict
from concordat.signatures import keyring
from config.demo.consortium import CLEVELAND, LONG_BEACH
from config.local.stack import run_manage
from tests.e2e.conftest import Demo, database
from tests.support import shell
from tests.support.certificates import make_certificates
from tests.support.pages import Block, Told, blocks

pytestmark = [pytest.mark.demo, pytest.mark.full, pytest.mark.xdist_group("demo"), pytest.mark.timeout(600)]

ROOT = Path(__file__).parents[2]
TUTORIAL = ROOT / "docs/tutorial/first-prediction.md"
ASKING = ROOT / "docs/how-to/ask-for-a-prediction.md"
AUDITING = ROOT / "docs/how-to/audit-a-model.md"
DESCRIBING = ROOT / "docs/how-to/describe-a-model.md"
TRAINING = ROOT / "docs/how-to/train-a-model.md"
NAMES = ("DEFINITION", "CONSENT", "AUDIT", "TRAINING")
"""What the shell has found out by then, and Python goes on with."""

OUTCOMES = ("with_outcome", "without_outcome")
TABLES = ROOT / "docs/how-to/read-omop-tables.md"
WITHDRAWING = ROOT / "docs/how-to/withdraw-consent.md"
WITHDRAWN = "concordat consent withdraw $CONSENT"


@pytest.fixture
def folder(demo: Demo, tmp_path: Path) -> Iterator[Path]:
    """The repository's folder as a newcomer has it, with the state of this demonstration in `var/demo`. What a page
    does to the nodes' policies and data is undone for the next one."""
    policies = {file: file.read_bytes() for file in demo.state.glob("institutions/*/policy.json")}
    for each in ROOT.iterdir():
        if each.name not in ("var", ".git"):
            (tmp_path / each.name).symlink_to(each)
    (tmp_path / "var").mkdir()
    (tmp_path / "var" / "demo").symlink_to(demo.state)
    yield tmp_path
    for file, content in policies.items():
        file.write_bytes(content)
    for file in demo.state.glob("institutions/*/data.json"):
        file.unlink()


def typed(folder: Path, told: list[Block]) -> str:
    """What a shell answers when all of it is typed, with the Python parts where they stand."""
    lines = ["shopt -s expand_aliases"]
    for number, each in enumerate(told):
        if each.language == "shell":
            lines.append(each.code)
        else:
            names = "".join(f"{name} = os.environ.get('{name}')\n" for name in NAMES)
            (folder / f"told{number}.py").write_text(f"import os\n{names}{each.code}")
            known = " ".join(f"{name}=${{{name}:-}}" for name in NAMES)
            lines.append(f"{known} python told{number}.py")
    return shell.typed(folder, *lines)


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


def test_withdrawing_a_consent_is_described_right(folder: Path) -> None:
    """After the consent and the names of the tutorial; the same request is refused, and the person then erased."""
    tutorial = [each.code for each in blocks(TUTORIAL)]
    before = "\n".join(
        next(code for code in tutorial if code.startswith(begins))
        for begins in ("export CONCORDAT_HOME", "DEFINITION=", "SUBJECT=")
    )
    export, withdraw, again, erase = (each.code for each in blocks(WITHDRAWING))
    clinician = "CLINICIAN=$(python3 -c 'import uuid; print(uuid.uuid4())')\n"
    refused = f"if {again.strip()} 2> refusal; then exit 9; fi\ncat refusal\n"
    said = typed(folder, [Block("shell", code) for code in (before, clinician, export, withdraw, refused, erase)])
    assert said.count('"consent":') == 1
    assert "consent-withdrawn" in said
    assert "Erased; recorded as C-" in said


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


def test_auditing_a_model_is_described_right(folder: Path) -> None:
    """By all institutions, each in its own home."""
    told = [
        Block(
            each.language, each.code.replace("alias concordat='.venv/bin/python", f"alias concordat='{sys.executable}")
        )
        for each in blocks(AUDITING)
    ]
    said = typed(folder, told)
    assert "Yes from 0.4 on, for “coronary disease at angiography” within 365 days" in said
    assert "Observed, among whom the model answers so" in said
    assert "Record C-" in said
    figures = json.loads((folder / "figures.json").read_text())
    women = figures["groups"]["women"]
    assert figures["not_opened"] == sum(
        count is None for group in figures["groups"].values() for name in OUTCOMES for count in group[name]
    )
    assert all(count is None or count >= 5 for name in OUTCOMES for count in women[name])
    assert sum(count or 0 for name in OUTCOMES for count in figures["groups"]["men"][name]) > 300


def test_training_a_model_is_described_right(folder: Path) -> None:
    ours = f"alias concordat='{sys.executable}"
    told = [
        Block(each.language, each.code.replace("alias concordat='.venv/bin/python", ours)) for each in blocks(TRAINING)
    ]
    said = typed(folder, told)
    assert "becomes chest-pain-learnt 2." in said
    assert re.fullmatch(r"sha256:[0-9a-f]{64}", said.splitlines()[-1])


def test_describing_a_model_is_described_right(folder: Path) -> None:
    ours = f"alias concordat='{sys.executable}"
    told = [
        Block(each.language, each.code.replace("alias concordat='.venv/bin/python", ours))
        for each in blocks(DESCRIBING)
    ]
    said = typed(folder, told)
    none, card = said.split(" counts now.")
    assert "Its owner has signed no card" in none
    assert "Card 1 of cleveland, " in card
    assert "None was taken." in card
    assert "Not stated: Funding, " in card


def test_reading_omop_tables_is_described_right(folder: Path) -> None:
    own = [
        Block(each.language, each.code.replace(".venv/bin/python", sys.executable), each.beforehand)
        for each in blocks(TABLES)
        if not each.code.startswith("export PGPASSWORD")
    ]
    said = typed(folder, own)
    assert "table measurement\tfound" in said
    assert "rows of cohort 1\t12" in said
    assert "chol\t5" in said
    assert "Record C-" in said
    assert "P-0001" not in said


def test_verifying_a_dossier_is_described_right(demo: Demo, folder: Path) -> None:
    """Of the demonstration's own decision; its files have the names that the page gives them."""
    told, home = Told("verify-a-dossier"), demo.world.home(LONG_BEACH)
    assert demo.story.work is not None
    (folder / "home").symlink_to(home.directory)
    (folder / "dossier.zip").write_bytes(demo.world.api(LONG_BEACH).dossier(demo.report.record))
    opened = canonical.encode(predict.disclose(demo.story.work, with_record=True))
    (folder / "disclosure.json").write_bytes(opened)
    name = demo.story.published["mlp"].digest.removeprefix("sha256:")
    (folder / "model.json").symlink_to(demo.world.folder(CLEVELAND) / "models" / f"{name}.json")
    make_certificates(folder / "tls")
    (folder / "ROOT.pem").symlink_to(folder / "tls/ca.pem")
    keys = home.pins.lasting_keyring
    chain = f"--rpc {demo.world.stack.chain_url}"
    known = " ".join(f"--key {slug}={name}" for slug in keys for name in keys[slug])
    (log,) = [f"--key log={name}" for name in keyring(home.pins.coordinator)]
    begins = "python -m ledger.verify dossier.zip"
    lines = [
        told.take(f"{begins} --rpc https://chain.example.org\n").replace("--rpc https://chain.example.org", chain),
        told.take(f"{begins} --key").replace("--key log=… --key zurich=… --key budapest=…", f"{log} {known}"),
        told.take(f"{begins} --tsa"),
        told.take(f"{begins} --rpc").replace("--rpc https://chain.example.org", chain),
        told.take("concordat --home home log fetch"),
        told.take(f"{begins} --log"),
        told.take(f"{begins} --disclosure"),
    ]
    said = shell.typed(folder, *lines)
    assert said.lower().count("no check failed") == 6
    told.check_all_taken()


def test_what_an_operator_does_is_described_right(demo: Demo, tmp_path: Path) -> None:
    """Restored from a backup of the demonstration's coordinator, which goes on undisturbed."""
    deploying, restoring = Told("deploy"), Told("back-up-and-restore")
    (tmp_path / "manage.py").symlink_to(ROOT / "manage.py")
    shutil.copytree(demo.world.stack.keys, tmp_path / "keys")
    with database(demo) as found:
        restored = sqlite3.connect(tmp_path / "concordat.sqlite3")
        found.backup(restored)
        restored.close()
        (subject,) = found.execute("SELECT subject FROM governance_consent WHERE subject NOT NULL LIMIT 1").fetchone()
    environment = demo.world.stack.environment() | {
        "CONCORDAT_STATE": str(tmp_path),
        "CONCORDAT_KEYS": str(tmp_path / "keys"),
        "CONCORDAT_DATABASE_URL": f"sqlite:///{tmp_path}/concordat.sqlite3",
    }
    new, hold = deploying.take("python manage.py create_keys"), deploying.take("python manage.py legal_hold")
    setting, lifting = hold.splitlines()
    said = shell.typed(
        tmp_path,
        f"SUBJECT={UUID(subject)}",
        f"CONCORDAT_KEYS=$PWD/new-keys CONCORDAT_DATABASE_URL=sqlite:///$PWD/new.sqlite3 {new}",
        restoring.take("python manage.py migrate"),
        restoring.take("python manage.py reapply_erasures"),
        restoring.take("python manage.py check"),
        f"HOLD=$({setting} | grep -o '[0-9]*')",
        lifting,
        deploying.take("python manage.py erase_subject"),
        restoring.take("python manage.py rotate_master_key --keep-days"),
        restoring.take("python manage.py rotate_master_key --only-destroy"),
        environment=environment,
    )
    assert (tmp_path / "new-keys/master.key").exists()
    assert said
    with closing(sqlite3.connect(tmp_path / "concordat.sqlite3")) as there:
        for query in ("SELECT mail", "SELECT state", "SELECT asked"):
            there.execute(deploying.take(query)).fetchall()
    for told in (deploying, restoring):
        told.check_all_taken()


def test_running_a_node_is_described_right(demo: Demo, folder: Path) -> None:
    """A further institution's, up to its first cosignature of the log. The operator has given its node a user of the
    broker, and enrols it."""
    told, stack = Told("run-a-node"), demo.world.stack
    stack.nodes.append("bern")
    stack.redis()
    stack.nodes.remove("bern")  # its node is started by hand
    demo.world.supervisor.restart("redis")
    init = told.take("python -m compute.node init").replace("zurich", "bern").replace("Zurich", "Bern")
    broker = re.sub(r"--broker \S+", f"--broker {stack.broker_url('bern')}", init)
    broker = broker.replace("https://concordat.example.org", stack.base_url)
    shell.typed(folder, broker.replace("https://chain.example.org", stack.chain_url))
    run_manage(stack, ["enrol", str(folder / "enrolment.jws")])
    others = demo.world.home(LONG_BEACH).pins.document
    pins = json.loads(told.take('{"chain_id"'))
    enrolments = {**others["enrolments"], "bern": (folder / "enrolment.jws").read_text().strip()}
    own = {**{name: others[name] for name in pins}, "enrolments": enrolments}  # type: ignore[literal-required]
    (folder / "pins.json").write_text(json.dumps(own))
    policy = json.loads(told.take('{"chain":"required"')) | {"definitions": [demo.story.definition]}
    pinned = shell.typed(folder, told.take("python -m compute.node pin"))
    assert "bern\tidentity " in pinned
    (folder / "home/policy.json").write_text(json.dumps(policy))
    check, run = told.take("python -m compute.node check").splitlines()
    witness = told.take("python -m compute.node witness").strip()
    said = shell.typed(
        folder,
        check,
        f"{run} > node.log 2>&1 &",
        f"until {witness} | grep -q 'cosigned last.[1-9]'; do sleep 1; done",
        witness,
        told.take("python -m compute.node opened"),
    )
    assert "The node's home is in order." in said
    assert "verifier key\tlocalhost/concordat-demo/witnesses/bern+" in said
    told.check_all_taken()
