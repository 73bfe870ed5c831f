"""The tables of differences; the judgement is in `runner.report.verdict`."""
