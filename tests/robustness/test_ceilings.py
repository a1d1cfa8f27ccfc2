"""The ceiling no classifier exceeds, and when an attack is known to have failed."""

import math

import numpy as np
import pytest

from jaxbias import InputError
from jaxbias.robustness import attack_failed, population_ceiling
from jaxbias.robustness.closed_form import nearest_centre_accuracy


def test_ceiling_at_half_the_distance_is_the_larger_class():
    for positive in (1, 4, 9):
        value = population_ceiling(math.sqrt(0.5), 10, positive, 1000, 0.1)
        assert value == pytest.approx(max(positive, 10 - positive) / 10)


def test_ceiling_falls_from_one_and_covers_the_nearest_centre_rule():
    radii = np.linspace(0, 1.2, 25)
    ceiling = population_ceiling(radii, 10, 6, 200, 0.3)
    assert ceiling[0] == pytest.approx(1.0)
    assert np.all(np.diff(ceiling) <= 0)
    assert ceiling[-1] == pytest.approx(0.6)
    rule = [nearest_centre_accuracy(float(r), 10, 6, 200, 0.3) for r in radii]
    assert np.all(np.asarray(rule) <= ceiling + 1e-9)


def test_without_noise_the_ceiling_is_a_step():
    np.testing.assert_allclose(
        population_ceiling(np.array([0.7, 0.71]), 4, 1, 9, 0), [1, 0.75]
    )


def test_attack_failure_needs_significance():
    assert attack_failed(95, 100, 0.6)
    assert not attack_failed(65, 100, 0.6)
    assert attack_failed(6500, 10_000, 0.6)
    assert not attack_failed(0, 10, 0.0)


def test_bad_input_is_explained():
    with pytest.raises(InputError, match="one class would be empty"):
        population_ceiling(0.5, 4, 4, 10, 0.1)
    with pytest.raises(InputError, match="correct=11"):
        attack_failed(11, 10, 0.5)
    with pytest.raises(InputError, match="noise"):
        population_ceiling(0.5, 4, 2, 10, -0.1)
