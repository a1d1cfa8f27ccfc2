"""Descents as experiments: closed forms, the verb's numbers, segments, what rides."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from programs import point, run, together

import jaxbias as jb
from jaxbias import losses
from jaxbias._checks import InputError
from jaxbias.data import Dataset, OrthonormalClusters
from jaxbias.dynamics import AdversarialDescent, Descent, GradientFlow
from jaxbias.dynamics.adversarial import descend_adversarially
from jaxbias.experiments import Descend
from jaxbias.experiments.experiment import abstract
from jaxbias.networks import LeakyReLU, PReLU, ReLU, TwoLayer, balanced, unbalanced
from jaxbias.results.specs import spec_from_json, spec_hash, spec_to_json

KEY = jax.random.key(3)
CLUSTERS = OrthonormalClusters(dim=20, clusters=4, positive=2, noise=0.1)
FLOW = GradientFlow(TwoLayer(8, PReLU(3), balanced(0.1)), CLUSTERS, 16)
GROUPED = TwoLayer(6, ReLU(), unbalanced(0.1), "grouped", hidden_bias=True)
NAMES = ("loss", "class_cosines")
RULES = {
    "plain": Descent(0.1),
    "momentum": Descent(0.05, "momentum", batch=5, momentum=0.8),
    "adam": Descent(0.01, "adam", batch=4, average=0.9),
}


@dataclasses.dataclass(frozen=True)
class Falling:
    """A schedule with a JSON form."""

    rate: float

    def __call__(self, step):
        return self.rate / (1 + step)


@pytest.mark.parametrize("rule", RULES)
def test_a_run_is_that_of_the_verb(rule, dtype):
    steps = (3, 4, 11)
    runs = Descend(FLOW, RULES[rule], steps, NAMES, dtype)
    seen, outcome, kept = run(runs, KEY)
    known = jb.gradient_descent(
        FLOW, descent=RULES[rule], steps=steps, key=KEY, observe=NAMES, dtype=dtype
    )
    close = 1e-12 if dtype == "float64" else 2e-5
    for name in NAMES:
        np.testing.assert_allclose(
            seen[name], known.observables[name], rtol=close, atol=close
        )
    assert kept.weights.hidden.dtype == dtype
    np.testing.assert_allclose(kept.weights.hidden, known.final.hidden, atol=close)
    np.testing.assert_allclose(seen["clock"], known.times, rtol=1e-6)
    assert int(outcome.status) == int(known.status)
    want = known.statistics["evaluations"]
    np.testing.assert_allclose(outcome.statistics["evaluations"], want, rtol=1e-6)


def test_an_adversarial_run_is_that_of_its_function():
    flow = GradientFlow(GROUPED, CLUSTERS, 16, losses.logistic)
    attack = AdversarialDescent(0.05, 0.3, 0.1, 4)
    seen, _, kept = run(Descend(flow, attack, (2, 9), ("loss",)), KEY)
    known = descend_adversarially(
        flow.problem(KEY),
        attack,
        [2, 9],
        {"loss": jb.observables.REGISTRY["loss"].function},
        key=jax.random.fold_in(KEY, 2),
    )
    np.testing.assert_allclose(seen["loss"], known.observables["loss"], rtol=1e-12)
    np.testing.assert_allclose(kept.weights.hidden, known.final.hidden, atol=1e-13)


def test_linear_least_squares_is_a_power_of_its_matrix():
    """Slope 1 on both sides and a frozen readout make the network linear in W."""
    rng = np.random.default_rng(0)
    inputs = rng.normal(size=(9, 3))
    data = Dataset(
        jnp.asarray(inputs), jnp.asarray(np.sign(inputs[:, 0])), jnp.zeros(9, jnp.int32)
    )
    network = TwoLayer(4, LeakyReLU(1.0), unbalanced(0.3), output="frozen")
    flow = GradientFlow(network, data, loss=losses.squared)
    runs = Descend(flow, Descent(0.2), (1, 10, 50))
    _, _, kept = run(runs, KEY)
    start = flow.problem(KEY).initial
    v = np.asarray(start.output)
    # w = W^T v obeys w' = w - rate |v|^2 X^T (X w - y) / n.
    matrix = np.eye(3) - 0.2 * v @ v * inputs.T @ inputs / 9
    fixed = np.linalg.lstsq(inputs, np.asarray(data.labels), rcond=None)[0]
    begun = np.asarray(start.hidden).T @ v
    want = fixed + np.linalg.matrix_power(matrix, 50) @ (begun - fixed)
    have = np.asarray(kept.weights.hidden).T @ v
    np.testing.assert_allclose(have, want, rtol=1e-12)
    assert np.linalg.norm(want - begun) > 1e-3


@pytest.mark.parametrize("rule", RULES)
def test_segments_do_not_matter(rule):
    runs = Descend(FLOW, RULES[rule], (11,))
    _, _, whole = run(runs, KEY)
    for segments in ((1, 2, 3, 11), (5, 6, 11), (4, 8, 11)):
        _, _, kept = run(runs, KEY, segments=segments)
        jax.tree.map(np.testing.assert_array_equal, whole, kept)


def test_all_segments_are_one_trace():
    traced = []

    @dataclasses.dataclass(frozen=True)
    class Counted(Descend):
        def advance(self, problem, state, ends, shared):
            traced.append(ends)
            return super().advance(problem, state, ends, shared)

    run(Counted(FLOW, RULES["adam"], (1, 2, 5, 9)), KEY)
    assert len(traced) == 1


def test_points_ride_in_one_program_and_are_what_they_are_alone():
    def at(width, scale, noise, rate):
        network = TwoLayer(width, PReLU(3), balanced(scale))
        data = dataclasses.replace(CLUSTERS, noise=noise)
        rule = Descent(rate, batch=4)
        return Descend(GradientFlow(network, data, 16), rule, (3, 10), NAMES)

    points = [at(8, 0.1, 0.1, 0.1), at(5, 0.2, 0.0, 0.02), at(3, 0.05, 0.3, 0.3)]
    keys = jax.random.split(KEY, 3)
    outcomes, kept = together(points, keys, padded=8)
    for lane, one in enumerate(points):
        seen, _, alone = run(one, keys[lane])
        width = one.flow.network.width
        have = outcomes.observables["loss"][lane]
        np.testing.assert_allclose(have, seen["loss"], rtol=1e-12)
        have = kept.weights.hidden[lane]
        np.testing.assert_allclose(have[:width], alone.weights.hidden, atol=1e-13)
        np.testing.assert_array_equal(have[width:], 0.0)
    rates = outcomes.observables["clock"][:, 0]
    np.testing.assert_allclose(rates, [0.3, 0.06, 0.9])


def test_radii_of_attacks_ride():
    flow = GradientFlow(GROUPED, CLUSTERS, 16, losses.logistic)
    numbers = [(0.05, 0.3, 0.1), (0.1, 0.0, 0.2)]
    points = [Descend(flow, AdversarialDescent(*n, 3), (6,)) for n in numbers]
    outcomes, _ = together(points, jnp.stack([KEY, KEY]), padded=6)
    for lane, one in enumerate(points):
        seen, _, _ = run(one, KEY)
        have = outcomes.observables["loss"][lane]
        np.testing.assert_allclose(have, seen["loss"], rtol=1e-12)


def test_a_data_set_is_an_argument_of_the_program_and_of_no_lane():
    data = CLUSTERS.sample(16, key=KEY, dtype="float32")
    runs = Descend(GradientFlow(FLOW.network, data), RULES["momentum"], (6,))
    assert runs.shared().inputs.dtype == "float64"
    template = abstract(runs.template())
    hash(template)
    outcomes, kept = together([runs, runs], jax.random.split(KEY, 2), padded=8)
    assert outcomes.observables["loss"].shape == (2, 1)
    np.testing.assert_array_equal(kept.dataset.labels[1], data.labels)
    seen, _, _ = run(runs, jax.random.split(KEY, 2)[1])
    np.testing.assert_allclose(
        outcomes.observables["loss"][1], seen["loss"], rtol=1e-12
    )
    shapes = jax.eval_shape(
        lambda shared: template.draw(KEY, point(runs), shared, 8), runs.shared()
    )
    assert shapes.problem.dataset is None


def test_schedules_have_a_clock_and_a_name():
    runs = Descend(FLOW, Descent(Falling(0.2), batch=8), (2, 5))
    assert "descent.rate" not in runs.batched
    seen, _, _ = run(runs, KEY)
    sums = np.cumsum(0.2 / (1 + np.arange(5)))
    np.testing.assert_allclose(seen["clock"], sums[[1, 4]], rtol=1e-12)
    assert "Falling" in spec_to_json(runs)


@pytest.mark.parametrize("rule", [*RULES.values(), AdversarialDescent(0.1, 0.2, 0.1)])
def test_json_there_and_back(rule):
    network = GROUPED if isinstance(rule, AdversarialDescent) else FLOW.network
    runs = Descend(GradientFlow(network, CLUSTERS, 16), rule, (2, 7), NAMES)
    again = spec_from_json(spec_to_json(runs))
    assert again == runs
    assert spec_hash(again) == spec_hash(runs)
    hash(runs.template())


def test_a_run_that_blows_up_says_so():
    _, outcome, _ = run(Descend(FLOW, Descent(1e6), (30, 60)), KEY)
    assert int(outcome.status) == jb.dynamics.Status.NON_FINITE


def test_columns_and_sizes_name_what_is_returned():
    runs = Descend(FLOW, RULES["plain"], (2, 4), NAMES)
    seen, outcome, _ = run(runs, KEY)
    columns = runs.columns()
    assert set(columns) == set(seen) | set(outcome.statistics)
    assert all(seen[name].ndim == len(columns[name].axes) for name in seen)
    assert list(runs.coordinates()["time"]) == [2, 4]
    work = runs.work(12)
    assert dict(work.sizes) == {"neuron": 12, "sample": 16, "feature": 20, "cluster": 4}
    assert work.seconds > runs.work(4).seconds > 0


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Descend(FLOW, RULES["plain"], (4, 2)), "increasing"),
        (lambda: Descend(FLOW, RULES["plain"], (4,), ("los",)), "'loss'"),
        (lambda: Descend(FLOW, Descent(0.1, batch=17), (4,)), "batch=16"),
        (lambda: Descend(FLOW, RULES["plain"], (4,), dtype="float16"), "dtype="),
        (lambda: Descend(FLOW, Descent(jnp.array([0.1, 0.2])), (4,)), "an axis"),
        (
            lambda: Descend(FLOW, AdversarialDescent(0.1, 0.1, 0.1), (4,)),
            "output='grouped'",
        ),
        (
            lambda: spec_to_json(
                Descend(FLOW, Descent(optax.linear_schedule(1.0, 0.1, 5)), (4,))
            ),
            "no JSON form",
        ),
    ],
    ids=["steps", "names", "batch", "dtype", "array", "attack", "closure"],
)
def test_what_cannot_descend_says_what_would(make, message):
    with pytest.raises(InputError, match=message):
        make()
