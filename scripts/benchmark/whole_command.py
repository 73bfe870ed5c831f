"""The whole command against a plain script, and what it costs besides imports and training."""

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

_HERE = Path(__file__).resolve().parent
_NUM_INITIALIZERS = 10
_TARGET_RATIO = 12
_TARGET_REST_MS = {"none": 60, "mlflow": 120}


def measure(folder: Path, quick: bool, head: str) -> int:
    """Writes whole_command.md into the folder; returns the exit code.

    Args:
      folder: Of the results.
      quick: Two seeds and epochs in place of ten and fifty.
      head: Machine, versions, date.
    """
    seeds, epochs, plain = (2, 2, 2) if quick else (10, 50, 5)
    replicates = _NUM_INITIALIZERS * seeds
    overrides = ["experiment=article", f"seeds={seeds}", f"training.epochs={epochs}"]
    lines = [f"# The whole command: {replicates} replicates x {epochs} epochs on digits\n", head]

    print("the command ...", flush=True)
    command_s, _ = _run([sys.executable, "-m", "runner", *overrides])
    print(f"the plain script, {plain} of {replicates} trainings ...", flush=True)
    script = [sys.executable, str(_HERE / "plain_fit.py"), *map(str, (plain, seeds, epochs))]
    plain_s, output = _run(script)
    trainings = [float(line) for line in output.split()]
    rest_s = plain_s - sum(trainings)
    scaled_s = rest_s + sum(trainings) / plain * replicates
    lines += [
        "| | seconds |",
        "| --- | --- |",
        f"| `python -m runner {' '.join(overrides)}`, MLflow and report | {command_s:.1f} |",
        f"| a plain loop over `fit`, nothing logged: {rest_s:.1f} s of imports and data; {plain} "
        f"of the trainings, {sum(trainings) / plain:.2f} s each, scaled | {scaled_s:.1f} |",
        f"| times as quick; target {_TARGET_RATIO} | {scaled_s / command_s:.1f} |",
        "",
        "Everything but imports and the engine (compose, plan, preflight, disk, report):\n",
        "| tracking | whole s | imports s | engine s | rest per replicate, ms | target |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for tracking, target in _TARGET_REST_MS.items():
        print(f"tracking={tracking} ...", flush=True)
        script = [sys.executable, str(_HERE / "timed_command.py")]
        whole_s, output = _run([*script, *overrides, f"tracking={tracking}"])
        inside = json.loads(output.splitlines()[-1])
        imports_s, engine_s = inside["imports_s"], inside["engine_s"]
        rest_ms = (whole_s - imports_s - engine_s) / replicates * 1e3
        numbers = f"{whole_s:.1f} | {imports_s:.1f} | {engine_s:.1f} | {rest_ms:.0f} | {target}"
        lines.append(f"| {tracking} | {numbers} |")
    text = "\n".join(lines) + "\n"
    (folder / "whole_command.md").write_text(text, "utf-8")
    print(text)
    return 0


def _run(command: list[str]) -> tuple[float, str]:
    """Runs a command in an empty folder; returns its seconds and what it printed."""
    keep = {k: v for k, v in os.environ.items() if not k.startswith(("MLFLOW_", "KERAS_"))}
    environment = keep | {"TF_CPP_MIN_LOG_LEVEL": "3", "COLUMNS": "120"}
    with tempfile.TemporaryDirectory() as folder:
        began = time.perf_counter()
        done = subprocess.run(
            command, cwd=folder, env=environment, text=True, capture_output=True, check=False
        )
        seconds = time.perf_counter() - began
    if done.returncode:
        raise SystemExit(f"This failed: {' '.join(command)}\n{done.stdout}{done.stderr}")
    return seconds, done.stdout
