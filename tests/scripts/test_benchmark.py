"""The benchmark script, run as people run it."""

import csv
import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "scripts" / "benchmark.py"


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
