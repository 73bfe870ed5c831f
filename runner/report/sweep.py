"""A sweep as the questions see it: what several of them need, each worked out once."""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import pandas as pd

from runner.records import ConfigurationRecord
from runner.report.names import Name, counted, coverage, lost
from runner.report.results import Results
from runner.report.scores import Scores, keys, scores
from runner.report.statistics.proportions import wilson_interval
from runner.report.tables import ordered
from runner.report.verdict import Cell, Standing, judge

if TYPE_CHECKING:
    from runner.report.render.theme import Figure, Series


_SUCCESS = [
    *("num_asked", "num_ended", "num_diverged", "num_unlearned", "num_failed", "num_succeeded"),
    *("success_rate", "ci_low", "ci_high", "counted_mean", "start"),
]


@dataclass(frozen=True)
class Sweep:
    """Results, and what is worked out of them.

    Attributes:
      results: The records and their tables.
      draws: Whether the questions make figures.
    """

    results: Results
    draws: bool = True

    @property
    def names(self) -> dict[int, Name]:
        """What each configuration is called, by its number."""
        return self.results.names

    @property
    def confidence(self) -> float:
        """Level of the intervals."""
        return self.results.sweep.confidence

    @cached_property
    def trained(self) -> list[ConfigurationRecord]:
        """The configurations that could be trained."""
        return [record for record in self.results.configurations if record.error is None]

    @cached_property
    def scores(self) -> Scores:
        """The endpoint of every replicate."""
        return scores(self.results, self.trained)

    @cached_property
    def cells(self) -> list[Cell]:
        """The comparisons."""
        return judge(self.results, start_texts(self.results.replicates), self.scores)

    @cached_property
    def standings(self) -> list[Standing]:
        """The configurations as their cells rank them, one cell after the other."""
        return [standing for cell in self.cells for standing in cell.standings]

    @cached_property
    def success(self) -> pd.DataFrame:
        """`success.csv`: one row a configuration that could be trained.

        Columns `configuration, init, <factors>, num_asked, num_ended` (finished or diverged),
        `num_diverged`, `num_unlearned` (finished where a constant guess would be), `num_failed`
        (raised: an error, no outcome), `num_succeeded` (finished and learned), `success_rate` (of
        those that ended), `ci_low`, `ci_high` (Wilson), `counted_mean` (of the endpoint, failures
        counted), `start` (what was seen before training, where that was looked at).
        """
        counts = pd.DataFrame(
            {
                "configuration": s.record.index,
                "num_asked": s.record.num_replicates,
                "num_ended": s.num_ended,
                "num_diverged": s.num_diverged,
                "num_unlearned": s.num_unlearned,
                "num_failed": s.statuses.get("failed", 0),
                "num_succeeded": s.num_succeeded,
                "success_rate": s.success_rate,
                "counted_mean": s.counted,
                "start": s.start,
            }
            for s in self.standings
        )
        if len(counts):
            counts["ci_low"], counts["ci_high"] = wilson_interval(
                counts["num_succeeded"], counts["num_ended"], self.confidence
            )
        return self.keyed([counts], _SUCCESS)

    @cached_property
    def series(self) -> list["Series"]:
        """How each series is drawn, the best on the average of the cells first.

        Colours go by the order of the configurations: they stay where ranks change.
        """
        from runner.report.render.theme import series_of

        places = [(s.name.series, place) for c in self.cells for place, s in enumerate(c.standings)]
        means = pd.DataFrame(places, columns=["series", "place"]).groupby("series")["place"].mean()
        drawn = series_of(list(dict.fromkeys(self.names[r.index].series for r in self.trained)))
        return sorted(drawn, key=lambda series: means[series.name])

    @cached_property
    def coverage(self) -> str:
        """Over which replicates the means are.

        Such as `"means over 12 replicates each"` or `"means over 47 of 50 replicates; 3 diverged"`.
        """
        asked = [record.num_replicates for record in self.trained]
        statuses = Counter(self.results.replicates["status"])
        if len(set(asked)) == 1 and not lost(sum(asked), statuses):
            each = " each" if len(asked) > 1 else ""
            return f"means over {counted(asked[0], 'replicate')}{each}"
        return f"means over {coverage(sum(asked), statuses, noun='replicate')}"

    def drawn(self, figures: Callable[..., list["Figure"]], *arguments: Any) -> list["Figure"]:
        """Returns the figures that a function makes of some arguments, if any are wanted."""
        return figures(*arguments) if self.draws else []

    def keyed(self, blocks: Iterable[pd.DataFrame], columns: Sequence[str]) -> pd.DataFrame:
        """Returns rows by configuration, each behind its columns `configuration, init, <factors>`.

        Args:
          blocks: The rows, with a column `configuration`; perhaps none.
          columns: What follows the keys.
        """
        of = keys(self.results, self.trained)
        filled = [block for block in blocks if len(block)]
        wanted = [*of.columns, *columns]
        if not filled:
            return pd.DataFrame(columns=wanted)
        return of.merge(pd.concat(filled), on="configuration")[wanted]

    def ordered(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Returns the rows of a table in the order of `standings`, by the column `configuration`.

        Configurations that were refused have no row in it.
        """
        return ordered(frame, [standing.record.index for standing in self.standings])


def start_texts(replicates: pd.DataFrame) -> dict[int, str]:
    """Returns what was seen before training, by configuration, such as `"exploding"`.

    Where replicates differ the most frequent is told with its count: `"dead in 3 of 5"`.
    """
    if "verdict" not in replicates:
        return {}
    groups = replicates.dropna(subset=["verdict"]).groupby("configuration")["verdict"]
    told = {}
    for index, verdicts in groups:
        (verdict, count), *others = Counter(verdicts).most_common()
        most = f"{verdict} in {count} of {len(verdicts)}"
        told[int(str(index))] = most if others else str(verdict)
    return told
