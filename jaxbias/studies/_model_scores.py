"""Models of every kind as functions of a few projections of their input."""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Array, Float, Key

from jaxbias import _draws
from jaxbias.data.clusters import OrthonormalClusters
from jaxbias.networks.activations import Activation
from jaxbias.networks.constructions import bayes_score
from jaxbias.networks.two_layer import TwoLayerNetwork


class FeedForward(nnx.Module):
    r"""$W_L\,\phi(W_{L-1} \cdots \phi(W_1 x))$ without biases, one output.

    Args:
        sizes: of the input and of every hidden layer.
        nonlinearity: $\phi$; without hidden layers it never acts.
        scale: standard deviation of every entry at the start.
        key: consumed.
    """

    def __init__(
        self,
        sizes: tuple[int, ...],
        nonlinearity: Callable[[Array], Array],
        scale: float,
        key: Key[Array, ""],
    ):
        self.nonlinearity = nonlinearity
        shapes = list(zip(sizes, (*sizes[1:], 1), strict=True))
        draws = zip(_draws.split(key, len(shapes)), shapes, strict=True)
        self.kernels = nnx.List(
            [
                nnx.Param(scale * _draws.normal(one, shape, jnp.float32))
                for one, shape in draws
            ]
        )

    def __call__(self, inputs: Float[Array, "sample feature"]) -> Array:
        """Network outputs, one a sample."""
        first, *rest = (kernel[...] for kernel in self.kernels)
        return Layers(tuple(rest), self.nonlinearity)(_matmul(inputs, first))


class Layers(eqx.Module):
    """The layers of a :class:`FeedForward` after the first."""

    kernels: tuple[Array, ...]
    nonlinearity: Callable[[Array], Array] = eqx.field(static=True)

    def __call__(self, scores: Float[Array, "sample neuron"]) -> Array:
        """Outputs from the first layer's scores."""
        for kernel in self.kernels:
            scores = _matmul(self.nonlinearity(scores), kernel)
        return scores[:, 0]


class Readout(eqx.Module):
    """A two-layer network after its scores."""

    norms: Float[Array, " neuron"]
    output: Float[Array, " neuron"]
    activation: Activation = eqx.field(static=True)

    def __call__(self, scores: Float[Array, "sample neuron"]) -> Array:
        """Outputs from scores."""
        return _matmul(self.activation.response(scores, self.norms), self.output)


class Bayes(eqx.Module):
    """The Bayes rule after the projections on orthonormal centres."""

    labels: Float[Array, " cluster"]
    deviation: Float[Array, ""]

    def __call__(self, scores: Float[Array, "sample cluster"]) -> Array:
        """Log-odds times the variance of a feature."""
        units = jnp.eye(len(self.labels), dtype=scores.dtype)
        return bayes_score(scores, units, self.labels, self.deviation)


class Score(eqx.Module):
    r"""$f(x) = g(Ux)$: nothing of the input outside the row span of U is seen.

    Attributes:
        rows: U.
        head: g.
    """

    rows: Float[Array, "neuron feature"]
    head: Callable[[Array], Array]

    def __call__(self, inputs: Float[Array, "sample feature"]) -> Array:
        """Outputs, one a sample."""
        return self.head(_matmul(inputs, self.rows.T))

    def in_span(self) -> tuple["Score", Float[np.ndarray, "feature coordinate"]]:
        """The same function of orthonormal coordinates of the span, and their basis.

        Shortest perturbations lie in the span, where an attack costs less.
        """
        basis, triangle = np.linalg.qr(np.asarray(self.rows).T)
        return Score(jnp.asarray(triangle.T), self.head), basis


def score_of(network: nnx.Module) -> Score:
    """The score of a two-layer network or a :class:`FeedForward`, in float64."""
    exact = lambda array: jnp.asarray(array, jnp.float64)
    if isinstance(network, FeedForward):
        first, *rest = (exact(kernel[...]) for kernel in network.kernels)
        return Score(first.T, Layers(tuple(rest), network.nonlinearity))
    assert isinstance(network, TwoLayerNetwork)
    weights = jax.tree.map(exact, network.weights())
    head = Readout(weights.norms(), weights.output, network.activation)
    return Score(weights.hidden, head)


def bayes_rule(clusters: OrthonormalClusters, centres: Any) -> Score:
    """The Bayes rule of clusters around orthonormal centres, (cluster, feature)."""
    deviation = jnp.asarray(clusters.noise * clusters.noise_per_feature, jnp.float64)
    labels = jnp.asarray(clusters.labels, jnp.float64)
    return Score(jnp.asarray(centres, jnp.float64), Bayes(labels, deviation))


def _matmul(left: Array, right: Array) -> Array:
    return jnp.matmul(left, right, precision=jax.lax.Precision.HIGHEST)
