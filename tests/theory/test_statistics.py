"""Intervals against scipy's own, coverage by simulation, refinement by hand."""

import math

import numpy as np
import pytest
from scipy.stats import binomtest

from jaxbias._checks import InputError
from jaxbias.theory import statistics as st


@pytest.mark.parametrize(("count", "trials"), [(0, 10), (3, 10), (10, 10), (97, 100)])
@pytest.mark.parametrize("alpha", [0.05, 1e-3])
def test_clopper_pearson_is_that_of_binomtest(count, trials, alpha):
    lower = binomtest(count, trials, alternative="greater").proportion_ci(1 - alpha)
    upper = binomtest(count, trials, alternative="less").proportion_ci(1 - alpha)
    assert st.proportion_lower(count, trials, alpha) == pytest.approx(lower.low)
    assert st.proportion_upper(count, trials, alpha) == pytest.approx(upper.high)


def test_clopper_pearson_covers_at_least_its_level():
    rng, alpha, truth = np.random.default_rng(1), 0.05, 0.3
    draws = rng.binomial(40, truth, size=2000)
    missed = np.mean([st.proportion_lower(int(k), 40, alpha) > truth for k in draws])
    assert missed <= alpha + 3 * math.sqrt(alpha / 2000)


def test_a_sample_without_failures_resolves_what_it_says():
    trials, alpha = 500, 1e-3
    finest = st.resolution(trials, alpha)
    assert st.proportion_lower(trials, trials, alpha) == pytest.approx(
        1 - finest, abs=finest**2
    )


@pytest.mark.parametrize("bad", [(5, 4, 0.1), (1, 0, 0.1), (1, 4, 0.0)])
def test_impossible_counts_are_refused(bad):
    with pytest.raises(InputError):
        st.proportion_lower(*bad)


def test_multiplicity_divides_the_level():
    assert st.corrected_alpha(20) == pytest.approx(5e-4)
    assert st.corrected_alpha(20, looks=3) == pytest.approx(5e-4 / 3)


def test_mean_and_deviation_intervals_cover():
    rng = np.random.default_rng(2)
    hits = np.zeros(2)
    for _ in range(400):
        sample = rng.normal(3.0, 2.0, size=30)
        low, high = st.mean_interval(sample, 0.05)
        least, most = st.deviation_interval(sample, 0.05)
        hits += [low <= 3.0 <= high, least <= 2.0 <= most]
    assert np.all(np.abs(hits / 400 - 0.95) < 0.04)


def test_bootstrap_brackets_the_median_and_repeats_itself():
    sample = np.random.default_rng(3).exponential(size=200)
    low, high = st.bootstrap_interval(sample, lambda x: float(np.median(x)))
    assert low < np.median(sample) < high
    assert (low, high) == st.bootstrap_interval(sample, lambda x: float(np.median(x)))


def _power(exponent, seeds=20):
    rng = np.random.default_rng(4)
    x = np.array([0.02, 0.04, 0.08, 0.16])
    noise = np.exp(0.02 * rng.standard_normal((seeds, x.size)))
    return x, (1 + rng.random((seeds, 1))) * x**exponent * noise


@pytest.mark.parametrize("exponent", [0.5, 1.0, 2.0])
def test_exponents_are_found_one_slope_a_seed(exponent):
    x, y = _power(exponent)
    low, high = st.exponent_interval(x, y, 0.01)
    assert low < exponent < high
    assert high - low < 0.05


def test_the_local_exponent_reads_the_three_points_nearest_the_limit():
    x, y = _power(1.0)
    y = y.copy()
    y[:, -1] *= 100
    low, high = st.local_exponent_interval(x, y, 0.01)
    assert low < 1.0 < high
    far = st.local_exponent_interval(x, y, 0.01, limit=math.inf)
    assert far[0] > 2


def test_exponents_need_sixteen_seeds_and_positive_values():
    x, y = _power(1.0)
    with pytest.raises(InputError, match="16 seeds"):
        st.exponent_interval(x, y[:15], 0.01)
    with pytest.raises(InputError, match="positive"):
        st.exponent_interval(x, -y, 0.01)


def test_refinement_bounds_the_error_of_a_first_order_method():
    truth = np.array([1.0, -2.0])
    runs = [truth + 0.3 * h for h in (1.0, 1 / 3, 1 / 9)]
    found = st.refined(*runs)
    assert found.converged.all()
    assert np.all(np.abs(found.value - truth) <= found.error)


def test_refinement_refuses_runs_that_do_not_settle():
    found = st.refined(np.array([1.0]), np.array([1.1]), np.array([1.2]))
    assert not found.converged.any()
    assert not st.refined([1.0], [np.nan], [np.nan]).converged.any()


def test_differences_at_rounding_count_as_settled():
    found = st.refined([1.0], [1.0 + 1e-15], [1.0 - 1e-15])
    assert found.converged.all()
    assert found.error[0] == pytest.approx(1e-10)
