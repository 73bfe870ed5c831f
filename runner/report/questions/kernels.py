"""Which law drew each kernel."""

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
        blocks=[Block(table) for table in kernels(sweep)],
    )


def kernels(sweep: Sweep) -> list[Table]:
    """Returns which law drew each kernel: one table for each set of kernels that models have."""
    groups: dict[tuple[tuple[str, tuple[int, ...]], ...], dict[tuple[str, ...], None]] = {}
    for record in (standing.record for standing in sweep.standings):
        if record.kernels:
            shapes = tuple((kernel.path, kernel.shape) for kernel in record.kernels)
            laws = tuple(kernel.law for kernel in record.kernels)
            groups.setdefault(shapes, {})[(record.init, *laws)] = None
    return [
        Table(
            ("initializer", *(f"{path} {shape_text(shape)}" for path, shape in shapes)),
            tuple(_laws(*row) for row in rows),
        )
        for shapes, rows in groups.items()
    ]


def _laws(init: str, *laws: str) -> tuple[Entry, ...]:
    marked = [
        Entry(f"{law} (fallback)", emphasis="bad") if is_fallback(init, law) else Entry(law)
        for law in laws
    ]
    return (Entry(init), *marked)
