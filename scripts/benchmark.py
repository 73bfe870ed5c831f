"""Measures the engines beside other ways to train many replicates, on this machine, in one run.

    python scripts/benchmark.py                     # all works; a quarter of an hour on two cores
    python scripts/benchmark.py --works digits-mlp --replicates 10 100
    python scripts/benchmark.py --quick             # does it work at all? The numbers mean nothing
    python scripts/benchmark.py --whole-command     # the command line instead of the engines
    python scripts/benchmark.py --starts            # commands with an empty and with a filled cache
    python scripts/benchmark.py --simulated-workers # what collects the events of many workers
    python scripts/benchmark.py --error-rates       # how often the report's verdicts are wrong
    python scripts/benchmark.py --answer-cost       # trainings of seeds=auto and of fixed seeds

Writes benchmark.csv and README.md into results/benchmark/ after every work. Exit code 1 if a side
did not reach the loss of the others.
"""

import argparse
import importlib.util
import math
import platform
import shlex
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from importlib import metadata
from pathlib import Path

from benchmark.cells import CHECK_EPOCHS, EXACT, LOOSE, SHUFFLED, Cell, prepare_processes
from benchmark.sides import Losses
from benchmark.tables import Row, spread, targets_table, work_tables, write_csv
from benchmark.works import BATCH_SIZE, WORKS

from runner.execution.environment import sweep_record

# In this order their losses are compared: the reference comes first, then what trains most.
SIDES = ("keras", "vectorized", "jax", "torch vmap", "torch", "fit", "fit tuned", "joblib")
_TOGETHER = ("vectorized", "jax", "torch vmap")
_LIBRARIES = ("tensorflow", "keras", "jax", "torch", "joblib", "numpy")
# Module -> what it is called, and the extra that installs it.
_OPTIONAL = {"jax": ("JAX", "benchmark"), "torch": ("PyTorch", "torch")}
_FOLDER = Path(__file__).resolve().parent.parent / "results" / "benchmark"


def main() -> int:
    """Runs the benchmark; returns the exit code."""
    options = _options()
    options.output.mkdir(parents=True, exist_ok=True)
    if options.whole_command:
        from benchmark.whole_command import measure

        return measure(options.output, options.quick, _circumstances(options))
    if options.starts:
        from benchmark.starts import measure as measure_starts

        circumstances = _circumstances(options)
        return measure_starts(options.output, options.quick, options.repetitions, circumstances)
    if options.simulated_workers:
        from benchmark.simulated_workers import measure

        return measure(options.output, options.quick, _circumstances(options))
    if options.error_rates:
        from benchmark.error_rates import measure

        return measure(options.output, options.sweeps, _circumstances(options))
    if options.answer_cost:
        from benchmark.answer_cost import measure

        return measure(options.output, options.quick, _circumstances(options))
    prepare_processes()
    began, rows = time.perf_counter(), []
    peaks: dict[str, float] = {}
    for name in options.works:
        (found, own), epoch_flops, steps = _arithmetic(name, options.cap_s)
        peaks = {kind: max(best, peaks.get(kind, 0.0)) for kind, best in found.items()}
        cells = _measure(name, options)
        rows += _rows(cells, _counts(name, options), epoch_flops / peaks[own], steps)
        write_csv(options.output / "benchmark.csv", rows)
        (options.output / "README.md").write_text(_page(rows, peaks, own, options), "utf-8")
        print(work_tables(name, rows), flush=True)
    print(targets_table(rows))
    print(f"{time.perf_counter() - began:.0f} s in all; written to {options.output}")
    failed = [row for row in rows if row.check.startswith("FAILED")]
    for row in failed:
        print(f"{row.work}, {row.side}, {row.replicates}: {row.check}", file=sys.stderr)
    return 1 if failed else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add(
        "--works",
        nargs="+",
        choices=WORKS,
        default=list(WORKS),
        metavar="WORK",
        help=", ".join(WORKS),
    )
    add("--sides", nargs="+", choices=SIDES, default=list(SIDES), help="sides to measure")
    add("--replicates", nargs="+", type=int, help="instead of those of each work")
    add("--repetitions", type=int, default=5, help="per measurement; the median counts")
    add("--repetition-s", type=float, default=0.7, help="seconds that one takes, about")
    add("--cap-s", type=float, default=60, help="seconds in all that stop a side")
    add("--quick", action="store_true", help="one short repetition, at most 10 replicates")
    add("--whole-command", action="store_true", help="measure `python -m runner` instead")
    add("--starts", action="store_true", help="measure commands that compile, and that need not")
    add("--simulated-workers", action="store_true", help="measure the command with them")
    add("--error-rates", action="store_true", help="simulate the report's verdicts")
    add("--answer-cost", action="store_true", help="count what seeds=auto trains until it is sure")
    add("--sweeps", type=int, default=2000, help="of each case of --error-rates")
    add("--output", type=Path, default=_FOLDER, help="folder to write into")
    options = parser.parse_args()
    if options.quick:
        options.repetitions, options.repetition_s = 1, 0.05
        options.sweeps = 50
        options.replicates = options.replicates or [1, 10]
    for module, (library, extra) in _OPTIONAL.items():
        own = [side for side in options.sides if side.partition(" ")[0] == module]
        if own and importlib.util.find_spec(module) is None:
            how = f"pip install 'runner[{extra}]'"
            print(f"{library} is not installed ({how}): left out.", file=sys.stderr)
            options.sides = [side for side in options.sides if side not in own]
    return options


def _arithmetic(name: str, cap_s: float) -> tuple[tuple[dict[str, float], str], float, int]:
    """Returns what the machine can do (FLOP/s), what an epoch needs (FLOP), and its steps.

    The first is that of `Product`.
    """
    cell = Cell("product", name, 1, cap_s)
    try:
        return cell.call("flops_per_s"), *cell.call("epoch")
    finally:
        cell.stop()


def _measure(name: str, options: argparse.Namespace) -> list[Cell]:
    """Measures all sides of a work, one repetition of each in turn."""
    cells = list(_cells(name, options))
    try:
        for cell in cells:
            print(f"{name}: {cell.side}, {cell.num_replicates} replicates ...", flush=True)
            cell.attempt("start", options.repetition_s)
        for repetition in range(options.repetitions):
            print(f"{name}: repetition {repetition + 1} of {options.repetitions}", flush=True)
            for cell in cells:
                cell.attempt("repeat")
        expected: Losses = {}
        for cell in cells:
            own = WORKS[name].own_randomness and cell.side not in ("keras", "vectorized", "product")
            cell.attempt("finish", expected, not own)
        return cells
    finally:
        for cell in cells:
            cell.stop()


def _counts(name: str, options: argparse.Namespace) -> list[int]:
    return sorted(options.replicates or WORKS[name].replicates)


def _cells(name: str, options: argparse.Namespace) -> Iterator[Cell]:
    for side in SIDES:
        if side in options.sides and side in (WORKS[name].sides or SIDES):
            for count in reversed(_counts(name, options)) if side in _TOGETHER else [1]:
                yield Cell(side, name, count, options.cap_s)


def _rows(
    cells: Sequence[Cell], counts: Sequence[int], peak_epoch_s: float, steps: int
) -> Iterator[Row]:
    """Yields a row for each side and number of replicates; sides that loop count for all numbers.

    Args:
      cells: Of one work.
      counts: Numbers of replicates.
      peak_epoch_s: What an epoch's matrix products would take at the machine's peak.
      steps: Of an epoch.
    """
    engine = {cell.num_replicates: cell for cell in cells if cell.side == "vectorized"}
    for count in counts:
        for cell in cells:
            if cell.side in _TOGETHER and cell.num_replicates != count:
                continue
            seconds = cell.seconds_per_epoch_and_replicate
            ours = engine[count].seconds_per_epoch_and_replicate if count in engine else math.nan
            yield Row(
                work=cell.work,
                side=cell.side,
                replicates=count,
                measured_replicates=cell.num_replicates,
                us_per_step=seconds / steps * 1e6,
                peer_ratio=seconds / ours,
                peak_share=peak_epoch_s / seconds,
                compile_s=cell.compile_s,
                peak_memory_mb=cell.memory_bytes / 1e6,
                peak_device_memory_mb=cell.device_memory_bytes / 1e6,
                repetitions=len(cell.times_s),
                epochs_per_repetition=cell.epochs,
                spread=spread(cell.times_s),
                loss=cell.loss,
                check=cell.check,
                note="; ".join(text for text in (cell.problem, cell.note) if text),
            )


def _page(
    rows: Sequence[Row], peaks: Mapping[str, float], own: str, options: argparse.Namespace
) -> str:
    """Returns the Markdown of everything.

    Args:
      rows: So far.
      peaks: How factors are rounded -> what the machine can do, in FLOP/s.
      own: The one that the engines have.
      options: Of the command line.
    """
    head = _HEAD.format(
        circumstances=_circumstances(options),
        peaks=", ".join(f"{best / 1e9:,.0f} GFLOP/s {kind}" for kind, best in peaks.items()),
        own=own,
        repetitions=options.repetitions,
        cap=options.cap_s,
        batch_size=BATCH_SIZE,
        check_epochs=CHECK_EPOCHS,
        exact=EXACT,
        loose=LOOSE,
        shuffled=SHUFFLED,
    )
    works = dict.fromkeys(row.work for row in rows)
    return "\n".join([head, targets_table(rows), *(work_tables(name, rows) for name in works)])


def _circumstances(options: argparse.Namespace) -> str:
    """Returns what a reader has to know about the run, as a table in Markdown."""
    versions = ", ".join(f"{name} {_version(name)}" for name in _LIBRARIES)
    rows = {
        "command": f"`{shlex.join(['python', 'scripts/benchmark.py', *sys.argv[1:]])}`",
        "date": datetime.now().astimezone().isoformat(timespec="minutes"),
        "machine": sweep_record(options.output, 0.0, "").machine,
        "versions": f"Python {platform.python_version()}, {versions}",
    }
    return "| | |\n| --- | --- |\n" + "".join(f"| {k} | {v} |\n" for k, v in rows.items())


def _version(library: str) -> str:
    try:
        return metadata.version(library)
    except metadata.PackageNotFoundError:
        return "not installed"


_HEAD = """\
# Benchmark

{circumstances}| peak | {peaks}: the best that `tf.matmul` did, with matrices that fill the device |

All sides train the same model from the same weights with SGD in batches of {batch_size} and
evaluate the validation part after every epoch; the time per step includes that. Times are medians
over {repetitions} repetitions, in which the sides take turns. Compilation is not included; it has
its own column. Each side runs in its own process; the memory is its peak, imported libraries
included, and of a GPU the most that the library held there. A side that takes longer than
{cap:.0f} s in all is stopped.

- `fit`: `keras.Model.fit` in a loop over replicates. One replicate is measured and its time counts
  for all. `fit` tuned: with `steps_per_execution`, and `jit_compile` where it is quicker. The model
  is compiled once for all replicates, which a plain loop would not do.
- joblib: `fit` in as many processes as there are cores, started and warmed up before. As many
  replicates are measured, and their time is scaled.
- JAX: `jax.vmap` over replicates and `lax.scan` over steps, by hand, around the model's pure
  function (`stateless_call`).
- PyTorch: the same model of PyTorch's own layers, eager, in a loop over replicates, of which one is
  measured, and with `torch.func.vmap` over replicates.
- engine `keras`: this project's reference engine, a loop as well. Engine `vectorized`: its default.
- share of peak: the time that the matrix products and convolutions of training and validation
  would take at the peak ({own}), over the time taken.
- at the peak, beside a target: how many times quicker than the peer a side would be that did
  nothing but these products, at the peak.
- loss: whether the training loss after {check_epochs} epochs is that of the reference engine,
  within a relative {exact:g}; within {loose:g} where a side has dropout masks of its own, and
  within {shuffled:g} where it has an order of its own (`fit` while it is timed; its losses are
  compared a second time in the seed's order).
"""


if __name__ == "__main__":
    raise SystemExit(main())
