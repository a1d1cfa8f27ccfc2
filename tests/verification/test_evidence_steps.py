"""Steps of the proof: geometry by brute force, equations by their solutions."""

import math

import numpy as np
import pytest

from jaxbias.verification import evidence_steps as steps
from jaxbias.verification.evidence_convergence import Runs, forward


def boundary(own, extra, rng, count=400_000):
    """Random unit vectors on the boundary of the union of Voronoi regions."""
    z = rng.standard_normal((count, own + extra))
    kinds = rng.random(count) < 0.5
    order = np.sort(z[:, :own], axis=1)
    best = np.argmax(z[:, :own], axis=1)
    # A tie: the closest centre comes down to the second, where that is positive.
    tie = z.copy()
    tie[np.arange(count), best] = order[:, -2]
    empty = z.copy()
    empty[:, :own] = np.minimum(empty[:, :own], 0)
    chosen = np.where((kinds & (order[:, -2] > 0))[:, None], tie, empty)
    return chosen / np.linalg.norm(chosen, axis=1)[:, None]


@pytest.mark.parametrize(
    "start", [(0.8, 0.1), (0.6, 0.4), (0.5, -0.1), (0.8, -0.34), (0.4, -0.6)]
)
def test_gaps_are_the_distance_to_sampled_boundaries(start):
    rest = math.sqrt(1 - start[0] ** 2 - start[1] ** 2)
    w = np.array([*start, rest])
    z = boundary(2, 1, np.random.default_rng(0))
    sampled = 1 - np.max(z @ w)
    [found] = steps.voronoi_gap(np.array([start]))
    # No boundary point is nearer than the gap, and some is nearly as near.
    assert found <= sampled + 1e-9
    assert sampled == pytest.approx(found, abs=0.01)


def test_gaps_of_three_centres_see_the_second_best():
    cosines = np.array([[0.7, 0.1, 0.3], [0.7, 0.3, 0.1]])
    found = steps.voronoi_gap(cosines)
    assert found[0] == found[1] == pytest.approx(1 - math.sqrt(1 - 0.4**2 / 2))


def test_starts_are_kept_up_to_the_largest_gap():
    found = steps.gaps({"own": (2, 3), "draws": 5000, "largest": 0.2}, 0)
    assert found["gap"].max() <= 0.2 < 1
    assert found["seeds"] == found["gap"].size > 1000
    assert np.all((found["share"] >= 0) & (found["share"] <= 1))
    assert np.all(found["cosine"] > 0)
    # Where a rival is active the gap is (c - c_l)^2/2 seen as an angle.
    active = found["share"] > 0
    lead = found["cosine"] * (1 - found["share"])
    expected = 1 - np.sqrt(1 - lead**2 / 2)
    np.testing.assert_allclose(found["gap"][active], expected[active], rtol=1e-9)


def early(**changes):
    told = {
        "exponent": 3.0,
        "width": 16,
        "clusters": 4,
        "positive": 2,
        "dim": 12,
        "samples": 5,
        "noise": 0.1,
        "starts": 4,
        "records": 5,
        "scales": (1 / 16, 1e-3),
        "ends": (0.0, 0.02),
    }
    return steps.early_outputs({**told, **changes}, 0)


def test_early_outputs_begin_at_their_worst_case():
    found = early()["measured"]
    assert found.shape == (2, 4)
    # All 16 neurons on one centre: h eps^2 / (eps sqrt(h)) = 4 eps.
    assert found[0, 0] == pytest.approx(4 / 16)
    assert np.all(found[0, 1:] < found[0, 0])
    # Growth until then is by e^(2 t) at most, up to the noise of the data.
    assert 4e-3 <= found[1, 0] < 4e-3 * math.exp(2 * 0.02 * 1.2)


def test_outputs_at_the_centres_are_the_networks():
    hidden = np.array([[[1.0, 0.0, 0.0], [0.0, 0.6, 0.8]]])
    made = Runs(np.eye(3)[None, :2], np.ones(2), hidden, np.array([[0.5, -2.0]]))
    found, _, _ = forward(made, 3.0)
    np.testing.assert_allclose(found, [[0.5, -2 * 0.6**3]])


@pytest.mark.parametrize("case", [(0.25, 0.1, 0.01), (1e-6, 1e-3, 0.24)])
def test_travel_times_are_those_of_the_logistic_curve(case):
    start, left, drag = case
    top = 1 - drag
    odds = lambda z: math.log(z / (top - z)) / top
    found = steps.travel({"cases": (case,)}, 0)
    assert found["settled"][0]
    expected = odds(top - left) - odds(start)
    assert found["measured"][0] == pytest.approx(expected, abs=found["error"][0])


def test_maxima_of_the_noise_have_their_sizes():
    told = {"clusters": 3, "samples": 10, "dim": 200, "draws": 200}
    found = steps.good_event(told, 0)["maxima"]
    assert found.shape == (200, 4)
    assert np.all(np.abs(found[:, 0] - 1.1) < 0.15)
    # The largest of 90 normal numbers is about 2.5.
    assert np.mean(found[:, 1]) == pytest.approx(2.75, abs=0.2)
    assert np.mean(found[:, 2]) == pytest.approx(1.04, abs=0.05)
    assert np.mean(found[:, 3]) == pytest.approx(1.0, abs=0.05)
    assert np.all(found[:, 0] ** 2 >= found[:, 3])
    other = steps.good_event(told, 1)["maxima"]
    assert not np.allclose(found, other)


RATES = {"exponents": (2.25, 3.0, 5.0), "cosines": (0.9, 1.0)}


def test_the_left_side_of_f_19_two_ways():
    first, second = steps.rates(RATES, 0), steps.rates_by_logs(RATES, 0)
    np.testing.assert_allclose(first["measured"], second["measured"], rtol=1e-14)
    # p = 3: 3 c^2/2.
    np.testing.assert_allclose(first["measured"][1], [1.5 * 0.81, 1.5], rtol=1e-12)
    witness = first["witness"]
    p, c = witness["exponent"], witness["cosine"]
    by_hand = p * c ** (p - 1) * (1 - 2 ** (2 - p))
    assert witness["left side"] == pytest.approx(by_hand)


def test_an_aligned_neuron_grows_by_twice_its_logistic_rate():
    told = {"start": 1e-2, "exponent": 3.0, "times": (0.5, 2.0, 4.0)}
    found = steps.grown(told, 0)
    rise = np.exp(2 * np.array(told["times"]))
    expected = 1e-2 * rise / (0.99 + 1e-2 * rise)
    assert np.all(found["settled"])
    np.testing.assert_allclose(found["measured"], expected, rtol=1e-8)


def test_the_witness_of_equation_14_can_be_checked_by_hand():
    witness = steps.grown({"start": 0.1, "exponent": 3.0, "times": (0.1,)}, 0)[
        "witness"
    ]
    w, v, z = witness["w"], witness["v"], witness["output"]
    assert v * w == pytest.approx(z)
    # w' = v (1 - z), v' = w (1 - z): z' = (v^2 + w^2)(1 - z), twice z (1 - z).
    rate = (v * v + w * w) * (1 - z)
    assert witness["rate of the output"] == pytest.approx(rate)
    assert rate == pytest.approx(2 * z * (1 - z))


@pytest.mark.parametrize("exponent", [1.0, 2.5, 4.0])
@pytest.mark.parametrize("share", [1.0, 0.3])
def test_sines_fall_as_the_weights_grow(exponent, share):
    told = {
        "exponents": (exponent,),
        "shares": (share,),
        "scale": 0.1,
        "cosine": 0.5,
        "times": (2.0, 6.0),
    }
    found = steps.locked(told, 0)
    assert found["measured"].shape == (1, 2)
    assert np.all(found["settled"])
    np.testing.assert_allclose(found["measured"], -2 * exponent, rtol=1e-6)


DEGREES = {"exponents": (1.5, 3.0), "factors": (0.5, 3.0), "width": 4, "dim": 3}


def test_degrees_of_networks_and_of_the_explicit_classifier():
    found = steps.degrees(DEGREES, 0)
    np.testing.assert_allclose(
        found["measured"], np.repeat([[1.5], [1.5], [3.0], [3.0]], 2, axis=1)
    )
    package = steps.degrees_by_package(DEGREES, 0)["measured"]
    np.testing.assert_allclose(package, found["measured"], atol=1e-10)
    witness = found["witness"]
    assert witness["F^(p) at 2 e_1"] == 2 ** witness["exponent"]


def test_at_exponent_one_the_degree_is_one():
    found = steps.degrees({**DEGREES, "exponents": (1.0,)}, 0)
    np.testing.assert_allclose(found["measured"], 1.0)
