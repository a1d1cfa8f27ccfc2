import subprocess
import sys

import numpy as np
import pytest
import xarray as xr

from jaxbias import results
from jaxbias._checks import InputError
from jaxbias.results import store


def table(runs=(0, 1, 2), width=3, spec="f", **attrs):
    runs = np.asarray(runs)
    values = runs[:, None] + np.linspace(0, 1, width)[None, :]
    return xr.Dataset(
        {
            "loss": (("run", "time"), np.stack([runs, 2.0 * runs], 1)),
            "amplitude": (("run", "neuron"), values),
            "alive": (("run", "neuron"), values > 1),
            "status": (("run",), np.zeros(len(runs), np.int32)),
        },
        {
            "run": runs,
            "seed": (("run",), runs),
            "kind": (("run",), np.array(["relu", "a long name", "x"])[runs % 3]),
            "time": [1.0, 10.0],
        },
        {"spec_hash": spec, "wall_seconds": 2.0, **attrs},
    )


def batches(folder, tables, planned=None):
    names = [f"batch-{i}.nc" for i in range(planned or len(tables))]
    store.write_manifest(folder, {"spec_hash": "f", "files": names})
    for name, one in zip(names, tables, strict=False):
        results.write(one, folder / name)
    return names


def test_a_file_gives_back_the_same_bits(tmp_path):
    saved = table()
    saved["amplitude"][0, 0] = np.nan
    path = results.write(saved, tmp_path / "new" / "folder" / "a.nc")
    assert results.same_data(saved, results.open(path))
    assert [p.name for p in path.parent.iterdir()] == ["a.nc"]


@pytest.mark.parametrize(
    "change",
    [
        lambda d: d.assign(loss=d.loss + np.float64(2) ** -50),
        lambda d: d.assign(loss=d.loss.astype("float32")),
        lambda d: d.drop_vars("alive"),
        lambda d: d.assign_coords(kind=("run", ["relu", "other", "x"])),
        lambda d: d.assign_attrs(spec_hash="another"),
    ],
)
def test_same_data_sees_one_bit(change):
    first = table()
    assert results.same_data(first, table(host="elsewhere", wall_seconds=9.0))
    assert not results.same_data(first, change(first))


def test_a_folder_is_one_table_in_the_order_of_runs(tmp_path):
    batches(tmp_path, [table((1, 4)), table((0, 2, 3))])
    joined = results.open(tmp_path)
    assert joined.run.values.tolist() == [0, 1, 2, 3, 4]
    assert joined.loss.values[:, 1].tolist() == [0, 2, 4, 6, 8]
    assert joined.kind.values[1] == "a long name"
    assert joined.attrs["wall_seconds"] == 4.0
    assert joined.attrs["batches"] == 2
    assert joined.attrs["batches_missing"] == 0


def test_widths_are_padded_to_the_widest_and_masked(tmp_path):
    batches(tmp_path, [table((0, 1), width=2), table((2,), width=5)])
    joined = results.open(tmp_path)
    assert joined.sizes["neuron"] == 5
    assert joined.neuron_mask.sum("neuron").values.tolist() == [2, 2, 5]
    assert np.isnan(joined.amplitude.values[0, 2:]).all()
    assert np.isfinite(joined.amplitude.values[2]).all()
    assert joined.alive.dtype == bool
    assert not joined.alive.values[0, 2:].any()


def test_missing_batches_are_counted(tmp_path):
    batches(tmp_path, [table()], planned=4)
    assert results.open(tmp_path).attrs["batches_missing"] == 3


def test_tables_that_cannot_be_joined_are_refused():
    with pytest.raises(InputError, match="share alive"):
        results.combine([table(), table((3,)).drop_vars("alive")])
    with pytest.raises(InputError, match="different 'time'"):
        results.combine([table(), table((3,)).assign_coords(time=[1.0, 9.0])])
    with pytest.raises(InputError, match="same run twice"):
        results.combine([table((0, 1)), table((1, 2))])


@pytest.mark.parametrize("damage", ["cut", "flip", "text", "empty"])
def test_corrupt_files_are_refused_by_name(tmp_path, damage):
    names = batches(tmp_path, [table(), table((3, 4, 5))])
    path = tmp_path / names[1]
    content = bytearray(path.read_bytes())
    if damage == "cut":
        content = content[: len(content) // 2]
    elif damage == "flip":
        with xr.open_dataset(path, engine="h5netcdf") as whole:
            packed = whole.amplitude.values
        assert packed.size == 9
        import h5py

        with h5py.File(path) as raw:
            chunk = raw["amplitude"].id.get_chunk_info(0)
        content[chunk.byte_offset + chunk.size // 2] ^= 0xFF
    elif damage == "text":
        content = b"these are not numbers"
    else:
        content = b""
    path.write_bytes(bytes(content))
    for target in (path, tmp_path):
        with pytest.raises(InputError, match=r"batch-1\.nc.*corrupt or cut short"):
            results.open(target)


def test_a_broken_plan_is_refused_by_name(tmp_path):
    batches(tmp_path, [table()])
    (tmp_path / "sweep.json").write_text('{"files": 3')
    with pytest.raises(InputError, match=r"sweep\.json.*corrupt"):
        results.open(tmp_path)


def test_a_file_of_another_sweep_is_refused(tmp_path):
    batches(tmp_path, [table(), table((3,), spec="other")])
    with pytest.raises(InputError, match=r"batch-1\.nc.*another sweep"):
        results.open(tmp_path)


def test_nothing_there(tmp_path):
    with pytest.raises(InputError, match="no such file"):
        results.open(tmp_path / "missing.nc")
    with pytest.raises(InputError, match="no results are in it"):
        results.open(tmp_path)
    store.write_manifest(tmp_path, {"spec_hash": "f", "files": ["batch-0.nc"]})
    with pytest.raises(InputError, match="finished no batch"):
        results.open(tmp_path)


def test_an_unwritable_folder(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(InputError, match="cannot be written there"):
        results.write(table(), tmp_path / "file" / "a.nc")


def test_a_table_netcdf_cannot_hold(tmp_path):
    odd = table().assign(odd=("run", np.array([{}, [], ()], object)))
    with pytest.raises(InputError, match="netCDF cannot hold it"):
        results.write(odd, tmp_path / "a.nc")
    assert list(tmp_path.iterdir()) == []


FULL_DISK = """
import resource, sys
import numpy as np, xarray as xr
from jaxbias import results
from jaxbias._checks import InputError
small = xr.Dataset({"x": ("run", np.arange(4.0))}, attrs={"spec_hash": "s"})
path = sys.argv[1]
results.write(small, path)
noise = np.random.default_rng(0).normal(size=100_000)
resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))
try:
    results.write(xr.Dataset({"x": ("run", noise)}), path)
except InputError as error:
    assert "cannot be written there" in str(error), error
    assert results.same_data(small, results.open(path))
    print("kept")
"""


def test_a_full_disk_keeps_the_file_that_was_there(tmp_path):
    path = tmp_path / "a.nc"
    script = [sys.executable, "-c", FULL_DISK, str(path)]
    run = subprocess.run(script, capture_output=True, text=True)
    assert run.stdout.strip() == "kept", run.stderr
    assert [p.name for p in tmp_path.iterdir()] == ["a.nc"]


def test_results_never_load_jax():
    code = "import sys, jaxbias.results; print('jax' in sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert run.stdout.strip() == "False", run.stderr


def test_a_plan_that_is_there_already_is_left_alone(tmp_path):
    plan = {"spec_hash": "f", "files": ["batch-0.nc"]}
    store.write_manifest(tmp_path, plan)
    before = (tmp_path / "sweep.json").stat()
    store.write_manifest(tmp_path, plan)
    assert (tmp_path / "sweep.json").stat().st_ino == before.st_ino
    store.write_manifest(tmp_path, {**plan, "files": []})
    assert store.read_manifest(tmp_path) == {**plan, "files": []}
