"""Figures as Vega-Lite specifications: one each for the page, for SVG and for PNG."""

from collections import Counter
from collections.abc import Iterator

import altair as alt

from runner.report.analysis import Analysis
from runner.report.figures.curves import curve_figures
from runner.report.figures.intervals import difference_figures, predictor_figures
from runner.report.figures.lines import profile_figures, target_figures
from runner.report.figures.maps import movement_figures, trainability_figures
from runner.report.figures.propagation import propagation_figures
from runner.report.figures.ranks import choice_figures, rank_figures
from runner.report.figures.scores import score_figures
from runner.report.figures.statuses import status_figures
from runner.report.figures.theme import Figure, Series, series_of
from runner.report.figures.variance import variance_figures
from runner.report.names import counted, coverage, lost
from runner.report.results import Results
from runner.report.tables import ordered


def all_figures(results: Results, analysis: Analysis) -> Iterator[Figure]:
    """Yields every figure that the sweep has data for, in the order of the report."""
    names = results.names
    series = legend(results)
    note = coverage_note(results)
    order = [s.record.index for cell in analysis.cells for s in cell.standings]
    # Altair checks every part against its schema, which takes as long as all else; what it would
    # find, the tests find by drawing.
    with alt.utils.schemapi.debug_mode(False):
        yield from curve_figures(results, names, series, note)
        yield from score_figures(results, analysis.cells, series, note)
        yield from difference_figures(ordered(analysis.differences, order), names)
        yield from target_figures(analysis.survival, analysis.times, names, series)
        yield from choice_figures(analysis.rankings, analysis.success)
        yield from trainability_figures(analysis.trainability)
        yield from rank_figures(analysis.ranks)
        yield from profile_figures(analysis.profiles, series)
        yield from variance_figures(analysis.variance, names)
        yield from predictor_figures(analysis.predictors)
        yield from status_figures(analysis.cells)
        yield from movement_figures(results, names)
        yield from propagation_figures(results, names, series)


def legend(results: Results) -> list[Series]:
    """Returns how each series of the sweep is drawn, in the order of the configurations."""
    names = results.names
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
