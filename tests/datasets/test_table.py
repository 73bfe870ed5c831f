"""A user's table: what columns become, and one clear line for what cannot be used."""

import datetime

import numpy as np
import pandas as pd
import pytest

from runner.config import ConfigError, convert
from runner.datasets import load
from runner.datasets.table import Table

NUM_ROWS = 60
ROW = np.arange(NUM_ROWS)


def frame(**columns):
    usual = {"size": ROW * 0.5, "kind": np.array(["b", "a", "c"])[ROW % 3], "price": ROW * 1.25}
    return pd.DataFrame(usual | columns)


@pytest.fixture
def file(tmp_path):
    """Writes a table and returns its path; the format is that of the name."""

    def write(table, name="mine.csv"):
        path = tmp_path / name
        if name.endswith(".parquet"):
            table.to_parquet(path, index=False)
        else:
            table.to_csv(path, index=False, sep="\t" if name.endswith(".tsv") else ",")
        return str(path)

    return write


def examples(path, target="price", **settings):
    return Table(path=path, target=target, **settings).read()


@pytest.mark.parametrize("name", ["a.csv", "a.csv.gz", "a.tsv", "a.parquet", "A.CSV"])
def test_reads_each_format(file, name):
    read = examples(file(frame(), name))
    assert read.inputs == ("size", "kind=a", "kind=b", "kind=c")
    np.testing.assert_array_equal(read.x[:, 0], ROW * 0.5)
    np.testing.assert_array_equal(read.x[:4, 1:], [[0, 1, 0], [1, 0, 0], [0, 0, 1], [0, 1, 0]])
    np.testing.assert_array_equal(read.y, ROW * 1.25)


@pytest.mark.parametrize("name", ["a.csv", "a.parquet"])
@pytest.mark.parametrize(
    ("target", "task", "classes"),
    [
        ("price", "regression", ()),
        ("kind", "classification", ("a", "b", "c")),
        ("stars", "classification", ("1", "2", "3", "4", "5")),
        ("sold", "classification", ("False", "True")),
        ("note", "classification", tuple(f"note {n:02}" for n in range(30))),
    ],
)
def test_the_target_gives_the_task(file, name, target, task, classes):
    note = [f"note {n:02}" for n in ROW % 30]
    table = frame(stars=ROW % 5 + 1, sold=ROW % 2 == 0, note=note)
    drop = () if target == "note" else ("note",)
    settings = Table(path=file(table, name), target=target, drop=drop, test=0.0, validation=0.5)
    dataset = load("table", settings)
    assert dataset.task == task
    assert dataset.classes == classes


def test_columns_of_parquet_types(file):
    table = frame(
        nullable=pd.array(ROW, dtype="Int64"),
        flag=pd.array(ROW % 2 == 0, dtype="boolean"),
        category=pd.Categorical(np.array(["u", "v"])[ROW % 2]),
        small=ROW.astype(np.float16),
    )
    read = examples(file(table, "a.parquet"), drop=("kind", "size"))
    assert read.inputs == ("nullable", "flag", "category=u", "category=v", "small")
    np.testing.assert_array_equal(read.x[:2], [[0, 1, 1, 0, 0], [1, 0, 0, 1, 1]])


def test_dropped_columns_are_no_inputs(file):
    assert examples(file(frame()), drop=("kind",)).inputs == ("size",)


def test_row_numbers_are_no_input(tmp_path):
    frame().to_csv(tmp_path / "a.csv")
    assert "Unnamed: 0" not in examples(str(tmp_path / "a.csv")).inputs


def test_an_unnamed_column_of_measurements_is_an_input(tmp_path):
    (tmp_path / "a.csv").write_text("\n".join([",y", *(f"{2 * n},{n % 2}" for n in ROW)]))
    assert examples(str(tmp_path / "a.csv"), "y").inputs == ("Unnamed: 0",)


def test_another_separator(tmp_path):
    (tmp_path / "a.csv").write_text("\n".join(["a;b", *(f"{n};{n % 2}" for n in ROW)]))
    path = str(tmp_path / "a.csv")
    assert examples(path, "b", separator=";").inputs == ("a",)
    with pytest.raises(ConfigError, match=r"Is `dataset\.separator` the right one\?"):
        examples(path, "b")


def test_few_texts_among_numbers_are_categories(file):
    table = frame(children=np.array(["0", "1", "2", "3+"])[ROW % 4])
    expected = ("children=0", "children=1", "children=2", "children=3+")
    assert examples(file(table)).inputs[-4:] == expected


def test_a_column_may_be_called_by_a_number():
    settings = convert(Table, {"target": 3, "drop": [1, "b"]}, "dataset")
    assert settings.target == "3"
    assert settings.drop == ("1", "b")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"target": None}, r"`dataset.target` is missing: .*\['size', 'kind', 'price'\]"),
        ({"target": "prize"}, "`dataset.target` must name a column .*Did you mean 'price'.*'kind'"),
        ({"target": "zzz"}, r"Received: 'zzz'\. The table has: \['size', 'kind', 'price'\]"),
        ({"drop": ("kinds",)}, "`dataset.drop` must name a column .*Did you mean 'kind'"),
        ({"drop": ("price",)}, "`dataset.drop` must be without the target column"),
        ({"drop": ("kind", "size")}, r"must have an input beside the target"),
        ({"target": "kind", "task": "regression"}, "`dataset.task` must be classification"),
        ({"task": "classification"}, "`dataset.task` must be regression where 'price' .*73.75"),
    ],
)
def test_settings_that_do_not_fit_the_table(file, settings, message):
    with pytest.raises(ConfigError, match=message):
        load("table", Table(**{"path": file(frame()), "target": "price"} | settings))


DAYS = [datetime.datetime(2026, 1, 1) + datetime.timedelta(days=int(n)) for n in ROW]


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        (
            {"size": np.where(ROW < 3, np.nan, ROW)},
            "no missing values.*Received: 3 in column 'size'",
        ),
        ({"price": np.where(ROW < 2, np.nan, ROW)}, "Received: 2 in column 'price'"),
        ({"kind": [None, *"ab" * 29, "a"]}, "Received: 1 in column 'kind'"),
        ({f"m{n}": [None] * NUM_ROWS for n in range(5)}, "60 in column 'm0',.* 2 more columns"),
        (
            {"size": np.where(ROW == 3, np.inf, ROW)},
            "only finite .*1 value.* in column 'size' of x",
        ),
        ({"price": np.where(ROW == 3, np.inf, ROW)}, "only finite .*1 value.* in 'price'"),
        (
            {"name": [f"n{n}" for n in ROW]},
            "60 of them in 'name', such as 'n0'.*dataset.drop=.name.",
        ),
        ({"day": DAYS}, r"Received: .* column 'day'|60 of them in 'day'"),
        (
            {"size": [*map(str, range(59)), "?"]},
            r"1 entries such as '\?' among the numbers of .*size",
        ),
        ({"kind": ["a"] * NUM_ROWS, "price": 3.5}, "targets that differ"),
        ({"price": "same"}, "at least two classes. Received: only 'same'"),
        ({"two\nlines": [f"n{n}" for n in ROW]}, r"'two\\nlines'"),
    ],
)
@pytest.mark.parametrize("name", ["a.csv", "a.parquet"])
def test_tables_that_cannot_be_trained_on(file, columns, message, name):
    with pytest.raises(ConfigError, match=f"`dataset.path` must .*({message})") as caught:
        load("table", Table(path=file(frame(**columns), name), target="price"))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "EmptyDataError"),
        (b"size,price\n", "at least one example. Received: 0 rows and 2 columns"),
        (b"size,price\n1,2,3\n4,5,6\n", "ParserWarning: Length of header"),
        (b"size,price\n1,2\n3,4,5,6\n", "ParserError"),
        (b"size,price\n\xff\xfe,1\n", "UnicodeDecodeError"),
    ],
)
def test_text_that_is_no_table(tmp_path, content, message):
    (tmp_path / "a.csv").write_bytes(content)
    with pytest.raises(ConfigError, match=f"`dataset.path` must .*({message})") as caught:
        load("table", Table(path=str(tmp_path / "a.csv"), target="price"))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("content", [b"", b"PAR1", b"size,price\n1,2\n", bytes(500)])
def test_parquet_that_is_none(tmp_path, content):
    (tmp_path / "a.parquet").write_bytes(content)
    with pytest.raises(ConfigError, match=r"`dataset.path` must .*a\.parquet") as caught:
        load("table", Table(path=str(tmp_path / "a.parquet"), target="price"))
    assert "\n" not in str(caught.value)


def test_a_file_of_another_kind(tmp_path):
    with pytest.raises(ConfigError, match=r"must end with \.csv or .*\.parquet"):
        load("table", Table(path=str(tmp_path / "a.xlsx"), target="price"))
