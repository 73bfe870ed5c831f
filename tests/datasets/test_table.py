"""A user's table: what columns become, and one clear line for what cannot be used."""

import datetime
import decimal
import gzip
import re

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


def written(tmp_path, lines, name="a.csv", encoding="utf-8", end="\n"):
    content = end.join(lines).encode(encoding)
    path = tmp_path / name
    path.write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
    return str(path)


def column(cells, name="v", separator=",", quote=""):
    """Returns the lines of a table with the cells, in turn, beside a target y."""
    cells = [cells[n % len(cells)] for n in ROW]
    rows = [f"{quote}{cell}{quote}{separator}{n % 2}" for n, cell in enumerate(cells)]
    return [f"{name}{separator}y", *rows]


@pytest.mark.parametrize(
    ("lines", "left_out"),
    [
        pytest.param([",a,y", *(f"{n},{n}.5,{n % 2}" for n in ROW)], "Unnamed: 0", id="pandas"),
        pytest.param([",a,y", *(f"{n + 1},{n}.5,{n % 2}" for n in ROW)], "Unnamed: 0", id="from 1"),
        pytest.param(
            [",a,y", *(f"{3 * n},{n}.5,{n % 2}" for n in ROW)], "Unnamed: 0", id="filtered"
        ),
        pytest.param(
            [",a,y", *(f"{n * 7 % NUM_ROWS},{n}.5,{n % 2}" for n in ROW)],
            "Unnamed: 0",
            id="shuffled",
        ),
        pytest.param(
            ['"","a","y"', *(f'"{n + 1}",{n}.5,{n % 2}' for n in ROW)], "Unnamed: 0", id="write.csv"
        ),
        pytest.param(
            ['"a","y"', *(f'"r{n + 1}",{n}.5,{n % 2}' for n in ROW)], "Unnamed: 0", id="write.table"
        ),
        *(
            pytest.param([f"a,{name},y", *(f"{n}.5,{n + 9},{n % 2}" for n in ROW)], name, id=name)
            for name in [
                *("id", "ID", "rownames", "row.names", "index", "Index", "row_id", "Row ID"),
                *(
                    "Unnamed: 0.1",
                    "__index_level_0__",
                    "level_0",
                    "patient_id",
                    "PassengerId",
                    "Order No",
                ),
            ]
        ),
        pytest.param(["a,y,id", *(f"{n}.5,{n % 2},k{n}" for n in ROW)], "id", id="texts"),
        pytest.param(["id,a,y", *(f"{2**60 + n},{n}.5,{n % 2}" for n in ROW)], "id", id="2^60"),
        pytest.param(
            ["id,a,y", *(f"{10**20 + int(n)},{n}.5,{n % 2}" for n in ROW)], "id", id="10^20"
        ),
    ],
)
def test_a_column_that_only_labels_the_rows_is_no_input(tmp_path, lines, left_out):
    path = written(tmp_path, lines)
    read = examples(path, "y")
    assert read.inputs == ("a",)
    assert any(f"only labels the rows: {left_out!r}" in note for note in read.notes)
    assert not any("labels" in n for n in examples(path, "y", drop=(left_out,)).notes)


def test_a_column_that_labels_the_rows_can_be_kept(tmp_path):
    path = written(tmp_path, ["id,a,y", *(f"{n},{n}.5,{n % 2}" for n in ROW)])
    read = examples(path, "y", keep=("id",))
    assert read.inputs == ("id", "a")
    assert not read.notes


@pytest.mark.parametrize(
    "line",
    [
        pytest.param(lambda n: f",y|{n / 2},{n % 2}", id="unnamed fractions"),
        pytest.param(lambda n: f"id,y|{n // 2},{n % 2}", id="an id twice"),
        pytest.param(lambda n: f"humid,y|{n},{n % 2}", id="another word"),
        pytest.param(lambda n: f"x,y|{n},{n % 2}", id="a coordinate"),
    ],
)
def test_what_may_be_measured_is_an_input(tmp_path, line):
    lines = [line(0).split("|")[0], *(line(n).split("|")[1] for n in ROW)]
    read = examples(written(tmp_path, lines), "y")
    assert read.inputs == (lines[0].removesuffix(",y") or "Unnamed: 0",)
    counts = read.inputs[0] in ("humid", "x")
    assert any("counts the rows" in note for note in read.notes) == counts
    assert any("may only label" in note for note in read.notes) == (not counts)


@pytest.mark.parametrize(
    ("name", "label"),
    [
        pytest.param("customer_id", lambda n: n // 3, id="sorted customers"),
        pytest.param("customerid", lambda n: n // 3, id="in one word"),
        pytest.param("patient_id", lambda n: f"P{n // 4:02}", id="texts"),
        pytest.param("patient_id", lambda n: float(n // 4), id="floats"),
        pytest.param("", lambda n: n * n % 37, id="a bootstrapped frame"),
        pytest.param("", lambda n: n % 30, id="concatenated frames"),
        pytest.param("rownames", lambda n: f"row{n % 20}", id="row names"),
    ],
)
def test_an_input_that_may_only_label_the_rows_is_told(tmp_path, name, label):
    path = written(tmp_path, [f"{name},a,y", *(f"{label(n)},{n}.5,{n % 2}" for n in ROW)])
    read = examples(path, "y")
    assert len(read.inputs) > 1
    name = name or "Unnamed: 0"
    (note,) = read.notes
    assert f"may only label the rows: {name!r}" in note
    assert f"dataset.drop=[{name}]" in note
    assert not examples(path, "y", keep=(name,)).notes
    assert examples(path, "y", drop=(name,)).inputs == ("a",)


@pytest.mark.parametrize(
    ("index", "levels", "is_input"),
    [
        (pd.RangeIndex(NUM_ROWS), (), False),
        (pd.RangeIndex(NUM_ROWS, name="row"), ("row",), False),
        (pd.Index(ROW**2), ("__index_level_0__",), False),
        (pd.Index(ROW + 0.5, name="second"), ("second",), False),
        (pd.date_range("2026-01-01", periods=NUM_ROWS, name="day"), ("day",), False),
        (pd.Index(ROW % 7, name="dose"), ("dose",), True),
        (pd.MultiIndex.from_arrays([ROW // 6, ROW % 6], names=["a", "b"]), ("a", "b"), False),
        (pd.MultiIndex.from_arrays([ROW // 6, ROW % 3], names=["a", "b"]), ("a", "b"), True),
        (pd.MultiIndex.from_arrays([ROW // 6, ROW % 6]), ("__index_level_1__",), False),
    ],
)
def test_the_index_of_a_parquet_file(tmp_path, index, levels, is_input):
    frame().set_index(index).to_parquet(tmp_path / "a.parquet")
    read = examples(str(tmp_path / "a.parquet"), drop=("kind",))
    assert set(levels) <= set(read.inputs) if is_input else read.inputs == ("size",)
    told = "may only label" if is_input else "only labels the rows"
    assert all(told in note for note in read.notes)
    assert all(any(repr(level) in note for note in read.notes) for level in levels)
    assert len(read.notes) == bool(levels)
    if levels and levels[0] != "day":
        kept = examples(str(tmp_path / "a.parquet"), drop=("kind",), keep=levels)
        assert set(levels) <= set(kept.inputs)


def test_an_index_named_as_a_column(tmp_path):
    frame().set_index(pd.Index(ROW, name="size")).to_parquet(tmp_path / "a.parquet")
    with pytest.raises(ConfigError, match=r"a name of its own .* Received: \['size'\] twice"):
        examples(str(tmp_path / "a.parquet"))


def test_decimal_numbers_of_a_parquet_file(file):
    table = frame(cost=[decimal.Decimal(int(n)) / 4 for n in ROW], day=[datetime.date.today()] * 60)
    read = examples(file(table, "a.parquet"), drop=("kind", "size", "day"))
    np.testing.assert_array_equal(read.x[:, 0], ROW / 4)
    with pytest.raises(ConfigError, match="the type date in column 'day'"):
        examples(file(table, "a.parquet"))


@pytest.mark.parametrize(
    ("lines", "target", "is_headless"),
    [
        pytest.param([f"{n}.1,{n % 7}.5,{n % 3},a" for n in ROW], "a", True, id="a text last"),
        pytest.param([f"{n}.1,{n % 7}.5,{n % 2}" for n in ROW], "0", True, id="numbers"),
        pytest.param([f"{n}.1,{n}.1,{n % 2}" for n in ROW], "0", True, id="names twice"),
        pytest.param(
            ["0,1,2", *(f"{n}.1,{n % 7}.5,{n % 2}" for n in ROW)], "2", False, id="numbered"
        ),
        pytest.param(
            ["400,402,404,y", *(f"1,{n % 7}.5,{n % 5},{n % 2}" for n in ROW)],
            "y",
            False,
            id="wavelengths",
        ),
    ],
)
def test_a_file_without_a_header_is_told(tmp_path, lines, target, is_headless):
    path = written(tmp_path, lines)
    notes = " ".join(examples(path, target, drop=()).notes)
    assert ("seems to have no header line" in notes) == is_headless
    with pytest.raises(ConfigError, match="Received: 'z'") as caught:
        examples(path, "z")
    assert ("seems to have no header line" in str(caught.value)) == is_headless


@pytest.mark.parametrize(
    ("cells", "settings", "numbers", "told"),
    [
        (["0,5", "1,5", "2,25"], {"separator": ";"}, [0.5, 1.5, 2.25], "'0,5' in 'v' is 0.5"),
        (["1.234,56", "0,1"], {"separator": ";"}, [1234.56, 0.1], "1234.56"),
        (["1,234.56", "10"], {"quote": '"'}, [1234.56, 10], "1234.56"),
        (["$1,200.00", "-$3.50"], {"quote": '"'}, [1200, -3.5], "1200"),
        (["\u20ac 3,50", "1.000 \u20ac"], {"separator": ";"}, [3.5, 1000], "3.5"),
        (["12%", "7.5 %"], {}, [12, 7.5], "'12%' in 'v' is 12"),
        (["1 234,5", "1\u00a0000,25"], {"separator": ";"}, [1234.5, 1000.25], "1234.5"),
        (["1'234.50", "12"], {}, [1234.5, 12], "1234.5"),
        (["\u22121,5", "(2,5)"], {"separator": ";"}, [-1.5, -2.5], "-1.5"),
        (["1,234", "2,345"], {"quote": '"'}, [1234, 2345], r"possible: .*','\" reads 1.234"),
        (["1,234", "2,345"], {"separator": ";"}, [1.234, 2.345], r"possible: .*=\. reads 1234"),
        (["1.234", "2.345"], {"separator": ";"}, [1.234, 2.345], "possible: .* reads 1234"),
        (["1,234", "1500"], {"quote": '"'}, [1.234, 1500], "possible: .* reads 1234"),
        (["0,123", "1,234"], {"quote": '"'}, [0.123, 1.234], "0.123"),
        (["1e-3", "2E5", "-.5"], {}, [1e-3, 2e5, -0.5], None),
        (["01", "12"], {}, [1, 12], None),
        (["\u20131.2", "\u20142.5"], {}, [-1.2, -2.5], "-1.2"),
        (["1.23-", "1,000.50"], {"quote": '"'}, [-1.23, 1000.5], "'1.23-' in 'v' is -1.23"),
        (["1\u00a0000,5"], {"separator": ";"}, [1000.5], "'1 000,5' in 'v' is 1000.5"),
    ],
)
def test_numbers_as_people_write_them(tmp_path, cells, settings, numbers, told):
    read = examples(written(tmp_path, column(cells, **settings)), "y")
    assert read.inputs == ("v",)
    np.testing.assert_array_equal(read.x[: len(numbers), 0], numbers)
    notes = "\n".join(read.notes)
    assert re.search(told, notes) if told else not notes


@pytest.mark.parametrize(
    ("decimal", "value"), [("auto", 1234.0), (",", 1234.0), (".", None)], ids=["auto", ",", "."]
)
def test_other_columns_tell_what_a_dot_is(tmp_path, decimal, value):
    lines = ["a;b;y", *(f"{n % 9 + 1}.234;{n},5;{n % 2}" for n in ROW)]
    path = written(tmp_path, lines)
    if value is None:
        with pytest.raises(ConfigError, match=r"`dataset\.decimal` must be .* column 'b'.*'0,5'"):
            examples(path, "y", decimal=decimal)
    else:
        assert examples(path, "y", decimal=decimal).x[0].tolist() == [value, 0.5]


@pytest.mark.parametrize(
    ("cells", "inputs", "told"),
    [
        (["1,5", "2,5"], ("a=1,5", "a=2,5"), "texts .*'1,5' in 'a'"),
        (["1,5", "2.5"], ("a=1,5", "a=2.5"), None),
        (["$5", "\u20ac5"], ("a=$5", "a=\u20ac5"), None),
        (["None", "NA"], ("a=NA", "a=None"), None),
    ],
)
def test_texts_of_a_parquet_file_stay_texts(file, cells, inputs, told):
    path = file(pd.DataFrame({"a": cells * 30, "y": ROW % 2}), "a.parquet")
    read = examples(path, "y")
    assert read.inputs == inputs
    assert re.search(told, read.notes[0]) if told else not read.notes
    if told:  # unless they are asked to be numbers
        np.testing.assert_array_equal(examples(path, "y", decimal=",").x[:2, 0], [1.5, 2.5])


def test_a_target_with_decimal_commas_is_numbers(tmp_path):
    path = written(tmp_path, ["a;y", *(f"{n % 7};{n},5" for n in ROW)])
    np.testing.assert_array_equal(examples(path, "y").y, ROW + 0.5)


@pytest.mark.parametrize(
    "cells",
    [
        ["S", "M", "L"],
        ["A1,5", "B2,5"],
        ["01234", "99999"],
        ["007", "123"],
        ["01.02.2026", "02.02.2026"],
        ["12:30", "13:00"],
        ["1.2.3", "1.10.2"],
        ["1-", "2-"],
        ["1\u20133", "4\u20136"],
        ["yes", "No"],
        ["None", "Mild", "NA", "null", "nan", "n/a"],
    ],
    ids=lambda cells: cells[0],
)
def test_texts_stay_texts(tmp_path, cells):
    read = examples(written(tmp_path, column(cells, quote='"')), "y")
    assert read.inputs == tuple(f"v={text}" for text in sorted(cells))


def test_words_for_missing_values_are_labels_among_texts(tmp_path):
    lines = ["a,y", *(f"{n}.5,{['None', 'Mild', 'NA'][n % 3]}" for n in ROW)]
    read = examples(written(tmp_path, lines), "y")
    assert sorted(set(read.y)) == ["Mild", "NA", "None"]
    assert any("not as missing values: 'None' in 'y'" in note for note in read.notes)
    lines[1] = "0.5,"
    with pytest.raises(ConfigError, match="Received: 1 in column 'y'"):
        examples(written(tmp_path, lines), "y")


@pytest.mark.parametrize("word", ["NA", "na", "N/A", "NaN", "null", "None", " ", ""])
@pytest.mark.parametrize("cell", ["7", "1.5", "1,5", "True"])
def test_words_for_missing_values_are_missing_among_numbers(tmp_path, word, cell):
    path = written(tmp_path, column([cell, cell, word], separator=";"))
    with pytest.raises(ConfigError, match=r"no missing values.*Received: 20 in column 'v'"):
        examples(path, "y")


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
def test_the_separator_is_told_from_the_file(tmp_path, separator):
    cells = ["a,b;c", "d,e;f"]
    lines = column(cells, name="two words", separator=separator, quote='"')
    path = written(tmp_path, lines, end="\r\n")
    assert examples(path, "y").inputs == ("two words=a,b;c", "two words=d,e;f")


@pytest.mark.parametrize("header", ['"a b" "y"', '"" "a b" "y"'])
def test_blanks_between_columns(tmp_path, header):
    path = written(tmp_path, [header, *(f'"{n}"  {n % 7}.5 "{"nm"[n % 2]}"' for n in ROW)])
    assert examples(path, "y").inputs == ("a b",)


def test_a_separator_that_is_not_clear(tmp_path):
    path = written(tmp_path, ["a;b,y", *(f"{n % 3};b,{n % 2}" for n in ROW)])
    assert examples(path, "y").inputs == ("a;b=0;b", "a;b=1;b", "a;b=2;b")
    with pytest.raises(ConfigError, match=r"`dataset\.separator` must be given.*',' and ';'"):
        examples(path, "z")
    with pytest.raises(ConfigError, match=r"Is `dataset\.separator` the right one\?"):
        examples(path, "y", separator="|")


def test_the_separator_that_excel_names(tmp_path):
    path = written(tmp_path, ["sep=;", *column(["1,5", "2,5"], separator=";")])
    assert examples(path, "y").inputs == ("v",)


@pytest.mark.parametrize("name", ["a.csv", "a.csv.gz"])
@pytest.mark.parametrize(
    "encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-32", "latin-1", "cp1252"]
)
def test_the_encoding_is_told_from_the_file(tmp_path, encoding, name):
    cells = ["Gr\u00f6\u00dfe", "na\u00efve"]
    path = written(tmp_path, column(cells, name="L\u00e4nge"), name, encoding)
    assert examples(path, "y").inputs == tuple(f"L\u00e4nge={text}" for text in cells)


def test_an_encoding_that_is_not_clear(tmp_path):
    cells = ["\u041f\u0440\u0438\u0432\u0435\u0442", "\u041c\u0438\u0440"]
    path = written(tmp_path, column(cells), encoding="cp1251")
    with pytest.raises(ConfigError, match=r"`dataset\.encoding` must be given.*not UTF-8"):
        examples(path, "y")
    assert set(examples(path, "y", encoding="cp1251").inputs) == {f"v={text}" for text in cells}


@pytest.mark.parametrize(
    ("key", "value"), [("encoding", "utf-99"), ("decimal", "x"), ("separator", "ab"), ("keep", "a")]
)
def test_settings_that_break_their_rule(key, value):
    with pytest.raises(ConfigError, match=f"`dataset.{key}` must be"):
        convert(Table, {key: value}, "dataset")


def test_notes_of_a_wide_table_are_short(tmp_path):
    table = pd.DataFrame(
        np.full((30, 500), 0.5) + ROW[:30, None], columns=map("c{}".format, range(500))
    )
    table.assign(y=ROW[:30] % 2).to_csv(tmp_path / "a.csv", sep=";", decimal=",", index=False)
    notes = examples(str(tmp_path / "a.csv"), "y").notes
    assert len(notes) == 2
    assert notes[1].endswith("and 497 more columns.")
    assert max(map(len, notes)) < 200


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
        ({"target": "prize"}, "`dataset.target` must name a column .*Did you mean `price`.*'kind'"),
        ({"target": "zzz"}, r"Received: 'zzz'\. The table has: \['size', 'kind', 'price'\]"),
        ({"drop": ("kinds",)}, "`dataset.drop` must name a column .*Did you mean `kind`"),
        ({"drop": ("price",)}, "`dataset.drop` must be without the target column"),
        ({"keep": ("price",)}, "`dataset.keep` must be without the target column"),
        ({"keep": ("kinds",)}, "`dataset.keep` must name a column .*Did you mean `kind`"),
        ({"keep": ("kind",), "drop": ("kind",)}, "`dataset.keep` must be without .*`dataset.drop`"),
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
            r"1 entry such as '\?' among the numbers of .*size",
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
        (b"size,price\n1,2,3\n1,5,6\n", "as many values .* 3 in line 2, after 2 names"),
        (b"size,price\n.5,2,3\n.6,5,6\n", "as many values .* 3 in line 2"),
        (b"size,price\n1,2\n3,4,5,6\n", "as many values .* 4 in line 3"),
        (b"size,price\n1,2\n# the, end, now\n", "3 in line 3.*Remove lines that are comments"),
        (b"# mine\nsize,price\n1,2\n", "without lines of comments. Received: '# mine'"),
        (b"# mine\n# too\nsize,price\n1,2\n", "without lines of comments"),
        (b'v,price\n"$5",1\n"\xe2\x82\xac5",2\n', "numbers in one unit.*'\\$5' and '.5'"),
        (b"v,price\n5%,1\n0.5,2\n", "numbers in one unit"),
        (b'v,price\n"1,5",1\n2.5,2\n', "written alike.*'1,5' and '2.5' in column 'v'"),
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
