"""`concordat log fetch` over the real interface, and what the operator exports: the same copy."""

from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result
from django.core.management import CommandError, call_command
from django.db import transaction

from concordat import mirror
from concordat.client.api import Api
from concordat.events import Event
from concordat.tiles import TilePath
from ledger.models import LogEntry
from ledger.services.publish import publish
from ledger.services.record import Draft, record_all
from tests.concordat.client.conftest import World, machine

Run = Callable[..., Result]

SIZE = 700


@pytest.fixture
def log(world: World) -> list[bytes]:
    """Every entry of a log that has two whole bundles and a part of one."""
    with transaction.atomic():
        missing = SIZE - LogEntry.objects.count()
        record_all([Draft(event=Event.DOSSIER_READ, public={"role": f"entry {i}"}) for i in range(missing)])
    publish()
    return [bytes(leaf) for leaf in LogEntry.objects.order_by("index").values_list("leaf", flat=True)]


def read(folder: Path, size: int) -> list[bytes]:
    return [leaf for bundle in mirror.bundles(folder, size) for leaf in bundle]


def test_an_institution_fetches_the_log_under_the_head_that_it_follows(
    world: World, log: list[bytes], run: Run, tmp_path: Path
) -> None:
    folder = tmp_path / "log"
    answer = machine(run("log", "fetch", "--to", folder, output="json"))
    assert answer == {"folder": str(folder), "entries": SIZE, "head": SIZE}
    assert read(folder, SIZE) == log
    followed = world.homes["long-beach"].directory / "checkpoint.txt"
    assert (folder / "checkpoint").read_bytes() == followed.read_bytes()
    shown = run("log", "fetch", "--to", folder, "--size", 300)
    assert f"300 of the log's {SIZE} entries are in" in shown.stdout


def test_killed_it_goes_on(log: list[bytes], run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, real, asked = tmp_path / "log", Api.tile, list[str]()

    class Killed(BaseException):
        pass

    def dying(self: Api, path: TilePath) -> bytes:
        if str(path) == "tile/entries/001":
            raise Killed
        return real(self, path)

    def counting(self: Api, path: TilePath) -> bytes:
        asked.append(str(path))
        return real(self, path)

    monkeypatch.setattr(Api, "tile", dying)
    with pytest.raises(Killed):
        run("log", "fetch", "--to", folder, catch=False)
    monkeypatch.setattr(Api, "tile", counting)
    machine(run("log", "fetch", "--to", folder, output="json"))
    assert [path for path in asked if "entries" in path] == ["tile/entries/001", "tile/entries/002.p/188"]
    assert read(folder, SIZE) == log


def test_entries_that_the_head_does_not_commit_to_are_refused(
    log: list[bytes], run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = Api.tile

    def lying(self: Api, path: TilePath) -> bytes:
        data = real(self, path)
        return data.replace(b'"role":"entry 1', b'"role":"entry 9') if path.level is None else data

    monkeypatch.setattr(Api, "tile", lying)
    refused = run("log", "fetch", "--to", tmp_path / "log", output="json")
    assert (refused.exit_code, '"reason": "log-diverges"' in refused.stderr) == (1, True)


def test_more_than_there_is_is_refused(log: list[bytes], run: Run, tmp_path: Path) -> None:
    refused = run("log", "fetch", "--to", tmp_path / "log", "--size", SIZE + 1)
    assert (refused.exit_code, f"has published {SIZE} entries" in refused.stderr) == (1, True)


def test_the_operator_exports_the_same(log: list[bytes], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "log"
    call_command("log_export", str(folder))
    assert f"{SIZE} of the log's {SIZE} entries" in capsys.readouterr().out
    assert read(folder, SIZE) == log
    call_command("log_export", str(folder), size=10)
    with pytest.raises(CommandError, match=f"has published {SIZE}"):
        call_command("log_export", str(folder), size=SIZE + 1)
