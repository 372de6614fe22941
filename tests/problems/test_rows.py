"""One reader for every kind of file that data comes in, one writer that is atomic; every fault is one clear line."""

import gzip
import json
import os
import resource
import subprocess
import sys

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from phi4r_lib.models.engine import Sample
from phi4r_lib.problems import rows
from phi4r_lib.problems.fingerprint import file_fingerprint, fingerprint
from phi4r_lib.problems.rows import ProblemFileError, read_json, read_rows, write_json, write_rows
from phi4r_lib.problems.whole import DiskFull

ROWS = [{"a": "one\u2028two\u2029three\x85four\x0bfive", "b": 1}, {"a": "ä", "b": None}]
JSONL = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in ROWS)


def packed(text):
    """The text in gzip; a time inside would give a test another name in each process."""
    return gzip.compress(text.encode(), mtime=0)


def found(path):
    return [row for _, row in read_rows(path)]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("plain.jsonl", JSONL.encode()),
        ("no_end.jsonl", JSONL.rstrip("\n").encode()),
        ("mark.jsonl", b"\xef\xbb\xbf" + JSONL.encode()),
        ("windows.jsonl", JSONL.replace("\n", "\r\n").encode()),
        ("blank.jsonl", ("\n \n" + JSONL.replace("\n", "\n\n")).encode()),
        ("packed.jsonl.gz", packed(JSONL)),
        ("packed_without_saying_so", packed(JSONL)),
        ("array.json", json.dumps(ROWS, indent=2).encode()),
        ("array_with_mark.json", b"\xef\xbb\xbf \n" + json.dumps(ROWS).encode()),
        ("array.json.gz", packed(json.dumps(ROWS))),
    ],
)
def test_the_same_rows_from_every_kind_of_json(tmp_path, name, content):
    path = tmp_path / name
    path.write_bytes(content)
    assert found(path) == ROWS


def test_tables_are_read_too(tmp_path):
    table = pd.DataFrame({"q": ["x", "y, z"], "n": [["1"], ["2", "3"]]})
    table.to_parquet(tmp_path / "t.parquet")
    assert found(tmp_path / "t.parquet") == [{"q": "x", "n": ["1"]}, {"q": "y, z", "n": ["2", "3"]}]
    (tmp_path / "t.csv").write_bytes(b'\xef\xbb\xbfq,a\r\n"two\r\nlines",7\r\n"x, y",\r\n')
    assert found(tmp_path / "t.csv") == [{"q": "two\r\nlines", "a": "7"}, {"q": "x, y", "a": None}]
    (tmp_path / "t.tsv").write_text("q\ta\nx\t1\n")
    assert found(tmp_path / "t.tsv") == [{"q": "x", "a": "1"}]


@pytest.mark.parametrize(
    "text",
    [
        'Nr;Aufgabe;Lösung\r\n1;"drei, vier; fünf";21,50\r\n',  # a spreadsheet in a country of decimal commas
        'Nr,Aufgabe,Lösung\n1,"drei, vier; fünf","21,50"\n',
        "Nr\tAufgabe\tLösung\n1\tdrei, vier; fünf\t21,50\n",
        '"Nr";"Aufgabe";"Lösung"\n"1";"drei, vier; fünf";"21,50"\n',
    ],
)
def test_a_csv_says_itself_what_separates_its_columns(tmp_path, text):
    (tmp_path / "t.csv").write_text(text, encoding="utf-8-sig")
    assert found(tmp_path / "t.csv") == [{"Nr": "1", "Aufgabe": "drei, vier; fünf", "Lösung": "21,50"}]


def test_signs_inside_a_quoted_name_separate_nothing(tmp_path):
    (tmp_path / "t.csv").write_text('"a; b; c",d\n1;2,3\n')
    assert found(tmp_path / "t.csv") == [{"a; b; c": "1;2", "d": "3"}]
    (tmp_path / "t.tsv").write_text("a, b, c\td\n1\t2\n")
    assert found(tmp_path / "t.tsv") == [{"a, b, c": "1", "d": "2"}]
    (tmp_path / "empty.csv").write_text("")
    assert found(tmp_path / "empty.csv") == []


def test_an_export_that_is_one_object_names_the_list_inside(tmp_path):
    path = tmp_path / "tickets.json"
    path.write_text(json.dumps({"version": 3, "tickets": [{"key": 1}]}, indent=1))
    with pytest.raises(ProblemFileError, match=r"one JSON object over several lines.*list 'tickets'"):
        found(path)
    path.write_text('{"a": [\n')  # broken, so nothing is known of it
    with pytest.raises(ProblemFileError, match=r"tickets\.json:1: not JSON"):
        found(path)
    (tmp_path / "table.txt").write_text("Question\tAnswer\n")
    with pytest.raises(ProblemFileError, match=r"name of a table ends in \.csv"):
        found(tmp_path / "table.txt")


def test_a_place_is_a_line_or_a_row(tmp_path):
    path = write_rows(tmp_path / "a.jsonl", ROWS)
    assert [str(place) for place, _ in read_rows(path)] == [f"{path}:1", f"{path}:2"]
    pd.DataFrame({"a": range(3000)}).to_parquet(tmp_path / "a.parquet")
    assert str([*read_rows(tmp_path / "a.parquet")][-1][0]) == f"{tmp_path / 'a.parquet'}: row 3000"


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ('{"a": 1, "a": 2}', "field 'a' is given twice"),
        ('{"a": {"b": 1, "b": 2}}', "field 'b' is given twice"),
        ('{"a": 1, "deep": ' + "[" * 100_000 + "]" * 100_000 + "}", "field 'deep': nested deeper than 100"),
        ('{"a": ' + '{"b":' * 101 + "1" + "}" * 101 + "}", "field 'a': nested deeper than 100"),
        ("[" * 100_000, "nested deeper than 100"),
        ('{"a": 1, "n": ' + "9" * 5000 + "}", "field 'n': a number of too many digits"),
        ('{"a": 1', "not JSON"),
        ('{"a": 1} {"a": 2}', "not JSON (Extra data at column 10)"),
        ("17", "expected a JSON object, found int"),
        ('"text"', "expected a JSON object, found str"),
        (b'{"a": "\xe9"}', "not UTF-8 (byte 0xe9 at 8)"),
    ],
)
def test_a_bad_row_is_one_line_with_file_and_line(tmp_path, line, words):
    path = tmp_path / "rows.jsonl"
    path.write_bytes(b'{"a": 0}\n' + (line if isinstance(line, bytes) else line.encode()) + b"\n")
    with pytest.raises(ProblemFileError) as caught:
        found(path)
    assert str(caught.value).startswith(f"{path}:2: ")
    assert words in str(caught.value) and "\n" not in str(caught.value) and len(str(caught.value)) < 300


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("a.jsonl", b"\xff\xfe{\x00", "UTF-16"),
        ("a.jsonl.zst", b"\x28\xb5\x2f\xfd123", "zstd"),
        ("a.xlsx", b"PK\x03\x04....", "spreadsheet"),
        ("a.jsonl.gz", packed(JSONL * 50)[:-20], "damaged gzip"),
        ("a.jsonl.gz", b"\x1f\x8b broken", "damaged gzip"),
        ("a.parquet", b"PAR1 and no more", "Parquet"),
        ("a.csv", b"q,a\n1,2,3\n", "a.csv:2: more cells than the 2 columns"),
        ("a.csv", b"q,q\n1,2\n", "'q' is given twice"),
        ("a.csv", b"q,a\n\xe9,2\n", "CSV"),
        ("a.json", b'[{"a": 1}, 2]', "item 2: expected a JSON object, found int"),
        ("a.json", b'{"train": [\n{"a": 1}\n]}', "one JSON object over several lines"),
    ],
)
def test_a_file_that_cannot_be_used_is_refused_by_name(tmp_path, name, content, words):
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(ProblemFileError) as caught:
        found(path)
    assert str(caught.value).startswith(str(path)) and words in str(caught.value)


def test_what_is_no_file_is_refused_at_once(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    places = {"pipe": "pipe or device", ".": "is a folder", "none.jsonl": "does not exist", "x" * 300: "cannot be read"}
    for name, words in places.items():
        with pytest.raises(ProblemFileError, match=words):
            found(tmp_path / name)
    with pytest.raises(ProblemFileError, match="pipe or device"):
        found("/dev/zero")


def test_a_torn_last_line_is_dropped_where_that_is_asked_for(tmp_path):
    path = tmp_path / "metrics.jsonl"
    for tail in (b'{"step": 2, "los', b"\x00\x00\x00", b'{"step": 2, "loss": "\xc3'):
        path.write_bytes(b'{"step": 1}\n' + tail)
        assert [row for _, row in read_rows(path, torn=True)] == [{"step": 1}]
        with pytest.raises(ProblemFileError, match=r"metrics\.jsonl:2"):
            found(path)
    path.write_bytes(b'{"step": 1\n{"step": 2}\n')
    with pytest.raises(ProblemFileError, match=r"metrics\.jsonl:1"):
        [*read_rows(path, torn=True)]


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=60) | st.text(max_size=60).map(str.encode))
def test_arbitrary_bytes_give_rows_or_the_one_error(tmp_path_factory, content):
    path = tmp_path_factory.getbasetemp() / "arbitrary.jsonl"
    path.write_bytes(content)
    try:
        assert all(isinstance(row, dict) for row in found(path))
    except ProblemFileError as error:
        assert str(error).startswith(str(path)) and "\n" not in str(error)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.dictionaries(st.text(), JSON, max_size=4), max_size=4))
def test_what_is_written_is_read_back(tmp_path_factory, data):
    path = write_rows(tmp_path_factory.getbasetemp() / "back.jsonl", data)
    assert found(path) == data
    assert read_json(write_json(path.with_suffix(".json"), data)) == data


def test_odd_values_are_written_as_json(tmp_path):
    sample = Sample(text="half \ud83d of a pair", tokens=1)
    path = write_rows(
        tmp_path / "odd.jsonl", [sample, {"loss": float("nan"), "path": tmp_path, "n": pd.Series([1])[0]}]
    )
    first, second = found(path)
    assert first["text"] == sample.text and second == {"loss": None, "path": str(tmp_path), "n": 1}
    assert read_json(write_json(tmp_path / "odd.json", {"text": sample.text})) == {"text": sample.text}


def test_a_failing_writer_leaves_the_old_file_and_nothing_else(tmp_path):
    path = write_rows(tmp_path / "a.jsonl", [{"a": 1}])

    def broken():
        yield {"a": 2}
        raise RuntimeError("no more rows")

    with pytest.raises(RuntimeError):
        write_rows(path, broken())
    assert found(path) == [{"a": 1}] and [entry.name for entry in tmp_path.iterdir()] == ["a.jsonl"]


FULL = """
import resource, signal, sys, pandas, pyarrow
from phi4r_lib.problems import rows
from phi4r_lib.problems.whole import DiskFull
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))  # the system refuses to let any file grow beyond
for write in (
    lambda: rows.write_rows(sys.argv[1], ({"a": "x" * 100} for _ in range(1000))),
    lambda: rows.write_text(sys.argv[1], "x" * 100_000),
    lambda: rows.write_table(sys.argv[1], pandas.DataFrame({"a": range(100_000)})),
    lambda: rows.write_table(sys.argv[1], pyarrow.table({"a": list(range(100_000))})),
):
    try:
        write()
    except DiskFull as error:
        print(error)
"""


@pytest.mark.skipif(not hasattr(resource, "RLIMIT_FSIZE"), reason="needs a limit on file size")
def test_a_full_disk_is_one_clear_line_and_the_old_file_stays(tmp_path):
    path = write_rows(tmp_path / "a.jsonl", [{"a": 1}])
    done = subprocess.run([sys.executable, "-c", FULL, str(path)], capture_output=True, text=True)
    lines = done.stdout.splitlines()
    assert len(lines) == 4 and all("no room on the disk" in line and str(path) in line for line in lines), done
    assert found(path) == [{"a": 1}] and [entry.name for entry in tmp_path.iterdir()] == ["a.jsonl"]
    assert issubclass(DiskFull, OSError)


def test_fingerprints_follow_content_alone(tmp_path):
    one, other = tmp_path / "one", tmp_path / "other"
    for folder in (one, other):
        rows.write_text(folder / "deep" / "a.txt", "same")
    assert file_fingerprint(one) == file_fingerprint(other) != file_fingerprint(one / "deep" / "a.txt")
    rows.write_text(other / "deep" / "a.txt", "else")
    assert file_fingerprint(one) != file_fingerprint(other) and file_fingerprint(tmp_path / "none") == "absent"
    assert fingerprint({"a": 1, "b": tmp_path}) == fingerprint({"b": tmp_path, "a": 1}) != fingerprint({"a": 1})
    assert fingerprint({"b", "a", "c"}) == fingerprint(["a", "b", "c"]) == fingerprint(frozenset("cab"))
    assert fingerprint("half \ud83d") == fingerprint("half \ud83d") and len(fingerprint(1, length=12)) == 12
