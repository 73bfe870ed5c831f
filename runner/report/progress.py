"""Which configurations need more seeds before their comparisons are decided."""

from collections.abc import Sequence

from runner.design import rounds
from runner.records import ConfigurationRecord, ReplicateRecord, SweepRecord
from runner.report.results import collect
from runner.report.statistics.verdicts import LEAST_CHANCE, UNKNOWN
from runner.report.verdict import judge, repeating


def next_seeds(
    sweep: SweepRecord,
    configurations: Sequence[ConfigurationRecord],
    records: Sequence[ReplicateRecord],
) -> dict[int, int]:
    """Returns each configuration with an undecided comparison -> how many seeds it needs in all.

    Both partners of a comparison get the same seeds. A configuration that is alone in its cell,
    whose last look was reached or is unlikely to decide, or whose further seeds would start with
    the same kernels, needs none.
    """
    wanted: dict[int, int] = {}
    by_index = {record.index: record for record in configurations}
    for cell in judge(collect(sweep, configurations, records)):
        looks = rounds(cell.design.looks)
        is_open = cell.pairs["is_tested"] & (cell.pairs["verdict"] == UNKNOWN)
        is_likely = cell.pairs["chance"] >= LEAST_CHANCE
        for pair in cell.pairs[is_open & is_likely].to_dict("records"):
            if repeating(*(by_index[pair[f"configuration_{side}"]] for side in "ab")):
                continue
            following = next((count for count in looks if count > pair["num_asked"]), 0)
            for side in "ab":
                index = int(pair[f"configuration_{side}"])
                wanted[index] = max(wanted.get(index, 0), following)
    return {index: count for index, count in wanted.items() if count}
