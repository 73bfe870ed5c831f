"""The benchmark script, run as people run it."""

import csv
import importlib
import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "scripts" / "benchmark.py"


@pytest.fixture
def peak(monkeypatch):
    monkeypatch.syspath_prepend(str(SCRIPT.parent))
    yield importlib.import_module("benchmark.peak")
    for name in [name for name in sys.modules if name.partition(".")[0] == "benchmark"]:
        monkeypatch.delitem(sys.modules, name)


def device(flops_per_s, start_s):
    """Multiplies at a rate, after what it takes to start."""
    return lambda size: start_s + 2 * size**3 / flops_per_s


def test_the_peak_is_that_of_products_that_fill_the_device(peak):
    # At 400 TFLOP/s a product of 4,096 takes 0.3 ms: where it is copied to the host, that alone
    # takes twenty times as long, and a start of 0.1 ms still counts for a quarter.
    assert peak.fullest(device(4e14, 1e-4)) == pytest.approx(4e14, rel=0.02)
    assert peak.fullest(device(2e11, 1e-5)) == pytest.approx(2e11, rel=0.02)


def test_a_slow_device_is_not_kept_busy_for_its_peak(peak):
    sizes = []

    def seconds(size):
        sizes.append(size)
        return device(1e10, 0.0)(size)

    assert peak.fullest(seconds) == pytest.approx(1e10)
    assert sizes == [1024]


def benchmark(folder, *options):
    command = [sys.executable, str(SCRIPT), "--output", str(folder), *options]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=500)


def test_refuses_an_unknown_work(tmp_path):
    done = benchmark(tmp_path, "--works", "nothing")
    assert done.returncode == 2
    assert "invalid choice: 'nothing'" in done.stderr


@pytest.mark.slow
def test_measures_sides_that_reach_the_same_loss(tmp_path):
    sides = ["keras", "vectorized", "fit"]
    if importlib.util.find_spec("torch") is not None:
        sides += ["torch", "torch vmap"]
    what = ("--works", "digits-mlp", "--replicates", "1", "3")
    done = benchmark(tmp_path, "--quick", *what, "--sides", *sides)
    assert done.returncode == 0, done.stderr
    rows = list(csv.DictReader((tmp_path / "benchmark.csv").read_text("utf-8").splitlines()))
    found = {(row["side"], int(row["replicates"])) for row in rows}
    assert found == {(side, n) for side in sides for n in (1, 3)}
    for row in rows:
        assert row["check"] == "same"
        assert float(row["us_per_step"]) > 0
        assert 0 < float(row["peak_share"]) < 1
        assert float(row["peak_memory_mb"]) > 100  # TensorFlow alone takes more
    page = (tmp_path / "README.md").read_text("utf-8")
    assert "`fit`, 1" in page  # the target of one replicate
    assert "GFLOP/s" in page


@pytest.mark.slow
def test_collects_the_events_of_simulated_workers(tmp_path):
    done = benchmark(tmp_path, "--quick", "--simulated-workers")
    assert done.returncode == 0, done.stderr
    lines = (tmp_path / "simulated_workers.md").read_text("utf-8").splitlines()
    rows = [line.split(" | ") for line in lines if line.startswith("| 1")]
    assert [row[0] for row in rows] == ["| 100", "| 1000"]
    assert all(float(row[3]) > 0 for row in rows)


@pytest.mark.slow
def test_measures_commands_with_an_empty_and_with_a_filled_cache(tmp_path):
    done = benchmark(tmp_path, "--quick", "--starts")
    assert done.returncode == 0, done.stderr
    lines = (tmp_path / "starts.md").read_text("utf-8").splitlines()
    cells = [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines]
    rows = [row for row in cells if len(row) == 5 and row[0].startswith("`")]
    assert [row[1] for row in rows if row[0] == "`python -m runner`"] == ["empty", "filled"]
    assert {"`python -m runner --help`", "`import hydra, pandas`"} < {row[0] for row in rows}
    for row in rows:
        assert float(row[2]) > 0
        assert float(row[4].replace(",", "")) > 50  # pandas alone takes more
