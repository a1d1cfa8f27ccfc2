r"""Losses of one sample, their slopes, and the factor $s_0$ of the early clock."""

import abc
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Bool, Float, Shaped

from jaxbias._checks import InputError, one_of


class Loss(abc.ABC):
    r"""A loss $\ell(y, \hat y)$ per sample, differentiable in the output."""

    @property
    @abc.abstractmethod
    def name(self) -> str:
        """The name under which the loss is registered."""

    @property
    @abc.abstractmethod
    def slope_at_zero(self) -> float:
        r"""$s_0 = |\partial\ell/\partial\hat y|$ at output 0: the early clock's factor.

        Raises:
            InputError: when it depends on more than the loss (cross-entropy).
        """

    @abc.abstractmethod
    def value(
        self, outputs: Float[Array, "*shape"], labels: Shaped[Array, "..."]
    ) -> Float[Array, "..."]:
        r"""$\ell(y_i, \hat y_i)$, one number a sample."""

    @abc.abstractmethod
    def slope(
        self, outputs: Float[Array, "*shape"], labels: Shaped[Array, "..."]
    ) -> Float[Array, "*shape"]:
        r"""$\partial\ell/\partial\hat y$ a sample, in the shape of ``outputs``."""


@dataclass(frozen=True)
class Exponential(Loss):
    r"""$e^{-y\hat y}$, labels $\pm 1$, $s_0 = 1$."""

    @property
    def name(self) -> str:
        """``"exponential"``."""
        return "exponential"

    @property
    def slope_at_zero(self) -> float:
        """1."""
        return 1.0

    def value(self, outputs, labels):
        """The exponential of minus the margin."""
        return jnp.exp(-labels * outputs)

    def slope(self, outputs, labels):
        """Minus the label times the loss."""
        return -labels * jnp.exp(-labels * outputs)


@dataclass(frozen=True)
class Logistic(Loss):
    r"""$\log(1 + e^{-y\hat y})$, labels $\pm 1$, $s_0 = 1/2$."""

    @property
    def name(self) -> str:
        """``"logistic"``."""
        return "logistic"

    @property
    def slope_at_zero(self) -> float:
        """One half."""
        return 0.5

    def value(self, outputs, labels):
        """The softplus of minus the margin."""
        return jax.nn.softplus(-labels * outputs)

    def slope(self, outputs, labels):
        """Minus the label times the sigmoid of minus the margin."""
        return -labels * jax.nn.sigmoid(-labels * outputs)


@dataclass(frozen=True)
class Squared(Loss):
    r"""$\tfrac12(y - \hat y)^2$, labels $\pm 1$ (any reals), $s_0 = 1$."""

    @property
    def name(self) -> str:
        """``"squared"``."""
        return "squared"

    @property
    def slope_at_zero(self) -> float:
        """1, for labels of size 1."""
        return 1.0

    def value(self, outputs, labels):
        """Half the squared residual."""
        return optax.squared_error(outputs, labels) / 2

    def slope(self, outputs, labels):
        """The residual."""
        return outputs - labels


@dataclass(frozen=True)
class CrossEntropy(Loss):
    r"""$\log\sum_k e^{\hat y_k} - \hat y_y$, integer labels, one output a class."""

    @property
    def name(self) -> str:
        """``"cross_entropy"``."""
        return "cross_entropy"

    @property
    def slope_at_zero(self) -> float:
        """Undefined: it depends on the number of classes."""
        raise InputError(
            "slope_at_zero of cross_entropy",
            "its slope at output 0 is a vector that depends on the number of classes",
            "cross_entropy.slope(outputs, labels)",
        )

    def value(self, outputs, labels):
        """The softmax cross-entropy."""
        return optax.softmax_cross_entropy_with_integer_labels(outputs, labels)

    def slope(self, outputs, labels):
        """Softmax minus the one-hot label."""
        hot = jax.nn.one_hot(labels, outputs.shape[-1], dtype=outputs.dtype)
        return jax.nn.softmax(outputs) - hot


exponential = Exponential()
logistic = Logistic()
squared = Squared()
cross_entropy = CrossEntropy()

LOSSES: dict[str, Loss] = {
    loss.name: loss for loss in (exponential, logistic, squared, cross_entropy)
}


def named(loss: Any) -> Loss:
    """The registered loss of that name; a loss passes through.

    Raises:
        InputError: for an unknown name, with the closest known ones.
    """
    if isinstance(loss, Loss):
        return loss
    one_of("loss", loss, LOSSES)
    return LOSSES[loss]


def correct(
    outputs: Float[Array, " sample"] | Float[Array, "sample class"],
    labels: Shaped[Array, " sample"],
) -> Bool[Array, " sample"]:
    r"""Whether $y\hat y > 0$ (ties are errors), or the largest output is the class."""
    if outputs.ndim == 1:
        return labels * outputs > 0
    return jnp.argmax(outputs, axis=-1).astype(labels.dtype) == labels
