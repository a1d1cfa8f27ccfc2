"""Paths of unbalanced output weights, against scalar equations and exact paths."""

import math

import numpy as np
import pytest

from jaxbias.verification import evidence_signs as signs
from jaxbias.verification.evidence_convergence import Runs

TOLD = {
    "exponents": (2.5,),
    "clusters": 4,
    "positive": 2,
    "dim": 6,
    "samples": 3,
    "noise": 0.1,
    "width": 24,
    "scale": 1e-2,
    "time": 6.0,
}


def test_starts_are_unbalanced_and_all_alike():
    made = signs._unbalanced(
        {**TOLD, "width": 400, "dim": 50}, np.random.default_rng(0)
    )
    norms = np.linalg.norm(made.hidden[0], axis=1)
    assert np.std(made.output) == pytest.approx(1e-2, rel=0.2)
    assert np.mean(norms) == pytest.approx(1e-2 * math.sqrt(50), rel=0.05)
    assert np.mean(np.abs(made.output[0]) < norms) > 0.99
    np.testing.assert_array_equal(made.labels, np.repeat([1, 1, -1, -1], 3))


def single(v, cosine=1.0):
    """One neuron and one positive sample on the first axis, fixed far from a fit."""
    side = math.sqrt(1 - cosine**2)
    return Runs(
        np.eye(2)[None, :1],
        np.ones(1),
        1e-6 * np.array([[[cosine, side]]]),
        1e-6 * np.array([[v]]),
    )


@pytest.mark.parametrize("v", [-0.8, -0.1, 0.5])
def test_an_aligned_neuron_moves_on_a_hyperbola(v):
    # S = 1: a(t) = a(0) + t, v = sqrt(c) sinh(a), while the output is about 1e-12.
    pulled, path = signs._follow(single(v), 3.0, 1, 2.0, 400)
    times = np.linspace(0, 2, 401)[1:]
    np.testing.assert_allclose(pulled[:, 0], times, rtol=1e-9)
    root = 1e-6 * math.sqrt(1 - v * v)
    expected = root * np.sinh(math.asinh(v / math.sqrt(1 - v * v)) + times)
    np.testing.assert_allclose(path[:, 0], expected, rtol=1e-8, atol=1e-15)


def test_a_negative_output_weight_turns_when_its_path_crosses_zero():
    v = -0.6
    _, path = signs._follow(single(v), 3.0, 1, 2.0, 2000)
    crossing = -math.asinh(v / 0.8)
    turned = np.argmax(path[:, 0] > 0) * 2.0 / 2000
    assert turned == pytest.approx(crossing, abs=2e-3)


def test_directions_move_away_until_the_sign_has_changed():
    # v < 0 pushes a neuron off the positive centre; S = c^3 first falls.
    pulled, path = signs._follow(single(-0.2, 0.5), 3.0, 1, 6.0, 600)
    speed = np.diff(pulled[:, 0])
    negative = path[:-1, 0] < 0
    assert 10 < negative.sum() < 590
    # But for the step in which v crosses 0.
    assert np.all(np.diff(speed)[negative[:-1]][:-1] < 0)
    assert np.all(np.diff(speed)[~negative[:-1]][1:] > 0)


@pytest.fixture(scope="module")
def followed():
    return signs.law(TOLD, 0)


def test_the_law_holds_on_a_network(followed):
    gap = followed["measured"] - followed["start"] - followed["pulled"]
    assert np.all(np.abs(gap) <= followed["error"])
    assert np.all(followed["settled"])
    assert followed["mismatched"] == 0
    assert followed["seeds"] == followed["start"].size


def test_some_signs_change_and_the_starts_matter(followed):
    assert followed["changed"] > 0
    crossed = np.sign(followed["measured"]) != np.sign(followed["start"])
    assert crossed.sum() == followed["changed"]
    assert np.max(np.abs(followed["start"])) > 0.1
    assert np.max(np.abs(followed["pulled"])) > 1


def test_the_share_is_counted_over_all_neurons():
    found = signs.share({"dim": 6, "time": 5.0, "neurons": 4000}, 1)
    assert found["trials"] == found["seeds"] == 4000
    error = math.sqrt(5 / 36 / 4000)
    assert found["changed"] / 4000 == pytest.approx(1 / 6, abs=5 * error)
    # Those still open are near the threshold, e^-5 of the rest at most.
    assert found["open"] < 0.02 * 4000


def test_the_dimension_does_not_matter_at_exponent_one():
    counts = [
        signs.share({"dim": dim, "time": 4.0, "neurons": 4000}, 2)["changed"]
        for dim in (3, 300)
    ]
    error = math.sqrt(2 * 4000 * 5 / 36)
    assert abs(counts[0] - counts[1]) < 5 * error


def test_in_a_short_time_fewer_signs_have_changed():
    short, long = (
        signs.share({"dim": 6, "time": t, "neurons": 4000}, 3) for t in (0.2, 5.0)
    )
    assert short["changed"] < 0.5 * long["changed"]
    assert short["open"] > 10 * long["open"]
