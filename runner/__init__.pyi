# What people use from Python, for type checkers. Keywords may be anything here: a checker holds the
# values of `**{"model.depth": [2, 8]}` against the type of every keyword that is not given.
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from runner import initializers as initializers
from runner import report as report
from runner.report.inspection import Inspection
from runner.report.notebook import Results

def version() -> str: ...
def compare(
    build: Any,
    x: Any = None,
    y: Any = None,
    init: Any = None,
    *,
    seeds: Any = None,
    epochs: Any = None,
    optimizer: Any = None,
    batch_size: Any = None,
    target: Any = None,
    sample_weight: Any = None,
    validation_data: Any = None,
    test_data: Any = None,
    temporary: Any = False,
    **settings: Any,
) -> Results: ...
def inspect(
    build: Any,
    x: Any = None,
    y: Any = None,
    init: Any = None,
    *,
    seeds: Any = None,
    target: Any = None,
    **settings: Any,
) -> Inspection: ...
def load(
    *folders: Path | str,
    mlflow: str | Sequence[str] = (),
    tracking_uri: str | None = None,
    where: str | Sequence[str] = (),
    by: str | Sequence[str] | None = None,
    margin: float | None = None,
) -> Results: ...
