"""Points and boxes from files: read where it is plain, asked about where it is not."""

import contextlib
import csv
import io
import json
import re
import zipfile

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from jaxbias import cli, cli_commands
from jaxbias._checks import InputError
from jaxbias.cli_box import box_of
from jaxbias.cli_points import points

ROWS = [[0.5, -1.25, 3.0], [0.25, 2.0, -7.5], [1e-3, 4.0, 0.0], [-0.5, 1.0, 2.0]]
LABELS = [1.0, -1.0, -1.0, 1.0]


def table(folder, place=3, header=None, mark="\ufeff", separator=",", quoted=False):
    """A file of Python's csv module, with the labels in any column."""
    said = io.StringIO()
    quoting = csv.QUOTE_ALL if quoted else csv.QUOTE_MINIMAL
    writer = csv.writer(said, delimiter=separator, quoting=quoting)
    if header is not None:
        writer.writerow(header)
    for row, label in zip(ROWS, LABELS, strict=True):
        writer.writerow([*row[:place], label, *row[place:]])
    path = folder / "points.csv"
    path.write_bytes((mark + said.getvalue()).encode())
    return path


def assert_read(path, **options):
    inputs, labels = points(path, **options)
    np.testing.assert_array_equal(inputs, ROWS)
    np.testing.assert_array_equal(labels, LABELS)


def refused(path, *told, **options):
    with pytest.raises(InputError) as caught:
        points(path, **options)
    said = str(caught.value)
    assert "\n" not in said.strip()
    assert len(said) < 600
    for part in told:
        assert part in said, said
    return caught.value


# --- tables ---------------------------------------------------------------------------


@pytest.mark.parametrize("mark", ["", "\ufeff"])
@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_a_byte_order_mark_and_a_separator_lose_no_point(mark, separator, tmp_path):
    assert_read(table(tmp_path, mark=mark, separator=separator))
    names = ["a", "b", "c", "label"]
    assert_read(table(tmp_path, header=names, mark=mark, separator=separator))


@pytest.mark.parametrize("place", [0, 1, 3])
@pytest.mark.parametrize("name", ["label", " Label ", "'y'", "TARGET", "class"])
def test_the_label_column_is_found_by_its_name(name, place, tmp_path):
    names = ["pixel1", "pixel2", "pixel3"]
    names.insert(place, name)
    for quoted in (False, True):
        assert_read(table(tmp_path, place, names, quoted=quoted))


@pytest.mark.parametrize("label", ["1", "-3", "sign", "Sign "])
def test_the_label_column_can_be_said(label, tmp_path):
    names = ["pixel1", "sign", "pixel2", "pixel3"]
    assert_read(table(tmp_path, 1, names), label=label)


def test_numbers_of_columns_do_without_a_header(tmp_path):
    for place in (0, 2, 3):
        assert_read(table(tmp_path, place), label=str(place))
    assert_read(table(tmp_path, 3), label="-1")


def test_a_header_of_numpy_is_a_comment(tmp_path):
    both = np.column_stack([LABELS, ROWS])
    path = tmp_path / "points.csv"
    np.savetxt(path, both, delimiter=",", header="written today\nlabel,a,b,c")
    assert_read(path)
    np.savetxt(path, np.roll(both, -1, 1), delimiter=",", header="written today")
    assert_read(path)


@pytest.mark.parametrize(
    ("header", "place", "told"),
    [
        (["a", "b", "c", "d"], 3, "Try --label d"),
        (["y", "b", "c", "label"], 3, "Try --label y or --label label"),
        (["label", "b", "c", "label"], 3, "Try --label 0 or --label 3"),
        (["", "b", "c", "label"], 3, "index=False"),
        (["Unnamed: 0", "b", "c", "label"], 3, "index=False"),
        (None, 0, "Try --label 0, whichever"),
        (None, 1, "Try --label 1, whichever"),
    ],
)
def test_what_cannot_be_known_is_a_question(header, place, told, tmp_path):
    refused(table(tmp_path, place, header), told)


def test_pixels_without_a_header_are_a_question(tmp_path):
    path = tmp_path / "mnist.csv"
    path.write_text("5,0,128,0\n7,1,3,0\n")
    refused(path, "columns 0, 1, 2, 3 do", "--label 0 or --label -1 or --label 1")
    assert points(path, "0")[1].tolist() == [5, 7]
    for first in ("0,1,2,3", "1,2,3,4"):
        path.write_text(f"{first}\n0.5,1.5,2.5,1\n0.5,1.5,2.5,7\n")
        for label in (None, "-1"):
            refused(path, "whose first line counts", "a, b, ..., label", label=label)
        path.write_text(f"a,b,c,label\n{first}\n0.5,1.5,2.5,1\n")
        assert len(points(path)[1]) == 2


def test_labels_are_not_taken_from_a_feature_that_is_nought(tmp_path):
    path = tmp_path / "points.csv"
    path.write_text("0.5,1,0.25,0\n0.75,-1,0.5,0\n")
    refused(path, "columns 1, 3 do", "--label -1 or --label 1")
    assert points(path, "1")[1].tolist() == [1, -1]


def test_one_point_is_a_row_too(tmp_path):
    np.savez(tmp_path / "one.npz", inputs=[1.0, 2.0], labels=1)
    refused(tmp_path / "one.npz", "inputs of shape (2,)", "every point is a row")


def test_a_coordinate_called_y_is_no_label(tmp_path):
    path = table(tmp_path, 2, ["x", "y", "sign", "z"])
    refused(path, "y is called like labels and holds fractions", "--label z, or")
    assert_read(path, label="sign")


@pytest.mark.parametrize(
    ("label", "told"),
    [("d", "no column is called so"), ("4", "no column"), ("2", "several columns")],
)
def test_a_column_that_is_not_there_or_two_are_said(label, told, tmp_path):
    path = table(tmp_path, header=["2", "b", "c", "label"])
    refused(path, told, "columns 2, b, c, label", label=label)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"a,label\n1.5,1\n2.5,x\n", "line 3, column 'label' with 'x'"),
        (b"a,label\n\n1.5,1\n,1\n", "line 4, column 'a': the cell is empty"),
        (b"a,label\n1.5,1\nnan,1\n", "line 3, column 'a' with 'nan'"),
        (b"a,label\n1_5,1\n", "line 2, column 'a' with '1_5'"),
        (b'a,label\n"1,5",1\n', "a decimal comma: Try decimal points, as in 1.5"),
        (b"a;label\n1,5;1\n", "column 'a' with '1,5': it has a decimal comma"),
        (b"1,5;1\n2,5;-1\n", "line 1, column 0 with '1,5': it has a decimal comma"),
        (b"1.5\t2,5\t1\n", "it has a decimal comma"),
        (b"a,label\n1,2,3\n", "line 2 of 3 cells: the header has 2"),
        (b"1.5,2\n1.5,2,3\n", "line 2 of 3 cells: the rows before have 2"),
        (b"1.5 2 1\n2.5 3 1\n", "spaces do not separate cells"),
        (b"1\n2\n", "it has one column"),
        (b"label\n1\n", "it has one column"),
        (b"a,b,label\n", "no rows"),
        (b"\n \n", "no rows"),
        (b"", "it is empty"),
        (b"a,label\n1.5,\xff\n", "neither an .npz nor a table in UTF-8 (byte 0xff in"),
        (b"\xff\xfea\x00", "UTF-16"),
        (b"a\x00b", "neither an .npz nor a table"),
        (b'a,label\n"1.5,1\n', "line 2 of 1 cells"),
        (b"\x93NUMPY\x01\x00", "an .npy is one array"),
    ],
)
def test_a_table_is_refused_by_line_and_column(content, told, tmp_path):
    path = tmp_path / "points.csv"
    path.write_bytes(content)
    refused(path, *told.replace(": Try", "\nTry").split("\n"))


_cells = st.sampled_from(
    ["1", "-1", "0.5", "1,5", "", " ", "nan", "x", "label", '"', "1e400", "#", "2 3"]
)
_texts = st.lists(st.lists(_cells, max_size=4).map(",".join), max_size=5)


@settings(
    max_examples=150,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(st.one_of(st.binary(max_size=60), _texts.map("\n".join).map(str.encode)))
def test_any_bytes_are_points_or_one_line(tmp_path, content):
    path = tmp_path / "points.csv"
    path.write_bytes(content)
    with contextlib.suppress(InputError):
        inputs, labels = points(path)
        assert inputs.shape == (len(labels), inputs.shape[1])
        assert np.isfinite(inputs).all()


# --- archives -------------------------------------------------------------------------


@pytest.mark.parametrize(
    "names",
    [
        ("inputs", "labels"),
        ("X", "y"),
        ("data", "target"),
        ("x", "labels"),
        ("images", "Label"),
        ("features", "class"),
    ],
)
def test_arrays_are_found_by_their_usual_names(names, tmp_path):
    path = tmp_path / "points.npz"
    np.savez(path, other=np.ones(3), **dict(zip(names, (ROWS, LABELS), strict=True)))
    assert_read(path)


@pytest.mark.parametrize(
    ("names", "call"),
    [
        (("X_train", "y_train", "X_test", "y_test"), "--inputs X_test --label y_test"),
        (("x", "y", "data", "target"), "--inputs x --label y"),
        (("x", "y", "points"), "--inputs x --label y"),
        (("pts", "cls"), "--inputs pts --label cls"),
        (("X", "x", "y"), "--inputs X --label y"),
    ],
)
def test_several_arrays_or_none_are_a_question_with_its_answer(names, call, tmp_path):
    arrays = {name: LABELS if name[0] in "ytc" else ROWS for name in names}
    path = tmp_path / "points.npz"
    np.savez(path, **arrays)
    if names == ("x", "y", "points"):
        assert_read(path)
        return
    refused(path, call, "is not guessed")
    _, inputs, _, label = call.split()
    assert_read(path, inputs=inputs, label=label)


def test_names_that_are_not_there_and_other_archives_are_told(tmp_path):
    path = tmp_path / "points.npz"
    np.savez(path, x=ROWS, y=LABELS)
    refused(path, "--inputs z is not among them", "x (4, 3), y (4,)", inputs="z")
    refused(path, "--label z is not among them", label="z")
    refused(path, "two arrays", label="x", inputs="x")
    assert points(path, label="y", inputs="x")[0].shape == (4, 3)
    np.savez(path, x=ROWS)
    refused(path, "two arrays")
    np.savez(path)
    refused(path, "nothing")
    for name, told in (("[Content_Types].xml", "CSV"), ("a/data.pkl", "PyTorch")):
        with zipfile.ZipFile(path, "w") as file:
            file.writestr(name, "")
        refused(path, told)
    refused(table(tmp_path), "it names an array of an .npz", inputs="a")
    refused(tmp_path, "it is a folder")
    refused(tmp_path / "nowhere.csv", "No such file")


# --- boxes ----------------------------------------------------------------------------


def test_a_box_is_two_numbers_or_a_file(tmp_path):
    low, high = np.array([0.0, -1.0, 2.0]), np.array([1.0, 1.0, 9.0])
    assert box_of(None) is None
    assert box_of(("-9", "9.5")) == (-9.0, 9.5)
    np.savez(tmp_path / "box.npz", low=low, high=high)
    np.savetxt(
        tmp_path / "box.csv",
        np.column_stack([low, high]),
        delimiter=",",
        header="low,high",
    )
    for name in ("box.npz", "box.csv"):
        for found, end in zip(
            box_of((str(tmp_path / name),)), (low, high), strict=True
        ):
            np.testing.assert_array_equal(found, end)
    np.savez(tmp_path / "box.npz", low=0, high=high.reshape(1, 3))
    found = box_of((str(tmp_path / "box.npz"),))
    assert [end.shape for end in found] == [(), (3,)]


def test_a_box_is_told_by_its_names_and_may_be_infinite(tmp_path):
    path = tmp_path / "box.csv"
    path.write_text("LOW,High\n-inf,9\n-9,inf\n")
    low, high = box_of((str(path),))
    assert low.tolist() == [-np.inf, -9]
    assert high.tolist() == [9, np.inf]
    for content, told in (
        ("low,low,high\n0,1,2\n", "2 of them are called low"),
        ("low,LOW,high\n0,1,2\n", "2 of them are called low"),
        ("low,high\n-inf,nan\n", "column 'high' with 'nan'"),
    ):
        path.write_text(content)
        with pytest.raises(InputError, match=re.escape(told)):
            box_of((str(path),))
    with pytest.raises(InputError, match="nan is no end"):
        box_of(("nan", "1"))


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("0",), "no such file"),
        ((), "two numbers or one file"),
        (("0", "1", "2"), "two numbers or one file"),
        (("0", "x"), "as numbers"),
        (("@names.npz",), "with up, down"),
        (("@words.npz",), "arrays of numbers"),
        (("@nan.npz",), "arrays of numbers"),
        (("@box.csv",), "with no names"),
        (("@empty.csv",), "it is empty"),
    ],
)
def test_a_box_that_cannot_be_read_is_told(words, told, tmp_path):
    np.savez(tmp_path / "names.npz", up=1, down=0)
    np.savez(tmp_path / "words.npz", low="a", high="b")
    np.savez(tmp_path / "nan.npz", low=np.nan, high=1)
    (tmp_path / "box.csv").write_text("0,1\n0,1\n")
    (tmp_path / "empty.csv").write_text("")
    words = tuple(word.replace("@", f"{tmp_path}/") for word in words)
    with pytest.raises(InputError, match=told):
        box_of(words)


# --- what the command says ------------------------------------------------------------


@pytest.mark.parametrize("wrong", [False, True])
def test_points_that_are_all_wrong_are_said_loudly(
    wrong, tmp_path, monkeypatch, capsys
):
    monkeypatch.setattr(cli_commands, "start_jax", lambda: None)
    np.savez(tmp_path / "net.npz", hidden=np.eye(3), output=np.ones(3))
    labels = [1, -1, 1] if not wrong else [-1, -1, -1]
    np.savez(tmp_path / "points.npz", X=np.eye(3), y=labels)
    words = [str(tmp_path / name) for name in ("net.npz", "points.npz")]
    words = ["radius", *words, "--activation", "relu", "--effort", "attack", "--json"]
    assert cli.main(words) == 0
    said = capsys.readouterr()
    found = json.loads(said.out)
    assert found["broken_when_clean"] == (3 if wrong else 1)
    if not wrong:
        assert (found["warning"], said.err) == (None, "")
        return
    assert said.err == f"jaxbias: warning: {found['warning']}\n"
    assert re.search("all 3 points are wrong when clean.*--label", said.err)


_starts = st.sampled_from(
    [b"", b"PK\x03\x04", b"\x93NUMPY", b"\x80\x02", b"\x81\xa1w", b"\x08\x08\x12"]
    + [b"\x10" + bytes(7) + b"{", b"\x89HDF\r\n\x1a\n", b"a,label\n"]
)


@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(_starts, st.binary(max_size=40), st.booleans())
def test_any_file_is_one_line_for_the_command(
    tmp_path, monkeypatch, capsys, start, rest, network
):
    monkeypatch.setattr(cli_commands, "start_jax", lambda: None)
    np.savez(tmp_path / "net.npz", hidden=np.eye(3), output=np.ones(3))
    np.savez(tmp_path / "points.npz", X=np.eye(3), y=np.ones(3))
    (tmp_path / "junk").write_bytes(start + rest)
    names = ("junk", "points.npz") if network else ("net.npz", "junk")
    words = [str(tmp_path / name) for name in names]
    assert cli.main(["radius", *words, "--activation", "relu"]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert re.fullmatch(r"jaxbias: .* Try .*\n", said.err)
