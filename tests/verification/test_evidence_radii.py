"""Attack, certificate and polyhedral search against radii known by hand."""

import math

import numpy as np
import pytest

from jaxbias.verification import evidence_radii as radii
from jaxbias.verification.evidence_radii import Explicit


def brute_radius(classifier, x, label, count=200_001):
    """Radius in the plane for exponent 1: the error set is made of rays."""
    angles = np.linspace(-math.pi, math.pi, count)
    rays = np.stack([np.cos(angles), np.sin(angles)])
    active = np.maximum(classifier.directions @ rays, 0.0)
    wrong = label * (classifier.amplitudes @ active) <= 1e-12
    along = np.maximum(x @ rays[:, wrong], 0.0)
    # The origin is a tie, hence an error, whatever the rays are.
    return math.sqrt(float(np.min(x @ x - along**2, initial=x @ x)))


@pytest.mark.parametrize("exponent", [1.0, 1.5, 2.0, 3.0])
def test_score_and_slope_are_those_of_the_definition(exponent):
    rng = np.random.default_rng(0)
    net = Explicit(rng.standard_normal((5, 3)), rng.standard_normal(5), exponent)
    for x in rng.standard_normal((4, 3)):
        by_hand = sum(
            a * max(float(w @ x), 0.0) ** exponent
            for w, a in zip(net.directions, net.amplitudes, strict=True)
        )
        assert net(x) == pytest.approx(by_hand, rel=1e-12)
        steps = 1e-6 * np.eye(3)
        slopes = [(net(x + h) - net(x - h)) / 2e-6 for h in steps]
        np.testing.assert_allclose(net.slope(x), slopes, atol=1e-6)


@pytest.mark.parametrize(("clusters", "positive"), [(2, 1), (5, 3), (10, 6)])
@pytest.mark.parametrize("exponent", [1.0, 3.0])
def test_ideal_classifiers_score_their_labels_at_the_centres(
    clusters, positive, exponent
):
    labels = np.where(np.arange(clusters) < positive, 1.0, -1.0)
    for net in (
        radii.averages(clusters, positive, exponent),
        radii.per_centre(clusters, positive, exponent),
    ):
        scores = [net(x) for x in np.eye(clusters)]
        np.testing.assert_allclose(scores, labels, rtol=1e-12)
        np.testing.assert_allclose(np.linalg.norm(net.directions, axis=1), 1.0)


@pytest.mark.parametrize(
    ("build", "order", "expected"),
    [
        # Lower every own coordinate, raise every other one: 1 - K1 t = K2 t.
        (lambda: radii.averages(5, 3), 2.0, 5**-0.5),
        (lambda: radii.averages(5, 3), math.inf, 1 / 5),
        (lambda: radii.averages(5, 3), 3.0, 5 ** (1 / 3 - 1)),
        (lambda: radii.averages(4, 1), 1.5, 4 ** (1 / 1.5 - 1)),
        # One rival: 1 - t = t.
        (lambda: radii.per_centre(4, 2, 3.0), 2.0, 0.5**0.5),
        (lambda: radii.per_centre(2, 1, 1.0), 2.0, 0.5**0.5),
        (lambda: radii.per_centre(2, 1, 2.5), 3.0, 2 ** (1 / 3) / 2),
        # All rivals at once: (1 - t)^3 = 3 t^3.
        (lambda: radii.per_centre(4, 1, 3.0), math.inf, 1 / (1 + 3 ** (1 / 3))),
        (lambda: radii.per_centre(2, 1, 1.0), math.inf, 0.5),
    ],
)
def test_the_attack_finds_the_radius_at_a_centre(build, order, expected):
    net = build()
    x = np.eye(net.directions.shape[1])[0]
    found = radii.attack(net, x, 1.0, order, starts=3)
    assert found == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("seed", range(6))
def test_the_polyhedral_radius_is_that_of_a_dense_search(seed):
    rng = np.random.default_rng(seed)
    directions = rng.standard_normal((4, 2))
    directions /= np.linalg.norm(directions, axis=1)[:, None]
    net = Explicit(directions, rng.standard_normal(4), 1.0)
    x = rng.standard_normal(2)
    label = math.copysign(1.0, net(x))
    expected = brute_radius(net, x, label)
    assert radii.polyhedral(net, x, label) == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize("seed", range(6))
def test_the_certificate_never_passes_the_exact_radius(seed):
    rng = np.random.default_rng(seed)
    signed = np.concatenate([rng.uniform(0.5, 2, 2), -rng.uniform(0.5, 2, 2)])
    net = Explicit(np.eye(4), signed, 1.0)
    for centre, label in enumerate(np.sign(signed)):
        x = np.eye(4)[centre]
        exact = radii.polyhedral(net, x, label)
        assert 0 < radii.certificate(net, x, label) <= exact + 1e-9
        assert radii.attack(net, x, label, 2.0, 2) >= exact - 1e-9


@pytest.mark.parametrize("exponent", [2.0, 2.5, 3.0, 5.0])
@pytest.mark.parametrize("clusters", [2, 4, 10])
def test_one_neuron_a_centre_is_certified_exactly_from_exponent_two(exponent, clusters):
    net = radii.per_centre(clusters, clusters // 2, exponent)
    x = np.eye(clusters)[0]
    assert radii.certificate(net, x, 1.0) == pytest.approx(0.5**0.5, rel=1e-12)


@pytest.mark.parametrize(
    ("root", "found"), [(0.25, 0.25), (1.0, 1.0), (7.5, 7.5), (9.0, 8.0)]
)
def test_the_boundary_is_the_first_root_along_a_ray(root, found):
    reach = lambda z: root - z[0]
    assert radii._boundary(reach, np.ones(1)) == pytest.approx(found, abs=1e-12)


@pytest.mark.parametrize(
    ("orders", "certain"),
    [((2.0,), True), ((math.inf,), True), ((3.0,), False)],
)
def test_every_case_has_an_interval_at_a_centre_of_each_class(orders, certain):
    found = radii.centres(
        {
            "classifier": "per_centre",
            "splits": [(4, 2), (5, 3)],
            "exponents": [2.0, 3.0],
            "orders": orders,
            "starts": 1,
        },
        0,
    )
    assert found["lower"].shape == found["upper"].shape == (8,)
    assert np.all(found["lower"] <= found["upper"] + 1e-12)
    assert np.all((found["lower"] > 0) == certain)


def test_unequal_amplitudes_of_two_averages_by_hand():
    # x = e_0, (K1, K2) = (2, 1), amplitudes (a, b) on unit averages: the half-space
    # a (x_0 + x_1)/sqrt(2) <= b x_2 has distance a/sqrt(2)/sqrt(a^2 + b^2).
    a, b = 1.3, 0.8
    found = radii.centres(
        {
            "classifier": "unequal_averages",
            "splits": [(3, 2)],
            "amplitudes": [(a, b)],
            "starts": 1,
        },
        0,
    )
    middle = (found["lower"] + found["upper"]) / 2
    expected = np.array([a / math.sqrt(2), b]) / math.hypot(a, b)
    np.testing.assert_allclose(middle, expected, rtol=1e-8)


def test_unequal_centres_by_hand():
    # One rival of amplitude b at exponent p: a (1 - s)^p = b t^p, least s^2 + t^2.
    a, b = 1.5, 0.7
    found = radii.centres(
        {
            "classifier": "unequal_centres",
            "exponents": [2.0],
            "amplitudes": [([a], [b])],
            "starts": 1,
        },
        0,
    )
    s = np.linspace(0, 1, 1_000_001)
    reach = np.sqrt(s**2 + a / b * (1 - s) ** 2).min()
    assert found["upper"][0] == pytest.approx(reach, rel=1e-8)
    assert found["lower"][0] <= reach * (1 + 1e-9)
    assert len(found["upper"]) == 2
