import numpy as np
import pytest
import xarray as xr

from jaxbias import results
from jaxbias._checks import InputError

SEEDS, WIDTHS = 5, (10, 20)


def sweep(unfinished=()):
    seed = np.tile(np.arange(SEEDS), len(WIDTHS))
    width = np.repeat(WIDTHS, SEEDS)
    loss = (width + seed)[:, None] * np.array([1.0, 100.0])[None, :]
    status = np.zeros(len(seed), np.int32)
    status[list(unfinished)] = 1
    loss[list(unfinished)] = -1e9
    flags = {"flag_values": [0, 1], "flag_meanings": "finished max_steps"}
    return xr.Dataset(
        {
            "loss": (("run", "time"), loss, {"description": "the loss"}),
            "status": (("run",), status, flags),
        },
        {
            "run": np.arange(len(seed)),
            "seed": ("run", seed),
            "width": ("run", width),
            "time": [1.0, 10.0],
        },
        {"axes": '["width"]'},
    )


def test_median_keeps_axes_apart():
    median = results.median(sweep(), "loss")
    assert median.dims == ("width", "time")
    assert median.sel(width=20, time=10.0) == 2200
    assert median.attrs == {"description": "the loss", "runs": 10, "unfinished": 0}


def test_unfinished_runs_are_left_out_and_counted():
    median = results.median(sweep(unfinished=(1, 2, 7)), "loss")
    assert median.sel(width=10, time=1.0) == 13  # seeds 0, 3, 4
    assert median.attrs["unfinished"] == 3
    assert median.finished.values.tolist() == [3, 4]
    assert results.worst(sweep((9,)), "loss").sel(width=20, time=1.0) == 23


def test_a_point_without_finished_runs_is_nan():
    median = results.median(sweep(unfinished=range(5)), "loss")
    assert np.isnan(median.sel(width=10)).all()
    assert median.sel(width=20, time=1.0) == 22


def test_an_undefined_value_of_a_finished_run_is_not_hidden():
    table = sweep()
    table["loss"][2, 0] = np.nan
    assert np.isnan(results.median(table, "loss").sel(width=10, time=1.0))


def test_worst_both_ways_and_quantiles():
    table = sweep()
    assert results.worst(table, "loss").sel(width=10, time=1.0) == 14
    assert results.worst(table, "loss", largest=False).sel(width=10, time=1.0) == 10
    spread = results.quantiles(table, "loss", (0.0, 0.25, 1.0))
    assert spread.dims == ("width", "time", "quantile")
    assert spread.sel(width=20, time=1.0).values.tolist() == [20, 21, 24]


def test_by_chooses_the_axes():
    assert results.median(sweep(), "loss", by=()).dims == ("time",)
    assert results.median(sweep(), "loss", by=()).sel(time=1.0) == 17
    with pytest.raises(InputError, match="by='widht'.*'width'"):
        results.median(sweep(), "loss", by=("widht",))


def test_refusals():
    with pytest.raises(InputError, match="without 'status'"):
        results.median(sweep().drop_vars("status"), "loss")
    with pytest.raises(InputError, match="name='los'.*'loss'"):
        results.median(sweep(), "los")
    with pytest.raises(InputError, match="between 0 and 1"):
        results.quantiles(sweep(), "loss", (0.5, 95.0))


def test_the_finished_runs():
    done = results.finished(sweep(unfinished=(0, 6)))
    assert done.run.values.tolist() == [1, 2, 3, 4, 5, 7, 8, 9]
    assert (done.attrs["runs"], done.attrs["unfinished"]) == (10, 2)
