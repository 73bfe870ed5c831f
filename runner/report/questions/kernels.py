"""Which law drew each kernel."""

import pandas as pd

from runner.records import ConfigurationRecord, KernelRecord
from runner.report import names
from runner.report.answer import Answer, Block, overall
from runner.report.cautions import is_fallback
from runner.report.names import shape_text
from runner.report.sweep import Sweep
from runner.report.table import Entry, Table

# Whoever draws initial weights in less need not think of it.
_LONG_S = 1.0


def ask(sweep: Sweep) -> Answer:
    """Where do the initial weights come from?"""
    return Answer(
        "kernels",
        "Initial weights",
        note="The law that drew each kernel, and the kernel's shape.",
        sentences=overall([drawing(sweep.results.replicates)]),
        blocks=[Block(table) for table in (*kernels(sweep), *rules(sweep))],
    )


def drawing(replicates: pd.DataFrame) -> str:
    """Returns which initializers take long to draw a replicate, in a sentence; empty if none."""
    seconds = replicates["draw_time_s"].astype(float)
    means = seconds.groupby(replicates["init"], sort=False).mean()
    slow = means[means > _LONG_S].sort_values(ascending=False)
    if slow.empty:
        return ""
    told = [
        f"of {names.one_line(str(init))} {'took ' * (not place)}{mean:.{1 if mean < 10 else 0}f} s"
        for place, (init, mean) in enumerate(slow.items())
    ]
    return f"Drawing the initial weights {names.listed_some(told)} a replicate."


def kernels(sweep: Sweep) -> list[Table]:
    """Returns which law drew each kernel: one table for each set of kernels that models have."""
    groups: dict[tuple[tuple[str, tuple[int, ...]], ...], dict[tuple[Entry, ...], None]] = {}
    for record in (standing.record for standing in sweep.standings):
        if record.kernels:
            shapes = tuple((kernel.path, kernel.shape) for kernel in record.kernels)
            laws = (_law(record, kernel) for kernel in record.kernels)
            groups.setdefault(shapes, {})[(Entry(record.init), *laws)] = None
    return [
        Table(
            ("initializer", *(f"{path} {shape_text(shape)}" for path, shape in shapes)),
            tuple(rows),
        )
        for shapes, rows in groups.items()
    ]


def _law(record: ConfigurationRecord, kernel: KernelRecord) -> Entry:
    if is_fallback(record, kernel):
        return Entry(f"{kernel.law} (fallback)", emphasis="bad")
    return Entry(f"{kernel.law} (rule)" if kernel.drawn_by == "rule" else kernel.law)


def rules(sweep: Sweep) -> list[Table]:
    """Returns the rules of the initializers that have any, and what they hold for."""
    held = dict.fromkeys(
        (record.init, rule, ", ".join(paths))
        for record in (standing.record for standing in sweep.standings)
        for rule, paths in record.rules
    )
    if not held:
        return []
    return [
        Table(
            ("initializer", "rule", "weights"),
            tuple(tuple(map(Entry, row)) for row in held),
        )
    ]
