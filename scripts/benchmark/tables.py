"""The rows of a benchmark, as CSV and as a page of Markdown."""

import csv
import math
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from benchmark.works import MAX_DROPOUT_SLOWDOWN, WITHOUT_AND_WITH_DROPOUT, WORKS

_NAMES = {
    "fit": "`fit`",
    "fit tuned": "`fit` tuned",
    "joblib": "joblib",
    "jax": "JAX",
    "torch": "PyTorch",
    "torch vmap": "PyTorch, vmap",
    "keras": "engine `keras`",
    "vectorized": "engine `vectorized`",
}


@dataclass(frozen=True)
class Row:
    """A side of a work at a number of replicates.

    Attributes:
      us_per_step: Microseconds per step and replicate, validation included.
      peer_ratio: Its time over the vectorized engine's at the same number of replicates.
      peak_share: Of the matrix-product peak of the machine.
      measured_replicates: Fewer than `replicates` where a side that loops was scaled.
    """

    work: str
    side: str
    replicates: int
    measured_replicates: int
    us_per_step: float
    peer_ratio: float
    peak_share: float
    compile_s: float
    peak_memory_mb: float
    peak_device_memory_mb: float
    repetitions: int
    epochs_per_repetition: int
    spread: float
    loss: float
    check: str
    note: str


def write_csv(path: Path, rows: Sequence[Row]) -> None:
    """Writes all rows, one line each."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, [f.name for f in fields(Row)], lineterminator="\n")
        writer.writeheader()
        writer.writerows(
            {k: f"{v:.5g}" if isinstance(v, float) else v for k, v in asdict(row).items()}
            for row in rows
        )


def spread(times: Sequence[float]) -> float:
    """Returns the range of the repetitions relative to their median."""
    return (max(times) - min(times)) / statistics.median(times) if times else math.nan


def work_tables(name: str, rows: Sequence[Row]) -> str:
    """Returns the Markdown of one work: its measurements, then the ratios."""
    rows = [row for row in rows if row.work == name]
    columns = (
        "side", "replicates", "µs per step and replicate", "times the engine's", "share of peak",
        "compile s", "memory MB", "loss", "how",
    )  # fmt: skip
    body = [
        (
            _NAMES[row.side],
            str(row.replicates),
            _number(row.us_per_step),
            "" if row.side == "vectorized" else _number(row.peer_ratio),
            f"{row.peak_share:.1%}" if row.peak_share > 0 else "–",
            _number(row.compile_s),
            _memory(row),
            row.check,
            row.note,
        )
        for row in rows
    ]
    return f"## {WORKS[name].title}\n\n{_table(columns, body)}"


def targets_table(rows: Sequence[Row]) -> str:
    """Returns the Markdown of the targets of the works that were measured."""
    found = {(row.work, row.side, row.replicates): row for row in rows}
    body = []
    for name, work in WORKS.items():
        for side, replicates, wanted in work.targets:
            row = found.get((name, side, replicates))
            if row and not math.isnan(row.peer_ratio):
                what, most = f"{_NAMES[side]}, {replicates}", 1 / row.peak_share
                body.append(_target(name, what, wanted, row.peer_ratio, f"{most:.3g}"))
        row = found.get((name, "vectorized", 100))
        if row and work.peak_target:
            share = row.peak_share
            body.append(_target(name, "share of peak, 100", work.peak_target, share, "1"))
    few, many = (found.get(("digits-mlp", "vectorized", count)) for count in (10, 1000))
    if few and many:
        growth = max(many.us_per_step, few.us_per_step) / min(many.us_per_step, few.us_per_step) - 1
        flat = "yes" if growth <= 0.25 else "no"
        body.append(
            (
                "digits-mlp",
                "cost per replicate, 10 against 1000",
                "<= 25 %",
                f"{growth:.0%}",
                "",
                flat,
            )
        )
    plain, drawing = (found.get((name, "vectorized", 100)) for name in WITHOUT_AND_WITH_DROPOUT)
    if plain and drawing:
        slowdown = drawing.us_per_step / plain.us_per_step
        reached = "yes" if slowdown <= MAX_DROPOUT_SLOWDOWN else "no"
        limit = f"<= {MAX_DROPOUT_SLOWDOWN:g}"
        name = WITHOUT_AND_WITH_DROPOUT[1]
        body.append((name, "without dropout, 100: slowdown", limit, f"{slowdown:.3g}", "", reached))
    columns = ("work", "over, at replicates", "target", "measured", "at the peak", "reached")
    missed = dict.fromkeys(name for name, *_, reached in body if reached == "no")
    limits = [f"- {name}: {limit}" for name in missed if (limit := WORKS[name].limit)]
    limited = "\n" + "\n".join(limits) + "\n" if limits else ""
    return f"## Targets\n\n{_table(columns, body)}{limited}" if body else ""


def _target(work: str, what: str, wanted: float, got: float, most: str) -> tuple[str, ...]:
    return work, what, f"{wanted:g}", f"{got:.3g}", most, "yes" if got >= wanted else "no"


def _memory(row: Row) -> str:
    on_device = row.peak_device_memory_mb
    own = _number(row.peak_memory_mb)
    return own if math.isnan(on_device) else f"{own}, GPU {_number(on_device)}"


def _number(value: float) -> str:
    if math.isnan(value):
        return "–"
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def _table(columns: Sequence[str], body: Iterable[Sequence[str]]) -> str:
    lines = [columns, ["---"] * len(columns), *body]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"
