import io
from collections.abc import Callable

import pytest
from rich.console import Console

from runner.report.comparison import compare
from runner.report.render.console import view
from runner.report.results import Results

Scored = Callable[..., Results]
GOOD = [0.90, 0.92, 0.94, 0.96, 0.98]


def shown(results: Results, width: int = 80) -> str:
    console = Console(file=io.StringIO(), width=width, color_system=None)
    console.print(view(compare(results)))
    output = console.file
    assert isinstance(output, io.StringIO)
    return output.getvalue()


def test_names_scores_and_outcomes_fit_eighty_columns(scored: Scored) -> None:
    scores = {
        "keras1/glorot_normal": GOOD,
        "he_uniform": [score - 0.001 * (-1) ** place for place, score in enumerate(GOOD)],
        "zero": [0.1] * 5,
        "lossy": [0.8, 0.8, "diverged", "diverged", "failed"],
    }
    lines = shown(scored(scores, loss={"zero": [2.3] * 5})).splitlines()
    assert max(map(len, lines)) <= 80
    first = next(line for line in lines if line.startswith("1 "))
    assert first.split() == [
        "1",
        "keras1/glorot_normal",
        "0.940",
        "[0.901,",
        "0.979]",
        "best",
        "mean",
        "5",
    ]
    assert any("not known yet" in line for line in lines)
    assert any("never learned" in line and line.startswith("3") for line in lines)


def test_markup_in_labels_is_text(scored: Scored) -> None:
    assert "[bold]x[/bold]" in shown(scored({"[bold]x[/bold]": GOOD}))


@pytest.mark.parametrize("num_cells", [2, 7])
def test_of_many_cells_the_first_are_told(scored: Scored, num_cells: int) -> None:
    factors = [{"model.depth": depth} for depth in range(num_cells) for _ in range(2)]
    names = [f"{init}#{depth}" for depth in range(num_cells) for init in "ab"]
    text = shown(scored(dict.fromkeys(names, GOOD), factors=factors))
    assert ("2 more settings in the report" in text) == (num_cells == 7)
    assert text.count("depth=") == min(num_cells, 5)
    assert text.count(" ?") == 2 * min(num_cells, 5) + 1
