"""Counts of errors against normal tails, and radii of tilted networks."""

import math

import numpy as np
import pytest
from scipy import optimize, stats

from jaxbias.verification import evidence_clean as clean

SAMPLES = 20000


def asked(cases, **more):
    told = {"dim": 16, "exponent": 3.0, "batches": 2, "samples": SAMPLES}
    return {**told, "cases": cases, **more}


def close(count, probability, deviations=5.0):
    spread = math.sqrt(probability * (1 - probability) * SAMPLES)
    return abs(count - SAMPLES * probability) <= deviations * spread


def wedge(noise, dim):
    """P(x_1 <= max(x_2, 0)) for one centre a class."""
    s = noise / math.sqrt(dim)
    # Wrong iff x_1 <= 0, or 0 < x_1 <= x_2.
    grid = np.linspace(0, 1 + 10 * s, 4001)
    beyond = stats.norm(1, s).pdf(grid) * stats.norm(0, s).sf(grid)
    return stats.norm(1, s).cdf(0) + np.trapezoid(beyond, grid)


@pytest.mark.parametrize("noise", [1.0, 2.0])
@pytest.mark.parametrize("evidence", [clean.averaged, clean.per_centre])
def test_one_centre_a_class_errs_as_the_normal_law_says(noise, evidence):
    found = evidence(asked(((2, 1, noise),)), 3)
    assert found["surely"].shape == (2, 1)
    for batch in range(2):
        assert close(found["surely"][batch, 0], wedge(noise, 16))
    assert found["surely"][0, 0] != found["surely"][1, 0]
    np.testing.assert_array_equal(found["surely"], found["possibly"])
    assert found["seeds"] == 2 * SAMPLES


def test_each_class_is_judged_by_its_own_centres():
    # K1 = 1, K2 = 15: <x, mu_-> has variance 15 times as large.
    found = clean.averaged(asked(((16, 1, 0.5),)), 0)["surely"][0, 0]
    s = 0.5 / 4
    positive = stats.norm.sf(1 / (s * 4))
    negative = stats.norm.cdf(-1 / (s * math.sqrt(15)))
    expected = (positive + 15 * max(positive, negative)) / 16
    assert 0.6 * expected * SAMPLES < found < 1.6 * expected * SAMPLES


def test_more_noise_means_more_errors_case_by_case():
    cases = tuple((4, 2, noise) for noise in (0.8, 1.2, 1.8))
    for evidence in (clean.averaged, clean.per_centre):
        count = evidence(asked(cases), 0)["surely"]
        assert np.all(np.diff(count, axis=1) > 0)


def test_robust_counts_of_two_centres_are_a_normal_tail():
    # x_1 - x_2 <= sqrt(2) r = 1 - delta/sqrt(2): Phi(-delta/(2 s)), where x_2 > 0.
    noise, delta = 1.0, 0.6
    found = clean.robust(asked(((2, 1, noise, delta),), dim=50), 0)
    tail = stats.norm.cdf(-delta / (2 * noise / math.sqrt(50)))
    for batch in range(2):
        assert found["surely"][batch, 0] <= found["possibly"][batch, 0]
        # A negative x_2 helps a little: the tail is reached from below.
        assert found["possibly"][batch, 0] <= SAMPLES * tail + 400
        assert found["surely"][batch, 0] >= 0.5 * SAMPLES * tail
    clean_errors = clean.per_centre(asked(((2, 1, noise),), dim=50), 0)["surely"]
    assert np.all(found["surely"] > clean_errors)


def test_a_smaller_radius_loses_fewer_samples():
    cases = tuple((3, 1, 0.8, delta) for delta in (0.2, 0.6, 1.0))
    found = clean.robust(asked(cases, dim=50), 0)
    for side in ("surely", "possibly"):
        assert np.all(np.diff(found[side], axis=1) < 0)


@pytest.mark.parametrize(("clusters", "positive"), [(2, 1), (3, 2), (5, 2)])
def test_neurons_lean_to_the_other_class_by_the_angle_asked(clusters, positive):
    rows = clean.tilted_rows(clusters, positive, 1e-3)
    np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1.0)
    np.testing.assert_allclose(np.diag(rows), 1 - 1e-3, rtol=1e-12)
    off = rows - np.diag(np.diag(rows))
    assert np.all(off[:positive, :positive] == 0)
    assert np.all(off[positive:, positive:] == 0)
    np.testing.assert_allclose(off.sum(axis=1) ** 2, 2e-3 - 1e-6, rtol=1e-9)


def attack(x, rows, positive, exponent):
    """Smallest move of a positive sample that makes the network wrong, by SLSQP."""
    score = lambda z: float(
        np.sum(np.maximum(rows[:positive] @ z, 0) ** exponent)
        - np.sum(np.maximum(rows[positive:] @ z, 0) ** exponent)
    )
    best = math.inf
    for rival in range(positive, len(rows)):
        start = 0.5 * x + 0.5 * np.eye(len(rows))[rival]
        found = optimize.minimize(
            lambda z: float((z - x) @ (z - x)),
            start,
            constraints={"type": "ineq", "fun": lambda z: -score(z)},
            method="SLSQP",
            options={"ftol": 1e-12},
        )
        if score(found.x) <= 1e-9:
            best = min(best, math.sqrt(found.fun))
    return best


@pytest.mark.parametrize("tilt", [1e-6, 1e-2])
def test_radii_of_tilted_networks_hold_what_an_attack_finds(tilt):
    rows = clean.tilted_rows(4, 2, tilt)
    rng = np.random.default_rng(0)
    x = np.eye(4)[[0, 1, 0, 1]] + 0.05 * rng.standard_normal((4, 4))
    lower, upper = clean._interval(x, rows, 2, 1, 3.0)
    for point, low, high in zip(x, lower, upper, strict=True):
        found = attack(point, rows, 2, 3.0)
        assert low <= found + 1e-6
        assert found <= high + 1e-6
    # Without a tilt and noise both ends are sqrt(1/2).
    ends = clean._interval(np.eye(4)[:1], np.eye(4), 2, 1, 3.0)
    np.testing.assert_allclose(np.ravel(ends), math.sqrt(0.5), atol=1e-6)


def test_both_classes_of_a_tilted_network_are_told():
    told = {
        "cases": ((2, 1, 64), (4, 2, 256)),
        "misalignment": 5e-8,
        "noise": 0.1,
        "exponent": 3.0,
        "samples": 500,
    }
    found = clean.tilted(told, 0)
    assert found["lower"].shape == found["upper"].shape == (2, 500)
    assert np.all(found["lower"] <= found["upper"] + 1e-9)
    assert np.all((found["lower"] > 0.6) & (found["upper"] < 0.8))
    # The radius scatters by about the noise of one coordinate difference, 0.1/8.
    assert 0.5 < np.std(found["lower"][0]) / (0.1 / 8) < 1.5
