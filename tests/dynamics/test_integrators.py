"""Order of convergence, interpolation, step control, and how a run can end."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from problems import problem, relative

from jaxbias import losses
from jaxbias._checks import InputError
from jaxbias.data.clusters import OrthonormalClusters
from jaxbias.dynamics import Adaptive, FixedStep, GradientFlow, Status, solve
from jaxbias.dynamics.fixed_step import ORDERS
from jaxbias.dynamics.raw import RawSystem
from jaxbias.dynamics.reference import reference
from jaxbias.dynamics.snapshot import Snapshot
from jaxbias.networks import ReLU, TwoLayer, balanced
from jaxbias.networks.weights import predict
from jaxbias.observables import REGISTRY


def outputs(snapshot: Snapshot):
    return snapshot.outputs()


def predictions(given, integrator, time):
    run = jax.jit(lambda p: solve(p, [time], {"f": outputs}, integrator))(given)
    return run.observables["f"][-1]


@pytest.mark.parametrize(
    ("name", "method"),
    [
        ("prelu3", "euler"),
        ("prelu3", "heun"),
        ("prelu3", "bosh3"),
        ("prelu3", "rk4"),
        ("prelu2.5", "bosh3"),
        ("power3", "bosh3"),
    ],
)
def test_order_of_convergence(name, method):
    given = problem(name)
    oracle = jax.tree.map(lambda a: a[0], reference(given, [12.0], rtol=1e-11))
    exact = predict(oracle, given.activation, given.dataset.inputs)
    steps = (0.1, 0.05) if method != "euler" else (0.0125, 0.00625)
    errors = [
        relative(predictions(given, FixedStep(method, s), 12.0), exact) for s in steps
    ]
    order = np.log2(errors[0] / errors[1])
    assert abs(order - ORDERS[method]) < 0.3


@pytest.mark.parametrize("name", ["prelu3"])
def test_adaptive_error_follows_the_tolerance(name):
    given = problem(name)
    oracle = jax.tree.map(lambda a: a[0], reference(given, [30.0], rtol=1e-11))
    exact = predict(oracle, given.activation, given.dataset.inputs)
    solver = jax.jit(lambda p, r: solve(p, [30.0], {"f": outputs}, Adaptive(r)))
    errors, costs = [], []
    for rtol in (1e-6, 1e-7):
        run = solver(given, jnp.asarray(rtol))
        errors.append(relative(run.observables["f"][-1], exact))
        costs.append(float(run.statistics["evaluations"]))
    assert errors[0] < 1e-5
    # Third order: error against evaluations tends to slope -3 (-2.5 at 1e-4).
    slope = np.log(errors[0] / errors[1]) / np.log(costs[1] / costs[0])
    assert 2.7 < slope < 3.3


def test_euler_at_a_kink_converges_to_the_adaptive_flow():
    # No method has its order at p = 1: two small Euler steps, extrapolated.
    given = problem("relu")
    coarse, fine = (
        predictions(given, FixedStep("euler", s), 20.0) for s in (0.004, 0.002)
    )
    exact = 2 * fine - coarse
    adaptive = predictions(given, Adaptive(1e-3), 20.0)
    assert relative(adaptive, exact) < 1e-3
    assert relative(adaptive, exact) < relative(coarse, exact) + 5e-4


def test_euler_is_gradient_descent():
    given = problem("prelu3")
    run = jax.jit(lambda p: solve(p, [10.0], {}, FixedStep("euler", 0.1), "raw"))(given)
    optimiser = optax.sgd(0.1)

    def loss(hidden, output):
        weights = given.initial
        weights = type(weights)(hidden, output, None, None, weights.mask)
        values = given.loss.value(
            predict(weights, given.activation, given.dataset.inputs),
            given.dataset.labels,
        )
        return jnp.sum(given.sample_weights * values)

    def step(carry, _):
        weights, state = carry
        gradients = jax.grad(loss, (0, 1))(*weights)
        updates, state = optimiser.update(gradients, state)
        return (optax.apply_updates(weights, updates), state), None

    start = (given.initial.hidden, given.initial.output)
    (weights, _), _ = jax.lax.scan(step, (start, optimiser.init(start)), None, 100)
    assert relative(run.final.hidden, weights[0]) < 1e-13
    assert relative(run.final.output, weights[1]) < 1e-13


def test_observing_does_not_disturb_the_steps():
    given = problem("prelu3")
    times = np.geomspace(0.5, 30.0, 17)
    often = solve(given, times, {"f": outputs}, Adaptive(1e-4))
    once = solve(given, [30.0], {"f": outputs}, Adaptive(1e-4))
    for name in ("accepted", "rejected", "evaluations"):
        assert int(often.statistics[name]) == int(once.statistics[name])
    assert relative(often.observables["f"][-1], once.observables["f"][-1]) < 1e-14
    oracle = reference(given, times)
    for i, f in enumerate(often.observables["f"]):
        weights = jax.tree.map(lambda a, i=i: a[i], oracle)
        exact = predict(weights, given.activation, given.dataset.inputs)
        assert relative(f, exact) < 2e-3


@pytest.mark.parametrize("name", ["prelu3", "relu"])
def test_vmapped_runs_equal_single_ones(name, dtype):
    singles = [problem(name, dtype, seed=s) for s in range(3)]
    batch = jax.tree.map(lambda *a: jnp.stack(a), *singles)
    # By default the worst pair sets the step, which in float32 multiplies rounding.
    few = Adaptive(accuracy="final outputs")
    run = lambda p: solve(p, [5.0, 20.0], {"f": outputs}, few)
    together = jax.vmap(run)(batch)
    for i, given in enumerate(singles):
        alone = run(given)
        rounding = 1e-11 if dtype == "float64" else 1e-5
        gap = relative(together.observables["f"][i], alone.observables["f"])
        assert gap < rounding
        assert int(together.statistics["accepted"][i]) == int(
            alone.statistics["accepted"]
        )


def test_a_run_out_of_steps_says_so_and_shows_nothing_it_did_not_reach():
    run = solve(
        problem("prelu3"), [1.0, 1e4], {"f": outputs}, Adaptive(1e-6, max_steps=30)
    )
    assert int(run.status) == Status.MAX_STEPS
    assert not run.finished
    assert bool(jnp.all(jnp.isnan(run.observables["f"][-1])))
    assert "max_steps" in Status(int(run.status)).sentence


def test_a_run_that_overflows_says_so():
    given = problem("prelu3")
    run = solve(given, [2000.0], {}, FixedStep("euler", 50.0))
    assert int(run.status) == Status.NON_FINITE


def test_smooth_activations_do_not_slide():
    run = solve(problem("prelu3"), [20.0], {})
    assert float(run.statistics["sliding"]) == 0.0
    assert float(run.statistics["repelling"]) == 0.0


@pytest.mark.parametrize("form", ["raw", "reduced"])
@pytest.mark.parametrize("integrator", [Adaptive(), FixedStep("rk4", 0.1)], ids=str)
def test_counting_kinks_changes_nothing_else(form, integrator):
    counted, not_counted = (
        solve(problem("relu"), [20.0], {}, integrator, form, count_kinks=wanted)
        for wanted in (True, False)
    )
    np.testing.assert_array_equal(counted.final.hidden, not_counted.final.hidden)
    for name in ("sliding", "repelling"):
        assert np.isfinite(counted.statistics[name])
        assert np.isnan(not_counted.statistics[name])


def test_kinks_that_are_not_counted_cost_nothing(monkeypatch):
    def count(*_):
        raise AssertionError("counted")

    monkeypatch.setattr(RawSystem, "kinks", count)
    for integrator in (Adaptive(), FixedStep("rk4", 0.1)):
        solve(problem("relu"), [1.0], {}, integrator, "raw", count_kinks=False)
        with pytest.raises(AssertionError, match="counted"):
            solve(problem("relu"), [1.0], {}, integrator, "raw")


def test_sliding_is_counted_with_noise_and_absent_without():
    noisy = solve(problem("relu"), [20.0], {}, Adaptive(0.01))
    assert 0.0 < float(noisy.statistics["sliding"]) < 0.2


@pytest.mark.parametrize(
    ("degree", "loss", "rtol"),
    [
        (1.0, losses.exponential, 0.02),
        (1.0, losses.squared, 0.002),
        (1.5, losses.squared, 0.01),
        (3.0, losses.exponential, 0.01),
    ],
)
def test_tolerances_of_final_outputs(degree, loss, rtol):
    assert Adaptive(accuracy="final outputs").tolerance(degree, loss) == rtol
    assert Adaptive(0.3).tolerance(degree, loss) == 0.3


def test_sliding_amplitudes_do_not_chatter_at_the_default_tolerance():
    # Squared loss at p = 1: the amplitude of three averaged clusters is sqrt(3).
    clusters = OrthonormalClusters(dim=100, clusters=5, positive=3, noise=0.05)
    network = TwoLayer(60, ReLU(), balanced(1e-6))
    flow = GradientFlow(
        network, clusters, 150, losses.squared, clock="per_cluster_mean"
    )
    amplitude = {"a": REGISTRY["amplitudes"].function}
    for seed in range(3):
        given = flow.problem(jax.random.key(seed))
        run = solve(given, np.linspace(60.0, 80.0, 9), amplitude)
        positive = np.asarray(run.observables["a"])[:, 0]
        assert np.all(np.abs(positive / np.sqrt(3) - 1) < 0.02)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: Adaptive(rtol=0.0), "tolerance"),
        (lambda: Adaptive(rtol=float("nan")), "tolerance"),
        (lambda: Adaptive(max_steps=0), "max_steps"),
        (lambda: FixedStep("rk5", 0.1), "rk4"),
        (lambda: FixedStep("rk4", -0.1), "forward"),
        (lambda: solve(problem("relu"), [2.0, 1.0], {}), "increasing"),
        (lambda: solve(problem("relu"), [float("nan")], {}), "increasing"),
        (lambda: solve(problem("relu"), [1.0], {}, form="gram"), "reduced"),
        (
            lambda: solve(problem("relu"), [0.15], {}, FixedStep("euler", 0.1)),
            "multiples",
        ),
    ],
)
def test_bad_input(call, message):
    with pytest.raises(InputError, match=message):
        call()
