"""Radius formulas of averaged and decoupled networks against searches and samples."""

import itertools
import math

import numpy as np
import pytest
from scipy import integrate, optimize, special

from jaxbias._checks import InputError
from jaxbias.theory import radii
from jaxbias.theory import readout_radii as known


def _least(size, constraint, starts):
    """Least norm over a region, by SLSQP from several starts."""
    best = math.inf
    for start in starts:
        found = optimize.minimize(
            lambda t: float(t @ t),
            np.array(start, float),
            constraints={"type": "ineq", "fun": constraint},
            bounds=[(0, 2)] * size,
            method="SLSQP",
            options={"ftol": 1e-14, "maxiter": 500},
        )
        if found.success and constraint(found.x) > -1e-8:
            best = min(best, math.sqrt(found.fun))
    return best


@pytest.mark.parametrize(("own", "opposite"), [(1, 1), (1, 4), (4, 1), (3, 3), (2, 7)])
@pytest.mark.parametrize("pair", [(1.0, 1.0), (1.0, 2.5), (3.0, 1.0)])
def test_averaged_networks_by_search_over_all_coordinates(own, opposite, pair):
    def broken(t):
        first = pair[0] * (1 - t[:own].sum())
        return pair[1] * t[own:].sum() - first

    found = _least(own + opposite, broken, [np.full(own + opposite, 0.3)])
    assert known.averaged(own, opposite, pair) == pytest.approx(found, rel=1e-6)


@pytest.mark.parametrize("clusters", [2, 5, 10, 33])
def test_equal_amplitudes_forget_the_split(clusters):
    values = {known.averaged(own, clusters - own) for own in range(1, clusters)}
    np.testing.assert_allclose(list(values), clusters**-0.5, rtol=1e-14)


@pytest.mark.parametrize("own", [1, 2, 5])
def test_the_own_average_is_a_longer_way(own):
    # The step -t sum_own takes own coordinates from (1, 0, ...) to a sum of 0.
    length = known.own_average_attack(own)
    step = -length / math.sqrt(own) * np.ones(own)
    assert (np.eye(own)[0] + step).sum() == pytest.approx(0.0, abs=1e-14)
    for opposite in (1, 4):
        ratio = length / known.averaged(own, opposite)
        assert ratio == pytest.approx(math.sqrt((own + opposite) / own))


@pytest.mark.parametrize("opposite", [1, 2, 5, 9])
def test_sums_of_bias_free_outputs(opposite):
    broken = lambda t: t[1:].sum() - (1 - t[0])
    found = _least(1 + opposite, broken, [np.full(1 + opposite, 0.3)])
    value = known.decoupled_sum(opposite)
    assert value == pytest.approx(found, rel=1e-6)
    for same in (
        known.thresholded(0.0, opposite),
        known.powered(1.0, opposite),
        known.averaged(1, opposite),
    ):
        assert same == pytest.approx(value, rel=1e-14)


def _thresholded(beta, opposite, strict):
    """By the number of rivals that are on, and a grid over the own move."""
    own = np.linspace(0, 1 - beta, 200_001)
    best = math.inf if strict else 1 - beta
    for active in range(1, opposite + 1):
        rise = beta + (1 - beta - own) / active
        best = min(best, float(np.sqrt(own**2 + active * rise**2).min()))
    return best


@pytest.mark.parametrize("beta", [0.0, 0.1, 0.2247, 0.29, 0.35, 0.42, 0.5])
@pytest.mark.parametrize("opposite", [1, 2, 3, 5, 9])
@pytest.mark.parametrize("tie", ["<=", "<"])
def test_thresholds_on_a_grid(beta, opposite, tie):
    value = known.thresholded(beta, opposite, tie)
    assert value == pytest.approx(_thresholded(beta, opposite, tie == "<"), abs=1e-6)


@pytest.mark.parametrize(
    ("beta", "tie", "value"),
    [(0.35, "<=", 0.65), (0.35, "<", 0.70711), (0.5, "<=", 0.5), (0.5, "<", 0.70711)],
)
def test_quoted_thresholds(beta, tie, value):
    assert known.thresholded(beta, 5, tie) == pytest.approx(value, abs=5e-6)


def test_the_interval_of_optimal_thresholds_ends_where_it_says():
    low, high = known.OPTIMAL_THRESHOLDS
    assert (low, high) == pytest.approx((0.22474, 0.29289), abs=1e-5)
    best = lambda beta, tie="<=": min(
        known.thresholded(beta, opposite, tie) for opposite in range(1, 60)
    )
    for beta in np.linspace(low, high, 11):
        assert best(beta) == pytest.approx(known.HALF_DISTANCE, abs=1e-12)
    for beta in (low - 1e-4, high + 1e-4):
        assert best(beta) < known.HALF_DISTANCE - 1e-5
    # Only f <= 0 has an upper end.
    assert best(0.5, "<") == pytest.approx(known.HALF_DISTANCE, abs=1e-12)
    assert best(low - 1e-4, "<") < known.HALF_DISTANCE - 1e-5


@pytest.mark.parametrize("beta", [-0.01, 0.51])
def test_thresholds_outside_the_range_are_refused(beta):
    with pytest.raises(InputError, match="thresholds in"):
        known.thresholded(beta, 3)


def test_unknown_ties_are_refused():
    with pytest.raises(InputError, match="tie"):
        known.thresholded(0.1, 3, "==")


@pytest.mark.parametrize("exponent", [1.0, 1.25, 1.5, 1.9, 2.0, 3.0, 4.0])
@pytest.mark.parametrize("opposite", [1, 5, 8])
def test_powers_by_the_number_of_rivals(exponent, opposite):
    own = np.linspace(0, 1, 400_001)
    found = min(
        float(np.sqrt(own**2 + m * (1 - own) ** 2 / m ** (2 / exponent)).min())
        for m in range(1, opposite + 1)
    )
    assert known.powered(exponent, opposite) == pytest.approx(found, abs=1e-6)


def test_quoted_powers():
    values = [known.powered(p, 5) for p in (1, 1.25, 1.5, 2, 3)]
    expected = [0.4082, 0.5251, 0.6075, 0.7071, 0.7071]
    np.testing.assert_allclose(values, expected, atol=5e-5)


@pytest.mark.parametrize(
    ("own", "opposite", "mixing"),
    [(5, 5, 0.0), (5, 5, 1.0), (2, 8, 1.0), (8, 2, 3.0), (10, 10, 5.0)],
)
def test_mixtures_from_their_weights(own, opposite, mixing):
    eye = np.eye(own + opposite)
    label = np.arange(own + opposite) < own
    rows = eye + mixing * (label[:, None] == label[None]) @ eye
    between = rows[0] - rows[-1]
    distance = eye[0] @ between / np.linalg.norm(between)
    value = known.mixed(mixing, own + opposite)
    assert value == pytest.approx(distance, rel=1e-12)
    # No own output is left above the rival one there.
    scores = rows @ (eye[0] - distance * between / np.linalg.norm(between))
    assert scores[:own].max() <= scores[-1] + 1e-12


def test_quoted_mixtures_and_both_ends():
    values = [known.mixed(c, k) for k, c in ((10, 0), (10, 1), (10, 5), (20, 1))]
    np.testing.assert_allclose(values, [0.7071, 0.5, 0.3638, 0.3922], atol=5e-5)
    assert known.mixed(1, 10) == pytest.approx(2 / math.sqrt(16))
    assert known.mixed(1e9, 10) == pytest.approx(known.averaged(5, 5))


def _probability_sum(own, opposite, logit):
    """On a grid over the strongest rival and the others, the own move solved for."""
    first, others = np.meshgrid(np.linspace(0, 1, 1201), np.linspace(0, 1, 1201))
    wrong = np.exp(logit * first) + (opposite - 1) * np.exp(logit * others)
    needed = wrong - (own - 1)
    with np.errstate(invalid="ignore", divide="ignore"):
        move = np.maximum(1 - np.log(needed) / logit, 0)
    size = np.sqrt(move**2 + first**2 + (opposite - 1) * others**2)
    return float(np.min(np.where(needed >= 1, size, np.inf)))


@pytest.mark.parametrize(
    ("own", "opposite", "logit"),
    [(5, 5, 5.43), (2, 8, 5.43), (8, 2, 5.43), (5, 5, 2.0), (1, 1, 3.0), (3, 7, 12.0)],
)
def test_sums_of_probabilities_on_a_grid(own, opposite, logit):
    value = known.probability_sum(own, opposite, logit)
    grid = _probability_sum(own, opposite, logit)
    assert value <= grid + 1e-9
    assert value == pytest.approx(grid, abs=2e-3)


@pytest.mark.parametrize(
    ("own", "opposite", "value"), [(5, 5, 0.7028), (2, 8, 0.597), (8, 2, 0.7485)]
)
def test_quoted_sums_of_probabilities(own, opposite, value):
    found = known.probability_sum(own, opposite, 5.43)
    assert found == pytest.approx(value, abs=5e-5)


def test_sums_of_probabilities_are_wrong_at_the_centre_or_maxima_in_the_limit():
    assert known.probability_sum(2, 8, 0.5) == 0.0
    edge = math.log(7)
    assert known.probability_sum(2, 8, edge - 1e-9) == 0.0
    assert 0 < known.probability_sum(2, 8, edge + 0.01) < 0.01
    for own, opposite in ((5, 5), (2, 8), (8, 2)):
        found = known.probability_sum(own, opposite, 300.0)
        assert found == pytest.approx(known.HALF_DISTANCE, abs=5e-3)


@pytest.mark.parametrize("dim", [256, 3072])
@pytest.mark.parametrize("rivals", [1, 5, 9])
def test_survival_by_quadrature(dim, rivals):
    for shift in (-2.0, 0.0, 1.0):
        radius = math.sqrt(dim / 2) + shift
        found, _ = integrate.quad(
            lambda u, r=radius: (
                math.exp(-u * u / 2)
                / math.sqrt(2 * math.pi)
                * special.ndtr(u + math.sqrt(dim) - math.sqrt(2) * r) ** rivals
            ),
            -12,
            12,
            epsabs=1e-12,
        )
        value = known.survival(radius, rivals, dim)
        assert value == pytest.approx(found, abs=1e-10)
    # At half the distance of two centres the own one is the nearest of m + 1.
    half = math.sqrt(dim / 2)
    assert known.survival(half, rivals, dim) == pytest.approx(1 / (rivals + 1))


@pytest.mark.parametrize(("own", "opposite"), [(5, 5), (2, 8)])
@pytest.mark.parametrize("noise", [1.0, 1.25])
def test_decoupled_accuracy_is_that_of_the_nearest_centre(own, opposite, noise):
    dim = 1024
    for radius in (20.0, 22.0, 23.5):
        unit = radii.nearest_centre_accuracy(
            radius / math.sqrt(dim), own + opposite, own, noise, dim
        )
        value = known.decoupled_accuracy(radius, own, opposite, dim, noise)
        assert value == pytest.approx(unit, abs=1e-9)


@pytest.mark.parametrize(("own", "opposite"), [(5, 5), (2, 8)])
def test_averaged_accuracy_on_a_sample(own, opposite):
    dim, count = 1024, 100_000
    rng = np.random.default_rng(own)
    p = math.sqrt(dim) + math.sqrt(own) * rng.standard_normal(count)
    q = math.sqrt(opposite) * rng.standard_normal(count)
    radius = np.minimum((p - q) / math.sqrt(own + opposite), p / math.sqrt(own))
    for at in (9.0, 10.0, 10.5, 12.0):
        value = known.averaged_accuracy(at, own + opposite, dim)
        assert value == pytest.approx(np.mean(radius > at), abs=0.008)


def test_quoted_accuracies():
    dim = 3072
    averaged = [known.averaged_accuracy(r, 10, dim) for r in (15, 16, 17, 18, 19)]
    np.testing.assert_allclose(averaged, [0.994, 0.937, 0.701, 0.318, 0.07], atol=6e-4)
    largest = [known.decoupled_accuracy(r, 5, 5, dim) for r in (36, 37, 38, 39, 40)]
    np.testing.assert_allclose(largest, [0.997, 0.945, 0.671, 0.23, 0.026], atol=6e-4)


def test_sums_of_random_centres():
    rng = np.random.default_rng(3)
    dim, draws = 400, 4000
    units = rng.standard_normal((draws, dim))
    units /= np.linalg.norm(units, axis=1)[:, None]
    inverse = 1 / np.abs(units).sum(axis=1)
    # |sum_j s_j mu_j| = sqrt(k d), and |mu_1 - mu_l| = sqrt(2 d).
    for k in (2, 10):
        reach = dim / math.sqrt(k * dim) * inverse
        assert reach.mean() == pytest.approx(known.linf_averaged(k), rel=3e-3)
    pair = dim / math.sqrt(2 * dim) * inverse
    assert pair.mean() == pytest.approx(known.linf_decoupled(), rel=3e-3)
    spread = known.linf_spread(dim)
    assert inverse.std() / inverse.mean() == pytest.approx(spread, rel=0.06)


def test_both_gaps_in_the_largest_entry():
    gap = known.linf_decoupled() / known.linf_averaged(10)
    assert gap == pytest.approx(math.sqrt(10 / 2))
    assert known.linf_averaged(10) == pytest.approx(0.396, abs=5e-4)
    assert known.linf_decoupled() == pytest.approx(0.886, abs=5e-4)


@pytest.mark.parametrize("opposite", [1, 4, 5])
def test_shares_of_switched_on_rivals_by_counting(opposite):
    signs = list(itertools.product((0, 1), repeat=opposite))
    for active in range(opposite + 1):
        share = np.mean([sum(s) <= active for s in signs])
        assert known.blind_share(opposite, active) == pytest.approx(share)
