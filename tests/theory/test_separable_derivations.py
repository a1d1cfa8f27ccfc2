"""The steps behind the claims derived here, one at a time, on networks made here."""

import math

import numpy as np
import pytest
from scipy.integrate import solve_ivp

from jaxbias.theory import (
    separable_flow,
    separable_loss,
    separable_rank,
    separable_scale,
    separable_times,
)

MODULES = (
    separable_scale,
    separable_flow,
    separable_times,
    separable_loss,
    separable_rank,
)
CLAIMS = {claim.id.rpartition("/")[2]: claim for m in MODULES for claim in m.CLAIMS}


def _data(correlation, positive, norms):
    """Equicorrelated y_i x_i with the norms given, by Cholesky."""
    n = len(norms)
    gram = np.full((n, n), correlation) + (1 - correlation) * np.eye(n)
    y = np.where(np.arange(n) < positive, 1.0, -1.0)
    return (y * norms)[:, None] * np.linalg.cholesky(gram), y


def _aligned(x, y, width, scale, rng):
    """Every neuron in the cone of its sign, balanced."""
    signs = np.where(np.arange(width) % 2, -1.0, 1.0)
    scores = rng.uniform(0.1, 1.0, (width, len(y))) * signs[:, None] * y
    w = scores @ np.linalg.inv(x).T
    w = scale * w / np.linalg.norm(w, axis=1)[:, None]
    return w, scale * signs


def _solve(x, y, w, v, times):
    """Weights of the flow of the summed exponential loss at the times asked."""
    shape, size = w.shape, w.size

    def field(_, z):
        a, b = z[:size].reshape(shape), z[size:]
        scores = np.maximum(a @ x.T, 0)
        pull = y * np.exp(-y * (b @ scores))
        push = b[:, None] * ((scores > 0) * pull @ x)
        return np.concatenate([push.ravel(), scores @ pull])

    start = np.concatenate([w.ravel(), v])
    run = solve_ivp(
        field, (0, times[-1]), start, "DOP853", times, rtol=1e-10, atol=1e-12
    )
    return [(z[:size].reshape(shape), z[size:]) for z in run.y.T]


@pytest.fixture(scope="module", params=[(0.5, 1.0), (0.1, 1.5)], ids=str)
def grown(request):
    """An aligned network over time: data, mu, spread and states."""
    correlation, spread = request.param
    norms = np.linspace(1 / spread, spread, 5)
    x, y = _data(correlation, 3, norms)
    w, v = _aligned(x, y, 6, 0.2, np.random.default_rng(0))
    return x, y, correlation, spread, _solve(x, y, w, v, np.linspace(0, 12, 13))


def test_residuals_in_the_data_cone_add_up(grown):
    x, y, correlation, spread, states = grown
    for w, v in states:
        residual = np.exp(-y * (v @ np.maximum(w @ x.T, 0)))
        for side in (y > 0, y < 0):
            total = (residual * y)[side] @ x[side]
            loss = residual[side].sum()
            least = correlation / spread**2 * loss**2
            assert total @ total >= least * (1 - 1e-9)


def test_output_weights_bound_outputs_and_grow(grown):
    x, y, _, spread, states = grown
    before = 0.0
    for w, v in states:
        f = v @ np.maximum(w @ x.T, 0)
        plus = v[v > 0] @ v[v > 0]
        assert np.abs(f[y > 0]).max() <= plus * spread * (1 + 1e-9)
        assert plus >= before * (1 - 1e-9)
        before = plus


def test_the_loss_falls_at_the_rate_that_the_envelope_integrates(grown):
    """-dL/dt >= mu X_min^2/(8 X_max) L^2 wherever both classes pass 1/4."""
    x, y, correlation, spread, states = grown
    rate = correlation / spread**2 / (8 * spread)
    checked = 0
    for w, v in states:
        scores = np.maximum(w @ x.T, 0)
        f = v @ scores
        if min(np.abs(f[y > 0]).max(), np.abs(f[y < 0]).max()) <= 0.25:
            continue
        pull = y * np.exp(-y * f)
        push = v[:, None] * ((scores > 0) * pull @ x)
        descent = np.sum(push**2) + np.sum((scores @ pull) ** 2)
        assert descent >= rate * np.exp(-y * f).sum() ** 2
        checked += 1
    assert checked > 5


def test_one_matrix_per_sign_is_conserved_and_bounds_the_rank(grown):
    _, _, _, _, states = grown
    w0, v0 = states[0]
    for w, v in states:
        slack = 0.0
        for side in (v0 > 0, v0 < 0):
            law = w[side] @ w[side].T - np.outer(v[side], v[side])
            first = w0[side] @ w0[side].T - np.outer(v0[side], v0[side])
            np.testing.assert_allclose(law, first, atol=1e-8)
            # W_c^T W_c - v v^T >= -v(0) v(0)^T, and its trace is zero.
            assert np.linalg.eigvalsh(law)[0] >= -np.sum(v0[side] ** 2) - 1e-8
            top = np.linalg.svd(w[side], compute_uv=False)[0] ** 2
            excess = np.sum(w[side] ** 2) - top
            assert excess <= np.sum(v0[side] ** 2) + 1e-8
            slack += excess
        top = np.linalg.svd(w, compute_uv=False)[0] ** 2
        assert np.sum(w**2) <= 2 * top + np.sum(w0**2) + 1e-8


def test_one_active_sample_attains_the_one_way_rate():
    """A neuron on <w, x_1> = 0 that sees x_0 alone turns at mu |x_0| e^(-f)."""
    x, _ = _data(0.3, 2, np.array([1.0, 2.0]))
    w = x[0] - (x[0] @ x[1]) / (x[1] @ x[1]) * x[1]
    w = w / np.linalg.norm(w)
    aim = x[1] / np.linalg.norm(x[1])
    for value in (0.0, 0.7):
        push = math.exp(-value) * x[0]
        rate = (push - (push @ w) * w) @ aim
        assert rate == pytest.approx(0.3 * 1.0 * math.exp(-value))


def test_activation_bounds_by_hand():
    claim = CLAIMS["one-way-activation"]
    found = claim.predict(claim.setting)["bound"].ravel()
    expected = [0.5**1.5 / 2, 0.1**1.5 / 2, 0.5**1.5 / 2, 0.1**1.5 / 3]
    np.testing.assert_allclose(found, expected)
    [hypothesis] = claim.hypotheses(claim.setting)
    edge = 0.1**1.5 / 1.5 / (8 * math.sqrt(40) * 6 * 1.5**2)
    assert hypothesis.margin == pytest.approx(edge - 1e-6)
    [wide] = claim.hypotheses({**claim.setting, "scale": 1e-3})
    assert wide.status == "unmet"


def test_small_correlations_delay_by_their_logarithm():
    """One active sample of one class: the other is gained at t ~ log(1/mu)."""
    times = []
    for mu in (1e-3, 1e-4, 1e-5):
        x, y = _data(mu, 2, np.ones(2))
        start = np.array([1.0, -1.0])
        times.append(separable_times.early_alignment_time(start, x, y, 1.0))
    np.testing.assert_allclose(np.diff(times), math.log(10), rtol=1e-2)


def test_the_sweep_reaches_correlations_at_which_the_logarithm_has_lost():
    """log(c/mu) sqrt(mu) falls below mu = c/e^2, so the slope cannot be an accident."""
    mus = np.array(CLAIMS["alignment-time-order"].setting["correlations"])
    assert np.all(np.diff(mus) < 0)
    tail = np.log(2 / mus[1:]) * np.sqrt(mus[1:])
    assert np.all(np.diff(tail) < 0)


def test_occupancy_bounds_by_hand():
    claim = CLAIMS["occupancy"]
    found = claim.predict(claim.setting)["bound"]
    assert found.tolist() == [0.5, 0.75, 0.875] * 4


def test_starts_of_the_closed_form_are_separable_with_the_correlations_stated():
    claim = CLAIMS["separable-alignment-time"]
    asked = claim.evidence(claim.setting, "quick").parameters
    for x, y, mu in zip(asked["inputs"], asked["labels"], (0.5, 0.1), strict=True):
        turned = y[:, None] * x
        gram = (1 - mu) * np.eye(6) + mu
        np.testing.assert_allclose(turned @ turned.T, gram, atol=1e-12)
    np.testing.assert_allclose(np.linalg.norm(asked["starts"], axis=1), 1.0)
    times = claim.predict(claim.setting)["value"]
    assert times.shape == (32,)
    assert np.count_nonzero(times) > 20


@pytest.mark.parametrize("scale", [1e-3, 1e-5])
def test_a_network_stays_below_the_sharper_bounds(scale):
    rng = np.random.default_rng(1)
    x, y = _data(0.5, 3, np.ones(6))
    width = 10
    w = rng.standard_normal((width, 6))
    w = scale * w / np.linalg.norm(w, axis=1)[:, None]
    v = scale * np.where(np.arange(width) % 2, -1.0, 1.0)
    time = math.log(1 / (math.sqrt(width) * scale)) / 24
    error, squares, outputs = separable_scale.lemma_1_bounds_sharper(6, width, scale)
    for a, b in _solve(x, y, w, v, np.array([0.0, time / 2, time])):
        scores = a @ x.T
        f = b @ np.maximum(scores, 0)
        assert np.max(np.sum(a**2, axis=1)) <= squares
        assert np.abs(f).max() <= outputs
        gap = ((scores > 0) * (y * np.exp(-y * f) - y)) @ x
        assert np.linalg.norm(gap, axis=1).max() <= error


def test_slower_alignment_needs_every_step():
    claim = CLAIMS["slower-as-separability-vanishes"]
    prediction = claim.predict(claim.setting)
    rng = np.random.default_rng(0)
    rising = np.array([1.0, 2.0, 3.0, 4.0, 5.0])
    times = rising * np.exp(0.01 * rng.standard_normal((16, 5)))
    judge = lambda t: claim.judge({"by_correlation": t}, prediction, None, 1e-4)
    assert judge(times).conclusion == "true"
    assert judge(times[:, [0, 2, 1, 3, 4]]).conclusion == "false"
    level = np.exp(0.1 * rng.standard_normal((16, 5)))
    assert judge(level).conclusion == "unresolved"


def test_what_rows_gather_moves_the_rank_less_than_the_decoys_do():
    claim = CLAIMS["stable-rank-unequal-classes"]
    delta = np.max(claim.remainder(claim.setting).delta)
    rho = claim.predict(claim.setting)["cosine"].item()
    assert rho == pytest.approx(-4 / math.sqrt(10 * 3))
    # Masses 9 and 7: the formula against that of equal masses.
    gap = abs(separable_rank.stable_rank(9.0, 7.0, rho) - 2 / (1 + abs(rho)))
    assert delta < gap / 2
