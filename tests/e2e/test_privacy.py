"""After the main job nothing secret stands where it must not: broker, database, log, chain, logs, nodes, processes."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis

from concordat.canonical import unb64
from concordat.client import predict
from config.demo.consortium import CLEVELAND, LONG_BEACH, NODES, STUDY_FOLDER
from tests.e2e.conftest import OBSERVER, Demo, database
from tests.support.needles import files, leaks

pytestmark = [pytest.mark.demo, pytest.mark.xdist_group("demo"), pytest.mark.timeout(400)]


def everything_secret(demo: Demo) -> list[list[float]]:
    secrets = demo.story.secrets
    assert sum(map(len, secrets.weights)) == 241 + 14
    assert len(secrets.record) == 13
    assert len(secrets.result) == 13 + 2 * 10  # with the ends of ten intervals
    return [*secrets.weights, secrets.record, secrets.result]


def broker(demo: Demo) -> Iterator[tuple[str, bytes]]:
    """Every command that was ever sent to the broker, and what it holds now."""
    yield "the broker's traffic", "\n".join(demo.traffic).encode()
    connection = redis.Redis.from_url(demo.world.stack.broker_url(OBSERVER))
    for key in connection.keys("*"):
        yield f"the broker's key {key!r}", bytes(connection.dump(key) or b"")


def test_the_search_finds_secrets_where_they_belong(demo: Demo) -> None:
    """A control: at the requester, who opened them, the same search finds them."""
    secrets = demo.story.secrets
    disclosed = demo.state / "dossier" / "disclosure.json"
    rendered = demo.story.opened.text.encode()  # type: ignore[union-attr]
    shown = f"{demo.story.opened.explanation.to_json()}".encode()  # type: ignore[union-attr]
    assert leaks([secrets.result], [("shown", shown + rendered)])
    assert disclosed.stat().st_mode & 0o077 == 0
    weights = demo.story.trained["mlp"].tensors["hidden.weight"].tobytes()
    assert leaks(secrets.weights, [("the owner's memory", weights)])


def test_the_broker_saw_tickets_and_no_secret(demo: Demo) -> None:
    traffic = "\n".join(demo.traffic)
    assert "node.reserve" in traffic, "the traffic was not recorded"
    assert leaks(everything_secret(demo), broker(demo)) == []


def test_the_coordinator_holds_no_secret(demo: Demo) -> None:
    """Database, write-ahead log, chain, keys and whatever else lies in the coordinator's folder."""
    folder = demo.state / "coordinator"
    names = [name for name, _ in files(folder)]
    assert any(name.endswith("concordat.sqlite3") for name in names)
    assert any("chain.sqlite3" in name for name in names)
    assert leaks(everything_secret(demo), files(folder)) == []


def test_the_log_files_hold_no_secret_and_no_traceback(demo: Demo) -> None:
    logs = list(files(demo.world.stack.logs))
    assert {Path(name).stem for name, _ in logs} >= {"web", "worker", "chain", "redis", "node-zurich", "node-notary"}
    assert leaks(everything_secret(demo), logs) == []
    assert [name for name, data in logs if b"Traceback" in data] == []


def test_a_node_holds_none_of_the_others_secrets(demo: Demo) -> None:
    for member in NODES:
        assert leaks(everything_secret(demo), files(demo.world.folder(member))) == [], member.slug


def test_patient_and_clinician_are_nowhere_in_log_chain_and_broker(demo: Demo) -> None:
    work = demo.story.work
    assert work is not None
    consents = (demo.world.folder(LONG_BEACH) / "consents").glob("*.jws")
    from concordat.signatures import peek

    subject, clinician = peek(next(consents).read_text())[1]["subject"], demo.story.clinician
    birth = b"1961-10-14"
    assert birth in (STUDY_FOLDER / "bundle.json").read_bytes()
    places = [("chain", (demo.state / "coordinator" / "chain" / "chain.sqlite3").read_bytes())]
    with database(demo) as copy:
        leaves = copy.execute("SELECT leaf FROM ledger_logentry").fetchall()
    assert len(leaves) > 25
    places.append(("log", b"\n".join(leaf for (leaf,) in leaves)))
    places += list(broker(demo))
    places += list(files(demo.world.stack.logs))
    for name, data in places:
        for handle in (subject, clinician):
            assert handle.encode() not in data, name
            assert bytes.fromhex(handle.replace("-", "")) not in data, name
        assert birth not in data, name


def test_sealed_shares_are_deleted_when_the_job_has_ended(demo: Demo) -> None:
    with database(demo) as copy:
        job = demo.story.work.job.replace("-", "")  # type: ignore[union-attr]
        (key, state) = copy.execute("SELECT id, state FROM compute_job WHERE uuid = ?", (job,)).fetchone()
        assert state == "final"
        held = copy.execute("SELECT count(*) FROM compute_sealedinput WHERE job_id = ?", (key,)).fetchone()
        assert held == (0,)


def test_what_reopens_the_decision_is_at_the_coordinator_and_opens_nowhere_there(demo: Demo) -> None:
    """Neither a share nor a salt of the disclosure stands in the coordinator's folder, the broker or the logs."""
    work = demo.story.work
    assert work is not None
    disclosed: Any = predict.disclose(work, with_record=True)
    openings = [*disclosed["inputs"].values()]
    openings += [part for shares in disclosed["outputs"].values() for part in shares.values()]
    needles = [text.encode() for each in openings for text in (each["salt"], each["share"])]
    needles += [unb64(needle.decode()) for needle in needles]
    with database(demo) as copy:
        packages = copy.execute("SELECT stage FROM compute_recordspackage ORDER BY stage").fetchall()
    assert ("result",) in packages
    places = [*files(demo.state / "coordinator", demo.world.stack.logs), *broker(demo)]
    assert [name for name, data in places for needle in needles if needle in data] == []
    own = (work.folder / "request.json").read_bytes()
    assert any(needle in own for needle in needles), "the search would find nothing anywhere"


@pytest.mark.parametrize("name", ["web", "worker"])
def test_the_coordinators_processes_never_load_the_engine(demo: Demo, name: str) -> None:
    pid = demo.world.supervisor.pid(name)
    group = [path for path in Path("/proc").glob("[0-9]*/stat") if _group(path) == pid]
    assert group
    for path in group:
        mapped = path.with_name("maps").read_text()
        assert "python" in mapped
        assert "torch" not in mapped
        assert "crypten" not in mapped


def test_the_owners_rows_stay_with_the_owner(demo: Demo) -> None:
    table = (demo.world.folder(CLEVELAND) / "data.csv").read_bytes()
    row = table.splitlines()[7]
    for name, data in files(demo.state / "coordinator", demo.world.stack.logs):
        assert row not in data, name


def _group(stat: Path) -> int:
    try:
        return int(stat.read_text().rpartition(")")[2].split()[2])
    except (FileNotFoundError, ProcessLookupError):
        return -1
