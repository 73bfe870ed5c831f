"""Streams: reproducible, addressed by name and position, independent."""

import itertools

import numpy as np
import pytest
from scipy import stats

from runner import seeds

PUBLISHED = [4088532484, 1008912121]
STREAMS = ("weights", "batches", "dropout", "split", "data", "subset")


def test_a_place_in_a_stream_always_gives_the_same_numbers():
    first = seeds.generator(3, "batches", 7).permutation(100)
    seeds.generator(3, "batches", 8).permutation(100)
    assert np.array_equal(first, seeds.generator(3, "batches", 7).permutation(100))


def test_published_numbers_do_not_change():
    # Changing these changes every result that anyone has published with the tool.
    assert [seeds.integer(0, "weights", position) for position in (0, 2)] == PUBLISHED


def test_integers_of_neighbouring_places_differ():
    places = itertools.product(range(50), STREAMS, range(20))
    values = [seeds.integer(seed, stream, position) for seed, stream, position in places]
    # 6,000 draws from 2**32 values: a pair collides with probability 0.4 %; these do not.
    assert len(set(values)) == len(values)


@pytest.mark.parametrize("stream", STREAMS)
def test_neighbouring_seeds_are_uncorrelated(stream):
    draws = np.array([seeds.generator(seed, stream).normal(size=1000) for seed in range(30)])
    correlations = np.corrcoef(draws)[np.triu_indices(30, 1)]
    # Under independence each is normal with standard deviation 1/sqrt(1000); test their variance.
    statistic = np.sum(correlations**2) * 1000
    low, high = stats.chi2.ppf([0.0005, 0.9995], len(correlations))
    assert low < statistic < high


def test_streams_of_one_seed_differ():
    draws = [seeds.generator(0, stream).random(4).tolist() for stream in STREAMS]
    assert len({tuple(draw) for draw in draws}) == len(STREAMS)
