"""The user's texts: tokens, their numbers, what is cut off, and one clear line for wrong files."""

import gzip

import numpy as np
import pytest

from runner.config import ConfigError
from runner.datasets import load
from runner.datasets.text import Text
from runner.datasets.vocabulary import NUM_RESERVED, PADDING, UNKNOWN, VocabularyLimit, numbered


def written(root, texts):
    """Writes texts (or bytes) by their path below a folder, and returns it."""
    for name, text in texts.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return root


def of_classes(root, pos, neg):
    """Writes examples of two classes, each text several times."""
    files = {}
    for name, texts in (("pos", pos), ("neg", neg)):
        files |= {f"{name}/{n}.txt": texts[n % len(texts)] for n in range(5 * len(texts))}
    return written(root, files)


def loaded(path, **settings):
    return load("text", Text(path=str(path), **settings))


def parts(dataset):
    return [part for part in (dataset.train, dataset.validation, dataset.test) if part is not None]


def test_one_text_is_learned_token_by_token_in_parts_that_follow_one_another(tmp_path):
    text = "".join(chr(0x4E00 + n) for n in range(1000))  # no character twice
    file = written(tmp_path, {"a.txt": text}) / "a.txt"
    dataset = loaded(file, sequence_length=10, validation=0.1, test=0.2)
    assert (dataset.task, dataset.num_outputs) == ("tokens", dataset.vocabulary)
    assert [len(part) for part in parts(dataset)] == [69, 9, 19]
    assert dataset.train.x.dtype == dataset.train.y.dtype == np.int32
    known = dataset.train.y[:, :-1]
    np.testing.assert_array_equal(known, dataset.train.x[:, 1:])
    np.testing.assert_array_equal(dataset.train.y[:-1, -1], dataset.train.x[1:, 0])
    # Every token is a single one, so none of the later parts is known: nothing leaks.
    assert (dataset.validation.x == UNKNOWN).all()
    assert (dataset.test.y == UNKNOWN).all()
    assert sorted(set(dataset.train.x.flat)) == list(range(NUM_RESERVED, dataset.vocabulary))


def test_a_folder_of_texts_is_one_text_in_the_order_of_the_names(tmp_path):
    whole = written(tmp_path / "one", {"a.txt": "ab" * 40 + "\n" + "cd" * 50}) / "a.txt"
    split = written(tmp_path / "two", {"2.txt": "cd" * 50, "1.md": "ab" * 40, "no.png": b"\0"})
    settings = {"sequence_length": 8}
    assert loaded(whole, **settings).fingerprint == loaded(split, **settings).fingerprint


def test_a_subset_is_of_the_training_part(tmp_path):
    file = written(tmp_path, {"a.txt": "abcdef" * 200}) / "a.txt"
    whole = loaded(file, sequence_length=10)
    dataset = loaded(file, sequence_length=10, subset=20)
    assert [len(part) for part in parts(dataset)] == [20, *map(len, parts(whole)[1:])]


def test_words_are_in_lower_case_and_punctuation_marks_are_words():
    from runner.datasets.text import _words

    assert _words("It's GOOD, très_bon!\n") == ["it's", "good", ",", "très_bon", "!"]


@pytest.mark.parametrize(("size", "kept"), [(None, 4), (5, 3), (6, 4), (99, 4)])
def test_the_vocabulary_is_the_most_frequent_tokens_of_the_training_part(size, kept):
    train, other = numbered([["b", "c", "a", "c", "d", "b", "c"], ["a", "e", "c", "f"]])
    found = VocabularyLimit(size, "words").fit(train)
    assert found.size == kept + NUM_RESERVED
    order = dict(zip("cbad", range(NUM_RESERVED, NUM_RESERVED + kept), strict=False))
    told = [order.get(token, UNKNOWN) for token in "aecf"]
    assert found.apply(other).tolist() == told
    assert found.apply(np.array([PADDING])) == PADDING


def test_folders_of_classes(tmp_path):
    root = of_classes(tmp_path / "reviews", ["good good film", "a b c d e f", ""], ["bad", "so so"])
    dataset = loaded(root, tokens="words", sequence_length=4)
    assert (dataset.task, dataset.classes) == ("classification", ("neg", "pos"))
    assert sum(map(len, parts(dataset))) == 20
    lengths = [(part.x != PADDING).sum(axis=1) for part in parts(dataset)]
    assert set(np.concatenate(lengths)) == {1, 2, 3, 4}
    # What is after a text is no token, and no token is before it.
    for part in parts(dataset):
        assert (np.diff((part.x == PADDING).astype(int), axis=1) >= 0).all()
    told = " ".join(dataset.notes)
    for note in (
        "5 of 25 texts are empty",
        "5 of 25 texts are longer than 4",
        "15 of 25 texts are",
    ):
        assert note in told


def test_official_parts_of_classes(tmp_path):
    for part in ("train", "test", "valid"):
        of_classes(tmp_path / part, ["yes " + part], ["no " + part])
    written(tmp_path, {"train/unsup/1.txt": "?", "train/unsup/2.txt": "?"})
    dataset = loaded(tmp_path, tokens="words", sequence_length=4)
    assert [len(part) for part in parts(dataset)] == [12, 10, 10]
    assert (dataset.validation.x[:, 1] == UNKNOWN).all()
    assert "The test part has no example of class 'unsup'" in " ".join(dataset.notes)
    with pytest.raises(ConfigError, match=r"`dataset\.validation` must be null.*Received: 0\.3"):
        loaded(tmp_path, validation=0.3)
    with pytest.raises(ConfigError, match=r"`dataset\.test` must be null"):
        loaded(tmp_path, test=0.3)


@pytest.mark.parametrize(
    "content",
    [
        "naïve\n".encode(),
        b"\xef\xbb\xbf" + "naïve\r\n".encode(),
        "naïve\r".encode("utf-16"),
        "naïve\n".encode("utf-16-le"),
        "naïve\n".encode("latin-1"),
    ],
)
def test_encodings_line_ends_and_byte_order_marks(tmp_path, content):
    plain = written(tmp_path / "plain", {"a.txt": "naïve\n" * 50}) / "a.txt"
    mark = content[:3] if content.startswith(b"\xef") else content[:2] * content.startswith(b"\xff")
    other = mark + content[len(mark) :] * 50
    file = written(tmp_path / "other", {"a.txt": other}) / "a.txt"
    settings = {"sequence_length": 4}
    assert loaded(plain, **settings).fingerprint == loaded(file, **settings).fingerprint


WRONG = {
    "no such place": ({}, "nowhere", {}, r"no such file or folder"),
    "short": ({"a.txt": "abc"}, "a.txt", {}, "3 parts of at least 65 characters.*Received: 3"),
    "empty": ({"a.txt": ""}, "a.txt", {}, "Received: 0 characters"),
    "few words": ({"a.txt": "a b " * 50}, "a.txt", {"tokens": "words"}, "Received: 100 words"),
    "no training part": (
        {"a.txt": "ab " * 100},
        "a.txt",
        {"sequence_length": 90, "validation": 0.4, "test": 0.4},
        "leave at least 91 characters to train on. Received: 60 of 300",
    ),
    "fractions": ({"a.txt": "ab" * 200}, "a.txt", {"validation": 0.6, "test": 0.4}, "below 1"),
    "binary": ({"a.txt": b"\x89PNG\0\0\1" * 90}, "a.txt", {}, "must hold text.*bytes of zero"),
    "bytes of zero": ({"a.txt": b"ab\0" * 900}, "a.txt", {"encoding": "utf-8"}, "bytes of zero"),
    "encoding": ({"a.txt": b"\xff" * 900}, "a.txt", {"encoding": "utf-8"}, "UnicodeDecodeError"),
    "damaged": (
        {"a.gz": gzip.compress(b"abcdefgh" * 999)[:12] + bytes([255] * 30)},
        "a.gz",
        {},
        "that can be read. Received: .*Error -3 while decompressing",
    ),
    "foreign": ({"a.txt": "привет".encode("cp1251") * 90}, "a.txt", {}, "`dataset.encoding` must"),
    "only others": ({"a.png": b"\x89"}, ".", {}, "hold files of text. Received: 1 files"),
    "empty folder": ({}, ".", {}, "hold files of text. Received: 0 files"),
    "empty classes": ({"x/1.png": "", "y/2.png": ""}, ".", {}, "with no texts in 2 folders and 2"),
    "empty texts": ({"x/1": "", "y/2": ""}, ".", {}, "not empty. Received: 2 empty texts"),
    "one class": ({f"x/{n}": "ab" for n in range(9)}, ".", {}, "at least two classes"),
    "a class of one": (
        {"y/1": "a"} | {f"x/{n}": "ab" for n in range(9)},
        ".",
        {},
        "at least 3 examples of every class.*Received: 1 of class 'y'",
    ),
    "test without train": ({"test/x/1": "a"}, ".", {}, "the folders 'test', but not train"),
    "two tests": (
        {"train/x/1": "a", "test/x/1": "a", "Testing/x/1": "a"},
        ".",
        {},
        "several folders for the test part: 'Testing' and 'test'",
    ),
    "class of the test part": (
        {f"train/{n % 2}/{n}": "a" for n in range(9)} | {"test/2/1": "a"},
        ".",
        {},
        r"test labels that occur in the training data too. Received: \['2'\]",
    ),
    "class of the validation part": (
        {f"train/{n % 2}/{n}": "a" for n in range(9)} | {"val/2/1": "a"},
        ".",
        {},
        r"validation labels that occur in the training data too. Received: \['2'\]",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_wrong_files(tmp_path, case):
    texts, place, settings, message = WRONG[case]
    written(tmp_path, texts)
    with pytest.raises(ConfigError, match=message) as caught:
        loaded(tmp_path / place, **settings)
    assert "\n" not in str(caught.value)
