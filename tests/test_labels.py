"""Labels: what is written is read, to the same settings; what is no label is told in a sentence."""

import doctest
import math
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner import labels
from runner.labels import by_target, label, read, split

# As tables print it -> name and settings.
WRITTEN = {
    "normal": ("normal", {}),
    "normal(scale=0.1)": ("normal", {"scale": 0.1}),
    "keras1/he_normal(gain=1e-05, bias=keep)": (
        "keras1/he_normal",
        {"gain": 1e-05, "bias": "keep"},
    ),
    "normal(scale=0.1234567)": ("normal", {"scale": 0.1234567}),
    "normal(scale=2)": ("normal", {"scale": 2.0}),
    "normal(scale=1234567.0)": ("normal", {"scale": 1234567.0}),
    "mlp(residual=true, dropout=null)": ("mlp", {"residual": True, "dropout": None}),
    "normal(kernels=[*/w, dense_1/kernel])": ("normal", {"kernels": ["*/w", "dense_1/kernel"]}),
    "normal(kernels=['dense_[12]/w', []])": ("normal", {"kernels": ["dense_[12]/w", []]}),
    "a.B(x={a: 1, '2': [null, -inf]})": ("a.B", {"x": {"a": 1, "2": [None, -math.inf]}}),
    "a.B(x='1', y='true', z='', 'a b'=' ')": (
        "a.B",
        {"x": "1", "y": "true", "z": "", "a b": " "},
    ),
    "a.B(x='it\\'s', y='a,b', z='C:\\dir', w='\\\\')": (
        "a.B",
        {"x": "it's", "y": "a,b", "z": "C:\\dir", "w": "\\"},
    ),
    "a.B(x=2-3f9a, y=größe)": ("a.B", {"x": "2-3f9a", "y": "größe"}),
}

# What people may type besides.
TYPED = {
    " normal ( scale = .5 ) ": ("normal", {"scale": 0.5}),
    "normal()": ("normal", {}),
    'a.B(x="it\'s", y=two words)': ("a.B", {"x": "it's", "y": "two words"}),
    "a.B(x=True, y=NULL, z=1_000, w=007)": (
        "a.B",
        {"x": True, "y": None, "z": 1000, "w": "007"},
    ),
    "table(path=C:/my.csv)": ("table", {"path": "C:/my.csv"}),
    "my_module:B(x=1)": ("my_module:B", {"x": 1}),
}

REFUSED = {
    "normal(0.01)": "`0.01` has no name",
    "normal([1, 2])": r"`\[1, 2\]` has no name",
    "normal(scale=1, scale=2)": "`scale` is given twice",
    "normal(scale=0.01": "parenthesis or a bracket is not closed",
    "normal(kernels=[a, b": "parenthesis or a bracket is not closed",
    "normal(kernels=[a, b)": r"`\)` cannot stand there",
    "normal(scale='1)": "quotation mark is not closed",
    "normal(scale=)": r"`\)` cannot stand there",
    "normal(scale=1 2=3)": "`=3.` cannot stand there",
    "normal(scale=1)(2)": r"`\(2\)` does",
    "normal)": r"`\)` does",
    "normal(x={a})": "No colon follows `a`",
    "normal(,)": "cannot stand there",
}

KEYS = st.text(st.characters(codec="utf-8"), max_size=5)
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text(st.characters(codec="utf-8"), max_size=8)
    | st.text("'\"\\ ,=()[]{}:1e.-", max_size=6)
    | st.sampled_from(["null", "True", "1e5", "inf", "-NaN", "1_0", "0x1", ".5", "a b", "${x}"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=6,
)


@pytest.mark.parametrize("text", WRITTEN)
def test_labels_are_written_and_read(text):
    name, settings = WRITTEN[text]
    assert label(name, settings) == text
    assert read(text) == (name, settings)


@pytest.mark.parametrize("text", TYPED)
def test_what_people_type_is_read(text):
    assert read(text) == TYPED[text]


@pytest.mark.parametrize("text", REFUSED)
def test_what_is_no_label_is_told(text):
    with pytest.raises(ValueError, match=REFUSED[text]) as error:
        read(text)
    assert re.search(r"[.}]$", str(error.value))


@given(st.dictionaries(KEYS, VALUES, max_size=3))
def test_what_is_written_is_read(settings):
    assert read(label("normal", settings)) == ("normal", settings)


@given(st.dictionaries(KEYS, VALUES, max_size=3))
def test_arguments_keep_their_types(arguments):
    name, told = by_target({"target": "a.B", "arguments": arguments}, ["bias"])
    found, read_back = read(label(name, told))
    assert found == "a.B"
    assert {key.removeprefix("arguments.") for key in read_back} == {
        key.removeprefix("arguments.") for key in arguments
    }
    for key, value in arguments.items():
        other = read_back[key if key in read_back else f"arguments.{key}"]
        assert repr(other) == repr(value)  # 1.0 is not 1, and -0.0 not 0.0


@given(st.lists(st.dictionaries(KEYS, VALUES, max_size=2), min_size=1, max_size=3), st.booleans())
def test_labels_are_split_with_and_without_quotes(listed, is_quoted):
    texts = [label("a/b.C", settings) for settings in listed]
    quote = "'" if is_quoted else ""
    given_texts = ",".join(f"{quote}{text}{quote}" for text in texts)
    assert split(given_texts) == [(text, is_quoted) for text in texts]


@pytest.mark.parametrize("text", ["", "a,", "'a", "'a(b=1)", "a(b=1)c", "'a'b", "a b=c"])
def test_what_are_no_labels_is_not_split(text):
    with pytest.raises(ValueError, match=r"\.$"):
        split(text)


def test_a_value_may_be_told_by_a_tag():
    class Rules(tuple):
        def __str__(self):
            return f"{len(self)}-3f9a"

    text = label("he_normal", {"gain": 2.0, "rules": Rules(["a", "b"])})
    assert text == "he_normal(gain=2, rules=2-3f9a)"


def test_the_examples_in_the_docstrings():
    result = doctest.testmod(labels)
    assert result.attempted
    assert not result.failed
