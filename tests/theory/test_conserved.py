"""Closed form of matrix factorisation; judging drifts and orders of descent."""

import numpy as np
import pytest
from scipy.integrate import solve_ivp
from synthetic import judged

from jaxbias.theory.conserved import CLAIMS, matrix_factorisation

CLAIM = {claim.id.rpartition("/")[2]: claim for claim in CLAIMS}


def judge(name, arrays, decoy=None):
    return judged(CLAIM[name], arrays, decoy)


def _symmetric(values, seed=0):
    basis = np.linalg.qr(np.random.default_rng(seed).normal(size=(len(values),) * 2))[0]
    return (basis * np.array(values)) @ basis.T


@pytest.mark.parametrize("values", [(2.0, 1.0, 0.5), (1.0, 0.0, -0.5), (0.0, 0.0, 0.0)])
@pytest.mark.parametrize("time", [0.0, 0.7, 3.0])
def test_the_closed_form_solves_its_equation(values, time):
    target = _symmetric(values)
    start = 0.1 * _symmetric((0.9, 0.4, 0.0), seed=1)

    def field(_, w):
        w = w.reshape(3, 3)
        return (w @ target + target @ w - 2 * w @ w).ravel()

    run = solve_ivp(field, (0, max(time, 1e-12)), start.ravel(), rtol=1e-12, atol=1e-14)
    found = matrix_factorisation(target, start, time)
    np.testing.assert_allclose(found, run.y[:, -1].reshape(3, 3), atol=1e-10)


def test_the_closed_form_ends_at_the_positive_part():
    target = _symmetric((2.0, 1.0, -0.5))
    start = 0.01 * np.eye(3)
    late = matrix_factorisation(target, start, 30.0)
    np.testing.assert_allclose(late, _symmetric((2.0, 1.0, 0.0)), atol=1e-8)


def test_a_scalar_is_logistic():
    w0, sigma, t = 1e-3, 1.5, 4.0
    grown = w0 * np.exp(2 * sigma * t)
    expected = grown / (1 + w0 * np.expm1(2 * sigma * t) / sigma)
    found = matrix_factorisation([[sigma]], [[w0]], t)
    assert found[0, 0] == pytest.approx(expected, rel=1e-12)


def drifts(value, other=0.3):
    names = ("balance-law", "balance-swapped", "span-law", "span-frozen", "norm")
    table = {name: np.full(4, other) for name in names}
    return table | {"balance-law": np.full(4, value), "span-law": np.full(4, value)}


@pytest.mark.parametrize("name", ["balance-law", "span-law"])
def test_a_drift_of_one_case_is_enough(name):
    assert judge(name, drifts(1e-9)).conclusion == "true"
    one = drifts(1e-9)
    one[name][2] = 2e-8
    assert judge(name, one).conclusion == "false"
    for decoy in CLAIM[name].decoys:
        assert judge(name, drifts(1e-9), decoy).conclusion == "false"


def errors(slope, bend=0.0, seeds=16):
    steps = np.array(CLAIM["descent-follows-flow"].setting["steps"])
    shake = np.exp(0.01 * np.random.default_rng(0).normal(size=(seeds, len(steps))))
    return {"step": steps, "error": steps**slope * (1 + bend * steps) * shake}


def test_descent_is_first_order_not_more_and_not_less():
    assert judge("descent-follows-flow", errors(1.0)).conclusion == "true"
    for slope in (0.8, 1.2, 2.0):
        assert judge("descent-follows-flow", errors(slope)).conclusion == "unresolved"
    lost = errors(1.0)
    lost["error"][5, 1] = np.nan
    assert judge("descent-follows-flow", lost).conclusion == "unresolved"


def test_where_samples_cross_kinks_only_the_upper_bound_is_claimed():
    name = "descent-follows-flow-relu"
    for slope in (1.0, 1.3):
        assert judge(name, errors(slope)).conclusion == "true"
    assert judge(name, errors(0.8)).conclusion == "unresolved"


def test_laws_need_what_they_state():
    claim = CLAIM["span-law"]
    assert all(h.margin >= 0 for h in claim.hypotheses(claim.setting))
    full = {**claim.setting, "samples": 20}
    low = {**claim.setting, "cases": ((1.5, "exponential", False),)}
    for setting in (full, low):
        assert min(h.margin for h in claim.hypotheses(setting)) < 0
