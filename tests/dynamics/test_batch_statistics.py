"""Modules with variables of their own: batch statistics, dropout, and refusals."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx

from jaxbias import losses
from jaxbias._checks import InputError
from jaxbias.data import Dataset
from jaxbias.dynamics.training import train_module

KEY = jax.random.key(4)
RNG = np.random.default_rng(1)
INPUTS = jnp.asarray(RNG.normal(size=(30, 4)), jnp.float32)
LABELS = jnp.asarray(RNG.integers(0, 3, 30), jnp.int32)
DATA = Dataset(INPUTS, LABELS, LABELS)


class Normalised(nnx.Module):
    def __init__(self, rngs):
        # A bias here has no gradient but rounding, which Adam would blow up.
        self.first = nnx.Linear(4, 6, use_bias=False, rngs=rngs)
        self.norm = nnx.BatchNorm(6, momentum=0.8, rngs=rngs)
        self.second = nnx.Linear(6, 3, rngs=rngs)

    def __call__(self, inputs):
        return self.second(nnx.relu(self.norm(self.first(inputs))))


class Dropping(nnx.Module):
    def __init__(self, rngs, rate=0.5):
        self.first = nnx.Linear(4, 40, rngs=rngs)
        self.drop = nnx.Dropout(rate, rngs=rngs)
        self.second = nnx.Linear(40, 3, rngs=rngs)

    def __call__(self, inputs):
        return self.second(self.drop(nnx.relu(self.first(inputs))))


def by_hand(module, optimiser, epochs, batch):
    """The same training as one writes it in flax, without a loop of JAX."""
    memory = optimiser.init(nnx.state(module, nnx.Param))
    seen = []

    @nnx.jit
    def slope(module, inputs, labels):
        def objective(module):
            values = losses.cross_entropy.value(module(inputs), labels)
            return jnp.mean(values)

        return nnx.value_and_grad(objective)(module)

    for epoch in range(epochs):
        order = jax.random.permutation(jax.random.fold_in(KEY, epoch), 30)
        for rows in order[: 30 // batch * batch].reshape(-1, batch):
            with jax.numpy_dtype_promotion("standard"):
                with jax.numpy_rank_promotion("allow"):
                    loss, gradient = slope(module, INPUTS[rows], LABELS[rows])
                parameters = nnx.state(module, nnx.Param)
                update, memory = optimiser.update(gradient, memory, parameters)
                nnx.update(module, optax.apply_updates(parameters, update))
            seen.append(float(loss))
    return module, seen


@pytest.mark.parametrize("batch", [10, 7])
def test_batch_statistics_are_those_of_a_loop_in_flax(batch):
    adam = optax.adam(1e-2)
    given = Normalised(nnx.Rngs(0))
    trained, history = train_module(
        given,
        DATA,
        optimiser=adam,
        loss="cross_entropy",
        epochs=4,
        batch=batch,
        key=KEY,
    )
    hand, seen = by_hand(Normalised(nnx.Rngs(0)), adam, 4, batch)
    assert_near = lambda a, b: np.testing.assert_allclose(a, b, rtol=2e-4, atol=2e-5)
    jax.tree.map(assert_near, nnx.state(trained), nnx.state(hand))
    want = np.asarray(seen).reshape(4, -1).mean(axis=1)
    np.testing.assert_allclose(history.loss, want, rtol=1e-4)
    assert float(jnp.abs(trained.norm.mean[...]).max()) > 0.01
    np.testing.assert_array_equal(given.norm.mean[...], 0.0)


def test_statistics_are_updated_whatever_mode_the_module_is_in():
    given = Normalised(nnx.Rngs(0))
    given.eval()
    options = {"loss": "cross_entropy", "epochs": 1, "key": KEY}
    trained, _ = train_module(given, DATA, optimiser=optax.sgd(0.1), **options)
    assert trained.norm.use_running_average
    assert float(jnp.abs(trained.norm.mean[...]).max()) > 0.01


def test_dropout_is_drawn_from_the_key_anew_in_every_step():
    def trained(key, rate=0.5, epochs=2):
        return train_module(
            Dropping(nnx.Rngs(0), rate),
            DATA,
            optimiser=optax.sgd(0.0),
            loss="cross_entropy",
            epochs=epochs,
            batch=30,
            key=key,
        )

    network, history = trained(KEY)
    _, same = trained(KEY)
    _, other = trained(jax.random.key(5))
    _, without = trained(KEY, 0.0)
    np.testing.assert_array_equal(history.loss, same.loss)
    assert not np.array_equal(history.loss, other.loss)
    # At a rate of 0 nothing moves, so only the masks tell epochs apart.
    assert history.loss[0] != history.loss[1]
    assert without.loss[0] == pytest.approx(float(without.loss[1]))
    untouched = nnx.state(Dropping(nnx.Rngs(0)), nnx.RngState)
    have = jax.random.key_data(network.drop.rngs.key[...])
    want = jax.random.key_data(jax.tree.leaves(untouched)[1])
    np.testing.assert_array_equal(have, want)


class Column(nnx.Module):
    def __init__(self):
        self.linear = nnx.Linear(4, 1, rngs=nnx.Rngs(0))

    def __call__(self, inputs):
        return self.linear(inputs)


class Growing(Column):
    def __call__(self, inputs):
        outputs = self.linear(inputs)[:, 0]
        self.seen = nnx.Variable(outputs)
        return outputs


@pytest.mark.parametrize(
    ("kind", "message"), [(Column, r"outputs\[:, 0\]"), (Growing, "when it is built")]
)
def test_modules_that_cannot_be_trained_say_why(kind, message):
    data = Dataset(INPUTS, jnp.ones(30, jnp.float32), LABELS)
    with pytest.raises(InputError, match=message):
        train_module(
            kind(), data, optimiser=optax.sgd(0.1), loss="squared", epochs=1, key=KEY
        )
