"""Judging accuracies and orders of robustness, on arrays made by hand."""

import numpy as np
import pytest
from scipy import stats
from synthetic import judged

from jaxbias.theory.images import CLAIMS

CLAIM = {claim.id.rpartition("/mnist-")[2]: claim for claim in CLAIMS}
POINTS = 2000


def judge(name, arrays, decoy=None):
    return judged(CLAIM[name], arrays, decoy)


def withstood(shares, seed=0):
    """(exponent, radius, point) flags: nested where shares rise, noise on top."""
    rng = np.random.default_rng(seed)
    level = rng.random(POINTS)
    shares = np.asarray(shares, float)
    kept = level[None, None, :] < shares[:, :, None]
    flipped = rng.random(kept.shape) < 0.01
    return kept ^ flipped


RISING = [[0.98, 0.6, 0.1], [0.98, 0.8, 0.3], [0.98, 0.9, 0.5], [0.98, 0.93, 0.6]]


@pytest.mark.parametrize("what", ["apgd", "best"])
def test_a_rising_order_is_not_refuted_and_its_reverse_is(what):
    name = f"order-{'paper' if what == 'apgd' else 'best'}-attack"
    assert judge(name, {what: withstood(RISING)}).conclusion == "true"
    assert judge(name, {what: withstood(RISING)}).sampled, "an attack is a search"
    assert judge(name, {what: withstood(RISING[::-1])}).conclusion == "false"
    for decoy in CLAIM[name].decoys:
        assert judge(name, {what: withstood(RISING)}, decoy).conclusion == "false"


def test_shares_of_the_points_that_differ_are_reported_with_their_intervals():
    robust = np.zeros((4, 1, 100), bool)
    # 30 points only the second withstands, 10 only the first, then no difference.
    robust[0, 0, :10], robust[1:, 0, 10:40] = True, True
    found = judge("order-paper-attack", {"apgd": robust})
    np.testing.assert_allclose(found.measured, [0.75])
    low, high = found.interval[0]
    # Clopper-Pearson at 1e-3 / (2 cells of 3): scipy's own, one-sided.
    ends = stats.binomtest(30, 40).proportion_ci(1 - 2 * 1e-3 / 6, "exact")
    assert (low, high) == pytest.approx((ends.low, ends.high), rel=1e-6)
    assert found.conclusion == "true"


def test_one_radius_in_the_wrong_order_is_enough():
    shares = np.array(RISING)
    shares[2, 1], shares[3, 1] = 0.95, 0.85
    found = judge("order-paper-attack", {"apgd": withstood(shares)})
    assert found.conclusion == "false"


def test_chance_is_not_an_order():
    shares = [[0.9, 0.5]] * 4
    found = judge("order-paper-attack", {"apgd": withstood(shares)})
    assert found.conclusion == "true"


def test_points_that_all_or_none_withstand_say_nothing():
    same = np.ones((4, 2, 10), bool)
    found = judge("order-paper-attack", {"apgd": same})
    assert found.conclusion == "unresolved"


def test_each_accuracy_is_judged():
    name = "clean-accuracy"
    good = np.array([0.981, 0.982, 0.979, 0.977])
    assert judge(name, {"accuracy": good}).conclusion == "true"
    for bad in (0.974, 0.986):
        one = np.where(np.arange(4) == 2, bad, good)
        assert judge(name, {"accuracy": one}).conclusion == "false"
    for decoy in CLAIM[name].decoys:
        assert judge(name, {"accuracy": good}, decoy).conclusion == "false"


def test_the_protocol_is_that_of_the_paper():
    setting = CLAIM["clean-accuracy"].setting
    assert setting["exponents"] == (1.0, 2.0, 3.0, 4.0)
    assert (setting["width"], setting["epochs"]) == (500, 51)
    assert setting["points"] == 2000
    assert setting["radii"][0] == 0.0
    assert all(claim.on_request and claim.study == "mnist" for claim in CLAIMS)
