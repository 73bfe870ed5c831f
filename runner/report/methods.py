"""How the verdict came about: a line to read the tables by, and a paragraph for a paper."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from runner.report import names
from runner.report.results import Results
from runner.report.statistics.looks import SHAPE
from runner.report.verdict import Cell

_ENTRIES = Path(__file__).with_name("methods.bib")  # one a line
CITED = re.compile(r" \[([a-z]+)(\d{4})\]")


@dataclass(frozen=True)
class Methods:
    """A methods paragraph.

    Attributes:
      text: It cites works as `[key]`, by the keys of their BibTeX entries: author and year.
    """

    text: str

    def plain(self) -> str:
        """Returns the paragraph with authors and years."""
        return CITED.sub(lambda cited: f" ({cited[1].capitalize()}, {cited[2]})", self.text)

    def bibtex(self) -> str:
        """Returns the entries of all works, in the order in which they are cited."""
        lines = _ENTRIES.read_text("utf-8").splitlines()
        entries = {line.partition("{")[2].partition(",")[0]: line for line in lines}
        keys = dict.fromkeys("".join(found) for found in CITED.findall(self.text))
        return "\n".join(entries[key] for key in keys)


def reading(cells: Sequence[Cell], confidence: float) -> str:
    """Returns how to read the intervals and the verdict, or nothing where there is neither."""
    standings = [standing for cell in cells for standing in cell.standings]
    if all(standing.score.count < 2 for standing in standings):
        return ""
    text = (
        f"{_fixed_laws(cells)}Brackets: {100 * confidence:g} % Student t intervals over seeds, "
        f"uncorrected."
    )
    compared = [cell for cell in cells if len(cell.standings) > 1]
    size = num_comparisons(compared)
    if not size:
        return text
    level = f"{100 * (1 - confidence):.2g} %"
    false = "a false difference" if size == 1 else f"any false difference in {size} comparisons"
    text += (
        f" Differences are paired by seed. The probability of {false} is at most "
        f"{level}{_over_looks(compared)}."
    )
    if any(s.difference and s.difference.margin > 0 for s in standings):
        text += (
            f" Equivalent: the difference is less than the margin, with an error of at most "
            f"{level} for each comparison."
        )
    return text


def _over_looks(cells: Sequence[Cell]) -> str:
    designs = {() if cell.design.grid else cell.design.looks for cell in cells}
    if len(designs) > 1:
        return ", over all looks"
    (looks,) = designs
    if looks is None:
        return ", however often one looks"
    if not looks:
        return " (one look, at these seeds)"
    if len(looks) == 1:
        return f" (one look, at {looks[0]} seeds)"
    return f", over all looks ({', '.join(map(str, looks))} seeds)"


def num_comparisons(cells: Sequence[Cell]) -> int:
    """Returns how many comparisons the families of a sweep have, as far as they are there."""
    return sum(int(cell.pairs["is_tested"].sum()) for cell in cells)


def _fixed_laws(cells: Sequence[Cell]) -> str:
    """Returns what differs between the seeds of initializers in which nothing is random."""
    fixed: dict[str, list[str]] = {}
    for record in (standing.record for cell in cells for standing in cell.standings):
        if record.has_fixed_kernels and not record.repeats_weights:
            rest = names.listed([names.VARIATION[name] for name in record.varies or []])
            fixed.setdefault(f"differ in {rest} only" if rest else "do not differ", []).append(
                record.init
            )
    return "".join(
        f"Seeds of {names.listed(list(dict.fromkeys(inits)))} {how}. "
        for how, inits in fixed.items()
    )


def methods(results: Results, cells: Sequence[Cell]) -> Methods | None:
    """Returns a methods paragraph to paste into a paper; None where nothing was compared."""
    compared = [cell for cell in cells if len(cell.standings) > 1 and cell.reference]
    if not compared:
        return None
    level = 1 - results.sweep.confidence
    parts = [
        _trained(results, compared),
        _tested(compared, level),
        _equivalence(compared, level),
        _failures(compared),
        _versions(results),
    ]
    return Methods(" ".join(part for part in parts if part))


def _trained(results: Results, cells: Sequence[Cell]) -> str:
    records = [standing.record for cell in cells for standing in cell.standings]
    inits = list(dict.fromkeys(names.one_line(record.init) for record in records))
    datasets = list(dict.fromkeys(str(record.dataset.get("name", "data")) for record in records))
    models = list(dict.fromkeys(record.model for record in records if record.model))
    seeds = sorted({record.num_replicates for record in records})
    number = f"{seeds[0]}" if len(seeds) == 1 else f"{seeds[0]} to {seeds[-1]}"
    what = f" of {names.listed(models[:3])}" if models else ""
    metric = names.listed(list(dict.fromkeys(names.endpoint_name(record) for record in records)))
    return (
        f"We compared {len(inits)} weight initializers{what} on {names.listed(datasets)} by "
        f"{metric}. Each configuration was trained with {number} seeds. With one seed, all "
        f"initializers saw the same data split, data order and dropout masks, so differences "
        f"are paired by seed."
    )


def _tested(cells: Sequence[Cell], level: float) -> str:
    size = num_comparisons(cells)
    references = dict.fromkeys(
        c.reference.record.init for c in cells if c.is_baseline and c.reference
    )
    against = (
        f"each initializer with {names.listed(list(references))}" if references else "all pairs"
    )
    count = names.counted(size, "comparison")
    holm = f", corrected for {count} by Holm's procedure [holm1979]" if size > 1 else ""
    design = cells[0].design
    over = ""
    how = "paired t tests [student1908]"
    if design.looks is None:
        how = (
            "the e-value of a Gaussian mixture of paired t statistics [lai1976], valid at any "
            "number of seeds"
        )
    elif len(design.looks) > 1 and not design.grid:
        looks = names.listed([str(look) for look in design.looks])
        how += (
            f" at looks fixed beforehand, at {looks} seeds, at levels for t statistics from "
            f"the boundaries of Wang and Tsiatis with shape {SHAPE} [wang1987]"
        )
        over = " over all looks"
    else:
        how += ", at one look fixed beforehand" if design.is_stamped else ", at one look"
    return (
        f"We compared {against} by {how}{holm}; the family-wise error{over} is at most "
        f"{100 * level:.2g} %."
    )


def _equivalence(cells: Sequence[Cell], level: float) -> str:
    margins = sorted({cell.design.margin for cell in cells if cell.design.margin})
    if not margins:
        return ""
    told = names.listed([names.scalar_text(float(margin)) for margin in margins])
    if any(cell.design.has_late_margin for cell in cells):
        told += " (a margin named after the data were seen)"
    return (
        f"We call two initializers equivalent if two one-sided tests [schuirmann1987], at the "
        f"same looks, show a difference of less than {told}; the error is at most "
        f"{100 * level:.2g} % for each comparison."
    )


def _failures(cells: Sequence[Cell]) -> str:
    if all(s.num_succeeded == s.num_ended for cell in cells for s in cell.standings):
        return ""
    return (
        "Replicates that diverged or never learned count as failures; we compared how often "
        "initializers failed by Fisher's exact test [fisher1922]. Where replicates of a pair "
        "failed, it has a fifth of the level."
    )


def _versions(results: Results) -> str:
    versions = [f"{library} {text}" for library, text in results.sweep.versions.items()]
    return f"Software: {names.listed(versions)}." if versions else ""
