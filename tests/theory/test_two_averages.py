"""Two averages under exponential loss against ODEs and searches."""

import math

import numpy as np
import pytest
from scipy import special
from scipy.integrate import solve_ivp
from scipy.optimize import minimize, minimize_scalar

from jaxbias.theory import two_averages as theory
from jaxbias.theory.two_averages import CLAIMS

_LEDGER = {claim.id.rpartition("/")[2]: claim for claim in CLAIMS}


@pytest.mark.parametrize("sizes", [(6, 4), (2, 5), (1, 1)])
def test_growth_solves_its_equation(sizes):
    times, start = np.array([5.0, 50.0, 500.0]), 1e-3
    found = theory.averaged_growth(*sizes, start, times)
    for count, u in zip(sizes, found, strict=True):
        rate = 2 * math.sqrt(count)
        # In log u: the rate e^-u then has no small numbers.
        run = solve_ivp(
            lambda _, z, r=rate: r * np.exp(-np.exp(z)),
            (0, 500),
            [math.log(start)],
            t_eval=times,
            rtol=1e-10,
        )
        np.testing.assert_allclose(u, np.exp(run.y[0]), rtol=3e-6)


@pytest.mark.parametrize("sizes", [(6, 4), (4, 6), (3, 1)])
@pytest.mark.parametrize("u", [(2.0, 1.5), (1.0, 1.2), (11.28, 11.06)])
def test_the_distance_is_the_supremum_at_the_best_scale(sizes, u):
    positive, negative = sizes

    # Over the unit disc of (a, b), the projections on the two unit averages.
    angles = np.linspace(-math.pi, math.pi, 2001)
    a = math.sqrt(positive) * np.maximum(np.cos(angles), 0)
    b = math.sqrt(negative) * np.maximum(np.sin(angles), 0)

    def supremum(scale):
        return np.max(np.abs((scale * u[0] - 1) * a - (scale * u[1] - 1) * b))

    mean = 0.5 * (1 / u[0] + 1 / u[1])
    ends = (0.8 * mean, 1.2 * mean)
    best = minimize_scalar(supremum, bounds=ends, method="bounded")
    found = float(theory.distance_to_average(*sizes, u))
    assert found == pytest.approx(best.fun, rel=2e-4)


def test_the_distance_by_a_search_in_full_dimension():
    positive, negative, u = 3, 2, (2.0, 1.8)
    sums = np.zeros((2, 5))
    sums[0, :3] = sums[1, 3:] = 1.0
    scale = (3 * 2.0 + 2 * 1.8) / (3 * 4.0 + 2 * 1.8**2)

    def gap(x):
        a, b = np.maximum(sums @ (x / np.linalg.norm(x)), 0)
        return -abs((scale * u[0] - 1) * a - (scale * u[1] - 1) * b)

    rng = np.random.default_rng(0)
    starts = [*rng.standard_normal((8, 5)), *sums]
    best = -min(minimize(gap, start).fun for start in starts)
    found = float(theory.distance_to_average(positive, negative, u))
    assert found == pytest.approx(best, rel=1e-5)


def test_the_end_of_training_in_numbers():
    claim = _LEDGER["two-classes-end-of-training"]
    first, second = theory.averaged_growth(6, 4, 1e-10, (1604.0,))
    assert (first[0], second[0]) == pytest.approx((11.28, 11.06), abs=0.006)
    excess, distance = claim.predict(claim.setting)["value"]
    assert excess == pytest.approx(0.117, abs=0.001)
    assert distance == pytest.approx(0.0313, abs=5e-5)
    # 401 epochs of 200 steps of 0.2, mean loss, ten clusters.
    assert claim.setting["times"][3] == pytest.approx(401 * 200 * 0.2 / 10)


def test_its_remainder_covers_every_start():
    claim = _LEDGER["two-classes-end-of-training"]
    value = claim.predict(claim.setting)["value"]
    delta = claim.remainder(claim.setting).delta
    for start in (1e-13, 1e-12, 1e-8, 1e-6):
        setting = {**claim.setting, "start": start}
        gap = np.abs(claim.predict(setting)["value"] - value)
        assert np.all(gap <= 1.5 * delta)
    assert np.all(delta < 0.02 * value)


@pytest.mark.parametrize("time", [1e6, 1e8, 1e12])
def test_the_gap_is_within_its_remainder_and_shrinks_like_a_logarithm(time):
    claim = _LEDGER["two-classes-limit"]
    u = theory.averaged_growth(6, 4, 1e-10, (time,))
    limit = 0.5 * math.log(1.5)
    assert claim.predict(claim.setting)["value"] == pytest.approx(limit)
    gap = u[0][0] - u[1][0] - limit
    assert 0 < gap < limit / (math.log(time) - 3)
    if time == claim.setting["times"][-1]:
        delta = claim.remainder(claim.setting).delta
        assert 0.9 * delta < gap < delta


def _evidence(move=0.0, error=1e-11):
    """What the closed forms say, the outputs of the first class moved."""
    claim = CLAIMS[0]
    times = np.array(claim.setting["times"])
    u = np.stack(theory.averaged_growth(6, 4, claim.setting["start"], times), axis=1)
    distance = theory.distance_to_average(6, 4, (u[:, 0], u[:, 1]))
    return {
        "outputs": u + np.array([move, 0.0]),
        "error": np.full(u.shape, error),
        "lower": (1 + move) * distance,
        "upper": (1 + move) * distance,
    }


def _judged(claim, arrays, decoy=None):
    prediction = claim.predict(claim.setting)
    if decoy is not None:
        prediction = decoy.alter(claim.setting, prediction)
    return claim.judge(arrays, prediction, claim.remainder(claim.setting), 1e-3)


@pytest.mark.parametrize("claim", CLAIMS, ids=lambda claim: claim.id)
def test_the_closed_forms_are_their_own_evidence(claim):
    assert _judged(claim, _evidence()).conclusion == "true"
    assert _judged(claim, _evidence(move=0.1)).conclusion == "false"
    assert _judged(claim, _evidence(error=math.inf)).conclusion == "unresolved"
    for decoy in claim.decoys:
        assert _judged(claim, _evidence(), decoy).conclusion == "false", decoy.name


def test_the_law_is_the_difference_of_two_integrals():
    claim = _LEDGER["two-classes-law"]
    prediction = claim.predict(claim.setting)
    np.testing.assert_allclose(prediction["weights"], [1 / math.sqrt(6), -1 / 2])
    u = np.array(theory.averaged_growth(6, 4, 1e-10, (30.0,)))[:, 0]
    found = special.expi(u) @ prediction["weights"]
    assert found == pytest.approx(prediction["value"], rel=1e-8)


def test_classes_of_one_size_are_no_case():
    for claim in CLAIMS:
        setting = {**claim.setting, "negative": 6}
        assert [h.status for h in claim.hypotheses(setting)] == ["unmet"]
        assert [h.status for h in claim.hypotheses(claim.setting)] == ["met"]
