"""What a dry run says of a sweep, and what it refuses."""

import os

import numpy as np
import pytest

from jaxbias._checks import InputError
from jaxbias.sweeps import costs, forecast, sweep


def planned(flow, over, seeds, **options):
    return sweep(flow, over, seeds, dry_run=True, **options)


def test_a_dry_run_foretells_each_program(flow, monkeypatch):
    monkeypatch.setattr(costs, "COMPILE_SECONDS", 0.0)
    table = planned(flow, {"width": [20, 64], "noise": [0.1, 0.2]}, 50, times=[5.0])
    assert table.program_width.values.tolist() == [20, 64]
    assert table.program_runs.values.tolist() == [100, 100]
    assert table.program_files.values.tolist() == [1, 1]
    narrow, wide = table.program_seconds.values
    assert 0 < narrow < wide
    assert table.attrs["cpu_seconds"] == pytest.approx(narrow + wide)
    # Two numbers of eight bytes a run, and six statistics.
    assert table.attrs["file_bytes"] == 200 * (2 + 6) * 8
    assert 10**8 < table.attrs["memory_bytes"] < 10**9
    tight = planned(flow, {}, 50, times=[5.0], tolerances=(1.0, 1 / 3, 1 / 9))
    once = planned(flow, {}, 50, times=[5.0])
    assert tight.attrs["cpu_seconds"] > 3 * once.attrs["cpu_seconds"]
    many = planned(flow, {}, 50, times=[5.0], observe=["loss", "contributions"])
    assert many.attrs["file_bytes"] == 50 * (1 + 64 + 6) * 8


def test_radii_are_foretold_at_their_points(flow):
    plain = planned(flow, {}, 10).attrs["cpu_seconds"]
    centres, samples = (
        planned(flow, {}, 10, radius_at=place).attrs["cpu_seconds"] - plain
        for place in ("centres", "samples")
    )
    assert samples == pytest.approx(2 * centres)


@pytest.mark.parametrize("dry_run", [True, False])
def test_what_cannot_fit_is_refused_before_anything_is_made(
    flow, tmp_path, monkeypatch, dry_run
):
    options = {"out": tmp_path / "runs", "dry_run": dry_run}
    with pytest.raises(InputError, match="width=1000000000000"):
        sweep(flow, {"width": [1e12]}, 2, **options)
    with pytest.raises(InputError, match="GiB of memory. Try smaller sizes"):
        sweep(flow, {"width": [2**31 - 1]}, 2, **options)
    monkeypatch.setattr(forecast, "_machine_bytes", lambda: 2.0**30)
    with pytest.raises(InputError, match="width=2000000, .* dim=12, .*: one call"):
        sweep(flow, {"width": [2_000_000]}, 2, **options)
    assert os.listdir(tmp_path) == []


def test_memory_of_this_machine_is_known():
    assert np.isfinite(forecast._machine_bytes())
