"""The image protocol, held against its parts put together by hand."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxbias._checks import InputError
from jaxbias.data import from_arrays
from jaxbias.dynamics import train_module
from jaxbias.dynamics.image_training import train_on_images
from jaxbias.networks import PReLU, TwoLayer, torch_uniform

SIZES = {"classes": 3, "width": 12, "epochs": 4, "batch": 10, "rate": 1e-2}


@pytest.fixture(scope="module")
def rows():
    rng = np.random.default_rng(0)
    classes = np.arange(60) % 3
    inputs = 3 * np.eye(6)[classes] + 0.3 * rng.normal(size=(60, 6))
    return from_arrays(inputs - inputs.mean(axis=0), classes, dtype="float32")


def trained(rows, **changes):
    options: dict[str, Any] = {"key": jax.random.key(1), "batch_key": jax.random.key(2)}
    return train_on_images(rows, 3.0, **SIZES | options | changes)


def test_it_is_adam_on_the_paper_s_start_and_network(rows):
    spec = TwoLayer(
        12,
        PReLU(3.0),
        torch_uniform(),
        classes=3,
        output_bias=True,
        normalise_inputs=True,
    )
    want, _ = train_module(
        spec.build(jax.random.key(1), 6, dtype="float32"),
        rows,
        optimiser=optax.adam(1e-2),
        loss="cross_entropy",
        epochs=4,
        batch=10,
        key=jax.random.key(2),
    )
    got = trained(rows)
    assert got.normalise_inputs
    for name in ("hidden", "output", "output_bias"):
        own, other = (getattr(n.weights(), name) for n in (got, want))
        assert own.dtype == jnp.float32
        np.testing.assert_array_equal(own, other)


def test_the_outputs_are_those_of_the_formula(rows):
    network = trained(rows)
    w, v = (np.asarray(a, float) for a in (network.hidden[...], network.output[...]))
    x = np.asarray(rows.inputs, float)
    lengths = np.linalg.norm(x, axis=1)[:, None] * np.linalg.norm(w, axis=1)
    units = np.maximum(x @ w.T, 0) ** 3 / lengths**2
    want = units @ v + np.asarray(network.weights().output_bias)
    np.testing.assert_allclose(network(rows.inputs), want, rtol=2e-5, atol=2e-6)


def test_the_bias_can_be_left_out_and_keys_matter(rows):
    assert trained(rows, output_bias=False).weights().output_bias is None
    first, again = trained(rows), trained(rows)
    np.testing.assert_array_equal(first.hidden[...], again.hidden[...])
    for other in ({"key": jax.random.key(3)}, {"batch_key": jax.random.key(3)}):
        changed = trained(rows, **other)
        assert np.abs(first.hidden[...] - changed.hidden[...]).max() > 1e-4


def test_a_minibatch_larger_than_the_data_is_refused(rows):
    with pytest.raises(InputError, match="batch=61"):
        trained(rows, batch=61)
