"""Modules of a user's package, which specifications name."""

import jax
import jax.numpy as jnp
from flax import nnx

from jaxbias.networks import PReLU, TwoLayer, balanced


class Small(nnx.Module):
    """A layer, perhaps with normalisation and dropout."""

    def __init__(self, width, *, normalised=False, dropout=0.0, rngs):
        self.first = nnx.Linear(4, width, use_bias=False, rngs=rngs)
        self.norm = (
            nnx.BatchNorm(width, momentum=0.8, rngs=rngs) if normalised else None
        )
        self.drop = nnx.Dropout(dropout, rngs=rngs)
        self.second = nnx.Linear(width, 3, rngs=rngs)

    def __call__(self, inputs):
        hidden = self.first(inputs)
        if self.norm is not None:
            hidden = self.norm(hidden)
        return self.second(self.drop(nnx.relu(hidden)))


class Linear(nnx.Module):
    """One output, linear in its weights, which start at 0."""

    def __init__(self, dim, *, rngs):
        self.weights = nnx.Param(jnp.zeros(dim, jnp.float32))

    def __call__(self, inputs):
        return inputs @ self.weights[...]


def two_layer(width, *, key):
    """A network of the package."""
    return TwoLayer(width, PReLU(3), balanced(0.3)).build(key, 4, dtype="float32")


def of_jax(*, key):
    """Draws of JAX itself."""
    module = Linear(4, rngs=None)
    module.weights[...] = jax.random.normal(key, (4,), jnp.float32)
    return module


def neither(width):
    """Takes no key."""
    return Linear(width, rngs=None)
