import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from problems import CLUSTERS, NETWORKS, problem, relative

import jaxbias as jb
from jaxbias._checks import InputError
from jaxbias.dynamics import Descent, FixedStep, GradientFlow, Status, descend, solve
from jaxbias.dynamics.raw import RawSystem
from jaxbias.observables import REGISTRY

KEY = jax.random.key(5)


@pytest.mark.parametrize("name", ["relu-biases", "prelu3", "prelu3-classes", "power3"])
def test_plain_descent_is_the_euler_method_of_the_flow(name):
    drawn = problem(name)
    observe = {"loss": REGISTRY["loss"]}
    down = descend(drawn, Descent(0.05), [20, 60], observe, key=KEY)
    euler = solve(drawn, [1.0, 3.0], observe, FixedStep("euler", 0.05), "raw")
    np.testing.assert_allclose(down.times, [1.0, 3.0], rtol=1e-12)
    loss = down.observables["loss"]
    np.testing.assert_allclose(loss, euler.observables["loss"], rtol=1e-11)
    assert relative(down.final.hidden, euler.final.hidden) < 1e-11
    assert down.finished
    assert float(down.statistics["evaluations"]) == 60


def by_hand(drawn, transformation, steps, rows=None):
    """Optax on the loss itself, in a Python loop; ``rows`` are each step's rows."""
    hidden, output = drawn.initial.hidden, drawn.initial.output
    inputs, labels = drawn.dataset.inputs, drawn.dataset.labels

    def loss(parameters, chosen):
        w, v = parameters
        norms = jnp.linalg.norm(w, axis=1)
        scores = jax.nn.relu(inputs[chosen] @ w.T)
        outputs = (scores**3 / norms[None, :] ** 2) @ v
        weights = drawn.sample_weights[chosen] * (len(labels) / len(chosen))
        return jnp.sum(weights * jnp.exp(-labels[chosen] * outputs))

    parameters = hidden, output
    with jax.numpy_dtype_promotion("standard"):
        memory = transformation.init(parameters)
        path = [parameters]
        for number in range(steps):
            chosen = jnp.arange(len(labels)) if rows is None else rows[number]
            slope = jax.grad(loss)(parameters, chosen)
            update, memory = transformation.update(slope, memory, parameters)
            parameters = optax.apply_updates(parameters, update)
            path.append(parameters)
    return path


@pytest.mark.parametrize(
    ("descent", "transformation"),
    [
        (Descent(0.1, rule="momentum", momentum=0.8), optax.sgd(0.1, 0.8)),
        (Descent(0.01, rule="adam"), optax.adam(0.01)),
        (
            Descent(optax.cosine_decay_schedule(0.3, 30)),
            optax.sgd(optax.cosine_decay_schedule(0.3, 30)),
        ),
    ],
    ids=["momentum", "adam", "schedule"],
)
def test_rules_are_those_of_optax(descent, transformation):
    drawn = problem("prelu3")
    down = descend(drawn, descent, [25], key=KEY)
    hidden, output = by_hand(drawn, transformation, 25)[-1]
    assert relative(down.final.hidden, hidden) < 1e-10
    assert relative(down.final.output, output) < 1e-10


def test_minibatches_are_those_of_the_key_and_unbiased():
    drawn = problem("prelu3")
    epochs = [
        jax.random.permutation(jax.random.fold_in(KEY, epoch), 40).reshape(4, 10)
        for epoch in range(3)
    ]
    rows = jnp.concatenate(epochs)
    down = descend(drawn, Descent(0.1, batch=10), [11], key=KEY)
    hidden, _ = by_hand(drawn, optax.sgd(0.1), 11, rows)[-1]
    assert relative(down.final.hidden, hidden) < 1e-10
    assert float(down.statistics["evaluations"]) == pytest.approx(11 / 4)
    # Over one epoch the minibatch gradients at a fixed point average to the full one.
    one_step = [descend(drawn, Descent(1.0), [1], key=KEY).final.output]
    for place in range(4):
        chosen = jnp.asarray(rows[place])
        steps = by_hand(drawn, optax.sgd(1.0), 1, [chosen])
        one_step.append(steps[-1][1])
    start = drawn.initial.output
    mean = sum(step - start for step in one_step[1:]) / 4
    assert relative(mean, one_step[0] - start) < 1e-9


@pytest.mark.parametrize("steps", [[11], [2, 3, 4, 7, 11], [1, 5, 11]])
def test_a_segment_that_begins_inside_an_epoch_keeps_its_order(steps):
    drawn = problem("prelu3")
    rule = Descent(0.1, rule="momentum", batch=8)
    known = descend(drawn, rule, [11], key=KEY).final.hidden
    down = descend(drawn, rule, steps, key=KEY)
    np.testing.assert_array_equal(down.final.hidden, known)


def test_what_is_left_of_an_epoch_sits_out():
    down = descend(problem("prelu3"), Descent(0.1, batch=30), [1, 2], key=KEY)
    rows = [jax.random.permutation(jax.random.fold_in(KEY, e), 40)[:30] for e in (0, 1)]
    hidden, _ = by_hand(problem("prelu3"), optax.sgd(0.1), 2, rows)[-1]
    assert relative(down.final.hidden, hidden) < 1e-10


def test_the_average_is_what_is_observed_and_returned():
    drawn, decay = problem("prelu3"), 0.9
    path = by_hand(drawn, optax.sgd(0.2), 15)
    hidden = path[0][0]
    for weights, _ in path[1:]:
        hidden = decay * hidden + (1 - decay) * weights
    norm = {"norm": lambda snapshot: jnp.sqrt(jnp.sum(snapshot.hidden**2))}
    down = descend(drawn, Descent(0.2, average=decay), [15], norm, key=KEY)
    assert relative(down.final.hidden, hidden) < 1e-10
    np.testing.assert_allclose(
        down.observables["norm"][0], jnp.linalg.norm(hidden), rtol=1e-10
    )


def test_clocks_of_rates_schedules_and_momentum():
    steps = np.array([2, 10])
    np.testing.assert_allclose(Descent(0.5).clock(steps), [1, 5])
    ball = Descent(0.5, rule="momentum", momentum=0.75)
    np.testing.assert_allclose(ball.clock(steps), [4, 20])
    falling = Descent(optax.piecewise_constant_schedule(1.0, {4: 0.1}))
    np.testing.assert_allclose(falling.clock(steps), [2, 4 + 6 * 0.1], rtol=1e-6)
    one = jax.jit(lambda step: falling.clock(step, most=10))
    np.testing.assert_allclose([one(s) for s in (0, 2, 10)], [0, 2, 4.6], rtol=1e-6)


def test_the_clock_is_that_of_the_flow():
    """Heavy ball and small steps both follow the flow at their clock's time."""
    flow = GradientFlow(NETWORKS["prelu3"], CLUSTERS, 40, clock="per_cluster_mean")
    options = {"key": jax.random.key(3), "observe": ["loss"]}
    loss = lambda run: float(run.observables["loss"][-1])
    exact = loss(jb.gradient_flow(flow, times=[20.0], **options))
    early = loss(jb.gradient_flow(flow, times=[18.0], **options))
    assert early > 1.1 * exact, "a clock wrong by a tenth would be seen"
    for descent in (
        Descent(0.01),
        Descent(optax.linear_schedule(0.015, 0.005, 2000)),
        Descent(0.002, rule="momentum", momentum=0.8),
    ):
        run = jb.gradient_descent(flow, descent=descent, steps=[2000], **options)
        assert float(run.times[-1]) == pytest.approx(20.0, rel=1e-3)
        assert loss(run) == pytest.approx(exact, rel=0.04)


def test_padding_and_frozen_readouts_stay_put(dtype):
    flow = GradientFlow(NETWORKS["prelu3-frozen"], CLUSTERS, 40)
    drawn = flow.problem(jax.random.key(1), padded=24, dtype=dtype)
    down = descend(drawn, Descent(0.1, rule="adam", batch=8), [12], key=KEY)
    assert down.final.hidden.dtype == dtype
    np.testing.assert_array_equal(down.final.output, drawn.initial.output)
    np.testing.assert_array_equal(down.final.hidden[20:], 0.0)
    assert not np.array_equal(down.final.hidden[:20], drawn.initial.hidden[:20])


def test_the_recipe_runs_over_seeds_in_one_program():
    seeds = [problem("relu", seed=s) for s in (3, 4)]
    batch = jax.tree.map(lambda *leaves: jnp.stack(leaves), *seeds)
    keys = jax.random.split(KEY, 2)
    recipe = Descent(0.2, batch=10)
    together = jax.vmap(lambda p, k: descend(p, recipe, [40], key=k))(batch, keys)
    assert together.final.hidden.shape[0] == 2
    for lane, one in enumerate(seeds):
        alone = descend(one, recipe, [40], key=keys[lane])
        assert relative(together.final.hidden[lane], alone.final.hidden) < 1e-12
        assert relative(together.final.output[lane], alone.final.output) < 1e-12
    assert relative(together.final.hidden[0], together.final.hidden[1]) > 0.1


def test_rates_ride_in_one_program():
    drawn, rates = problem("prelu3"), jnp.array([0.05, 0.2])
    many = jax.vmap(lambda rate: descend(drawn, Descent(rate, batch=8), [7], key=KEY))
    down = many(rates)
    np.testing.assert_allclose(down.times[:, 0], 7 * rates)
    for lane, rate in enumerate(rates):
        alone = descend(drawn, Descent(float(rate), batch=8), [7], key=KEY)
        assert relative(down.final.hidden[lane], alone.final.hidden) < 1e-12


def test_a_rate_that_is_too_large_says_so():
    down = descend(problem("prelu3"), Descent(1e6), [60], key=KEY)
    assert int(down.status) == Status.NON_FINITE
    assert not down.finished


def test_the_verb_draws_the_problem_of_the_flow_and_observes_by_name():
    flow = GradientFlow(NETWORKS["relu"], CLUSTERS, 40)
    names = ["loss", "class_cosines"]
    key = jax.random.key(9)
    run = jb.gradient_descent(
        flow, descent=Descent(0.2, batch=10), steps=[4, 8], key=key, observe=names
    )
    assert run.observables["class_cosines"].shape == (2, 2, 20)
    final = descend(
        flow.problem(key), Descent(0.2, batch=10), [8], key=jax.random.fold_in(key, 2)
    ).final
    assert relative(run.final.hidden, final.hidden) < 1e-12
    start = RawSystem(flow.problem(key)).weights(flow.problem(key).initial)
    assert relative(run.final.hidden, start.hidden) > 0.1


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Descent(0.0), "rate=0.0"),
        (lambda: Descent(float("nan")), "goes downhill"),
        (lambda: Descent(0.1, rule="adma"), "'adam'"),
        (lambda: Descent(0.1, batch=0), "batch=0"),
        (lambda: Descent(0.1, average=1.0), "average=1.0"),
        (lambda: Descent(0.1, momentum=-0.1), "momentum=-0.1"),
        (lambda: descend(problem("relu"), Descent(0.1), [], key=KEY), "steps="),
        (lambda: descend(problem("relu"), Descent(0.1), [0], key=KEY), "positive"),
        (lambda: descend(problem("relu"), Descent(0.1), [2, 2], key=KEY), "increasing"),
        (lambda: descend(problem("relu"), Descent(0.1), [1.5], key=KEY), "steps="),
        (
            lambda: descend(problem("relu"), Descent(0.1, batch=41), [1], key=KEY),
            "batch=40",
        ),
    ],
)
def test_what_cannot_descend_says_what_would(make, message):
    with pytest.raises(InputError, match=message):
        make()
