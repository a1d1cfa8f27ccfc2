"""Intervals over seeds against closed forms, and against how often they hold."""

import numpy as np
import pytest
import xarray as xr

from jaxbias import results
from jaxbias._checks import InputError


def table(values, x, unfinished=(), **more):
    """Runs of ``values`` (seed, x) as a sweep over ``x`` has them."""
    values = np.asarray(values, float)
    seeds, points = values.shape[:2]
    status = np.zeros(seeds * points, np.int32)
    status[list(unfinished)] = 1
    flat = values.reshape(-1, *values.shape[2:])
    dims = ("run", "time")[: flat.ndim]
    coords = {
        "run": np.arange(seeds * points),
        "seed": ("run", np.repeat(np.arange(seeds), points)),
        "x": ("run", np.tile(x, seeds)),
    }
    return xr.Dataset(
        {"y": (dims, flat), "status": ("run", status)},
        coords | more,
        {"axes": '["x"]'},
    )


# --- medians -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("count", "level", "rank", "coverage"),
    [
        (6, 0.95, 1, 1 - 2 / 64),
        (10, 0.95, 2, 1 - 2 * 11 / 1024),
        (16, 0.95, 4, 1 - 2 * 697 / 65536),
        (16, 0.99, 3, 1 - 2 * 137 / 65536),
        (3, 0.5, 1, 0.75),
        # A level that is reached exactly counts as reached.
        (2, 0.5, 1, 0.5),
    ],
)
def test_the_ends_are_order_statistics(count, level, rank, coverage):
    values = np.random.default_rng(1).permutation(count)[:, None] + 1.0
    found = results.confidence(table(values, [7.0]), "y", level=level)
    assert (found.lower.item(), found.upper.item()) == (rank, count + 1 - rank)
    assert found.coverage.item() == pytest.approx(coverage, abs=1e-12)
    assert found["median"].item() == (count + 1) / 2
    assert found.attrs["level"] == level


def test_the_interval_holds_the_median_as_often_as_it_says():
    draws = np.random.default_rng(0).exponential(size=(12, 4000))
    found = results.confidence(table(draws, np.arange(4000.0)), "y")
    holds = (found.lower < np.log(2)) & (np.log(2) < found.upper)
    assert float(holds.mean()) == pytest.approx(float(found.coverage[0]), abs=0.01)
    # And a narrower one, that of the next pair of order statistics, would not.
    narrow = results.confidence(table(draws, np.arange(4000.0)), "y", level=0.8)
    holds = (narrow.lower < np.log(2)) & (np.log(2) < narrow.upper)
    assert float(holds.mean()) < 0.94


def test_unfinished_runs_are_left_out_and_too_few_seeds_are_said():
    values = np.arange(14.0).reshape(7, 2)
    # Of x = 0, two of seven seeds are unfinished.
    found = results.confidence(table(values, [0.0, 1.0], unfinished=(0, 2)), "y")
    assert found.finished.values.tolist() == [5, 7]
    assert found.lower.values.tolist() == [-np.inf, 1]
    assert found.upper.values.tolist() == [np.inf, 13]
    assert found.coverage.values[0] == 1
    assert (found.attrs["too_few"], found.attrs["unfinished"]) == (1, 2)
    with pytest.raises(InputError, match=r"5 finished seeds.*0\.9375 only.*6 seeds or"):
        results.confidence(table(values[:5], [0.0, 1.0]), "y")


def test_axes_of_the_variable_stay_and_undefined_values_are_not_hidden():
    values = np.arange(24.0).reshape(6, 1, 4)
    values[2, 0, 1] = np.nan
    found = results.confidence(table(values, [1.0]), "y")
    assert found.lower.dims == ("x", "time")
    np.testing.assert_array_equal(found.lower[0], [0, np.nan, 2, 3])
    np.testing.assert_array_equal(found.upper[0], [20, np.nan, 22, 23])
    assert results.confidence(table(values, [1.0]), "y", by=()).lower.dims == ("time",)


@pytest.mark.parametrize("level", [0.0, 1.0, 95.0])
def test_a_level_is_a_probability(level):
    for summary in (
        lambda t: results.confidence(t, "y", level=level),
        lambda t: results.exponent(t, "y", "x", level=level),
    ):
        with pytest.raises(InputError, match=r"level=.*between 0 and 1"):
            summary(table(np.ones((9, 2)), [1.0, 2.0]))


# --- exponents -----------------------------------------------------------------------

X = np.array([8.0, 16.0, 64.0, 256.0])


def power(seeds, slope, spread, key):
    """y = 3 x^slope, times what each seed has of its own and what each run has."""
    draw = np.random.default_rng(key)
    own = spread * (draw.normal(size=(seeds, 1)) + draw.normal(size=(seeds, len(X))))
    return 3 * X**slope * np.exp(own)


def test_an_exact_power_law_gives_back_its_exponent():
    found = results.exponent(table(power(7, -0.5, 0.0, 0), X), "y", "x")
    for name in ("exponent", "lower", "upper"):
        assert found[name].item() == pytest.approx(-0.5, abs=1e-12)
    assert found.residual.item() == pytest.approx(0, abs=1e-12)
    assert found.exponent.dims == ()


def test_a_bent_law_has_a_residual():
    bent = np.repeat([[1.0, 2.0, 1.0]], 7, axis=0)
    found = results.exponent(table(bent, [1.0, 2.0, 4.0]), "y", "x")
    # The line is flat at 2^(1/3), and the middle one is 2^(2/3) times that.
    assert found.exponent.item() == pytest.approx(0)
    assert found.residual.item() == pytest.approx(2 ** (2 / 3) - 1)


def test_the_interval_holds_the_exponent_about_as_often_as_it_says():
    held, width = 0, []
    for key in range(60):
        found = results.exponent(table(power(24, -0.5, 0.3, key), X), "y", "x")
        held += float(found.lower) <= -0.5 <= float(found.upper)
        width.append(float(found.upper - found.lower))
    # Of an interval of 95 %, 57 are expected, and fewer than 50 once in 5000 times.
    assert held >= 50
    assert max(width) < 0.25


def test_seeds_are_drawn_whole():
    # What a seed has at all points alike moves no slope: runs drawn apart would.
    common = 3 * X**-1.0 * np.exp(np.random.default_rng(3).normal(size=(15, 1)))
    found = results.exponent(table(common, X), "y", "x")
    assert found.lower.item() == pytest.approx(-1, abs=1e-12)
    assert found.upper.item() == pytest.approx(-1, abs=1e-12)


def test_other_axes_and_times_stay_apart():
    values = np.stack([power(8, s, 0.0, 0) for s in (-1.0, 2.0)], axis=2)
    one = table(values, X)
    both = xr.concat([one, one.assign(y=one.y**2)], "run")
    both = both.assign_coords(
        run=np.arange(both.sizes["run"]),
        noise=("run", np.repeat([0.1, 0.2], one.sizes["run"])),
    )
    found = results.exponent(both.assign_attrs(axes='["noise", "x"]'), "y", "x")
    assert found.exponent.dims == found.lower.dims == ("noise", "time")
    expected = [[-1, 2], [-2, 4]]
    for name in ("exponent", "lower", "upper"):
        np.testing.assert_allclose(found[name], expected, rtol=1e-12)


def test_unfinished_runs_do_not_count():
    values = power(9, -0.5, 0.0, 0)
    values[0, 1] = values[4, 3] = 1e9
    found = results.exponent(table(values, X, unfinished=(1, 19)), "y", "x")
    assert found.exponent.item() == pytest.approx(-0.5, abs=1e-12)
    assert found.upper.item() == pytest.approx(-0.5, abs=1e-12)
    assert found.finished.item() == 8
    assert found.attrs["unfinished"] == 2


def test_where_a_median_is_not_positive_there_is_no_exponent():
    values = np.stack([power(8, 1.0, 0.0, 0), -power(8, 1.0, 0.0, 0)], axis=2)
    found = results.exponent(table(values, X), "y", "x")
    np.testing.assert_allclose(found.exponent, [1, np.nan])
    np.testing.assert_allclose(found.upper, [1, np.nan])
    with pytest.raises(InputError, match="not positive at some x"):
        results.exponent(table(-values[:, :, 0], X), "y", "x")


def test_refusals_of_axes():
    good = table(power(8, 1.0, 0.0, 0), X)
    with pytest.raises(InputError, match="axis='width'.*'x'"):
        results.exponent(good, "y", "width")
    with pytest.raises(InputError, match="two or more positive numbers"):
        results.exponent(table(np.ones((8, 1)), [3.0]), "y", "x")
    with pytest.raises(InputError, match="two or more positive numbers"):
        results.exponent(table(np.ones((8, 2)), [0.0, 3.0]), "y", "x")
    with pytest.raises(InputError, match="5 finished seeds"):
        results.exponent(table(power(5, 1.0, 0.0, 0), X), "y", "x")
