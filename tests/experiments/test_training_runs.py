"""Trainings of flax modules as experiments: train_module's numbers, closed forms."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from factories import Small, two_layer
from flax import nnx
from programs import run, together

from jaxbias import losses
from jaxbias._checks import InputError
from jaxbias.data import Dataset
from jaxbias.dynamics import Status, train_module
from jaxbias.experiments import Module, Optimiser, Schedule, Training
from jaxbias.experiments.experiment import abstract
from jaxbias.results.specs import spec_from_json, spec_to_json

KEY = jax.random.key(4)
RNG = np.random.default_rng(1)
CENTRES = RNG.normal(size=(3, 4))


def drawn(count):
    labels = np.arange(count) % 3
    inputs = CENTRES[labels] + 0.4 * RNG.normal(size=(count, 4))
    labels = jnp.asarray(labels, jnp.int32)
    return Dataset(jnp.asarray(inputs, jnp.float32), labels, labels)


DATA, TEST = drawn(30), drawn(17)
ADAM = Optimiser("adam", rate=1e-2)
PLAIN = Module("factories:Small", width=6)
FULL = Module("factories:Small", width=6, normalised=True, dropout=0.3)


def training(module=PLAIN, optimiser=ADAM, **options):
    options = {"loss": "cross_entropy", "epochs": 5, "batch": 7} | options
    return Training(module, DATA, optimiser, **options)


def known(module, optimiser, dtype="float32", **options):
    options = {"loss": "cross_entropy", "epochs": 5, "batch": 7} | options
    graph, state = nnx.split(module)
    state = jax.tree.map(
        lambda a: a.astype(dtype) if jnp.issubdtype(a.dtype, jnp.floating) else a, state
    )
    data = Dataset(DATA.inputs.astype(dtype), DATA.labels, DATA.clusters)
    order = jax.random.fold_in(KEY, 2)
    return train_module(
        nnx.merge(graph, state), data, optimiser=optimiser, key=order, **options
    )


@pytest.mark.parametrize(
    "options", [{}, {"normalised": True}, {"normalised": True, "dropout": 0.3}]
)
def test_a_run_is_that_of_train_module(options, dtype):
    runs = training(Module("factories:Small", width=6, **options), dtype=dtype)
    seen, outcome, kept = run(runs, KEY)
    rngs = nnx.Rngs(jax.random.fold_in(KEY, 1))
    network, history = known(Small(6, **options, rngs=rngs), optax.adam(1e-2), dtype)
    close = 2e-4 if dtype == "float32" else 1e-9
    for name in ("loss", "accuracy"):
        want = getattr(history, name)
        assert seen[name].dtype == dtype
        np.testing.assert_allclose(seen[name], want, rtol=close)
    have, want = (nnx.state(n, nnx.Param) for n in (runs.network(kept), network))
    near = lambda a, b: np.testing.assert_allclose(a, b, rtol=close, atol=close)
    jax.tree.map(near, have, want)
    assert int(outcome.status) == Status.FINISHED
    assert seen["loss"][-1] < seen["loss"][0]


def test_linear_least_squares_is_a_power_of_its_matrix():
    inputs = RNG.normal(size=(8, 3))
    labels = np.where(inputs[:, 0] > 0, 1.0, -1.0)
    data = Dataset(jnp.asarray(inputs), jnp.asarray(labels), jnp.zeros(8, jnp.int32))
    module, sgd = Module("factories:Linear", dim=3), Optimiser("sgd", rate=0.3)
    runs = Training(module, data, sgd, "squared", 40, every=20, dtype="float64")
    seen, _, kept = run(runs, KEY)
    fixed = np.linalg.lstsq(inputs, labels, rcond=None)[0]
    matrix = np.eye(3) - 0.3 * inputs.T @ inputs / 8
    want = fixed - np.linalg.matrix_power(matrix, 40) @ fixed
    have = runs.network(kept).weights[...]
    np.testing.assert_allclose(have, want, rtol=1e-12)
    before = fixed - np.linalg.matrix_power(matrix, 39) @ fixed
    loss = np.mean((inputs @ before - labels) ** 2) / 2
    np.testing.assert_allclose(seen["loss"][-1], loss, rtol=1e-12)


@pytest.mark.parametrize("module", [PLAIN, FULL])
def test_segments_do_not_matter(module):
    _, _, whole = run(training(module), KEY, segments=(5,))
    for segments in ((1, 2, 3, 4, 5), (2, 5), (4, 4, 5)):
        _, _, kept = run(training(module), KEY, segments=segments)
        jax.tree.map(np.testing.assert_array_equal, whole, kept)


def test_epochs_are_looked_at_every_few():
    assert training(epochs=7, every=3).segments == (3, 6, 7)
    assert training(epochs=6, every=3).segments == (3, 6)
    assert training(epochs=2, every=3).segments == (2,)
    often, _, _ = run(training(), KEY)
    seldom, _, _ = run(training(every=2), KEY)
    np.testing.assert_array_equal(seldom["loss"], often["loss"][[1, 3, 4]])


def test_all_segments_are_one_trace():
    traced = []

    @dataclasses.dataclass(frozen=True)
    class Counted(Training):
        def advance(self, problem, state, ends, shared):
            traced.append(ends)
            return super().advance(problem, state, ends, shared)

    run(Counted(FULL, DATA, ADAM, "cross_entropy", 4, test=TEST), KEY)
    assert len(traced) == 1


def test_the_test_set_is_classified_by_running_statistics():
    seen, _, kept = run(training(FULL, test=TEST), KEY)
    network = training(FULL).network(kept)
    with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):
        right = losses.correct(network(TEST.inputs), TEST.labels)
    assert seen["test_accuracy"][-1] == pytest.approx(float(jnp.mean(right)))
    assert seen["test_accuracy"][-1] > 0.6
    without, _, same = run(training(FULL), KEY)
    assert "test_accuracy" not in without
    jax.tree.map(np.testing.assert_array_equal, kept, same)


@pytest.mark.parametrize("module", [PLAIN, FULL])
def test_rates_and_seeds_ride_in_one_program(module):
    points = [training(module, Optimiser("adam", rate=r)) for r in (1e-2, 1e-3, 0.1)]
    keys = jax.random.split(KEY, 3)
    outcomes, kept = together(points, keys)
    for lane, one in enumerate(points):
        seen, _, alone = run(one, keys[lane])
        have = outcomes.observables["loss"][lane]
        np.testing.assert_allclose(have, seen["loss"], rtol=3e-4)
        own = jax.tree.map(lambda a, lane=lane: a[lane], kept)
        near = lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-4)
        jax.tree.map(near, own, alone)


def test_data_are_an_argument_of_the_program_and_of_no_lane():
    runs = training(test=TEST, dtype="float64")
    train, test = runs.shared()
    assert train.inputs.dtype == test.inputs.dtype == "float64"
    template = abstract(runs.template())
    other = training(PLAIN, Optimiser("adam", 0.3), test=TEST, dtype="float64")
    assert hash(template) == hash(abstract(other.template()))
    assert template == abstract(other.template())
    with pytest.raises(TypeError):
        jnp.sum(template.data.inputs)


def test_a_schedule_multiplies_the_rate():
    falling = Schedule("cosine_decay_schedule", decay_steps=20)
    runs = training(PLAIN, Optimiser("sgd", 0.2, falling, momentum=0.5))
    seen, _, _ = run(runs, KEY)
    rngs = nnx.Rngs(jax.random.fold_in(KEY, 1))
    sgd = optax.sgd(optax.cosine_decay_schedule(0.2, 20), momentum=0.5)
    _, history = known(Small(6, rngs=rngs), sgd)
    np.testing.assert_allclose(seen["loss"], history.loss, rtol=1e-5)


def test_factories_may_take_a_key():
    data = Dataset(DATA.inputs, jnp.sign(DATA.inputs[:, 0]), DATA.clusters)
    module = Module("factories:two_layer", width=5)
    runs = Training(module, data, ADAM, "logistic", 2, 10)
    _, _, kept = run(runs, KEY)
    weights = two_layer(5, key=jax.random.fold_in(KEY, 1)).weights()
    template = abstract(runs.template())
    drawn = template.draw(KEY, {"optimiser.rate": 0.1}, runs.shared(), None)
    np.testing.assert_array_equal(drawn.parameters["hidden"][...], weights.hidden)
    assert runs.network(kept).weights().hidden.shape == (5, 4)
    own = Module("factories:of_jax").build(KEY).weights[...]
    np.testing.assert_array_equal(own, jax.random.normal(KEY, (4,), "float32"))


def test_json_there_and_back():
    falling = Schedule("exponential_decay", transition_steps=5, decay_rate=0.5)
    for part in (FULL, Optimiser("adamw", 1e-3, falling, weight_decay=1e-4), falling):
        again = spec_from_json(spec_to_json(part))
        assert again == part
        assert hash(again) == hash(part)
    text = spec_to_json(training(FULL))
    assert '"digest"' in text
    assert "factories:Small" in text
    assert Module("a:b", one=1, two=[2]) == Module("a:b", (("two", (2,)), ("one", 1)))
    assert dataclasses.replace(ADAM, rate=0.5).rate == 0.5


def test_a_training_that_blows_up_says_so():
    _, outcome, _ = run(training(optimiser=Optimiser("sgd", 1e30), epochs=3), KEY)
    assert int(outcome.status) == Status.NON_FINITE


def test_columns_name_what_is_returned():
    runs = training(test=TEST, every=2)
    seen, outcome, _ = run(runs, KEY)
    assert set(runs.columns()) == set(seen) | set(outcome.statistics)
    assert list(runs.coordinates()["time"]) == [2, 4, 5]
    assert runs.work(None).seconds > 0


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: training(epochs=0), "epochs=0"),
        (lambda: training(every=0), "every=0"),
        (lambda: training(batch=31), "batch=30"),
        (lambda: training(loss="cross"), "'cross_entropy'"),
        (lambda: training(module=Small), "builds a module of its own"),
        (lambda: training(dtype="float16"), "dtype="),
        (
            lambda: training(test=dataclasses.replace(TEST, inputs=TEST.inputs[:, :2])),
            "4",
        ),
        (lambda: Module("factories.Small"), "ResNet"),
        (lambda: Module("no_such_package:net").build(KEY), "not there"),
        (lambda: Module("factories:Smal").build(KEY), "not there"),
        (lambda: Module("factories:neither", width=3).build(KEY), "rngs or key"),
        (lambda: Module("factories:Small", width=np.ones(3)), "numbers, strings"),
        (lambda: Optimiser("adma", 0.1), "'adam'"),
        (lambda: Optimiser("global_norm", 0.1), "known are"),
        (lambda: Optimiser("adam", 0.0), "nothing would be learnt"),
        (lambda: Optimiser("adam", 0.1, momentum=0.9), "'b1'"),
        (lambda: Schedule("cosine_schedule"), "cosine_decay_schedule"),
        (lambda: Schedule("cosine_decay_schedule", steps=3), "decay_steps"),
    ],
)
def test_what_cannot_be_trained_says_what_would(make, message):
    with pytest.raises(InputError, match=message):
        make()
