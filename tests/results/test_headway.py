import numpy as np
import pytest
import xarray as xr

from jaxbias._checks import InputError
from jaxbias.results import store
from jaxbias.results.headway import headway


def batch(statuses):
    return xr.Dataset(
        {"status": (("run",), np.array(statuses, np.int32))},
        attrs={"wall_seconds": 1.5},
    )


def test_batches_and_runs_are_counted(tmp_path):
    store.write_manifest(tmp_path, {"files": ["a.nc", "b.nc", "c.nc"]})
    store.write(batch([0, 0, 1]), tmp_path / "a.nc")
    store.write(batch([0, 2]), tmp_path / "c.nc")
    assert headway(tmp_path) == {
        "folder": str(tmp_path),
        "batches": 3,
        "batches_written": 2,
        "runs_written": 5,
        "runs_unfinished": 2,
        "wall_seconds": 3.0,
    }


def test_a_sweep_may_not_have_begun(tmp_path):
    with pytest.raises(InputError, match="no sweep has begun"):
        headway(tmp_path)
    store.write_manifest(tmp_path, {"files": ["a.nc"]})
    assert headway(tmp_path)["batches_written"] == 0


def test_a_corrupt_file_is_named(tmp_path):
    store.write_manifest(tmp_path, {"files": ["a.nc"]})
    (tmp_path / "a.nc").write_bytes(b"half a file")
    with pytest.raises(InputError, match=r"a\.nc.*corrupt"):
        headway(tmp_path)
