r"""Activations, their degree of homogeneity and their convention at the kink.

Every derivative at 0 is the left one: $\sigma'(0) = 0$ for the (p)ReLU. For $p = 1$
this picks one element of the Filippov set; sliding is the business of the integrator.
"""

import abc
from dataclasses import dataclass

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxbias._checks import InputError, at_least

# 2 to this power is infinite in float64, and outputs would be 0 or infinite.
_TOO_LARGE = 1024


class Activation(abc.ABC):
    r"""A scalar function $\psi$, positively homogeneous of degree ``degree``.

    One's own is a frozen dataclass with these four members. When it is built into a
    network ``degree`` and ``slope`` are held against ``value``.
    """

    @property
    @abc.abstractmethod
    def degree(self) -> float:
        r"""The degree $p$: $\psi(\gamma c) = \gamma^p \psi(c)$ for $\gamma > 0$."""

    @property
    @abc.abstractmethod
    def normalised(self) -> bool:
        r"""Whether a neuron's output is divided by $\|w\|^{p-1}$."""

    @abc.abstractmethod
    def value(self, c: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
        r"""$\psi(c)$."""

    @abc.abstractmethod
    def slope(self, c: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
        r"""$\psi'(c)$, at 0 the derivative from the left."""

    @property
    def smoothness(self) -> float:
        """0 when the derivative jumps at 0, else the order ``degree - 1`` of its root.

        At least 1 means that the gradient flow is locally Lipschitz.
        """
        return self.degree - 1.0

    @property
    def lipschitz(self) -> float | None:
        r"""A constant L with $|\psi(a) - \psi(b)| \le L |a - b|$, None where unstated.

        Radii of an activation that has no certificate of its own rest on it.
        """
        return None

    def response(
        self, scores: Float[Array, "sample neuron"], norms: Float[Array, " neuron"]
    ) -> Float[Array, "sample neuron"]:
        r"""Neuron outputs from scores $\langle x, w_j\rangle$ and norms $\|w_j\|$.

        Normalised: $\|w_j\|\,\psi(\langle x, w_j\rangle/\|w_j\|)$, dividing before the
        power so that small weights do not underflow; a neuron of norm 0 gives 0, and
        so does its derivative. Otherwise $\psi(\langle x, w_j\rangle)$.
        """
        if not self.normalised or self.degree == 1:
            return self.value(scores)
        divisor = jnp.where(norms > 0, norms, jnp.ones_like(norms))
        return norms[None, :] * self.value(scores / divisor[None, :])


def _power(c: Array, exponent: float) -> Array:
    """relu(c)^exponent without pow for the exponents 1 to 4."""
    r = jax.nn.relu(c)
    if exponent == 1:
        return r
    if exponent == 2:
        return r * r
    if exponent == 3:
        return r * r * r
    if exponent == 4:
        return jnp.square(r * r)
    active = c > 0
    return jnp.where(active, jnp.where(active, c, jnp.ones_like(c)) ** exponent, r)


def _power_slope(c: Array, exponent: float) -> Array:
    if exponent == 1:
        return (c > 0).astype(c.dtype)
    return exponent * _power(c, exponent - 1)


def _check_exponent(exponent: float | int) -> float:
    at_least(
        "exponent",
        exponent,
        1.0,
        "below 1 the gradient is unbounded where a neuron switches on",
    )
    if exponent >= _TOO_LARGE:
        raise InputError(
            f"exponent={exponent:g}",
            "2 to this power is more than any float64",
            "exponent=3",
        )
    return float(exponent)


@dataclass(frozen=True)
class ReLU(Activation):
    r"""$\max(c, 0)$ with $\sigma'(0) = 0$."""

    @property
    def exponent(self) -> float:
        """The exponent, 1."""
        return 1.0

    degree = exponent

    @property
    def normalised(self) -> bool:
        """False: at degree 1 there is nothing to divide by."""
        return False

    @property
    def lipschitz(self) -> float:
        """1, the steeper slope."""
        return 1.0

    def value(self, c: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
        """The positive part."""
        return jax.nn.relu(c)

    def slope(self, c: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
        """1 where c > 0, else 0."""
        return (c > 0).astype(c.dtype)


@dataclass(frozen=True)
class LeakyReLU(Activation):
    r"""$c$ for $c > 0$ and $\text{leak}\cdot c$ otherwise, $0 \le$ leak $\le 1$.

    Raises:
        InputError: when the leak is outside [0, 1].
    """

    leak: float | int = 0.01

    def __post_init__(self):
        at_least("leak", self.leak, 0.0)
        if self.leak > 1:
            raise InputError(
                f"leak={self.leak!r}",
                "above 1 the negative side would be the steeper one",
                "leak=0.01",
            )

    @property
    def exponent(self) -> float:
        """The exponent, 1."""
        return 1.0

    degree = exponent

    @property
    def normalised(self) -> bool:
        """False: at degree 1 there is nothing to divide by."""
        return False

    @property
    def lipschitz(self) -> float:
        """1, the steeper slope."""
        return 1.0

    def value(self, c: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
        """The leaky positive part."""
        return jnp.where(c > 0, c, self.leak * c)

    def slope(self, c: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
        """1 where c > 0, else the leak."""
        return jnp.where(c > 0, jnp.ones_like(c), jnp.full_like(c, self.leak))


@dataclass(frozen=True)
class PReLU(Activation):
    r"""The polynomial ReLU: $\sigma(\langle x, w\rangle)^p / \|w\|^{p-1}$, $p \ge 1$.

    Degree $p$ in the input, degree 1 in the weights, so balancedness
    $v_j^2 - \|w_j\|^2$ is conserved for every $p$.

    Raises:
        InputError: when the exponent is below 1 or undefined.

    References:
        min-vidal-2024; min-vidal-2025, section 2.
    """

    exponent: float | int = 3.0

    def __post_init__(self):
        object.__setattr__(self, "exponent", _check_exponent(self.exponent))

    @property
    def degree(self) -> float:
        """The exponent."""
        return self.exponent

    @property
    def normalised(self) -> bool:
        """True: divided by the norm of the neuron to the power p - 1."""
        return True

    def value(self, c: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
        """The positive part to the power p."""
        return _power(c, self.exponent)

    def slope(self, c: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
        """P times the positive part to the power p - 1."""
        return _power_slope(c, self.exponent)


@dataclass(frozen=True)
class Power(Activation):
    r"""The regular power activation $\sigma(\langle x, w\rangle)^p$, not normalised.

    The conserved quantity of its flow is $p\,v_j^2 - \|w_j\|^2$.

    Raises:
        InputError: when the exponent is below 1 or undefined.
    """

    exponent: float | int = 3.0

    def __post_init__(self):
        object.__setattr__(self, "exponent", _check_exponent(self.exponent))

    @property
    def degree(self) -> float:
        """The exponent."""
        return self.exponent

    @property
    def normalised(self) -> bool:
        """False."""
        return False

    def value(self, c: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
        """The positive part to the power p."""
        return _power(c, self.exponent)

    def slope(self, c: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
        """P times the positive part to the power p - 1."""
        return _power_slope(c, self.exponent)
