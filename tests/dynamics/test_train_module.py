import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx

from jaxbias import losses
from jaxbias._checks import InputError
from jaxbias.data import OrthonormalClusters, digits
from jaxbias.dynamics.training import train_module
from jaxbias.networks import PReLU, TwoLayer, balanced, predict, unbalanced

CLUSTERS = OrthonormalClusters(8, 4, 2, 0.1)
DATA = CLUSTERS.sample(12, key=jax.random.key(1))
SPEC = TwoLayer(5, PReLU(3), balanced(0.3), output_bias=True)


def euler_by_hand(weights, data, loss, rate, steps, exponent):
    """Gradient descent written out from the formulas of the pReLU network."""
    hidden, output = np.asarray(weights.hidden), np.asarray(weights.output)
    bias, inputs = 0.0, np.asarray(data.inputs)
    for _ in range(steps):
        norms = np.linalg.norm(hidden, axis=1)
        cosines = np.maximum(inputs @ (hidden / norms[:, None]).T, 0.0)
        outputs = (norms * cosines**exponent) @ output + bias
        slope = np.asarray(loss.slope(jnp.asarray(outputs), data.labels)) / len(inputs)
        pull = (slope[:, None] * cosines ** (exponent - 1)).T @ inputs
        drag = slope @ cosines**exponent
        rows = exponent * pull - (exponent - 1) * (drag / norms)[:, None] * hidden
        hidden, output, bias = (
            hidden - rate * output[:, None] * rows,
            output - rate * norms * drag,
            bias - rate * slope.sum(),
        )
    return hidden, output, bias


@pytest.mark.parametrize("loss", [losses.exponential, losses.logistic, losses.squared])
def test_full_batch_sgd_is_the_euler_step_of_the_flow(loss):
    network = SPEC.build(jax.random.key(0), 8)
    trained, history = train_module(
        network,
        DATA,
        optimiser=optax.sgd(0.1),
        loss=loss,
        epochs=7,
        key=jax.random.key(2),
    )
    want = euler_by_hand(network.weights(), DATA, loss, 0.1, 7, 3)
    got = trained.weights()
    for have, wanted in zip(
        (got.hidden, got.output, got.output_bias), want, strict=True
    ):
        np.testing.assert_allclose(have, wanted, rtol=1e-12, atol=1e-14)
    start = jnp.mean(loss.value(network(DATA.inputs), DATA.labels))
    np.testing.assert_allclose(history.loss[0], start, rtol=1e-14)
    assert history.loss.shape == history.accuracy.shape == (7,)
    assert float(history.loss[-1]) < float(history.loss[0])


def test_minibatches_visit_every_sample_once_an_epoch():
    # A linear loss of a bias-only step counts the labels it has seen.
    class Counter(nnx.Module):
        def __init__(self):
            self.total = nnx.Param(jnp.zeros(12))

        def __call__(self, inputs):
            return inputs @ self.total[...]

    one_hot = type(DATA)(jnp.eye(12), jnp.ones(12), DATA.clusters)
    trained, _ = train_module(
        Counter(),
        one_hot,
        optimiser=optax.sgd(1.0),
        loss=losses.exponential,
        epochs=1,
        batch=4,
        key=jax.random.key(0),
    )
    np.testing.assert_allclose(trained.total[...], 0.25)


def test_the_key_decides_the_order_and_nothing_else():
    def trained(seed):
        network = SPEC.build(jax.random.key(0), 8)
        key = jax.random.key(seed)
        adam = optax.adam(1e-2)
        options = {"loss": "logistic", "epochs": 3, "batch": 4, "key": key}
        return train_module(network, DATA, optimiser=adam, **options)[0].hidden[...]

    np.testing.assert_array_equal(trained(0), trained(0))
    assert not np.array_equal(trained(0), trained(1))


def test_the_given_network_is_left_as_it_was():
    network = SPEC.build(jax.random.key(0), 8)
    before = np.asarray(network.hidden[...])
    trained, _ = train_module(
        network,
        DATA,
        optimiser=optax.sgd(0.5),
        loss="logistic",
        epochs=2,
        key=jax.random.key(0),
    )
    np.testing.assert_array_equal(network.hidden[...], before)
    assert not np.array_equal(trained.hidden[...], before)


def test_frozen_readouts_and_masked_neurons_stay_put():
    spec = TwoLayer(5, PReLU(2), balanced(0.3), output="frozen")
    network = spec.build(jax.random.key(0), 8, padded=8)
    trained, _ = train_module(
        network,
        DATA,
        optimiser=optax.adam(0.05),
        loss="squared",
        epochs=4,
        key=jax.random.key(0),
    )
    np.testing.assert_array_equal(trained.output[...], network.output[...])
    np.testing.assert_array_equal(trained.hidden[5:], 0.0)
    assert not np.array_equal(trained.hidden[:5], network.hidden[:5])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"epochs": 0}, "epochs=0"),
        ({"batch": 0}, "batch=0"),
        ({"batch": 13}, "batch=12"),
        ({"loss": "exponentail"}, "exponential"),
    ],
)
def test_bad_options_say_what_would_work(options, message):
    options = {"epochs": 1, "loss": "logistic", "batch": 4, **options}
    with pytest.raises(InputError, match=message):
        train_module(
            SPEC.build(jax.random.key(0), 8),
            DATA,
            optimiser=optax.sgd(0.1),
            key=jax.random.key(0),
            **options,
        )


@pytest.mark.parametrize(
    ("labels", "classes", "loss", "exponent"),
    [("class", 10, "cross_entropy", 1), ("parity", None, "logistic", 3)],
)
def test_digits_are_learnt(labels, classes, loss, exponent):
    train, test = digits(labels, dtype="float32")
    spec = TwoLayer(
        64,
        PReLU(exponent),
        unbalanced(0.1),
        classes=classes,
        output_bias=True,
        normalise_inputs=True,
    )
    network = spec.build(jax.random.key(0), 64, dtype="float32")
    trained, history = train_module(
        network,
        train,
        optimiser=optax.adam(3e-3),
        loss=loss,
        epochs=20,
        batch=64,
        key=jax.random.key(1),
    )
    right = losses.correct(trained(test.inputs), test.labels)
    assert float(jnp.mean(right)) > 0.95
    assert float(history.accuracy[-1]) > 0.97
    assert float(history.loss[-1]) < 0.1 * float(history.loss[0])
    scores = predict(
        trained.weights(), spec.activation, test.inputs, normalise_inputs=True
    )
    np.testing.assert_array_equal(scores, trained(test.inputs))
