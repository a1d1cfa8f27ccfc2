"""Closed forms against Monte Carlo, limits of each other, and known numbers."""

import math

import numpy as np
import pytest

from jaxbias import InputError
from jaxbias.robustness import closed_form as known


def test_per_centre_radius_is_flat_from_exponent_two():
    for opposite in (1, 2, 7):
        for exponent in (2.0, 3.0, 9.5):
            value = known.per_centre_at_centre(exponent, opposite)
            assert value == pytest.approx(known.OPTIMAL_AT_CENTRE)
    assert known.per_centre_at_centre(1.0, 7) == pytest.approx(1 / math.sqrt(8))
    assert known.per_centre_at_centre(1.5, 4) == pytest.approx(
        1 / math.sqrt(1 + 4 ** (1 / 3))
    )


def test_other_norms():
    assert known.per_centre_at_centre(3.0, 4, math.inf) == pytest.approx(
        1 / (1 + 4 ** (1 / 3))
    )
    assert known.averaged_at_centre(10, math.inf) == pytest.approx(0.1)
    assert known.averaged_at_centre(10, 1) == 1.0
    assert known.per_centre_at_centre(3.0, 4, 1) == 1.0


def test_averaged_radius_agrees_with_its_centre_value_and_both_ties():
    assert known.averaged_radius(1.0, 0.0, 6, 4) == pytest.approx(1 / math.sqrt(10))
    assert known.averaged_radius(1.0, -1.0, 6, 4) == pytest.approx(0.4082, abs=1e-4)
    around = math.sqrt(1 / 6 + 1 / 4)
    assert known.averaged_radius(1.0, -1.0, 6, 4, "<") == pytest.approx(around)
    assert known.averaged_radius(1.0, -0.1, 6, 4, "<") == pytest.approx(
        1.1 / math.sqrt(10)
    )
    assert known.averaged_radius(-0.2, -1.0, 6, 4) == 0.0


def test_amplitude_forms_reduce_to_the_equal_ones():
    pair = known.averaged_amplitudes_at_centre(6, 4, (math.sqrt(6), 2.0))
    np.testing.assert_allclose(pair, known.averaged_at_centre(10))
    equal = known.per_centre_amplitudes_at_centre(3.0, 1.3, 1.3)
    assert equal == pytest.approx(known.OPTIMAL_AT_CENTRE)
    small = known.per_centre_amplitudes_at_centre(2.0, 0.5, 1.0)
    large = known.per_centre_amplitudes_at_centre(8.0, 0.5, 1.0)
    assert small < large < known.OPTIMAL_AT_CENTRE


@pytest.mark.parametrize("ratio", [1.0, 1.5, 4.0, 64.0])
@pytest.mark.parametrize("exponent", [2.0, 3.0])
def test_half_the_distance_is_exceeded_at_one_centre_never_at_both(ratio, exponent):
    one = known.per_centre_amplitudes_at_centre(exponent, ratio, 1.0)
    other = known.per_centre_amplitudes_at_centre(exponent, 1.0, ratio)
    # The balls of those radii about two centres sqrt(2) apart do not meet.
    assert one + other <= math.sqrt(2) + 1e-12
    assert other <= known.OPTIMAL_AT_CENTRE + 1e-12 <= one + 2e-12
    assert (one > known.OPTIMAL_AT_CENTRE + 0.01) is (ratio > 1)
    pair = known.averaged_amplitudes_at_centre(1, 4, (ratio, 1.0))
    assert sum(pair) <= math.sqrt(2)
    assert min(pair) <= known.OPTIMAL_AT_CENTRE


def test_a_network_that_exceeds_half_the_distance_at_one_centre():
    """4 s(x1)^2 - s(x2)^2: forward passes around e1 and e2, in every direction."""
    angles = np.linspace(0, 2 * np.pi, 3601)
    around = np.stack([np.cos(angles), np.sin(angles)])
    output = lambda x: 4 * np.maximum(x[0], 0) ** 2 - np.maximum(x[1], 0) ** 2
    found = []
    for centre, label in (((1.0, 0.0), 1), ((0.0, 1.0), -1)):
        sizes = np.linspace(0, 1, 2001)[:, None]
        points = np.reshape(centre, (2, 1, 1)) + around[:, None] * sizes
        broken = (label * output(points) <= 0).any(axis=1)
        found.append(sizes[broken.argmax(), 0])
    np.testing.assert_allclose(found, [2 / math.sqrt(5), 1 / math.sqrt(5)], atol=1e-3)
    assert found[0] > known.OPTIMAL_AT_CENTRE > found[1]
    assert sum(found) < math.sqrt(2)


@pytest.mark.parametrize(
    ("epsilon", "accuracy"),
    [(0.68, 0.99096), (0.69, 0.8795), (0.70, 0.4814), (0.715, 0.0279)],
)
def test_nearest_centre_accuracy_at_known_radii(epsilon, accuracy):
    value = known.nearest_centre_accuracy(epsilon, 10, 6, 1000, 0.3)
    assert value == pytest.approx(accuracy, abs=2e-4)


def test_nearest_centre_accuracy_at_half_the_distance_needs_no_noise_level():
    for noise in (0.05, 0.3):
        value = known.nearest_centre_accuracy(math.sqrt(0.5), 10, 6, 400, noise)
        assert value == pytest.approx(0.17714, abs=1e-4)


def test_nearest_centre_accuracy_by_monte_carlo():
    rng = np.random.default_rng(0)
    dim, noise, epsilon, count = 200, 0.3, 0.68, 40_000
    z = rng.normal(size=(count, 5)) * noise / math.sqrt(dim)
    # Positive class: 2 centres, so 3 others; the nearest rule compares one coordinate.
    wins = []
    for own, opposite in ((2, 3), (3, 2)):
        margin = 1 + z[:, 0] - z[:, 1 : 1 + opposite].max(1)
        wins.append(own / 5 * np.mean(margin / math.sqrt(2) > epsilon))
    expected = known.nearest_centre_accuracy(epsilon, 5, 2, dim, noise)
    assert sum(wins) == pytest.approx(expected, abs=0.01)


def test_law_and_tails_of_the_averaged_classifier():
    rng = np.random.default_rng(1)
    dim, clusters, positive, noise, count = 400, 10, 6, 0.3, 50_000
    z = rng.normal(size=(count, clusters)) * noise / math.sqrt(dim)
    own, opposite = 1 + z[:, :positive].sum(1), z[:, positive:].sum(1)
    radii = known.averaged_radius(own, opposite, positive, clusters - positive)
    mean, deviation = known.averaged_law(clusters, dim, noise)
    assert radii.mean() == pytest.approx(mean, abs=5 * deviation / math.sqrt(count))
    assert radii.std() == pytest.approx(deviation, rel=0.02)
    excess = 0.1
    attacked = np.mean(radii > (1 + excess) / math.sqrt(clusters))
    bound = known.averaged_universal_attack(excess, clusters, dim, noise)
    assert attacked <= bound + 4 * math.sqrt(bound / count)
    wrong = np.mean(own <= np.maximum(opposite, 0))
    assert wrong <= known.averaged_clean_error(positive, clusters, dim, noise) + 1e-3


def test_failure_bound_of_the_per_centre_classifier():
    rng = np.random.default_rng(2)
    dim, opposite, noise, count = 100, 4, 0.5, 20_000
    z = rng.normal(size=(count, 1 + opposite)) * noise / math.sqrt(dim)
    own, against = 1 + z[:, :1], z[:, 1:]
    certified = known.per_centre_certificate(own, against, 2.0)
    for deficit in (0.1, 0.2, 0.3):
        broken = np.mean(certified < (math.sqrt(2) - deficit) / 2)
        bound = known.per_centre_failure(deficit, opposite, dim, noise)
        assert broken <= bound
    assert known.per_centre_failure(0.0, opposite, dim, noise) == 1.0


def test_bad_input_is_explained():
    with pytest.raises(InputError, match="not a norm"):
        known.per_centre_at_centre(2.0, 3, 0.5)
    with pytest.raises(InputError, match="exponent=0.5"):
        known.per_centre_at_centre(0.5, 3)
    with pytest.raises(InputError, match="spreads"):
        known.per_centre_amplitudes_at_centre(1.5, 1.0, 1.0)
    with pytest.raises(InputError, match="tie"):
        known.averaged_radius(1.0, 0.0, 1, 1, tie="f<=0")
