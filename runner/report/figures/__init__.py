"""Figures as Vega-Lite specifications: one each for the page, for SVG and for PNG."""

from collections import Counter
from collections.abc import Sequence

from runner.report.figures.curves import curve_figures
from runner.report.figures.maps import factor_figures, movement_figures
from runner.report.figures.propagation import propagation_figures
from runner.report.figures.scores import score_figures
from runner.report.figures.statuses import status_figures
from runner.report.figures.theme import Figure, Series, series_of
from runner.report.names import configuration_names, counted, coverage, lost
from runner.report.results import Results
from runner.report.verdict import Cell


def all_figures(results: Results, cells: Sequence[Cell]) -> list[Figure]:
    """Returns every figure that the sweep has data for, in the order of the report."""
    names = configuration_names(results.configurations)
    series = legend(results)
    note = coverage_note(results)
    return [
        *curve_figures(results, names, series, note),
        *score_figures(results, cells, series, note),
        *factor_figures(cells, note),
        *status_figures(cells),
        *movement_figures(results, names),
        *propagation_figures(results, names, series),
    ]


def legend(results: Results) -> list[Series]:
    """Returns how each series of the sweep is drawn, in the order of the configurations."""
    names = configuration_names(results.configurations)
    trained = [record.index for record in results.configurations if record.error is None]
    return series_of(list(dict.fromkeys(names[index].series for index in trained)))


def coverage_note(results: Results) -> str:
    """Returns over which replicates the means of the sweep are.

    Such as `"means over 12 replicates each"` or `"means over 47 of 50 replicates; 3 diverged"`.
    """
    asked = [r.num_replicates for r in results.configurations if r.error is None]
    counts = Counter(results.replicates["status"])
    if len(set(asked)) == 1 and not lost(sum(asked), counts):
        each = " each" if len(asked) > 1 else ""
        return f"means over {counted(asked[0], 'replicate')}{each}"
    return f"means over {coverage(sum(asked), counts, noun='replicate')}"
