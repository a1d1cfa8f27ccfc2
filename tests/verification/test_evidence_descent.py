"""Crossings of a level, and a short descent of a small network."""

import math

import numpy as np
import pytest

from jaxbias.theory._claim import Computation
from jaxbias.theory.descent_steps import alignment_steps
from jaxbias.verification import evidence_descent as descent
from jaxbias.verification.evidence import execute


@pytest.mark.parametrize("level", [0.1, 0.5, 0.93])
def test_crossings_of_straight_lines_are_exact(level):
    steps = np.arange(0, 101, 5)
    slopes = np.array([0.01, 0.02, 0.05])
    values = steps[:, None] * slopes[None, :]
    found = descent.first_crossing(steps, values, level)
    reached = level / slopes <= 100
    np.testing.assert_allclose(found[reached], (level / slopes)[reached])
    assert np.all(np.isinf(found[~reached]))


def test_the_first_of_several_crossings_counts_and_a_start_above_is_at_once():
    steps = np.array([0, 10, 20, 30])
    values = np.array([[0.9, 0.0], [0.0, 1.0], [0.9, 0.0], [0.9, 1.0]])
    np.testing.assert_allclose(descent.first_crossing(steps, values, 0.5), [0.0, 5.0])


@pytest.fixture(scope="module")
def small():
    told = {
        "clusters": 4,
        "positive": 2,
        "noise": 0.05,
        "samples": 40,
        "width": 60,
        "scale": 1e-6,
        "exponent": 3.0,
        "slope": 2.0,
        "rate": 0.2,
        "aligned": 0.5,
        "dims": (60,),
        "seeds": 3,
    }
    return told, execute(Computation("descent/alignment", told), 5)


def test_shapes_seeds_and_conventions(small):
    told, found = small
    assert found.arrays["cosines"].shape == (1, 3, 60)
    assert found.arrays["observed"].shape == (1, 3, 60)
    assert found.seeds == 3
    assert found.conventions["clock"] == "mean"
    assert found.conventions["loss_scale"] == "(y - f)^2"
    assert not np.allclose(found.arrays["cosines"][0, 0], found.arrays["cosines"][0, 1])
    assert told["dims"] == (60,)


def test_initial_cosines_are_the_best_of_two_at_random(small):
    _, found = small
    cosines = found.arrays["cosines"].ravel() * math.sqrt(60)
    # The larger of two normal numbers has mean 1/sqrt(pi) and variance 1 - 1/pi.
    error = math.sqrt((1 - 1 / math.pi) / cosines.size)
    assert np.mean(cosines) == pytest.approx(1 / math.sqrt(math.pi), abs=4 * error)


def test_neurons_turn_when_their_own_cosine_says(small):
    told, found = small
    cosines, observed = found.arrays["cosines"][0], found.arrays["observed"][0]
    steps = alignment_steps(
        cosines, 3.0, told["clusters"], told["slope"], told["rate"], 0.5
    )
    seen = np.isfinite(observed) & (cosines > 0.1)
    assert seen.sum() > 40
    ratio = observed[seen] / steps[seen]
    assert np.median(ratio) == pytest.approx(1.0, abs=0.06)
    # A neuron that starts closer turns earlier.
    order = np.argsort(cosines[seen])
    assert np.corrcoef(cosines[seen][order], observed[seen][order])[0, 1] < -0.5


def test_inactive_neurons_are_never_seen_to_turn(small):
    _, found = small
    cosines, observed = found.arrays["cosines"], found.arrays["observed"]
    assert (cosines < -0.05).any()
    assert np.all(np.isinf(observed[cosines < -0.05]))
