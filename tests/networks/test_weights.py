import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jaxbias.networks import (
    LeakyReLU,
    Power,
    PReLU,
    ReLU,
    Weights,
    features,
    predict,
    row_norms,
)

ACTIVATIONS = [ReLU(), LeakyReLU(0.2), PReLU(1.5), PReLU(3), Power(2)]


def drawn(seed, classes=None, biased=False):
    keys = jax.random.split(jax.random.key(seed), 5)
    columns = () if classes is None else (classes,)
    weights = Weights(
        hidden=jax.random.normal(keys[0], (6, 4)),
        output=jax.random.normal(keys[1], (6, *columns)),
        hidden_bias=jax.random.normal(keys[2], (6,)) if biased else None,
        output_bias=jax.random.normal(keys[3], columns) if biased else None,
        mask=jnp.ones(6, bool),
    )
    return weights, jax.random.normal(keys[4], (7, 4))


def by_hand(weights, exponent, inputs):
    """The formula of the paper, neuron by neuron in numpy."""
    total = np.zeros((len(inputs), *weights.output.shape[1:]))
    for row, readout, bias in zip(
        np.asarray(weights.hidden),
        np.asarray(weights.output),
        np.zeros(6) if weights.hidden_bias is None else np.asarray(weights.hidden_bias),
        strict=True,
    ):
        active = np.maximum(np.asarray(inputs) @ row + bias, 0.0)
        size = np.sqrt(row @ row + bias**2)
        total = total + np.multiply.outer(
            active**exponent / size ** (exponent - 1), readout
        )
    return total + (
        0 if weights.output_bias is None else np.asarray(weights.output_bias)
    )


@pytest.mark.parametrize("biased", [False, True])
@pytest.mark.parametrize("classes", [None, 3])
@pytest.mark.parametrize("exponent", [1, 1.5, 3])
def test_prediction_is_the_printed_formula(exponent, classes, biased):
    weights, inputs = drawn(0, classes, biased)
    np.testing.assert_allclose(
        predict(weights, PReLU(exponent), inputs),
        by_hand(weights, exponent, inputs),
        rtol=1e-11,
        atol=1e-13,
    )


@given(st.integers(0, 10**6), st.sampled_from(ACTIVATIONS), st.floats(0.01, 100.0))
def test_homogeneous_in_inputs_and_in_weights(seed, activation, factor):
    weights, inputs = drawn(seed)
    once = predict(weights, activation, inputs)
    tolerance = {"rtol": 1e-9, "atol": 1e-9 * float(jnp.max(jnp.abs(once)))}
    degree = activation.degree
    np.testing.assert_allclose(
        predict(weights, activation, factor * inputs) / factor**degree,
        once,
        **tolerance,
    )
    scaled = jax.tree.map(lambda a: a if a.dtype == bool else factor * a, weights)
    inner = degree if isinstance(activation, Power) else 1
    np.testing.assert_allclose(
        predict(scaled, activation, inputs) / factor ** (inner + 1), once, **tolerance
    )


@given(st.integers(0, 10**6), st.sampled_from(ACTIVATIONS))
def test_the_order_of_neurons_does_not_matter(seed, activation):
    weights, inputs = drawn(seed, 2, biased=True)
    order = jax.random.permutation(jax.random.key(seed), 6)
    shuffled = Weights(
        weights.hidden[order],
        weights.output[order],
        weights.hidden_bias[order],
        weights.output_bias,
        weights.mask,
    )
    np.testing.assert_allclose(
        predict(shuffled, activation, inputs),
        predict(weights, activation, inputs),
        rtol=1e-11,
        atol=1e-11,
    )


@given(st.integers(0, 10**6), st.sampled_from(ACTIVATIONS))
def test_rotating_inputs_and_weights_together_changes_nothing(seed, activation):
    weights, inputs = drawn(seed)
    turn, _ = jnp.linalg.qr(jax.random.normal(jax.random.key(seed), (4, 4)))
    turned = Weights(weights.hidden @ turn, weights.output, None, None, weights.mask)
    np.testing.assert_allclose(
        predict(turned, activation, inputs @ turn),
        predict(weights, activation, inputs),
        rtol=1e-9,
        atol=1e-9,
    )


@pytest.mark.parametrize("exponent", [1, 2.5, 4])
def test_normalised_inputs_divide_every_unit_by_the_length_of_the_input(exponent):
    weights, inputs = drawn(3)
    plain = features(weights, PReLU(exponent), inputs)
    lengths = np.linalg.norm(inputs, axis=1, keepdims=True)
    got = features(weights, PReLU(exponent), inputs, normalise_inputs=True)
    np.testing.assert_allclose(got, plain / lengths ** (exponent - 1), rtol=1e-12)
    longer = predict(weights, PReLU(exponent), 3 * inputs, normalise_inputs=True)
    once = predict(weights, PReLU(exponent), inputs, normalise_inputs=True)
    np.testing.assert_allclose(longer, 3 * once, rtol=1e-11, atol=1e-12)


def test_normalised_inputs_count_the_bias_as_an_input_of_one():
    weights, inputs = drawn(4, biased=True)
    lifted = Weights(
        jnp.concatenate([weights.hidden, weights.hidden_bias[:, None]], axis=1),
        weights.output,
        None,
        weights.output_bias,
        weights.mask,
    )
    np.testing.assert_allclose(
        predict(weights, PReLU(3), inputs, normalise_inputs=True),
        predict(
            lifted,
            PReLU(3),
            jnp.pad(inputs, ((0, 0), (0, 1)), constant_values=1),
            normalise_inputs=True,
        ),
        rtol=1e-12,
    )


@pytest.mark.parametrize("normalise", [False, True])
@pytest.mark.parametrize(
    "activation", [ReLU(), PReLU(1.5), PReLU(3), Power(2.5)], ids=str
)
def test_gradients_at_zero_weights_and_inputs_are_zero(activation, normalise, dtype):
    weights, inputs = drawn(5)
    weights = jax.tree.map(lambda a: a if a.dtype == bool else a.astype(dtype), weights)
    rows = weights.hidden.at[:3].set(0)
    inputs = inputs.astype(dtype).at[0].set(0)

    def total(rows, output):
        weights_ = Weights(rows, output, None, None, weights.mask)
        outputs = predict(weights_, activation, inputs, normalise_inputs=normalise)
        return jnp.sum(outputs)

    hidden, output = jax.grad(total, argnums=(0, 1))(rows, weights.output)
    assert np.isfinite(hidden).all()
    np.testing.assert_array_equal(hidden[:3], 0.0)
    np.testing.assert_array_equal(output[:3], 0.0)
    assert float(jnp.max(jnp.abs(hidden[3:]))) > 0


@pytest.mark.parametrize("size", [1e-30, 1e-15, 1.0, 1e30])
def test_row_norms_neither_underflow_nor_overflow_in_float32(size):
    rows = jnp.asarray([[3.0, 4.0], [0.0, 0.0], [-5.0, 12.0]], jnp.float32) * size
    np.testing.assert_allclose(row_norms(rows), np.array([5.0, 0, 13]) * size, 1e-6)


def test_row_norms_have_the_unit_row_as_derivative():
    rows = jnp.asarray([[3.0, 4.0], [0.0, 0.0]])
    got = jax.grad(lambda r: jnp.sum(row_norms(r)))(rows)
    np.testing.assert_allclose(got, [[0.6, 0.8], [0.0, 0.0]], rtol=1e-15)


@pytest.mark.parametrize("exponent", [1, 2.5, 3, 6])
def test_a_start_of_size_1e_15_predicts_and_differentiates_in_float32(exponent):
    weights, inputs = drawn(6)
    tiny = jax.tree.map(lambda a: a if a.dtype == bool else 1e-15 * a, weights)

    def total(rows, inputs):
        moved = Weights(rows, tiny.output.astype(rows.dtype), None, None, tiny.mask)
        return jnp.sum(predict(moved, PReLU(exponent), inputs))

    want = jax.value_and_grad(total)(tiny.hidden, inputs)
    single = [array.astype(jnp.float32) for array in (tiny.hidden, inputs)]
    for got, exact in zip(jax.value_and_grad(total)(*single), want, strict=True):
        np.testing.assert_allclose(
            got, exact, rtol=1e-4, atol=1e-5 * np.abs(exact).max()
        )
        assert float(jnp.max(jnp.abs(got))) > 0
