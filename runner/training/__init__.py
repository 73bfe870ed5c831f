"""Trains cohorts: a cohort goes in, a stream of events comes out."""
