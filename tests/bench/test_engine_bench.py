"""The engine's benchmark on one small job for each engine, in real processes. No test judges a time."""

import json
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import pytest
from rich.console import Console

from bench import ahead, engine, peers, plot, start, tables
from bench.costs import cost
from bench.jobs import ENGINES, Job, jobs
from bench.measure import Stopped, combine, measure

pytestmark = pytest.mark.full  # both engines, in processes of their own

ROOT = Path(__file__).parents[2]
KEYS = {
    *("engine", "model", "parties", "n", "delay_ms", "ahead", "rounds", "dealer_trips", "target", "design"),
    *("bytes_online", "bytes_dealer", "seconds_online", "seconds_offline", "peak_mb", "relative_error"),
}
OURS = Job("concordat", "lr", 128)
STOCK = replace(OURS, engine="crypten", target="probability")


def printed(table):
    console = Console(width=engine.WIDTH)
    with console.capture() as capture:
        console.print(table)
    return capture.get()


@pytest.fixture(scope="module")
def ours():
    return measure(OURS)


@pytest.fixture(scope="module")
def stock():
    return measure(STOCK)


def test_a_row_has_these_keys_and_says_what_was_run(ours, stock):
    assert set(ours) == set(stock) == KEYS
    named = ("engine", "model", "n", "target", "design", "parties", "delay_ms")
    assert [ours[name] for name in named] == ["concordat", "lr", 128, "log-odds", "slopes", 3, 0]
    assert [stock[name] for name in named] == ["crypten", "lr", 128, "probability", "slopes", 3, 0]


def test_rounds_and_bytes_are_those_that_the_protocol_needs(ours):
    computed = cost(OURS)
    assert (ours["rounds"], ours["bytes_online"]) == (computed.rounds, computed.bytes_online)
    assert 0 < ours["bytes_dealer"] - computed.bytes_dealer < 3000  # plans and keys
    assert ours["dealer_trips"] == 1


def test_more_records_take_no_more_rounds_and_as_many_times_the_bytes():
    one, four = cost(OURS, checked=True), cost(OURS, checked=True, records=4)
    assert (four.rounds, four.bytes_online, four.bytes_dealer) == (
        one.rounds,
        4 * one.bytes_online,
        4 * one.bytes_dealer,
    )


def test_stock_crypten_needs_a_product_a_truncation_and_its_sigmoid(stock):
    """44 rounds for the sigmoid of three parties, and a trip to the dealer for each of them all."""
    assert stock["rounds"] == stock["dealer_trips"] == 1 + 1 + 44


def test_stock_crypten_is_not_the_one_that_this_engine_has_replaced():
    program = (
        "import sys, bench.stock as stock; from crypten.mpc.primitives import ArithmeticSharedTensor as shared;"
        "assert 'compute.engine.framework' not in sys.modules;"
        "assert stock.crypten.communicator.DistributedCommunicator.__module__.startswith('crypten.');"
        "assert shared.div_.__module__ == shared.PRZS.__module__ == 'crypten.mpc.primitives.arithmetic'"
    )
    subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=True, timeout=60)


def test_both_engines_find_the_coefficients(ours, stock):
    assert 0 < ours["relative_error"] < 1e-3
    assert 0 < stock["relative_error"] < 0.1  # its sigmoid is off by 3e-3


def test_peaks_are_those_of_processes_with_torch(ours, stock):
    assert min(ours["peak_mb"], stock["peak_mb"]) > 100


def test_the_check_of_ranges_is_counted_apart():
    alone, checked = cost(OURS), cost(OURS, checked=True)
    assert checked.rounds == alone.rounds + 2
    assert checked.bytes_online > alone.bytes_online


def test_a_job_that_needs_more_memory_than_there_is_ends_with_its_reason(monkeypatch):
    monkeypatch.setattr("bench.measure._available_mb", lambda: 4)
    rows, stopped = engine.measure_all([OURS, replace(OURS, n=1000)], Console(quiet=True))
    assert not rows
    assert len(stopped) == 1
    assert re.search(r"concordat, lr, n = 128.*emory", stopped[0])


def test_a_job_that_was_dealt_before_waits_for_no_dealer_and_finds_the_same(ours):
    before = measure(replace(OURS, ahead=True))
    assert (before["rounds"], before["bytes_online"]) == (ours["rounds"], ours["bytes_online"])
    assert (before["dealer_trips"], before["bytes_dealer"]) == (0, 3 * 2 * 32)  # the secrets of pairs
    assert 0 < before["relative_error"] < 1e-3
    line = next(line for line in printed(ahead.table([ours, before])).splitlines() if "lr" in line)
    cells = [cell.strip() for cell in line.strip("│").split("│")]
    assert (cells[:5], cells[7:9]) == (["lr", "128", "0", "1", f"{ours['bytes_dealer'] / 1e6:.3f}"], ["0", "0.000"])


def test_runs_that_differ_in_what_is_exact_are_no_row(ours):
    later = ours | {"seconds_online": ours["seconds_online"] + 2, "peak_mb": ours["peak_mb"] + 1}
    assert combine([ours, later])["seconds_online"] == pytest.approx(ours["seconds_online"] + 1)
    assert combine([ours, later])["peak_mb"] == later["peak_mb"]
    with pytest.raises(Stopped, match="rounds"):
        combine([ours, ours | {"rounds": ours["rounds"] + 1}])


def test_jobs_come_in_pairs_and_more_of_them_in_full():
    short, full = list(jobs(full=False)), list(jobs(full=True))
    assert full[: len(short)] == short
    assert all(replace(first, engine="crypten") == second for first, second in zip(full[::2], full[1::2], strict=True))
    assert {(job.parties, job.delay_ms) for job in short} == {(3, 0)}
    assert {(job.parties, job.delay_ms) for job in full} == {(3, 0), (2, 0), (4, 0), (3, 25)}
    assert max(job.n for job in full) == 100_000


def test_the_table_shows_the_rows_and_the_ratio_of_their_times(ours):
    slower = ours | {"engine": "crypten", "seconds_online": 5 * ours["seconds_online"]}
    lines = printed(tables.table([ours, slower], "0.0 and 0.0")).splitlines()
    line = next(line for line in lines if "concordat" in line)
    cells = [cell.strip() for cell in line.strip("│").split("│")]
    assert cells[:10] == ["lr", "slopes", "log-odds", "3", "0", "128", "concordat", str(ours["rounds"]), "1", "0.009"]
    assert cells[13] == "5.0x"


def test_a_start_has_three_times_and_its_table_shows_them():
    measured = start.measure()
    assert min(measured.imports, measured.seat, measured.job) > 0
    cells = next(line for line in printed(start.table([measured])).splitlines() if "│" in line).strip("│").split("│")
    assert [cell.strip() for cell in cells] == [
        f"{measured.imports:.1f}",
        f"{1e3 * measured.seat:.0f}",
        f"{1e3 * measured.job:.0f}",
    ]


def test_figures_of_other_engines_are_marked_as_such():
    shown = printed(peers.table())
    assert "not measured here" in shown
    assert "Source" in shown


def test_the_documented_rounds_and_bytes_are_those_of_the_protocol():
    documented = (ROOT / "docs/reference/benchmarks.md").read_text()
    for job in jobs(full=False):
        if job.engine == "concordat":
            exact = cost(job)
            what = f"| {job.model} | {job.design} | {job.target} | {job.n} |"
            assert f"{what} {exact.rounds} | {exact.bytes_online / 1e6:.3f} |" in documented


@pytest.mark.parametrize("model", ["lr", "mlp", "trees"])
def test_so_are_those_of_other_numbers_of_parties_and_of_growth(model):
    documented = (ROOT / "docs/reference/benchmarks.md").read_text()
    for parties in (2, 4):
        exact = cost(Job("concordat", model, 1000, parties=parties))
        assert f"| {model} | {parties} | {exact.rounds} | {exact.bytes_online / 1e6:.3f} |" in documented
    if model != "trees":
        exact = cost(Job("concordat", model, 10_000))
        assert f"| {model} | 10,000 | 1 | {exact.rounds} | {exact.bytes_online / 1e6:.3f} |" in documented


def test_a_linear_model_of_100_000_rows_comes_in_two_blocks():
    documented = (ROOT / "docs/reference/benchmarks.md").read_text()
    exact = cost(Job("concordat", "lr", 100_000))
    assert exact.rounds == 2 * 2 + 1
    assert f"| lr | 100,000 | 2 | {exact.rounds} | {exact.bytes_online / 1e6:.3f} |" in documented


def test_rows_are_written_as_json_and_drawn(ours, tmp_path, monkeypatch):
    monkeypatch.setattr(engine, "measure_all", lambda wanted, console: ([ours], ["Stopped there."]))
    monkeypatch.setattr(start, "RUNS", 1)
    monkeypatch.setattr(sys, "argv", ["bench.engine", "--output", str(tmp_path / "bench")])
    engine.main()
    assert json.loads((tmp_path / "bench/engine.json").read_text()) == [ours]
    ElementTree.parse(tmp_path / "bench/engine.svg")


def test_no_two_engines_share_a_colour_a_marker_or_a_line():
    assert len({part for style in plot.STYLES.values() for part in style}) == 3 * len(ENGINES)
