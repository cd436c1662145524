"""What a legal reviewer does: ask for the dossier, verify it, look at what is disclosed, and find a changed byte."""

import os
import sqlite3
import subprocess
import sys
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

from concordat import canonical, clock, record_number
from concordat.client import predict
from concordat.client.work import Work
from concordat.files import write_private
from concordat.reasons import Reason, Refused
from config.demo.consortium import LONG_BEACH
from config.demo.report import Report
from config.demo.screen import Screen
from config.demo.world import World
from config.local.stack import ROOT, Stack
from config.local.supervisor import inherited


def reconstruct(world: World, screen: Screen, report: Report, work: Work) -> None:
    """Verifies the dossier from the record number and the chain, then with the disclosure, then from a changed copy."""
    _open_matter(world, screen, report.record)
    folder = world.stack.state / "dossier"
    folder.mkdir(exist_ok=True)
    bundle, disclosure = folder / f"{report.record}.zip", folder / "disclosure.json"
    screen.doing("the dossier is built from the log and verified by a process that knows nothing else")
    write_private(bundle, world.api(LONG_BEACH).dossier(report.record), replace=True)

    pins = world.home(LONG_BEACH).pins  # compared with their owners, as the reviewer's own would be
    keys = {"log": pins.coordinator.kid, **{slug: pins.identity(slug).kid for slug in pins.enrolments}}
    ledger_only = verify(world.stack, bundle, keys=keys)
    _must_hold(ledger_only)
    screen.done(f"from the record number, the log and the chain, without the result: {_count(ledger_only)}")

    write_private(disclosure, canonical.encode(predict.disclose(work)), replace=True)
    readable = bundle.with_suffix(".html")
    disclosed = verify(world.stack, bundle, keys=keys, disclosure=disclosure, html=readable)
    _must_hold(disclosed)
    machine = bundle.with_suffix(".json")
    write_private(machine, canonical.encode(disclosed), replace=True)
    screen.done(f"with the requester's disclosure: {_count(disclosed)}; the result is the one that was computed")
    report.dossier = {"bundle": str(bundle), "html": str(readable), "json": str(machine), "verified": True}
    report.ledger = _ledger(disclosed, report.record)

    screen.doing("one byte of the record is changed in a copy of the database")
    report.tamper = _tamper(world.stack, report.record, folder)
    screen.done(f"one byte changed in a copy: detected, {report.tamper['reason']} — {report.tamper['where']}")


def _open_matter(world: World, screen: Screen, record: str) -> None:
    """The hospital's administrator says by what right its legal reviewer reads the decision at the officers' site."""
    assert world.reviewer is not None
    world.officers[LONG_BEACH.slug].open_matter(
        LONG_BEACH.name,
        world.reviewer.name,
        until=clock.now() + timedelta(days=90),
        title="Doe v. VA Medical Center (invented)",
        docket="C.D. Cal. 2:26-cv-00042 (invented)",
        kind="court-order",
        authority="Produce the records of the decision named below, and how it came about.",
        dated=f"{clock.now():%Y-%m-%d}",
        party="Counsel for Jane Doe (invented)",
        purpose="To find out how the decision came about.",
        protective_order="For the eyes of counsel only.",
        prefix="LBDOE",
        records=record,
    )
    screen.done("Long Beach opens a legal matter for this decision, and lets its legal reviewer in for 90 days")


def verify(
    stack: Stack,
    bundle: Path,
    *,
    keys: Mapping[str, str] | None = None,
    disclosure: Path | None = None,
    html: Path | None = None,
) -> dict[str, Any]:
    """The stand-alone verifier's answer, from a process without database, coordinator or Django.

    Args:
        keys: key ids that the reviewer trusts, of `log` and of institutions.
    """
    options = ["--rpc", stack.chain_url, "--json"]
    options += [f"--key={name}={kid}" for name, kid in (keys or {}).items()]
    options += ["--disclosure", str(disclosure)] if disclosure else []
    options += ["--html", str(html)] if html else []
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT)}
    done = subprocess.run(  # noqa: S603
        [sys.executable, "-m", "ledger.verify", str(bundle), *options],
        env=environment,
        cwd=bundle.parent,
        capture_output=True,
        text=True,
        check=False,
    )
    if not done.stdout:
        raise Refused(Reason.INTERNAL, detail="The verifier gave no answer.")
    answer: dict[str, Any] = canonical.decode(done.stdout)
    assert answer["holds"] == (done.returncode == 0)
    return answer


def _tamper(stack: Stack, record: str, folder: Path) -> dict[str, Any]:
    """Changes one byte of the decision's entry in a copy of the database and has the dossier built and verified."""
    altered = altered_copy(stack, record_number.parse(record), folder)
    bundle = folder / "altered.zip"
    build = subprocess.run(  # noqa: S603
        [sys.executable, "manage.py", "dossier", record, str(bundle)],
        env={**inherited(), **stack.environment(), "CONCORDAT_DATABASE_URL": altered},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if build.returncode:
        raise Refused(Reason.INTERNAL, detail=f"manage.py dossier: {build.stderr.strip().splitlines()[-1]}")
    answer = verify(stack, bundle)
    failed = [check for check in answer["checks"] if check["status"] == "failed"]
    if not failed:
        raise Refused(Reason.INTERNAL, detail="A changed byte was not detected.")
    return {"detected": True, "reason": failed[0]["reason"], "where": failed[0]["sentence"], "bundle": str(bundle)}


def altered_copy(stack: Stack, index: int, folder: Path) -> str:
    """The URL of a copy of the database in which one byte of the entry differs."""
    copy = folder / "altered.sqlite3"
    copy.unlink(missing_ok=True)
    with sqlite3.connect(f"file:{stack.database}?mode=ro", uri=True) as source, sqlite3.connect(copy) as target:
        source.backup(target)
    with sqlite3.connect(copy) as altered:
        # The table refuses updates; whoever owns the machine can remove that rule, and is noticed all the same.
        rules = altered.execute(
            "SELECT name FROM sqlite_master WHERE type = 'trigger' AND tbl_name = 'ledger_logentry'"
        )
        for (name,) in rules.fetchall():
            altered.execute(f'DROP TRIGGER "{name}"')
        (leaf,) = altered.execute('SELECT leaf FROM ledger_logentry WHERE "index" = ?', (index,)).fetchone()
        altered.execute('UPDATE ledger_logentry SET leaf = ? WHERE "index" = ?', (altered_leaf(leaf), index))
    return f"sqlite:///{copy}"


def altered_leaf(leaf: bytes) -> bytes:
    """The entry with another number of rounds."""
    place = leaf.index(b'"rounds":') + len(b'"rounds":')
    return leaf[:place] + (b"1" if leaf[place : place + 1] != b"1" else b"2") + leaf[place + 1 :]


def _must_hold(answer: dict[str, Any]) -> None:
    for check in answer["checks"]:
        if check["status"] == "failed":
            raise Refused(Reason(check["reason"]), detail=f"The dossier does not hold: {check['sentence']}")


def _count(answer: dict[str, Any]) -> str:
    passed = sum(check["status"] == "passed" for check in answer["checks"])
    return f"{passed} checks passed, {len(answer['checks']) - passed} not checkable"


def _ledger(answer: dict[str, Any], record: str) -> dict[str, Any]:
    """Where the decision is on chain: the first anchored head that covers it."""
    index = record_number.parse(record)
    anchor = next(anchor for anchor in answer["story"]["trust"]["anchors"] if anchor["size"] > index)
    return {
        "record": record,
        "log_size": anchor["size"],
        "anchor_tx": anchor["transaction"],
        "block": anchor["block"],
    }
