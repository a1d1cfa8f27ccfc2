"""Every observable sees the same thing in the reduced state and in the network."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from problems import problem, relative

from jaxbias.dynamics import FixedStep, snapshot_of, solve
from jaxbias.dynamics.gram import ReducedSystem
from jaxbias.dynamics.raw import RawSystem
from jaxbias.dynamics.snapshot import balance_constants
from jaxbias.dynamics.system import classify_kinks
from jaxbias.networks import Power, ReLU
from jaxbias.networks.weights import Weights, predict
from jaxbias.observables import REGISTRY

#: What needs a single output.
SINGLE = {
    "amplitudes",
    "averaging_scores",
    "cluster_amplitudes",
    "margins",
    "minimum_margin",
}
#: What the reduced form alone carries.
DUAL = {"centre_coefficients", "noise_coefficients"}
EXACT = ("relu", "prelu3", "prelu3-frozen", "prelu3-unbalanced", "prelu3-biases")


def everything(name):
    skip = DUAL | (SINGLE if "classes" in name else set())
    if name != "relu":
        skip = skip | {"margin_gap"}
    return {n: o.function for n, o in REGISTRY.items() if n not in skip}


@pytest.mark.parametrize("name", [*EXACT, "prelu3-classes", "power3"])
def test_reduced_state_and_network_give_the_same_observables(name):
    given = problem(name)
    observe = everything(name)
    integrator = FixedStep("rk4", 0.025)
    run = jax.jit(lambda p: solve(p, [10.0], observe, integrator, "reduced"))(given)
    seen = snapshot_of(
        run.final,
        given.activation,
        given.dataset,
        given.loss,
        given.sample_weights,
        given.initial,
    )
    for key, function in observe.items():
        direct = np.asarray(function(seen), float)
        inside = np.asarray(run.observables[key][-1], float)
        # The state's norms come from a conserved law, kept to the integrator's error.
        assert np.allclose(inside, direct, rtol=2e-5, atol=2e-6), key


@pytest.mark.parametrize("name", EXACT)
def test_weights_are_recovered_from_dual_coefficients(name):
    given = problem(name)
    system = ReducedSystem(given)
    state = system.start()
    for _ in range(3):
        velocity = system.velocity(state)
        state = jax.tree.map(lambda a, b: a + 0.1 * b, state, velocity)
    snapshot, weights = system.snapshot(state), system.weights(state)
    assert relative(snapshot.weights(), weights.hidden) < 1e-14
    if given.activation.degree == 1:
        assert relative(weights.scores(given.dataset.inputs), state.scores) < 1e-13


def test_velocities_agree_at_the_start():
    for name in (*EXACT, "power3", "prelu3-classes"):
        given = problem(name)
        reduced, raw = ReducedSystem(given), RawSystem(given)
        a, b = reduced.velocity(reduced.start()), raw.velocity(raw.start())
        scores = b.scores(given.dataset.inputs)
        assert relative(a.scores, scores) < 1e-12, name
        if given.output_trained:
            assert relative(a.output, b.output) < 1e-12, name
        else:
            assert not np.any(a.output)
            assert not np.any(b.output)


def test_snapshot_of_a_network_by_hand():
    given = problem("prelu3")
    rng = np.random.default_rng(0)
    hidden, output = rng.normal(size=(5, 60)), rng.normal(size=5)
    weights = Weights(
        jnp.asarray(hidden), jnp.asarray(output), None, None, jnp.ones(5, bool)
    )
    seen = snapshot_of(weights, given.activation, given.dataset, given.loss)
    norms = np.linalg.norm(hidden, axis=1)
    assert np.allclose(seen.norms, norms)
    assert np.allclose(seen.contributions(), np.abs(output) * norms)
    assert np.allclose(seen.sample_weights, 1 / 40)
    scores = np.asarray(given.dataset.inputs) @ hidden.T
    expected = (norms * np.maximum(scores / norms, 0) ** 3) @ output
    assert np.allclose(seen.outputs(), expected)
    assert np.allclose(
        seen.outputs(), predict(weights, given.activation, given.dataset.inputs)
    )
    assert not np.any(seen.balance)


def test_balance_constants_of_equal_norms_are_exactly_zero():
    given = problem("prelu3")
    norms = jnp.linalg.norm(given.initial.hidden, axis=1)
    weights = Weights(
        given.initial.hidden, given.initial.norms(), None, None, given.initial.mask
    )
    assert not np.any(balance_constants(weights, ReLU()))
    unequal = Weights(weights.hidden, 2 * norms, None, None, weights.mask)
    assert np.allclose(balance_constants(unequal, ReLU()), -3 * norms**2, rtol=1e-12)
    # Powers conserve |w|^2 - p v^2.
    assert np.allclose(balance_constants(weights, Power(3)), -2 * norms**2, rtol=1e-12)


# One row, four neurons: (old, new, drift at the start, jump across the kink).
CASES = {
    # active, leaves; the drift on the inactive side points back: it will slide
    "attractive-from-above": (0.1, -0.1, -1.0, -3.0, (1, 0)),
    # inactive, enters; the drift on the active side points back
    "attractive-from-below": (-0.1, 0.1, 1.0, -3.0, (1, 0)),
    # crosses and goes on
    "transversal-up": (-0.1, 0.1, 1.0, 3.0, (0, 0)),
    "transversal-down": (0.1, -0.1, -1.0, -0.5, (0, 0)),
    # pushed away on both sides
    "repelling": (0.1, -0.1, 1.0, 3.0, (0, 1)),
    # never met
    "stays": (0.1, 0.2, 1.0, -3.0, (0, 0)),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_kinks_by_hand(case):
    old, new, drift, jump, expected = case
    arrays = [jnp.full((1, 1), v) for v in (old, new, drift, jump)]
    shares = classify_kinks(*arrays, jnp.array([True]))
    assert tuple(np.asarray(shares)) == expected
    masked = [jnp.concatenate([a, a], axis=1) for a in arrays]
    shares = classify_kinks(*masked, jnp.array([True, False]))
    assert tuple(np.asarray(shares)) == expected
