"""Networks of one padded shape, so that a norm and an exponent compile once."""

import jax
import jax.numpy as jnp
import numpy as np

from jaxbias.networks.activations import LeakyReLU, PReLU, ReLU
from jaxbias.networks.weights import Weights
from jaxbias.robustness import radius_batch

RUNS, WIDTH, DIM, POINTS = 16, 12, 10, 10


def make(hidden, output, hidden_bias=None, output_bias=None):
    """Weights; arrays with a leading run axis give a batch of them."""

    def one(arrays):
        rows, values, bias, constant = arrays
        mask = jnp.ones(rows.shape[0], bool)
        return Weights(rows, values, bias, constant, mask)

    given = (hidden, output, hidden_bias, output_bias)
    arrays = tuple(None if a is None else jnp.asarray(a) for a in given)
    return (jax.vmap(one) if arrays[0].ndim == 3 else one)(arrays)


def forward(weights, activation, inputs):
    """The network written out again, in NumPy."""
    weights = jax.tree.map(np.asarray, weights)
    bias = 0.0 if weights.hidden_bias is None else weights.hidden_bias
    constant = 0.0 if weights.output_bias is None else weights.output_bias
    scores = inputs @ weights.hidden.T + bias
    if isinstance(activation, LeakyReLU):
        hidden = np.where(scores > 0, scores, activation.leak * scores)
    else:
        hidden = np.maximum(scores, 0) ** activation.degree
    if activation.normalised:
        norms = np.sqrt((weights.hidden**2).sum(1) + bias**2)
        hidden = hidden / np.where(norms > 0, norms, 1) ** (activation.degree - 1)
    return hidden @ weights.output + constant


def activation_of(exponent):
    return ReLU() if exponent == 1 else PReLU(exponent)


def classifier(positive, negative, amplitudes=None, averaged=False):
    """Rows and outputs of F or F^(p) with unit neurons, zero-padded."""
    centres = np.eye(positive + negative, DIM)
    signs = np.r_[np.ones(positive), -np.ones(negative)]
    hidden, output = np.zeros((WIDTH, DIM)), np.zeros(WIDTH)
    if averaged:
        a, b = amplitudes or (positive**0.5, negative**0.5)
        hidden[0] = centres[:positive].sum(0) / positive**0.5
        hidden[1] = centres[positive:].sum(0) / negative**0.5
        output[:2] = a, -b
    else:
        hidden[: len(signs)] = centres
        output[: len(signs)] = signs * (1.0 if amplitudes is None else amplitudes)
    return hidden, output, centres, signs


def batch_radius(cases, exponent, order, dtype="float64"):
    """Radii of (hidden, output, points, labels), padded to the common shape.

    The weights are of type ``dtype``, which must hold them exactly.
    """
    cases = cases + [cases[-1]] * (RUNS - len(cases))
    hidden = np.zeros((RUNS, WIDTH, DIM))
    output = np.zeros((RUNS, WIDTH))
    points, labels = np.zeros((RUNS, POINTS, DIM)), np.zeros((RUNS, POINTS))
    for i, (w, v, x, y) in enumerate(cases):
        hidden[i, : w.shape[0], : w.shape[1]], output[i, : len(v)] = w, v
        repeat = np.resize(np.arange(len(x)), POINTS)
        points[i, :, : x.shape[1]], labels[i] = x[repeat], y[repeat]
    assert np.array_equal(hidden.astype(dtype), hidden)
    weights = make(hidden.astype(dtype), output.astype(dtype))
    return radius_batch(weights, activation_of(exponent), points, labels, order=order)
