"""Which examples go where."""

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from runner.config import ConfigError
from runner.datasets import split
from runner.datasets.settings import Common

BALANCED = np.repeat([0, 1, 2], 20)
SKEWED = np.repeat([0, 1, 2], [3, 17, 40])
ONE_STRATUM = np.zeros(60, int)
NAMES = ("a", "b", "c")


def drawn(labels, test=0.2, **settings):
    names = NAMES[: labels.max() + 1]
    return split.draw(labels, names, (given := Common(**settings)), given.validation, test)


def counts(labels, rows):
    return np.bincount(labels[rows], minlength=labels.max() + 1).tolist()


@pytest.mark.parametrize("labels", [BALANCED, SKEWED, ONE_STRATUM])
def test_parts_are_a_partition(labels):
    rows = drawn(labels, validation=0.25)
    everything = np.concatenate([rows.train, rows.validation, rows.test])
    assert sorted(everything) == list(range(60))
    assert (len(rows.train), len(rows.validation), len(rows.test)) == (33, 15, 12)


def test_parts_hold_each_class_in_proportion():
    rows = drawn(SKEWED)
    # 12 of 60: 0.6, 3.4 and 8 of the classes; the rarest keeps one in each part.
    assert counts(SKEWED, rows.test) == [1, 3, 8]
    assert counts(SKEWED, rows.validation) == [1, 3, 8]
    assert counts(SKEWED, rows.train) == [1, 11, 24]


def test_a_subset_holds_each_class_in_proportion():
    labels = np.repeat([0, 1, 2], [4, 36, 60])
    rows = drawn(labels, subset=50)
    kept = np.concatenate([rows.train, rows.validation, rows.test])
    # 2, 18 and 30 by proportion, but of the first class one for each of the three parts.
    assert counts(labels, kept) == [3, 17, 30]


def test_without_a_test_part():
    rows = drawn(BALANCED, test=0)
    assert rows.test is None
    assert (len(rows.train), len(rows.validation)) == (48, 12)


def test_the_split_depends_on_its_seed_only():
    first, again, other = drawn(BALANCED), drawn(BALANCED), drawn(BALANCED, split_seed=1)
    np.testing.assert_array_equal(first.train, again.train)
    assert set(first.train) != set(other.train)


def test_the_draw_is_uniform_within_a_class():
    labels = np.repeat([0, 1], 10)
    num_draws = 400
    hits = np.zeros(20)
    for seed in range(num_draws):
        hits[drawn(labels, test=0, validation=0.2, split_seed=seed).validation] += 1
    # Each example has a chance of 0.2: binomial, standard deviation 8; five of them.
    np.testing.assert_allclose(hits, 80, atol=40)


@given(
    st.lists(st.integers(3, 200), min_size=1, max_size=12),
    st.floats(0, 1, exclude_max=True),
)
def test_shares_are_rounded_proportions(sizes, fraction):
    sizes = np.array(sizes)
    least, most = np.ones_like(sizes), sizes - 2
    total = int(np.clip(fraction * sizes.sum(), least.sum(), most.sum()))
    taken = split.shares(sizes, total, least, most)
    assert taken.sum() == total
    assert (taken >= least).all()
    assert (taken <= most).all()
    quota = sizes * total / sizes.sum()
    if (quota >= least).all() and (quota <= most).all():
        assert (np.abs(taken - quota) < 1 + 1e-9).all()


@given(
    st.integers(2, 6),
    st.floats(0.05, 0.95),
    st.integers(9, 400),
    st.floats(0.02, 0.6),
    st.sampled_from([0, 0.1, 0.2, 0.35]),
    st.booleans(),
)
def test_frequent_sets_of_labels_are_in_every_part(num, share, rows, validation, test, halved):
    assume(validation + test < 0.9 and rows * min(validation, test or 1) >= 4)
    y = (np.random.default_rng(rows).random((rows, num)) < share).astype(np.int32)
    settings = Common(validation=validation, subset=rows // 2 if halved else None)
    strata = split.label_sets(y, settings, settings.validation, test)
    names = ("",) * (strata.max() + 1)
    assert np.unique(strata).tolist() == list(range(len(names)))
    drawn = split.draw(strata, names, settings, settings.validation, test)
    parts = [part for part in (drawn.train, drawn.validation, drawn.test) if part is not None]
    smallest = min(f for f in (1 - validation - test, validation, test) if f)
    smallest *= (settings.subset or rows) / rows
    num_frequent_with_others = 0
    for labels in np.unique(y, axis=0):
        has = (y == labels).all(axis=1)
        if (strata == strata[has][0]).sum() == has.sum():
            assert all(has[part].any() for part in parts)
        elif has.sum() * smallest > 1.001 and has.sum() >= 3:
            num_frequent_with_others += 1
    assert num_frequent_with_others <= 1  # the least of them, where the others alone were too few


def test_sets_of_labels_that_are_rare_are_one_stratum():
    y = np.repeat([[1, 0], [0, 1], [1, 1], [0, 0]], [40, 50, 4, 6], axis=0)
    # A fifth of the examples in the smallest part: five make an example there.
    assert split.label_sets(y, Common(), 0.2, 0.2).tolist() == [1] * 40 + [0] * 50 + [2] * 10
    assert (
        split.label_sets(y, Common(subset=50), 0.2, 0.2).tolist() == [1] * 40 + [0] * 50 + [2] * 10
    )
    assert (
        split.label_sets(y, Common(subset=40), 0.2, 0.2).tolist() == [1] * 40 + [0] * 50 + [1] * 10
    )


@pytest.mark.parametrize(
    ("labels", "test", "settings", "message"),
    [
        (BALANCED, 0.5, {"validation": 0.5}, "must leave something to train on.*0.5 and 0.5"),
        (BALANCED, 0.2, {"validation": 0.02}, r"`dataset.validation`.*that is 1 of 60 examples"),
        (BALANCED, 0.01, {}, r"`dataset.test`.*each of the 3 classes.*that is 1 of 60"),
        (BALANCED, 0.1, {"validation": 0.89}, "must be small enough.*leave 1 of 60 examples"),
        (ONE_STRATUM, 0.2, {"validation": 0.001}, "validation part holds an example. .*0 of 60"),
        (
            np.repeat([0, 1], [2, 58]),
            0.2,
            {},
            "`dataset.test` must find at least 3.*2 of class 'a'",
        ),
        (np.repeat([0, 1], [1, 58]), 0, {}, "`dataset.validation` must find at least 2.*1 of cl"),
        (BALANCED, 0.2, {"subset": 61}, r"`dataset.subset` must be from 9 .*to 60.*Received: 61"),
        (BALANCED, 0.2, {"subset": 8}, r"`dataset.subset` must be from 9 .*Received: 8"),
    ],
)
def test_splits_that_cannot_be(labels, test, settings, message):
    with pytest.raises(ConfigError, match=message) as caught:
        drawn(labels, test=test, **settings)
    assert "\n" not in str(caught.value)
