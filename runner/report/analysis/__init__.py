"""From the records of a sweep to every table of numbers that the report draws on.

`analyse` makes them all; each is empty, with its columns, where a sweep has nothing to tell of it.
The arithmetic is in `runner.report.statistics`, the judgement in `runner.report.verdict`.
"""

from runner.report.analysis.analysis import Analysis, analyse

__all__ = ["Analysis", "analyse"]
