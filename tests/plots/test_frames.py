"""What is drawn, compared with small tables kept beside the tests."""

import json
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from jaxbias.plots import KINDS, _frames

GOLDEN = Path(__file__).parent.parent / "golden"


@pytest.mark.parametrize("kind", KINDS)
def test_table_is_the_golden_one(kind, tables):
    drawn = _frames.table(getattr(_frames, kind)(tables[kind]))
    kept = json.loads((GOLDEN / f"{kind}.json").read_text())
    assert drawn.keys() == kept.keys()
    for name, column in kept.items():
        if name in ("x", "y", "upper"):
            numbers = [np.array(c, float) for c in (drawn[name], column)]
            np.testing.assert_allclose(*numbers, rtol=1e-5)
        else:
            assert drawn[name] == column


def test_power_law_recovers_its_own_slope_and_ignores_what_is_not_positive():
    x = np.array([0.1, 0.2, 0.4, 0.8])
    y = 3.0 * x**1.5
    assert _frames.power_law(x, y) == pytest.approx((1.5, 3.0))
    y[1] = np.nan
    assert _frames.power_law(x, y) == pytest.approx((1.5, 3.0))
    assert np.isnan(_frames.power_law(x[:1], y[:1])).all()


def test_median_and_worst_seed_skip_missing_runs():
    values = xr.DataArray(
        [[1.0, np.nan], [3.0, np.nan], [8.0, np.nan]], dims=("seed", "x")
    )
    marks = {
        mark.role: mark.y for mark in _frames.over_seeds("", "", [0, 1], values, "max")
    }
    np.testing.assert_array_equal(marks["median"], [3.0, np.nan])
    np.testing.assert_array_equal(marks["worst"], [8.0, np.nan])


def test_cosine_rows_are_sorted_by_sign_then_by_nearest_centre(tables):
    marks = _frames.cosine_map(tables["cosine_map"])
    marks = [m for m in marks if m.panel == "3 flow"]
    amplitude, *rows = (mark.y for mark in marks)
    assert (np.diff(np.sign(amplitude)) <= 0).all()
    nearest = np.argmax(rows, axis=0)
    positive = amplitude > 0
    assert (np.diff(nearest[positive]) >= 0).all()
    assert (np.diff(nearest[~positive]) >= 0).all()


def test_ceiling_begins_at_half_root_two_and_spares_the_majority_class(tables):
    marks = _frames.robust_accuracy(tables["robust_accuracy"])
    ceilings = [mark for mark in marks if mark.series == "ceiling"]
    assert len(ceilings) == 4
    reached = ceilings[0].y < 1
    assert ceilings[0].x[reached].min() >= np.sqrt(2) / 2
    np.testing.assert_allclose(ceilings[0].y[reached], 0.6)
