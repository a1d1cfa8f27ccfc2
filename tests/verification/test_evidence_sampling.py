"""Monte-Carlo evidence against loops over samples and exact geometry."""

import math

import numpy as np
import pytest
from scipy import stats

from jaxbias.verification import evidence_sampling as sampling

SMALL = {"clusters": 5, "positive": 3, "noise": 0.5, "dim": 20, "samples": 200}


def score_of_averages(own, other):
    return max(own.sum(), 0.0) - max(other.sum(), 0.0)


def blocks(asked, root):
    """Both classes as (own, other) coordinates of each sample."""
    own = asked["positive"]
    first, second, _ = sampling.draw(asked, root)
    yield first[:, :own], first[:, own:]
    own = asked["clusters"] - own
    yield second[:, :own], second[:, own:]


# --- the draw ------------------------------------------------------------------------


def test_a_draw_has_its_own_centre_in_front_and_the_noise_it_says():
    asked = {**SMALL, "samples": 20_000}
    first, second, count = sampling.draw(asked, 0)
    x = np.concatenate([first, second])
    assert len(x) == count == 20_000
    spread = 0.5 / math.sqrt(20)
    means = x.mean(axis=0) - np.eye(1, 5)[0]
    assert np.abs(means).max() < 5 * spread / math.sqrt(count)
    np.testing.assert_allclose(x.std(axis=0), spread, rtol=0.03)
    assert stats.binomtest(len(first), count, 0.6).pvalue > 1e-6


def test_draws_belong_to_their_root():
    one, again, other = (sampling.draw(SMALL, root)[0] for root in (1, 1, 2))
    np.testing.assert_array_equal(one, again)
    assert one.shape != other.shape or not np.allclose(one, other)


# --- radii ---------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize(("ka", "kb"), [(1, 1), (3, 2), (1, 4)])
def test_the_radius_of_the_averaged_classifier_is_that_of_a_dense_search(seed, ka, kb):
    rng = np.random.default_rng(seed)
    own, other = rng.normal(0, 0.6, (1, ka)), rng.normal(0, 0.6, (1, kb))
    own[0, 0] += 1
    (found,), (same,) = sampling._averaged(own, other)
    # Only the two sums matter; a sum over k coordinates moves by sqrt(k) a unit.
    a, b = own.sum(), other.sum()
    grid = np.linspace(-4, 4, 1601)
    s, t = np.meshgrid(grid, grid)
    wrong = np.maximum(s, 0) - np.maximum(t, 0) <= 1e-12
    far = np.sqrt((s - a) ** 2 / ka + (t - b) ** 2 / kb)[wrong].min()
    if score_of_averages(own, other) <= 0:
        far = 0.0
    assert found == same == pytest.approx(far, abs=0.01)


def test_radii_of_the_averaged_classifier_at_centres_and_at_errors():
    own = np.array([[1.0, 0, 0], [-1.0, 0, 0], [0.2, 0, 0]])
    other = np.array([[0.0, 0], [0, 0], [0.3, 0]])
    radius, _ = sampling._averaged(own, other)
    np.testing.assert_allclose(radius, [5**-0.5, 0.0, 0.0], atol=1e-12)


@pytest.mark.parametrize(
    ("name", "more"),
    [("nearest", {}), ("bayes", {}), ("root", {"exponent": 3.0})],
)
def test_scores_are_lipschitz_and_their_interval_contains_the_radius(name, more):
    asked = SMALL | more
    score = sampling._scores(name, asked)
    rng = np.random.default_rng(0)
    own, other = rng.normal(0, 0.4, (300, 3)), rng.normal(0, 0.4, (300, 2))
    own[:, 0] += 1
    moves = rng.normal(0, 0.2, (300, 5))
    moved = score(own + moves[:, :3], other + moves[:, 3:])
    length = np.linalg.norm(moves, axis=1)
    assert np.all(np.abs(moved - score(own, other)) <= math.sqrt(2) * length + 1e-12)
    lower, upper = sampling._lipschitz(score, own, other)
    assert np.all(lower <= upper + 1e-9)
    wrong = score(own, other) <= 0
    assert wrong.any()
    assert not np.any(upper[wrong])


def test_the_nearest_centre_has_half_the_distance_to_its_rival():
    score = sampling._scores("nearest", SMALL)
    lower, upper = sampling._lipschitz(score, np.eye(1, 3), np.zeros((1, 2)))
    np.testing.assert_allclose([lower[0], upper[0]], 0.5**0.5, rtol=1e-12)


def test_bayes_becomes_the_nearest_centre_as_the_noise_vanishes():
    rng = np.random.default_rng(3)
    own, other = rng.standard_normal((50, 3)), rng.standard_normal((50, 2))
    nearest = sampling._scores("nearest", SMALL)(own, other)
    gaps = []
    for noise in (0.5, 0.05, 0.005):
        bayes = sampling._scores("bayes", SMALL | {"noise": noise})(own, other)
        gaps.append(np.abs(bayes - nearest).max())
        # log-sum-exp exceeds the maximum by at most log(3)/heat.
        assert gaps[-1] <= math.log(3) * noise**2 / 20
    assert gaps[0] > gaps[-1]


@pytest.mark.parametrize("exponent", [1.0, 3.0, 4.5])
def test_the_root_of_the_per_centre_classifier_is_a_difference_of_norms(exponent):
    rng = np.random.default_rng(4)
    own, other = rng.standard_normal((20, 3)), rng.standard_normal((20, 2))
    found = sampling._scores("root", SMALL | {"exponent": exponent})(own, other)
    size = lambda row: sum(max(x, 0.0) ** exponent for x in row) ** (1 / exponent)
    expected = [size(a) - size(b) for a, b in zip(own, other, strict=True)]
    np.testing.assert_allclose(found, expected, rtol=1e-12)


@pytest.mark.parametrize(("side", "whole"), [(None, True), ("positive", False)])
def test_every_sample_has_an_interval_in_every_case(side, whole):
    asked = SMALL | {"cases": ["averaged", "nearest", ("root", {"exponent": 3.0})]}
    found = sampling.radii(asked | ({"side": side} if side else {}), 5)
    first, _, count = sampling.draw(SMALL, 5)
    runs = count if whole else len(first)
    assert found["lower"].shape == found["upper"].shape == (3, runs)
    assert found["seeds"] == runs
    assert np.all(found["lower"] <= found["upper"] + 1e-9)
    np.testing.assert_array_equal(found["lower"][0], found["upper"][0])


# --- single directions ---------------------------------------------------------------


def test_the_universal_direction_is_counted_sample_by_sample():
    excesses = [-0.5, 0.0, 0.5]
    asked = SMALL | {"noises": [0.3, 1.0], "excesses": excesses}
    expected = []
    for noise in (0.3, 1.0):
        for excess in excesses:
            step = (1 + excess) / SMALL["clusters"]
            expected.append(
                sum(
                    score_of_averages(a - step, b + step) <= 0
                    for own, other in blocks({**SMALL, "noise": noise}, 2)
                    for a, b in zip(own, other, strict=True)
                )
            )
    found = sampling.universal(asked, 2)
    assert found["count"].tolist() == expected
    assert np.all(np.asarray(found["trials"]) == 200)


@pytest.mark.parametrize(
    ("excess", "missed"), [(-0.5, 0), (-0.01, 0), (0.01, 200), (0.5, 200)]
)
def test_without_noise_the_universal_direction_flips_all_at_the_radius(excess, missed):
    asked = SMALL | {"noises": [1e-9], "excesses": [excess]}
    assert sampling.universal(asked, 0)["count"].tolist() == [missed]


@pytest.mark.parametrize(
    ("clusters", "positive"), [(4, 2), (10, 6), (5, 1)], ids=lambda k: str(k)
)
@pytest.mark.parametrize("excess", [-0.1, 0.2, 0.6])
def test_the_grid_of_single_directions_encloses_the_exact_share(
    clusters, positive, excess
):
    asked = {"clusters": clusters, "positive": positive, "excess": excess, "grid": 401}
    grid = sampling.one_direction(asked, 0)
    exact = sampling.one_direction_exact(asked, 0)
    assert grid["lower"][0] <= exact["lower"][0] + 1e-12
    assert exact["upper"][0] <= grid["upper"][0] + 1e-12
    if excess < 0:
        assert exact["lower"][0] == 1.0


def test_one_direction_that_flips_both_classes_needs_both_half_spaces():
    # Lower both sums to <= 0: radius sqrt(1/K1 + 1/K2), here 1 at K1 = K2 = 2.
    share = lambda radius: sampling.one_direction_exact(
        {"clusters": 4, "positive": 2, "excess": radius * 2 - 1}, 0
    )["lower"][0]
    assert share(0.49) == 1.0
    assert share(0.51) == 0.5
    assert share(0.99) == 0.5
    assert share(1.01) == 0.0


def test_the_witness_of_a_direction_keeps_the_share_it_says():
    asked = {"clusters": 10, "positive": 6, "excess": 0.2, "grid": 801}
    witness = sampling.one_direction(asked, 0)["witness"]
    radius = 1.2 / math.sqrt(10)
    s, t = (radius * z for z in witness["direction (<d,mu_+>, <d,mu_->)"])
    kept = 0.6 * (max(1 + s, 0) > max(t, 0)) + 0.4 * (max(1 + t, 0) > max(s, 0))
    # The share told is a lower end: it allows for half a cell of the grid.
    assert witness["share still correct"] == pytest.approx(0.4)
    assert kept >= witness["share still correct"]


# --- the attack of the papers --------------------------------------------------------


def test_descent_without_a_step_or_a_radius_counts_clean_accuracy():
    asked = SMALL | {"exponent": 3.0, "radius": 0.5, "noise": 2.0}
    clean = sum(
        np.sum(np.maximum(a, 0) ** 3) > np.sum(np.maximum(b, 0) ** 3)
        for own, other in blocks(asked, 0)
        for a, b in zip(own, other, strict=True)
    )
    assert 0 < clean < 200
    for change in ({"steps": 0}, {"steps": 5, "radius": 0.0}):
        found = sampling.descent(asked | change, 0)
        assert found["count"].tolist() == [clean]
        assert found["trials"].tolist() == [200]


def test_descent_breaks_more_the_farther_it_may_go():
    kept = [
        int(
            sampling.descent(SMALL | {"exponent": 3.0, "radius": r, "steps": 60}, 0)[
                "count"
            ][0]
        )
        for r in (0.2, 0.8, 1.2)
    ]
    assert kept[0] >= kept[1] >= kept[2]
    assert kept[0] > kept[2]
