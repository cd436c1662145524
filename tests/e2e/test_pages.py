"""What the pages tell a newcomer to type works, in their order, against a consortium that is up."""

import json
import re
import shutil
import socket
import sqlite3
import sys
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from uuid import UUID

import pytest

from concordat import canonical
from concordat.bedside.config import check
from concordat.client import predict, recalls
from concordat.signatures import keyring
from config.demo import bedside
from config.demo.consortium import CLEVELAND, LONG_BEACH
from config.local.stack import run_manage
from governance.states import StudyState
from tests.e2e.conftest import Demo, database
from tests.support import shell
from tests.support.certificates import make_certificates
from tests.support.pages import LEFT_OUT, Told, blocks, fenced, page

pytestmark = [pytest.mark.demo, pytest.mark.full, pytest.mark.xdist_group("demo"), pytest.mark.timeout(600)]

ROOT = Path(__file__).parents[2]
OUTCOMES = ("with_outcome", "without_outcome")
LOOK = """
import re, sys, httpx
page = httpx.Client(follow_redirects=True).get(open("link").read().strip()).text
print(*set(re.findall("C-[0-9]{7}-[0-9X]", page)) or sys.exit(re.sub("<[^>]*>", "", page)))
"""
"""The page behind a link, in a browser that has nothing else to do."""


@pytest.fixture
def folder(demo: Demo, tmp_path: Path) -> Iterator[Path]:
    """The repository's folder as a newcomer has it, with the state of this demonstration in `var/demo`. What a page
    does to the nodes' policies and data is undone for the next one."""
    policies = {file: file.read_bytes() for file in demo.state.glob("institutions/*/policy.json")}
    for each in ROOT.iterdir():
        if each.name not in ("var", ".git", ".venv"):
            (tmp_path / each.name).symlink_to(each)
    (tmp_path / ".venv").symlink_to(sys.prefix)
    (tmp_path / "var").mkdir()
    (tmp_path / "var" / "demo").symlink_to(demo.state)
    yield tmp_path
    for file, content in policies.items():
        file.write_bytes(content)
    for file in demo.state.glob("institutions/*/data.json"):
        file.unlink()


def commands(name: str) -> list[str]:
    """A page's, as they stand there."""
    left_out = tuple(LEFT_OUT.get(name, ()))
    return [each.code for each in blocks(page(name)) if not each.beforehand and not each.code.startswith(left_out)]


def tutorial(last: str) -> list[str]:
    """What was typed by those who go on from the tutorial, up to the commands that begin so."""
    told = commands("first-prediction")
    (end,) = [number for number, code in enumerate(told) if code.startswith(last)]
    return told[: end + 1]


def refused(code: str) -> str:
    """For what a page says will be refused: by which reason, and it is a failure if it is not."""
    return f"if {code.strip()} 2> refusal; then exit 9; fi\ncat refusal\n"


def typed(folder: Path, told: Sequence[str], *, answers: Sequence[tuple[str, str]] = ()) -> str:
    """What a shell answers when all of it is typed."""
    return shell.typed(folder, "shopt -s expand_aliases", *told, answers=answers)


def test_the_tutorial_is_right(folder: Path) -> None:
    beforehand = [each.code.splitlines()[0] for each in blocks(page("first-prediction")) if each.beforehand]
    assert beforehand == ["make demo", "python3.11 -m venv var/client"]
    said = typed(folder, commands("first-prediction"))
    assert "Signed in at" in said
    assert said.count("Record C-") == 2  # of the prediction, and of the question about it
    assert "No check failed." in said
    assert ", record C-" in said  # from Python


def test_withdrawing_a_consent_is_described_right(folder: Path) -> None:
    """The same request is refused, and the person then erased."""
    *before, again, erase = commands("withdraw-consent")
    said = typed(folder, [*tutorial("CLINICIAN="), *before, refused(again), erase])
    assert said.count('"consent":') == 1
    assert "consent-withdrawn" in said
    assert "Erased; recorded as C-" in said


def test_asking_for_a_prediction_is_described_right(folder: Path) -> None:
    *mine, again = commands("ask-for-a-prediction")
    said = typed(folder, [*mine, refused(again)])
    assert "Record C-" in said
    assert "No check failed." in said
    assert "consent-withdrawn" in said


def test_importing_and_recalling_a_model_are_described_right(demo: Demo, folder: Path) -> None:
    """One page goes on from the other. Imported once more, it is the same model."""
    told = commands("import-a-model")
    (imports,) = [code for code in told if code.startswith("MODEL=")]
    said = typed(
        folder,
        [*told, 'FIRST="$MODEL"', imports, 'test "$FIRST" = "$MODEL"', *commands("recall-a-model"), "echo $MODEL"],
        answers=[("Recall it?", "y")],
    )
    assert "8 canaries sealed to each of long-beach." in said
    assert "Approved sha256:" in said
    assert "The owner's advice: Assess the risk without the model." in said
    assert "Revoked sha256:" in said
    model = said.splitlines()[-1]
    recall = recalls.fetch_model(demo.world.home(CLEVELAND), demo.world.api(CLEVELAND), model).recall
    assert recall is not None
    assert (recall["reason"], recall["classification"]) == ("wrong-results", "II")


def test_attaching_documents_is_described_right(demo: Demo, folder: Path) -> None:
    said = typed(folder, commands("attach-documents"))
    assert "Left to fill in:" in said
    drafted = json.loads((folder / "var/mine/draft.json").read_text())
    assert drafted["title"] == "Explained prediction of coronary disease, as the registry has it"
    put = json.loads((folder / "var/mine/protocol.json").read_text())
    assert put["title"] != demo.story.protocol["title"]
    assert canonical.digest(put) in said
    assert demo.world.api(CLEVELAND).study(put["study"])["state"] == StudyState.APPROVED  # meanwhile


def test_auditing_a_model_is_described_right(folder: Path) -> None:
    """By all institutions, each in its own home."""
    said = typed(folder, commands("audit-a-model"))
    assert re.search(r"Vote \d+ of long-beach handed in; the chain holds the approval\.", said)
    assert "Yes from 0.4 on, for “coronary disease at angiography” within 365 days" in said
    assert "Observed, among whom the model answers so" in said
    assert "Record C-" in said
    (file,) = (folder / "var/mine").iterdir()
    figures = json.loads(file.read_text())
    women = figures["groups"]["women"]
    assert figures["not_opened"] == sum(
        count is None for group in figures["groups"].values() for name in OUTCOMES for count in group[name]
    )
    assert all(count is None or count >= 5 for name in OUTCOMES for count in women[name])
    assert sum(count or 0 for name in OUTCOMES for count in figures["groups"]["men"][name]) > 300


def test_training_a_model_is_described_right(folder: Path) -> None:
    said = typed(folder, commands("train-a-model"))
    assert "becomes chest-pain-learnt 2." in said
    assert re.fullmatch(r"sha256:[0-9a-f]{64}", said.splitlines()[-1])


def test_describing_a_model_is_described_right(folder: Path) -> None:
    said = typed(folder, commands("describe-a-model"))
    none, card = said.split(" counts now.")
    assert "Its owner has signed no card" in none
    assert "Card 1 of cleveland, " in card
    assert "whether its output is fair was not looked at" in " ".join(card.split())
    assert "Not stated: Funding, " in card


def test_reading_omop_tables_is_described_right(folder: Path) -> None:
    said = typed(folder, commands("read-omop-tables"))
    assert "table measurement\tfound" in said
    assert "rows of cohort 1\t12" in said
    assert "chol\t5" in said
    assert "Record C-" in said
    assert "P-0001" not in said


def test_showing_results_at_the_bedside_is_described_right(demo: Demo, folder: Path) -> None:
    """As a hospital runs it, at the address that `make serve` would write down: asked, computed, shown to a browser and
    taken back. The two processes that go on are ended as they should."""
    told, home = Told("show-results-at-the-bedside"), demo.world.home(LONG_BEACH)
    check(json.loads(fenced(page(told.name), "json")))
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    bedside.configure(home, demo.story.definition, port=port)
    (folder / "look.py").write_text(LOOK)
    ours = ("echo patient-1", "concordat bedside work", "concordat bedside serve")
    enqueue, work, serve = (told.take(begins) for begins in ours)
    said = typed(
        folder,
        [
            *tutorial("CLINICIAN="),
            enqueue,
            f"{work.strip()} &",
            f"{serve.strip()} &",
            f"until {told.take('concordat bedside link').strip()} > link && python look.py; do sleep 1; done",
            told.take("concordat bedside retract"),
        ],
        answers=[("id in the health record", "patient-1")],
    )
    assert re.search(r"^C-\d{7}-[0-9X]$", said, re.MULTILINE), "the page names the decision"
    assert said.count("retracted.") == 3
    told.check_all_taken()


def test_verifying_a_dossier_is_described_right(demo: Demo, folder: Path) -> None:
    """Of the demonstration's own decision; its files have the names that the page gives them, where it puts them."""
    told, home = Told("verify-a-dossier"), demo.world.home(LONG_BEACH)
    assert demo.story.work is not None
    mine = folder / "var/mine"
    mine.mkdir()
    (mine / "home").symlink_to(home.directory)
    (mine / "dossier.zip").write_bytes(demo.world.api(LONG_BEACH).dossier(demo.report.record))
    opened = canonical.encode(predict.disclose(demo.story.work, with_record=True))
    (mine / "disclosure.json").write_bytes(opened)
    name = demo.story.published["mlp"].digest.removeprefix("sha256:")
    (mine / "model.json").symlink_to(demo.world.folder(CLEVELAND) / "models" / f"{name}.json")
    make_certificates(folder / "tls")
    (mine / "ROOT.pem").symlink_to(folder / "tls/ca.pem")
    keys = home.pins.lasting_keyring
    chain = f"--rpc {demo.world.stack.chain_url}"
    known = " ".join(f"--key {slug}={name}" for slug in keys for name in keys[slug])
    (log,) = [f"--key log={name}" for name in keyring(home.pins.coordinator)]
    begins = "python -m ledger.verify dossier.zip"
    lines = [
        told.take("export PYTHONPATH"),
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
    new = deploying.take("python manage.py create_keys")
    said = shell.typed(
        tmp_path,
        f"SUBJECT={UUID(subject)}",
        f"CONCORDAT_KEYS=$PWD/new-keys CONCORDAT_DATABASE_URL=sqlite:///$PWD/new.sqlite3 {new}",
        restoring.take("python manage.py migrate"),
        restoring.take("python manage.py reapply_erasures"),
        restoring.take("python manage.py check"),
        deploying.take("HOLD="),
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
    given = told.take("cat > pins.json")
    pins = json.loads(fed(given))
    enrolments = {**others["enrolments"], "bern": (folder / "enrolment.jws").read_text().strip()}
    own = {**{name: others[name] for name in pins}, "enrolments": enrolments}  # type: ignore[literal-required]
    pinned = shell.typed(folder, given.replace(fed(given), json.dumps(own)))
    assert "bern\tidentity " in pinned
    policy = told.take("cat > home/policy.json")
    shell.typed(folder, policy.replace("sha256:…", demo.story.definition))
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


def fed(code: str) -> str:
    """What a page has a command read, up to END."""
    return code.split("<<'END'\n", 1)[1].split("\nEND\n", 1)[0]
