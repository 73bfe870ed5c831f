"""The whole command against a plain script, and what it costs besides imports and training."""

import json
import sys
from pathlib import Path

from benchmark.commands import run

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
    command = run([sys.executable, "-m", "runner", *overrides])
    print(f"the plain script, {plain} of {replicates} trainings ...", flush=True)
    script = [sys.executable, str(_HERE / "plain_fit.py"), *map(str, (plain, seeds, epochs))]
    by_hand = run(script)
    trainings = [float(line) for line in by_hand.output.split()]
    rest_s = by_hand.seconds - sum(trainings)
    scaled_s = rest_s + sum(trainings) / plain * replicates
    lines += [
        "| | seconds | memory MB |",
        "| --- | --- | --- |",
        f"| `python -m runner {' '.join(overrides)}`, MLflow and report | {command.seconds:.1f} | "
        f"{command.memory_bytes / 1e6:,.0f} |",
        f"| a plain loop over `fit`, nothing logged: {rest_s:.1f} s of imports and data; {plain} "
        f"of the trainings, {sum(trainings) / plain:.2f} s each, scaled | {scaled_s:.1f} | "
        f"{by_hand.memory_bytes / 1e6:,.0f} |",
        f"| times as quick; target {_TARGET_RATIO} | {scaled_s / command.seconds:.1f} | |",
        "",
        "Everything but imports and the engine (compose, plan, preflight, disk, report):\n",
        "| tracking | whole s | imports s | engine s | rest per replicate, ms | target |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for tracking, target in _TARGET_REST_MS.items():
        print(f"tracking={tracking} ...", flush=True)
        script = [sys.executable, str(_HERE / "timed_command.py")]
        whole = run([*script, *overrides, f"tracking={tracking}"])
        inside = json.loads(whole.output.splitlines()[-1])
        imports_s, engine_s = inside["imports_s"], inside["engine_s"]
        rest_ms = (whole.seconds - imports_s - engine_s) / replicates * 1e3
        seconds = " | ".join(f"{each:.1f}" for each in (whole.seconds, imports_s, engine_s))
        lines.append(f"| {tracking} | {seconds} | {rest_ms:.0f} | {target} |")
    text = "\n".join(lines) + "\n"
    (folder / "whole_command.md").write_text(text, "utf-8")
    print(text)
    return 0
