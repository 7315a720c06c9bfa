"""The first line of a .csv: names are skipped, numbers that may be names are refused, and so is an index."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from gflow.errors import ScenarioError
from gflow.problem.data_files import read_dataset
from gflow.problem.dataset import Dataset
from tests.cases.runs import INPUTS

ROWS = ["0.5,-2.25,1", "0.25,4.5,-1", "-1.5,0.125,1", "2.5,3.5,-1"]
INDEXED = [f"{k},{row}" for k, row in enumerate(ROWS)]
FROM_1 = [f"{k},{row}" for k, row in enumerate(ROWS, start=1)]
SHUFFLED = [f"{k},{row}" for k, row in zip((17, 3, 42, 8), ROWS, strict=True)]

# As pandas (DataFrame.to_csv), R (write.csv, write.table) and people write them.
REFUSED: dict[str, tuple[list[str], int, str]] = {
    "column numbers": (["0,1,2", *ROWS], 1, "0,1,2 numbers the columns, or is a sample: delete the line"),
    "column numbers from 1": (["1,2,3", *ROWS], 1, "1,2,3 numbers the columns"),
    "quoted column numbers": (['"0","1","2"', *ROWS], 1, "numbers the columns"),
    "column numbers, one a float": (["0,1,2.0", *ROWS], 1, "numbers the columns"),
    "column numbers as floats": (["0.0,1.0,2.0", *ROWS], 1, "numbers the columns"),
    "spaces between": ([" 0, 1 ,2", *ROWS], 1, "numbers the columns"),
    "below a comment": (["# exported", "", "0,1,2", *ROWS], 3, "numbers the columns"),
    "column numbers and an index": ([",0,1,2", *INDEXED], 1, "column 1 has no name"),
    "an index without a name": ([",x0,x1,y", *INDEXED], 1, "column 1 has no name"),
    "the index of R": (['"","x0","x1","y"', *FROM_1], 1, "column 1 has no name"),
    "a shuffled index": ([",x0,x1,y", *SHUFFLED], 1, "column 1 has no name"),
    "an index that was read and written again": (["Unnamed: 0,x0,x1,y", *SHUFFLED], 1, "column 1 has no name"),
    "an index that is called so": (["index,x0,x1,y", *INDEXED], 1, "column 1 runs through the numbers of the rows"),
    "ids": (["ID,x0,x1,y", *FROM_1], 1, "column 1 runs through the numbers of the rows"),
    "an index without header": (INDEXED, 1, "column 1 runs through the numbers of the rows"),
    "an index without header, from 1": (FROM_1, 1, "column 1 runs through the numbers of the rows"),
    "one name too few, as write.table of R": (["x0,x1,y", *FROM_1], 1, "has 3 names, and line 2 has 4 columns"),
    "one name too many": (["i,x0,x1,y", *ROWS], 1, "has 4 names, and line 2 has 3 columns"),
    "numbers and a name": (["0,1,label", *ROWS], 1, "column 3 is 'label', not a number"),
    "a name and numbers": (["x,1,2", *ROWS], 1, "column 1 is 'x', not a number"),
    "years": (["2001,2002,2003", *ROWS], 1, "the label is 2003"),
    "negative numbers": (["-3,-2,-1", "1,1,2"], 2, "the label is 2"),  # what the first line is, nobody can say
    "tabs": (["0\t1\t2", *ROWS], 1, "is separated by tabs"),
    "semicolons": (["0;1;2", *ROWS], 1, "is separated by ';'"),
    "blanks": (["0 1 2", *ROWS], 1, "is separated by blanks"),
    "labels in words": (["x0,x1,y", "1,2,yes"], 2, "column 3 is 'yes', not a number"),
}
ACCEPTED: dict[str, tuple[list[str], int]] = {
    "no header": (ROWS, 4),
    "names": (["x0,x1,y", *ROWS], 4),
    "quoted names": (['"x0","x1","y"', *ROWS], 4),
    "names, and a sample that counts": (["x0,x1,y", "-1,0,1", "0,1,-1", *ROWS], 6),
    "whole numbers that do not count": (["1,2,1", "2,1,-1", *ROWS], 6),
    "a grid": (["-1,0,1", "0,1,1", "1,0,-1"], 3),
    "an input that runs, by its name": (["time,x1,y", "0,.5,1", "1,.25,-1", "2,.5,1"], 3),
    "two samples": (["0,2,1", "1,2,-1"], 2),
    "one input that runs": (["-1,-1", "0.5,1", "1,1"], 3),
    "an index in name only": (["index,x1,y", "0.5,.5,1", "0.1,.25,-1"], 2),
    "an unnamed column further on": (["x0,,y", *ROWS], 4),
}
ENCODINGS = {"UTF-8": (b"", b"\n"), "Windows": (b"\xef\xbb\xbf", b"\r\n")}


def read(folder: Path, lines: list[str], start: bytes = b"", end: bytes = b"\n") -> Dataset:
    path = folder / "data.csv"
    path.write_bytes(start + b"".join(line.encode() + end for line in lines))
    return read_dataset(path)


@pytest.mark.parametrize("form", ENCODINGS)
@pytest.mark.parametrize("name", REFUSED)
def test_what_may_be_no_sample_is_refused(tmp_path: Path, name: str, form: str) -> None:
    lines, number, said = REFUSED[name]
    with pytest.raises(ScenarioError) as caught:
        read(tmp_path, lines, *ENCODINGS[form])
    assert str(caught.value).startswith(f"{tmp_path / 'data.csv'}:{number}: ") and said in str(caught.value)


@pytest.mark.parametrize("form", ENCODINGS)
@pytest.mark.parametrize("name", ACCEPTED)
def test_what_is_plain_is_read(tmp_path: Path, name: str, form: str) -> None:
    lines, samples = ACCEPTED[name]
    assert read(tmp_path, lines, *ENCODINGS[form]).y.size == samples


def test_each_remedy_is_one(tmp_path: Path) -> None:
    """What a message tells the user to do is accepted, and means what it says."""
    deleted = read(tmp_path, ROWS)
    named = read(tmp_path, ["x1,x2,y", "0,1,1", *ROWS])
    assert deleted.X.shape == (4, 2) and named.X.shape == (5, 2)
    assert np.array_equal(named.X[0], [0.0, 1.0]) and np.array_equal(named.X[1:], deleted.X)


def test_classes_are_no_way_in(tmp_path: Path) -> None:
    """With several outputs 2 is a legal label, so that column numbers would be a legal sample."""
    path = tmp_path / "classes.csv"
    path.write_text("0,1,2\n0.5,0.25,1\n0.5,2.5,0\n")
    with pytest.raises(ScenarioError, match=r"classes.csv:1: 0,1,2 numbers the columns"):
        read_dataset(path, outputs=3)


def test_the_case(tmp_path: Path) -> None:
    """One input and a bias: `0,1` would be a sample like any other."""
    path = INPUTS / "csv-header" / "d" / "hdr1.csv"
    with pytest.raises(ScenarioError, match=r"hdr1.csv:1: 0,1 numbers the columns, or is a sample: delete the line"):
        read_dataset(path, bias=True)
    (tmp_path / "mended.csv").write_text(path.read_text().removeprefix("0,1\n"))
    assert read_dataset(tmp_path / "mended.csv", bias=True).y.size == 6
