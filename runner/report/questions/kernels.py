"""Which law drew each kernel."""

from runner.records import ConfigurationRecord, KernelRecord
from runner.report.answer import Answer, Block
from runner.report.cautions import is_fallback
from runner.report.names import shape_text
from runner.report.sweep import Sweep
from runner.report.table import Entry, Table


def ask(sweep: Sweep) -> Answer:
    """Where do the initial weights come from?"""
    return Answer(
        "kernels",
        "Initial weights",
        note="The law that drew each kernel, and the kernel's shape.",
        blocks=[Block(table) for table in (*kernels(sweep), *rules(sweep))],
    )


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
    held = {
        (record.init, rule, ", ".join(paths))
        for record in (standing.record for standing in sweep.standings)
        for rule, paths in record.rules
    }
    if not held:
        return []
    return [
        Table(
            ("initializer", "rule", "weights"),
            tuple(tuple(map(Entry, row)) for row in sorted(held)),
        )
    ]
