"""Trains cohorts: a cohort goes in, a stream of records comes out."""
