"""Tables for other programs: what a reader of CSV or Parquet finds."""

import csv
import importlib.util
import json
import sys

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from jaxbias import results
from jaxbias._checks import InputError
from jaxbias.results.columns import columns

THIRD = 1 / 3
FLAGS = {"flag_values": [0, 1], "flag_meanings": "finished max_steps"}


def sweep():
    loss = np.array([[1.0, THIRD], [2.0, 1e-300], [np.inf, np.nan]])
    radius = np.array([[0.1, 0.2, np.nan], [0.3, 0.4, 0.5], [0.6, 0.7, np.nan]])
    mask = np.array([[True, True, False], [True] * 3, [True, True, False]])
    return xr.Dataset(
        {
            "loss": (("run", "time"), loss),
            "amplitude": (("neuron", "run"), radius.T),
            "evaluations": ("run", np.array([10, 20, 30], np.int32)),
            "inaccurate": ("run", [True, False, False]),
            "status": ("run", np.array([0, 0, 1], np.int32), FLAGS),
        },
        {
            "run": [0, 1, 2],
            "width": ("run", [2, 3, 2]),
            "kind": ("run", ["relu", 'a, "b"', "x"]),
            "seed": ("run", [5, 6, 7]),
            "time": [1.0, 10.0],
            "neuron_mask": (("run", "neuron"), mask),
        },
        {"axes": '["width"]', "spec_hash": "f", "seed_first": np.int64(5)},
    )


def read(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_one_row_a_run(tmp_path):
    path = results.export(
        sweep(), tmp_path / "a.csv", variables=["evaluations", "inaccurate"]
    )
    rows = read(path)
    names = ["run", "seed", "width", "kind", "evaluations", "inaccurate", "status"]
    assert list(rows[0]) == names
    assert list(rows[1].values()) == [*"163", 'a, "b"', "20", "False", "finished"]
    assert [row["status"] for row in rows] == ["finished", "finished", "max_steps"]
    assert path.read_bytes().count(b"\n") == 4
    assert b"\r" not in path.read_bytes()


def test_one_row_a_run_and_time_and_floats_come_back_the_same(tmp_path):
    path = results.export(sweep(), tmp_path / "a.csv", variables=["loss"])
    rows = read(path)
    assert [(row["run"], row["time"]) for row in rows] == [
        (run, time) for run in "012" for time in ("1.0", "10.0")
    ]
    found = np.array([float(row["loss"]) for row in rows]).reshape(3, 2)
    np.testing.assert_array_equal(found, sweep().loss.values)
    again = pd.read_csv(path)
    np.testing.assert_allclose(again["loss"], sweep().loss.values.ravel(), rtol=1e-15)
    assert again["width"].tolist() == [2, 2, 3, 3, 2, 2]


def test_floats_of_single_precision_come_back_the_same(tmp_path):
    single = sweep().loss.astype("float32")
    path = results.export(
        sweep().assign(loss=single), tmp_path / "a.csv", variables=["loss"]
    )
    found = np.array([np.float32(row["loss"]) for row in read(path)])
    np.testing.assert_array_equal(found, single.values.ravel())


def test_rows_beyond_a_width_are_left_out():
    made = columns(sweep(), ["amplitude", "evaluations"])
    assert made["neuron"].tolist() == [0, 1, 0, 1, 2, 0, 1]
    assert made["amplitude"].tolist() == [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7]
    assert made["evaluations"].tolist() == [10, 10, 20, 20, 20, 30, 30]
    assert "neuron_mask" not in made


def test_the_long_form_is_that_of_xarray():
    chosen = ["loss", "evaluations"]
    frame = sweep().drop_vars("neuron_mask")[chosen].to_dataframe().reset_index()
    made = columns(sweep(), chosen)
    for name in ("run", "seed", "time", "loss", "evaluations"):
        np.testing.assert_array_equal(made[name], frame[name])


def test_variables_of_different_axes_are_refused_with_the_calls_that_work(tmp_path):
    with pytest.raises(InputError) as caught:
        results.export(sweep(), tmp_path / "a.csv")
    assert "loss one for each time; amplitude one for each neuron" in caught.value.got
    assert "variables=['loss'] or variables=['amplitude']" in caught.value.fix
    assert list(tmp_path.iterdir()) == []
    plain = sweep().drop_vars("amplitude")
    assert len(read(results.export(plain, tmp_path / "a.csv"))) == 6


@pytest.mark.parametrize(
    ("path", "options", "message"),
    [
        ("a.xlsx", {}, r"ending='\.xlsx'.*\.csv"),
        ("a", {}, r"known are '\.csv', '\.parquet'"),
        ("a.csv", {"variables": ["los"]}, "variables='los'.*'loss'"),
        ("a.csv", {"variables": "loss"}, r"variables=\['loss'\]"),
        ("file/a.csv", {"variables": ["loss"]}, "cannot be written there"),
    ],
)
def test_refusals(tmp_path, path, options, message):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(InputError, match=message):
        results.export(sweep(), tmp_path / path, **options)
    with pytest.raises(InputError, match="without the dimension 'run'"):
        results.export(sweep().isel(run=0), tmp_path / "a.csv")


def test_an_older_file_stays_until_the_new_one_is_whole(tmp_path, monkeypatch):
    from jaxbias.results import exports

    path = results.export(sweep(), tmp_path / "a.csv", variables=["loss"])
    before = path.read_bytes()

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.replace", full)
    with pytest.raises(InputError, match="No space left"):
        exports.export(sweep(), path, variables=["evaluations"])
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["a.csv"]


def test_without_pyarrow_the_extra_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(InputError, match=r"pip install 'jaxbias\[parquet\]'"):
        results.export(sweep(), tmp_path / "a.parquet", variables=["loss"])
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(
    importlib.util.find_spec("pyarrow") is None, reason="needs the extra 'parquet'"
)
def test_parquet_keeps_types_and_attributes(tmp_path):
    from pyarrow import parquet

    path = results.export(sweep(), tmp_path / "a.parquet", variables=["loss"])
    found = parquet.read_table(path)
    made = columns(sweep(), ["loss"])
    assert found.column_names == list(made)
    for name, column in made.items():
        np.testing.assert_array_equal(found[name].to_numpy(), column)
    assert str(found.schema.field("width").type) == "int64"
    assert json.loads(found.schema.metadata[b"seed_first"]) == 5
    assert json.loads(found.schema.metadata[b"spec_hash"]) == "f"
