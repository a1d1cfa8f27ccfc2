"""Margin evidence against autodiff of the package's networks, and explicit flows."""

import functools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.integrate import solve_ivp
from scipy.special import logsumexp

from jaxbias.networks import PReLU, ReLU
from jaxbias.networks.weights import Weights, predict
from jaxbias.verification import evidence_margins as evidence
from jaxbias.verification.evidence_margins import Nets, Rows

_ASKED = {
    "cases": ((1.0, "separable", 4), (3.0, "clusters", 4), (3.0, "centres", 4)),
    "runs": 2,
    "dim": 6,
    "width": 6,
    "scale": 0.3,
    "noise": 0.1,
    "steps": 6,
    "saves": 4,
    "arc": 3.0,
}


def _random(seed=0, runs=2, width=5, dim=4, samples=3):
    rng = np.random.default_rng(seed)
    nets = Nets(
        rng.standard_normal((runs, width, dim)),
        rng.standard_normal((runs, width)),
        np.zeros(runs),
    )
    labels = np.where(np.arange(samples) % 2 == 0, 1.0, -1.0)
    return nets, Rows(rng.standard_normal((runs, samples, dim)), labels)


def _margins(hidden, output, inputs, labels, p):
    weights = Weights(hidden, output, None, None, jnp.ones(len(output), bool))
    return labels * predict(weights, ReLU() if p == 1 else PReLU(p), inputs)


@functools.partial(jax.jit, static_argnames="p")
def _gradients(hidden, output, inputs, labels, p):
    """Margins by the package, the gradient of each and that of log(1/L), by JAX."""
    margins = lambda w, v: _margins(w, v, inputs, labels, p)
    depth = lambda w, v: -jax.scipy.special.logsumexp(-margins(w, v))
    each = jax.jacobian(margins, argnums=(0, 1))(hidden, output)
    return (
        margins(hidden, output),
        each,
        jax.grad(depth, argnums=(0, 1))(hidden, output),
    )


def _autodiff(nets, rows, p, run):
    arrays = nets.hidden[run], nets.output[run], rows.inputs[run], rows.labels
    return jax.tree.map(np.asarray, _gradients(*map(jnp.asarray, arrays), p))


@pytest.mark.parametrize("p", [1.0, 2.5, 3.0])
def test_pulls_are_gradients_of_the_log_of_the_loss(p):
    nets, rows = _random()
    way, margins = evidence.pull(nets, rows, p)
    for run in range(2):
        expected, _, (hidden, output) = _autodiff(nets, rows, p, run)
        np.testing.assert_allclose(way.hidden[run], hidden, rtol=1e-9, atol=1e-12)
        np.testing.assert_allclose(way.output[run], output, rtol=1e-9, atol=1e-12)
        np.testing.assert_allclose(margins[run], expected, rtol=1e-12)
    np.testing.assert_allclose(
        evidence.depth(margins), -logsumexp(-margins, axis=1), rtol=1e-12
    )


def test_given_shares_weigh_the_rows():
    nets, rows = _random(1)
    way, margins = evidence.pull(nets, rows, 3.0)
    shares = np.exp(-margins)
    loss = shares.sum(axis=1)
    whole, _ = evidence.pull(nets, rows, 3.0, shares)
    np.testing.assert_allclose(whole.output, loss[:, None] * way.output, rtol=1e-12)


def test_weights_move_scale_and_have_a_size():
    nets, _ = _random(2)
    moved = nets.moved(2.0, nets)
    np.testing.assert_allclose(moved.size(), 9 * nets.size())
    scaled = nets.scaled(np.array([2.0, 3.0]))
    np.testing.assert_allclose(scaled.size(), np.array([4, 9]) * nets.size())
    by_hand = np.sum(nets.hidden[0] ** 2) + np.sum(nets.output[0] ** 2)
    assert nets.size()[0] == pytest.approx(by_hand)


def test_losses_below_the_smallest_float_have_a_depth():
    assert evidence.depth(np.array([[2000.0, 2001.0]]))[0] == pytest.approx(
        2000 - math.log1p(math.exp(-1)), rel=1e-14
    )


@pytest.mark.parametrize("kind", ["separable", "clusters", "centres"])
def test_data_are_what_their_names_say(kind):
    parameters = {**_ASKED, "cases": ((3.0, kind, 4),)}
    nets, rows = evidence._case(parameters, parameters["cases"][0], 0)
    signed = rows.labels[:, None] * rows.inputs
    products = signed @ signed.transpose(0, 2, 1)
    if kind == "separable":
        assert products.min() > 0
        np.testing.assert_allclose(np.diagonal(products, axis1=1, axis2=2), 1)
    elif kind == "centres":
        np.testing.assert_array_equal(rows.inputs[0], np.eye(4, 6))
    else:
        gap = np.linalg.norm(rows.inputs - np.eye(4, 6), axis=2)
        assert 0 < gap.min() <= gap.max() < 0.4
    norms = np.linalg.norm(nets.hidden, axis=2)
    np.testing.assert_allclose(np.abs(nets.output), norms)
    # Every row is seen by a neuron of its sign.
    sees = (nets.hidden @ rows.inputs.transpose(0, 2, 1)) > 0
    agrees = np.sign(nets.output)[:, :, None] == rows.labels
    assert np.all(np.any(sees & agrees, axis=1))


def test_runs_differ_and_repeat_with_their_root():
    draw = lambda root: evidence._case(_ASKED, _ASKED["cases"][1], root)[0].hidden
    assert not np.allclose(draw(0)[0], draw(0)[1])
    np.testing.assert_array_equal(draw(0), draw(0))
    assert not np.allclose(draw(0), draw(1))


@pytest.mark.parametrize("place", [0, 1, 2])
def test_trajectories_are_those_of_the_flow_in_time(place):
    """An ODE solver in t: at the same |theta| the same loss and the same integral."""
    parameters = {**_ASKED, "runs": 1, "saves": 3, "steps": 30}
    case = parameters["cases"][place]
    told = evidence._trajectory(parameters, case, 5, 30)
    nets, rows = evidence._case(parameters, case, 5)
    size = nets.hidden.size

    def unpack(state):
        w = state[:size].reshape(nets.hidden.shape)
        return Nets(w, state[size:-1][None], np.zeros(1))

    def field(tau, state):
        at = unpack(state)
        way, margins = evidence.pull(at, rows, case[0])
        loss = np.exp(-margins).sum()
        mean = (np.exp(-margins) * margins).sum() / loss
        late = loss < 1
        cosine = 2 * mean / math.sqrt(float(at.size()[0] * way.size()[0]))
        turn = (1 / cosine**2 - 1) * 2 * mean / at.size()[0] if late else 0.0
        rate = np.concatenate([way.hidden.ravel(), way.output.ravel(), [turn]])
        return math.exp(tau) * loss * rate

    def reached(_, state):
        return unpack(state).size()[0] - told["size"][1, 0]

    def ended(_, state):
        return unpack(state).size()[0] - told["size"][2, 0]

    ended.terminal = True
    start = np.concatenate([nets.hidden.ravel(), nets.output.ravel(), [0.0]])
    events = (reached, ended)
    run = solve_ivp(field, (0, 40), start, events=events, rtol=1e-7, atol=1e-10)
    begin, end = (at[-1] for at in run.y_events)
    depth = evidence.depth(evidence.pull(unpack(end), rows, case[0])[1])
    assert depth[0] == pytest.approx(told["depth"][-1, 0], rel=1e-3)
    assert told["depth"][1, 0] > 0
    turned = told["path"][2, 0] - told["path"][1, 0]
    assert end[-1] - begin[-1] == pytest.approx(turned, rel=1e-3)


def test_where_no_neuron_sees_a_row_nothing_moves_and_nothing_is_told():
    nets, rows = _random(4, runs=1)
    blind = Rows(np.abs(rows.inputs), rows.labels)
    nets = nets._replace(hidden=-np.abs(nets.hidden))
    way = evidence._velocity(nets, blind, 3.0)
    np.testing.assert_array_equal(way.size(), 0)
    told = evidence._told(nets, blind, 3.0)
    assert told["depth"][0] == pytest.approx(-math.log(3))
    for name in ("least", "tangent", "stationarity", "slackness"):
        assert np.isnan(told[name]).all()


def test_residuals_by_their_definition():
    """theta/sqrt(q_min) - sum_i lambda_i grad q_i there, grad q_i by autodiff."""
    nets, rows = _random(3, runs=1)
    nets = nets._replace(output=3 * np.abs(nets.output))
    rows = Rows(np.abs(rows.inputs), np.ones(3))
    nets = nets._replace(hidden=np.abs(nets.hidden))
    told = evidence._told(nets, rows, 3.0)
    margins = evidence.pull(nets, rows, 3.0)[1][0]
    _, (hidden, output), _ = _autodiff(nets, rows, 3.0, 0)
    gradients = np.concatenate([hidden.reshape(3, -1), output], axis=1)
    theta = np.concatenate([nets.hidden.ravel(), nets.output.ravel()])
    full = np.exp(-margins) @ gradients
    weights = np.linalg.norm(theta) * np.exp(-margins) / np.linalg.norm(full)
    root = math.sqrt(margins.min())
    # Gradients are 1-homogeneous: at theta/sqrt(q_min) they are that much smaller.
    residual = theta / root - weights @ gradients / root
    assert told["stationarity"][0] == pytest.approx(residual @ residual, rel=1e-9)
    slack = weights @ (margins / margins.min() - 1)
    assert told["slackness"][0] == pytest.approx(slack, rel=1e-9)
    cosine = theta @ full / np.linalg.norm(theta) / np.linalg.norm(full)
    assert told["tangent"][0] == pytest.approx(1 / cosine**2 - 1, rel=1e-6)
    # The point minus a unit vector's multiple: 2 (1 - cos) |theta|^2/q_min.
    expected = 2 * (1 - cosine) * (theta @ theta) / margins.min()
    assert told["stationarity"][0] == pytest.approx(expected, rel=1e-9)


@pytest.fixture(scope="module")
def flowed():
    return evidence.flow(_ASKED, 0)


def test_flows_report_what_claims_ask_for(flowed):
    shape = 3, 4, 2
    for name in ("depth", "size", "least", "tangent", "stationarity", "slackness"):
        assert flowed[name].shape == shape
        assert np.all(np.isfinite(flowed[f"error_{name}"]))
    for name in ("deeper", "wider", "turned"):
        assert flowed[name].shape == (3, 3, 2)
    np.testing.assert_array_equal(flowed["late"], flowed["depth"] > 0)
    np.testing.assert_array_equal(flowed["samples"], 4)
    assert flowed["late"][:, -1].all()
    np.testing.assert_allclose(
        flowed["wider"], np.diff(np.log(flowed["size"]), axis=1), rtol=1e-9
    )
    # At most three of log(1/L) and of arc in each save.
    assert np.all(np.diff(flowed["depth"], axis=1) <= 3)


def test_margins_gain_more_than_the_turning_alone(flowed):
    late = flowed["late"][:, :-1]
    gain = (flowed["deeper"] - flowed["wider"])[late]
    assert np.all(gain > 2 * flowed["turned"][late])
    assert np.all(gain > 0)


def test_an_unfinished_run_is_late_and_no_number(monkeypatch):
    told = evidence._told

    def broken(nets, rows, exponent):
        found = told(nets, rows, exponent)
        return {**found, "depth": np.full_like(found["depth"], math.nan)}

    monkeypatch.setattr(evidence, "_told", broken)
    found = evidence.flow({**_ASKED, "cases": _ASKED["cases"][1:2]}, 0)
    assert found["late"].all()
    assert np.all(np.isnan(found["error_depth"]))


def test_rates_by_autodiff():
    """Both differences against the chain rule with gradients from JAX."""
    found = evidence.rates(_ASKED, 0)
    assert np.all(np.isfinite(found["size_error"]))
    assert np.all(np.isfinite(found["margin_error"]))
    for c, case in enumerate(_ASKED["cases"]):
        nets, rows = evidence._case(_ASKED, case, 0)
        for _ in range(3 * _ASKED["steps"]):
            step = _ASKED["arc"] / _ASKED["steps"]
            field = lambda n, r=rows, p=case[0]: evidence._velocity(n, r, p)
            nets = evidence._runge_kutta(nets, step, field)
        for run in range(_ASKED["runs"]):
            _, _, (hidden, output) = _autodiff(nets, rows, case[0], run)
            along = np.sum(nets.hidden[run] * hidden)
            along = float(along + np.sum(nets.output[run] * output))
            speed = float(np.sum(hidden**2) + np.sum(output**2))
            size = float(nets.size()[run])
            depth = -logsumexp(-found["margins"][c, run])
            assert found["size_rate"][c, run] == pytest.approx(2 * along, rel=1e-6)
            margin = speed / depth - 2 * along / size
            assert found["margin_rate"][c, run] == pytest.approx(margin, rel=1e-5)
