"""Closed forms of radii and bounds against brute force and quoted numbers."""

import math

import numpy as np
import pytest
from scipy import optimize

from jaxbias._checks import InputError
from jaxbias.theory import closeness, early_alignment, growth, radii, separable


def _brute(score, size, order, starts=8):
    """Least l_q norm with score(e_0 + d) <= 0, by SLSQP from random starts."""
    rng, best = np.random.default_rng(0), math.inf
    x = np.eye(size)[0]
    for _ in range(starts):
        seed = rng.uniform(0.05, 0.8, size) * np.where(np.arange(size) == 0, -1, 1)
        found = optimize.minimize(
            lambda d: float(np.sum(np.abs(d) ** order)),
            seed,
            constraints={"type": "ineq", "fun": lambda d: -score(x + d)},
            method="SLSQP",
            options={"ftol": 1e-13, "maxiter": 400},
        )
        if found.success and score(x + found.x) < 1e-7:
            best = min(best, found.fun ** (1 / order))
    return best


@pytest.mark.parametrize("order", [2.0, 3.0])
@pytest.mark.parametrize("exponent", [1.0, 1.5, 2.0, 3.0])
def test_per_centre_radius(exponent, order):
    signs = np.array([1, 1, -1, -1, -1.0])
    score = lambda z: float(signs @ np.maximum(z, 0) ** exponent)
    found = radii.per_centre_radius(3, exponent, order)
    assert found == pytest.approx(_brute(score, 5, order), abs=2e-4)


def test_averaged_radius_in_three_norms():
    score = lambda z: max(z[:2].sum(), 0) - max(z[2:].sum(), 0)
    assert radii.averaged_radius(5) == pytest.approx(_brute(score, 5, 2.0), abs=1e-4)
    assert radii.averaged_radius(5, math.inf) == pytest.approx(0.2)
    assert radii.averaged_radius(5, 1.0) == 1.0


def test_exponent_two_is_the_kink():
    at = [radii.per_centre_radius(4, p) for p in (1.0, 1.5, 2.0, 6.0)]
    assert at[0] == pytest.approx(1 / math.sqrt(5))
    assert at[0] < at[1] < at[2] == at[3] == pytest.approx(math.sqrt(2) / 2)
    assert radii.per_centre_radius(4, 3.0, 1.0) == 1.0


def test_amplitudes_reduce_to_the_ideal_classifiers():
    assert radii.averaged_radius_amplitudes(
        3, math.sqrt(3), math.sqrt(2)
    ) == pytest.approx(1 / math.sqrt(5))
    assert radii.per_centre_radius_amplitudes(1.0, 1.0, 3.0) == pytest.approx(
        math.sqrt(2) / 2
    )
    # A larger exponent damps imbalance.
    damped = [radii.per_centre_radius_amplitudes(0.5, 1.0, p) for p in (2.0, 4.0, 8.0)]
    assert damped == sorted(damped)


def test_nearest_centre_accuracy_at_the_numbers_quoted():
    quoted = {0.68: 0.99096, 0.69: 0.8795, 0.70: 0.4814, 0.715: 0.0279}
    for radius, value in quoted.items():
        found = radii.nearest_centre_accuracy(radius, 10, 6, 0.3, 1000)
        assert found == pytest.approx(value, abs=1e-4)
    at = [
        radii.nearest_centre_accuracy(math.sqrt(2) / 2, 10, 6, a, d)
        for a, d in ((0.3, 1000), (0.1, 50))
    ]
    assert at == pytest.approx([0.6 / 5 + 0.4 / 7] * 2)


def test_bounds_are_probabilities_where_they_should_be():
    assert radii.bayes_accuracy_bound(0.2, 10, 0.3, 1000) == pytest.approx(
        1 - 20 * math.exp(-1000 * 0.04 / (64 * 0.09))
    )
    assert radii.per_centre_failure_bound(0.0, 4, 0.3, 1000) == 1.0
    assert radii.universal_attack_bound(0.0, 10, 0.3, 1000) == 0.5


def test_certificate_is_tight_at_centres():
    x = np.eye(5)[:1]
    for exponent in (2.0, 3.0):
        found = radii.certificate(x[:, :3], x[:, 3:], exponent)
        assert found[0] == pytest.approx(radii.per_centre_radius(2, exponent))


def test_a_class_without_clusters_is_refused():
    with pytest.raises(InputError, match="both classes"):
        radii.split(5, 5)


def test_single_neuron_distance_is_the_quoted_counterexample():
    """1 - cos = 1e-4, p = 3: the distance is 0.0163, the printed bound 0.0014."""
    assert closeness.single_neuron_distance(3.0, 1e-4) == pytest.approx(
        0.01633, abs=1e-5
    )
    assert closeness.printed_bound(3, 1e-4, 0, 0, 1) == pytest.approx(0.0014)
    assert closeness.corrected_bound(3, 1e-4, 0, 0, 1) == pytest.approx(
        0.04243, abs=1e-5
    )
    many = [
        bound(3, 1e-4, 0, 0, 10)
        for bound in (closeness.sharper_bound, closeness.corrected_bound)
    ]
    assert many[0] < many[1]


def test_window_end_is_the_quoted_one():
    """p = 3, K = 10, h = 200, eps = 1e-7: t2 = 0.038, far before any alignment."""
    assert growth.window_end(3.0, 10, 200, 1e-7) == pytest.approx(0.038, abs=5e-4)
    assert growth.aligned_by(3.0, 0.02, 1e-2) > 100


def test_cone_speed_gives_the_factor_of_the_proof():
    """At c^2 = 4/5 the bracket is 1 - 2^-(p-2)."""
    c = math.sqrt(0.8)
    for p in (2.5, 3.0, 4.0):
        plain = p * c ** (p - 1) * (1 - c**2)
        assert early_alignment.cone_speed(c, p) / plain == pytest.approx(
            1 - 2 ** -(p - 2)
        )
    assert early_alignment.cone_speed(math.sqrt(0.5), 3.0) == pytest.approx(
        0, abs=1e-12
    )


def test_ratio_rates_change_sign_with_the_class_and_the_exponent():
    start = np.array([0.6, 0.3, 0.2, -0.1, 0.5])
    signs = np.array([1.0, 1.0, -1.0, 1.0])
    fast = early_alignment.ratio_rates(start, signs, 3.0)
    assert fast == pytest.approx([3 * 0.3, 3 * 0.8, 3 * 0.6, 3 * 0.6])
    assert early_alignment.ratio_rates(start, signs, 2.0)[0] == 0
    assert early_alignment.ratio_rates(start, signs, 1.0)[0] < 0


def test_tanh_bound_starts_where_it_should():
    assert early_alignment.tanh_bound(0.3, 4, [0.0])[0] == pytest.approx(0.3)
    assert early_alignment.tanh_bound(0.0, 4, [1.0])[0] == pytest.approx(math.tanh(2))


def test_lemma_1_bounds_scale_with_the_initialisation():
    big, small = (np.array(separable.lemma_1_bounds(6, 50, e)) for e in (1e-3, 1e-6))
    np.testing.assert_allclose(big / small, 1e3)
    assert big[0] == pytest.approx(4e-3 * 6 * math.sqrt(50))
