"""How the verdict came about: a line to read the tables by, and a paragraph for a paper."""

from collections.abc import Sequence
from dataclasses import dataclass

from runner.report import names
from runner.report.results import Results
from runner.report.verdict import Cell


@dataclass(frozen=True)
class Source:
    """A work that a methods paragraph cites.

    Attributes:
      key: Of its BibTeX entry.
      short: Authors and year.
      bibtex: The entry.
    """

    key: str
    short: str
    bibtex: str


STUDENT = Source(
    "student1908",
    "Student, 1908",
    "@article{student1908, author={Student}, title={The Probable Error of a Mean}, "
    "journal={Biometrika}, volume={6}, number={1}, pages={1--25}, year={1908}}",
)
POCOCK = Source(
    "pocock1977",
    "Pocock, 1977",
    "@article{pocock1977, author={Pocock, Stuart J.}, title={Group Sequential Methods in the "
    "Design and Analysis of Clinical Trials}, journal={Biometrika}, volume={64}, number={2}, "
    "pages={191--199}, year={1977}}",
)
HOLM = Source(
    "holm1979",
    "Holm, 1979",
    "@article{holm1979, author={Holm, Sture}, title={A Simple Sequentially Rejective Multiple Test "
    "Procedure}, journal={Scandinavian Journal of Statistics}, volume={6}, number={2}, "
    "pages={65--70}, year={1979}}",
)
LAI = Source(
    "lai1976",
    "Lai, 1976",
    "@article{lai1976, author={Lai, Tze Leung}, title={On Confidence Sequences}, journal={The "
    "Annals of Statistics}, volume={4}, number={2}, pages={265--280}, year={1976}}",
)
SCHUIRMANN = Source(
    "schuirmann1987",
    "Schuirmann, 1987",
    "@article{schuirmann1987, author={Schuirmann, Donald J.}, title={A Comparison of the Two "
    "One-Sided Tests Procedure and the Power Approach for Assessing the Equivalence of Average "
    "Bioavailability}, journal={Journal of Pharmacokinetics and Biopharmaceutics}, volume={15}, "
    "number={6}, pages={657--680}, year={1987}}",
)
FISHER = Source(
    "fisher1922",
    "Fisher, 1922",
    "@article{fisher1922, author={Fisher, R. A.}, title={On the Interpretation of {$\\chi^2$} from "
    "Contingency Tables, and the Calculation of {P}}, journal={Journal of the Royal Statistical "
    "Society}, volume={85}, number={1}, pages={87--94}, year={1922}}",
)


@dataclass(frozen=True)
class Methods:
    """A methods paragraph.

    Attributes:
      text: With the works cited as `[key]`.
      sources: The works, in the order in which they are cited.
    """

    text: str
    sources: tuple[Source, ...]

    def plain(self) -> str:
        """Returns the paragraph with authors and years."""
        text = self.text
        for source in self.sources:
            text = text.replace(f"[{source.key}]", f"({source.short})")
        return text

    def bibtex(self) -> str:
        """Returns the entries of all works."""
        return "\n".join(source.bibtex for source in self.sources)


def reading(cells: Sequence[Cell], confidence: float) -> str:
    """Returns how to read the intervals and the verdict, or nothing where there is neither.

    Args:
      cells: The comparison.
      confidence: Level of its intervals.
    """
    standings = [standing for cell in cells for standing in cell.standings]
    if all(standing.score.count < 2 for standing in standings):
        return ""
    text = (
        f"{_fixed_laws(cells)}Brackets: {100 * confidence:g} % Student t intervals over seeds, "
        f"uncorrected."
    )
    compared = [cell for cell in cells if len(cell.standings) > 1]
    if not num_comparisons(compared):
        return text
    told = [text, _rule(compared, confidence)]
    if any(s.difference and s.difference.margin > 0 for s in standings):
        told.append(
            f"Equivalent: the difference is less than the margin, with an error of at most "
            f"{100 * (1 - confidence):.2g} % for each comparison."
        )
    return " ".join(told)


def _rule(cells: Sequence[Cell], confidence: float) -> str:
    size = num_comparisons(cells)
    level = f"{100 * (1 - confidence):.2g} %"
    false = "a false difference" if size == 1 else f"any false difference in {size} comparisons"
    return (
        f"Differences are paired by seed. The probability of {false} is at most "
        f"{level}{_over_looks(cells)}."
    )


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
        *_trained(results, compared),
        *_tested(compared, level),
        *_equivalence(compared, level),
        *_failures(compared),
        *_versions(results),
    ]
    sources = tuple(dict.fromkeys(source for _, own in parts for source in own))
    return Methods(" ".join(text for text, _ in parts), sources)


Part = tuple[str, tuple[Source, ...]]


def _trained(results: Results, cells: Sequence[Cell]) -> list[Part]:
    records = [standing.record for cell in cells for standing in cell.standings]
    inits = list(dict.fromkeys(names.one_line(record.init) for record in records))
    datasets = list(dict.fromkeys(str(record.dataset.get("name", "data")) for record in records))
    models = list(dict.fromkeys(record.model for record in records if record.model))
    seeds = sorted({record.num_replicates for record in records})
    number = f"{seeds[0]}" if len(seeds) == 1 else f"{seeds[0]} to {seeds[-1]}"
    what = f" of {names.listed(models[:3])}" if models else ""
    metric = names.listed(list(dict.fromkeys(names.endpoint_name(record) for record in records)))
    return [
        (
            f"We compared {len(inits)} weight initializers{what} on {names.listed(datasets)} by "
            f"{metric}. Each configuration was trained with {number} seeds. With one seed, all "
            f"initializers saw the same data split, data order and dropout masks, so differences "
            f"are paired by seed.",
            (),
        )
    ]


def _tested(cells: Sequence[Cell], level: float) -> list[Part]:
    size = num_comparisons(cells)
    references = list(
        dict.fromkeys(c.reference.record.init for c in cells if c.is_baseline and c.reference)
    )
    against = f"each initializer with {names.listed(references)}" if references else "all pairs"
    correction = (
        f", corrected for {names.counted(size, 'comparison')} by Holm's procedure [holm1979]"
    )
    holm = (HOLM,) if size > 1 else ()
    design = cells[0].design
    shown = f"{100 * level:.2g} %"
    if design.looks is None:
        text = (
            f"We compared {against} by the e-value of a Gaussian mixture of paired t statistics "
            f"[lai1976], valid at any number of seeds{correction if size > 1 else ''}; the "
            f"family-wise error is at most {shown}."
        )
        return [(text, (LAI, *holm))]
    test = f"We compared {against} by paired t tests [student1908]"
    if len(design.looks) > 1 and not design.grid:
        looks = names.listed([str(look) for look in design.looks])
        text = (
            f"{test} at looks fixed beforehand, at {looks} seeds, with Pocock's constant nominal "
            f"level for t statistics [pocock1977]{correction if size > 1 else ''}; the family-wise "
            f"error over all looks is at most {shown}."
        )
        return [(text, (STUDENT, POCOCK, *holm))]
    when = ", at one look fixed beforehand" if design.is_stamped else ", at one look"
    text = (
        f"{test}{when}{correction if size > 1 else ''}; the family-wise error is at most {shown}."
    )
    return [(text, (STUDENT, *holm))]


def _equivalence(cells: Sequence[Cell], level: float) -> list[Part]:
    margins = sorted({cell.design.margin for cell in cells if cell.design.margin})
    if not margins:
        return []
    told = names.listed([names.scalar_text(float(margin)) for margin in margins])
    if any(cell.design.has_late_margin for cell in cells):
        told += " (a margin named after the data were seen)"
    return [
        (
            f"We call two initializers equivalent if two one-sided tests [schuirmann1987], at the "
            f"same looks, show a difference of less than {told}; the error is at most "
            f"{100 * level:.2g} % for each comparison.",
            (SCHUIRMANN,),
        )
    ]


def _failures(cells: Sequence[Cell]) -> list[Part]:
    standings = [standing for cell in cells for standing in cell.standings]
    if all(s.num_succeeded == s.num_ended for s in standings):
        return []
    return [
        (
            "Replicates that diverged or never learned count as failures; we compared how often "
            "initializers failed by Fisher's exact test [fisher1922]. Where replicates of a pair "
            "failed, it has a fifth of the level.",
            (FISHER,),
        )
    ]


def _versions(results: Results) -> list[Part]:
    versions = [f"{library} {text}" for library, text in results.sweep.versions.items()]
    return [(f"Software: {names.listed(versions)}.", ())] if versions else []
