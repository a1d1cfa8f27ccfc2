"""Margin claims on trajectories made by hand, and their formulas against scipy."""

import math

import numpy as np
import pytest
from scipy.special import logsumexp
from scipy.stats import entropy

from jaxbias.theory import margins
from jaxbias.theory.margins import CLAIMS

_LEDGER = {claim.id.rpartition("/")[2]: claim for claim in CLAIMS}
_SHAPE = (2, 5, 3)


def _judged(name, arrays, decoy=None):
    claim = _LEDGER[name]
    prediction = claim.predict(claim.setting)
    if decoy is not None:
        prediction = decoy.alter(claim.setting, prediction)
    return claim.judge(arrays, prediction, claim.remainder(claim.setting), 1e-3)


@pytest.mark.parametrize("size", [1, 2, 7])
def test_softmin_is_a_log_sum_exp_and_an_entropy(size):
    q = np.random.default_rng(size).normal(scale=5, size=(4, 3, size))
    depth, spread = margins.softmin(q)
    np.testing.assert_allclose(depth, -logsumexp(-q, axis=-1), rtol=1e-12, atol=1e-12)
    shares = np.exp(-q - logsumexp(-q, axis=-1, keepdims=True))
    np.testing.assert_allclose(spread, entropy(shares, axis=-1), rtol=1e-9, atol=1e-12)


def test_softmin_far_below_the_smallest_float():
    depth, spread = margins.softmin(np.array([[2000.0, 2000.0, 2000.0 + math.log(2)]]))
    assert depth == pytest.approx(2000 - math.log(2.5), rel=1e-14)
    assert spread == pytest.approx(entropy([0.4, 0.4, 0.2]), rel=1e-9)


@pytest.mark.parametrize("samples", [2, 3, 8])
@pytest.mark.parametrize("least", [0.1, 1.0, 10.0, 40.0])
def test_slackness_is_bounded_and_nearly_reached(samples, least):
    """Radial pull: |grad L| = 2 sum e^-q q/|theta|, the least that it can be."""
    size, worst = 3.0, 0.0
    for gap in (0.3, 1.0, 3.0):
        q = least + np.append(0.0, np.full(samples - 1, gap))
        weights = size * np.exp(-q) / (2 * np.sum(np.exp(-q) * q))
        worst = max(worst, float(np.sum(weights * (q / least - 1))))
    ends = np.array([size]), np.array([least])
    bound = margins.slackness_bound(samples, *ends)[0]
    assert worst <= bound
    # At q_i = q_min + 1 only the others' share of the pull is ignored.
    share = 1 + (samples - 1) * (1 + 1 / least) / math.e
    assert worst >= bound / share * (1 - 1e-12)
    tenth = margins.slackness_bound(samples, *ends, 0.1)[0]
    assert tenth == pytest.approx(bound / 10)


def _trajectory(power=2.0, noise=0.0):
    """log(1/L) growing as |theta|^power over late saves, the first one early."""
    size = np.broadcast_to(np.array([1.0, 2.0, 4.0, 8.0, 16.0])[:, None], _SHAPE)
    depth = 0.1 * size ** (power / 2)
    depth = np.where(np.arange(5)[:, None] == 0, -1.0, depth)
    safe = np.where(depth > 0, depth, 1.0)
    arrays = {
        "depth": depth,
        "size": size,
        "least": depth + 1.5,
        "late": depth > 0,
        "deeper": np.diff(np.log(safe), axis=1),
        "wider": np.diff(np.log(size), axis=1),
        "turned": np.zeros((2, 4, 3)),
        "tangent": np.full(_SHAPE, 0.2),
        "samples": np.array([4, 6]),
    }
    arrays["stationarity"] = 0.95 * 0.2 * size / arrays["least"]
    arrays["slackness"] = 0.2 * 3 * size / (2 * math.e * arrays["least"] ** 2)
    for name in ("deeper", "wider", "turned"):
        arrays[f"error_{name}"] = np.full((2, 4, 3), noise)
    return arrays


@pytest.mark.parametrize(
    ("power", "conclusion"), [(2.2, "true"), (3.0, "true"), (1.9, "false")]
)
def test_margins_that_fall_are_found(power, conclusion):
    assert _judged("smoothed-margin", _trajectory(power)).conclusion == conclusion


def test_the_first_save_is_not_late_and_does_not_count():
    arrays = _trajectory(2.2)
    arrays["deeper"] = arrays["deeper"].copy()
    arrays["deeper"][:, 0] = -5.0
    assert _judged("smoothed-margin", arrays).conclusion == "true"
    arrays["deeper"][:, 1] = -5.0
    assert _judged("smoothed-margin", arrays).conclusion == "false"


@pytest.mark.parametrize("name", ["smoothed-margin", "turning"])
def test_errors_above_the_gain_leave_it_open(name):
    # A gain of 0.1 ln 2 a save.
    assert _judged(name, _trajectory(2.2, noise=0.01)).conclusion == "true"
    assert _judged(name, _trajectory(2.2, noise=0.5)).conclusion == "unresolved"


@pytest.mark.parametrize("name", ["smoothed-margin", "turning"])
def test_a_run_that_did_not_finish_leaves_it_open(name):
    arrays = _trajectory(2.2)
    for key in ("deeper", "turned"):
        arrays[key] = arrays[key].copy()
        arrays[key][1, 2, 0] = math.nan
    assert _judged(name, arrays).conclusion == "unresolved"


@pytest.mark.parametrize(
    ("share", "conclusion"), [(0.99, "true"), (1.01, "false"), (0.0, "true")]
)
def test_turning_is_at_most_half_of_the_gain(share, conclusion):
    arrays = _trajectory(2.4)
    gain = arrays["deeper"] - arrays["wider"]
    arrays["turned"] = share * np.maximum(gain, 0) / 2
    assert _judged("turning", arrays).conclusion == conclusion


@pytest.mark.parametrize(
    ("key", "factor", "conclusion"),
    [
        ("stationarity", 1.04, "true"),
        ("stationarity", 1.06, "false"),
        ("slackness", 4.9, "true"),
        ("slackness", 8.5, "false"),
    ],
)
def test_residuals_are_held_against_their_own_bounds(key, factor, conclusion):
    """The first case has n = 4, the second n = 6."""
    arrays = _trajectory(2.4)
    arrays[key] = factor * arrays[key]
    assert _judged("kkt-residuals", arrays).conclusion == conclusion


def _rates(turn=1.0, size_factor=1.0):
    """Rates of a network whose gradient is known: theta' = radial + side."""
    rng = np.random.default_rng(0)
    q = 1 + rng.random((2, 3, 4))
    size = 2 + rng.random((2, 3))
    tangent = rng.random((2, 3))
    shares = np.exp(-q) / np.exp(-q).sum(axis=-1, keepdims=True)
    depth = -np.log(np.exp(-q).sum(axis=-1))
    mean = (shares * q).sum(axis=-1)
    # |grad L|^2/L^2 from its radial part 2 mean/|theta|.
    speed = (2 * mean) ** 2 / size * (1 + turn * tangent)
    return {
        "margins": q,
        "size": size,
        "tangent": tangent,
        "size_rate": size_factor * 4 * mean,
        "size_error": np.full((2, 3), 1e-9),
        "margin_rate": speed / depth - 4 * mean / size,
        "margin_error": np.full((2, 3), 1e-9),
    }


def test_rates_agree_with_the_chain_rule():
    arrays = _rates()
    # d log log(1/L) = |grad L|^2/(L^2 depth) dt, d log |theta|^2 = 4 mean/|theta|^2 dt.
    assert _judged("norm-rate", arrays).conclusion == "true"
    assert _judged("margin-rate", arrays).conclusion == "true"


@pytest.mark.parametrize(
    ("name", "changes"),
    [("norm-rate", {"size_factor": 1.001}), ("margin-rate", {"turn": 1.001})],
)
def test_other_rates_are_refused(name, changes):
    assert _judged(name, _rates(**changes)).conclusion == "false"


@pytest.mark.parametrize("claim", CLAIMS, ids=lambda claim: claim.id)
def test_every_decoy_is_refused(claim):
    arrays = {**_trajectory(2.2), **_rates()}
    if claim.kind != "identity":
        arrays = _trajectory(2.2)
        arrays["turned"] = 0.15 * np.maximum(arrays["deeper"] - arrays["wider"], 0)
        # At the bound of the first case, n = 4.
        arrays["slackness"] = 4.9 * arrays["slackness"]
    name = claim.id.rpartition("/")[2]
    assert _judged(name, arrays).conclusion == "true"
    for decoy in claim.decoys:
        assert _judged(name, arrays, decoy).conclusion == "false", decoy.name


@pytest.mark.parametrize("claim", CLAIMS, ids=lambda claim: claim.id)
def test_claims_on_one_family_ask_for_the_same_trajectories(claim):
    quick = claim.evidence(claim.setting, "quick").parameters
    paper = claim.evidence(claim.setting, "paper").parameters
    assert quick["runs"] < paper["runs"]
    assert {**quick, "runs": 0} == {**paper, "runs": 0}
    assert claim.family == "lyu-li-2020/margins"
    assert claim.edition == margins.EDITION
    assert all(h.status == "met" for h in claim.hypotheses(claim.setting))
