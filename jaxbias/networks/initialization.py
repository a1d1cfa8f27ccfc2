"""Small random starts: balanced, unbalanced, and nudged toward the centres."""

import abc
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key, Real

from jaxbias._checks import InputError, at_least, is_concrete, nonnegative, one_of
from jaxbias.networks.weights import row_norms

_HIDDEN, _SIGN, _CENTRE, _OUTPUT = range(4)


class Initialization(abc.ABC):
    """Draws rows of hidden weights and the readout that goes with them.

    Neuron j draws from its own key alone, and every draw is made in float32 and cast.
    """

    scale: float | int

    @abc.abstractmethod
    def hidden(
        self,
        keys: Key[Array, " neuron"],
        dim: int,
        *,
        scale: float | int | Real[Array, ""],
        signs: Float[Array, " neuron"] | Float[Array, "neuron class"],
        centres: Float[Array, "cluster feature"] | None,
        centre_labels: Float[Array, " cluster"] | None,
        dtype: Any,
    ) -> Float[Array, "neuron feature"]:
        """Hidden weights, one row a neuron."""

    @abc.abstractmethod
    def output(
        self,
        keys: Key[Array, " neuron"],
        hidden: Float[Array, "neuron feature"],
        signs: Float[Array, " neuron"] | Float[Array, "neuron class"],
        scale: float | int | Real[Array, ""],
    ) -> Float[Array, " neuron"] | Float[Array, "neuron class"]:
        """Output weights; ``signs`` are +-1 or unit vectors over the classes."""


@dataclass(frozen=True)
class Balanced(Initialization):
    r"""$|v_j| = \|w_j\|$ exactly, with random signs; see :func:`balanced`."""

    scale: float | int
    nudge: float | int = 0.0
    shape: str = "entries"

    def __post_init__(self):
        positive_scale("scale", self.scale)
        object.__setattr__(self, "scale", float(self.scale))
        nonnegative("nudge", self.nudge)
        if self.nudge > 1:
            raise InputError(
                f"nudge={self.nudge!r}",
                "1 already puts every neuron on a centre",
                "nudge=0.05",
            )
        one_of("shape", self.shape, ("entries", "unit"))

    def hidden(self, keys, dim, *, scale, signs, centres, centre_labels, dtype):
        """Gaussian rows, nudged at unit norm, then scaled."""
        rows = _gauss(keys, _HIDDEN, (dim,), dtype) / np.sqrt(dim).astype(dtype)
        if self.nudge:
            own = _own_centres(keys, signs, centres, centre_labels)
            rows = rows + self.nudge * (own.astype(dtype) - rows)
        size = jnp.asarray(scale).astype(dtype)
        return rows * (size if self.shape == "unit" else size * float(np.sqrt(dim)))

    def output(self, keys, hidden, signs, scale):
        """Signs (or unit vectors) times the norms of the hidden rows."""
        norms = row_norms(hidden)
        return signs * (norms if signs.ndim == 1 else norms[:, None])


@dataclass(frozen=True)
class Unbalanced(Initialization):
    """Independent Gaussian entries in both layers; see :func:`unbalanced`."""

    scale: float | int
    output_scale: float | int | None = None

    def __post_init__(self):
        positive_scale("scale", self.scale)
        object.__setattr__(self, "scale", float(self.scale))
        if self.output_scale is not None:
            positive_scale("output_scale", self.output_scale)

    def hidden(self, keys, dim, *, scale, signs, centres, centre_labels, dtype):
        """Gaussian rows."""
        return _gauss(keys, _HIDDEN, (dim,), dtype) * jnp.asarray(scale).astype(dtype)

    def output(self, keys, hidden, signs, scale):
        """Gaussian readout, folded so that ``signs`` holds the sign (binary)."""
        size = scale if self.output_scale is None else self.output_scale
        gauss = _gauss(keys, _OUTPUT, signs.shape[1:], hidden.dtype)
        gauss = signs * jnp.abs(gauss) if signs.ndim == 1 else gauss
        return gauss * jnp.asarray(size).astype(hidden.dtype)


def balanced(
    scale: float | int, nudge: float | int = 0.0, shape: str = "entries"
) -> Balanced:
    r"""Small balanced start: $|v_j| = \|w_j\|$, signs fair and independent.

    Args:
        scale: ``shape="entries"``: every entry of $w_j$ is $N(0, \text{scale}^2)$;
            ``shape="unit"``: $N(0, \text{scale}^2/D)$, so that $\|w_j\| \approx$ scale.
        nudge: moves the unit-size row toward a random centre of its own class,
            $w \leftarrow w + \text{nudge}\,(\mu - w)$, which makes the start
            non-degenerate with respect to the Voronoi regions of the centres.
        shape: ``"entries"`` or ``"unit"``.

    Raises:
        InputError: for a scale that is not positive or a nudge outside [0, 1].

    References:
        min-vidal-2025, assumptions A1 and A2 and appendix B.1.
    """
    return Balanced(scale, nudge, shape)


def unbalanced(
    scale: float | int, output_scale: float | int | None = None
) -> Unbalanced:
    r"""Gaussian entries: $W$ of size ``scale``, $v$ of size ``output_scale``.

    The output scale is ``scale`` when left out, as in the authors' experiments; then
    $\|w_j\| \gg |v_j|$ and the sign of $v_j$ may flip early.

    Raises:
        InputError: for a scale that is not positive.
    """
    return Unbalanced(scale, output_scale)


def positive_scale(name: str, scale: Any) -> None:
    """Refuse a scale that is not a positive finite number."""
    at_least(name, scale, 0.0)
    if is_concrete(scale) and scale == 0:
        raise InputError(
            f"{name}={scale!r}",
            "a network of zeros is a fixed point of the flow",
            f"{name}=1e-7",
        )


def representable_scale(scale: Any, dtype: Any) -> None:
    """Refuse a scale whose square, the size of the outputs, underflows in ``dtype``."""
    tiny = float(np.sqrt(np.finfo(dtype).tiny))
    if is_concrete(scale) and scale < tiny:
        raise InputError(
            f"scale={scale!r} in {np.dtype(dtype).name}",
            f"outputs start at its square, which underflows below scale {tiny:.1e}",
            "dtype='float64'" if np.dtype(dtype) == np.float32 else f"scale={tiny:.1e}",
        )


def output_signs(
    keys: Key[Array, " neuron"], classes: int | None, dtype: Any
) -> Float[Array, " neuron"] | Float[Array, "neuron class"]:
    """Fair signs, or unit vectors over the classes in uniform directions."""
    if classes is not None:
        gauss = _gauss(keys, _SIGN, (classes,), dtype)
        return gauss / row_norms(gauss)[:, None]
    fair = jax.vmap(lambda k: jax.random.bernoulli(jax.random.fold_in(k, _SIGN)))(keys)
    return jnp.where(fair, 1, -1).astype(dtype)


def _gauss(keys: Array, stream: int, shape: tuple[int, ...], dtype: Any) -> Array:
    def draw(key):
        return jax.random.normal(jax.random.fold_in(key, stream), shape, jnp.float32)

    return jax.vmap(draw)(keys).astype(dtype)


def _own_centres(keys: Array, signs: Array, centres: Any, centre_labels: Any) -> Array:
    if centres is None or centre_labels is None or signs.ndim != 1:
        raise InputError(
            "nudge > 0 without labelled centres of two classes",
            "neurons are moved toward a centre of their own class",
            "nudge=0.0, or draw(..., centres=..., centre_labels=...)",
        )
    ticket = jax.vmap(
        lambda k: jax.random.uniform(
            jax.random.fold_in(k, _CENTRE), (len(centres),), jnp.float32
        )
    )(keys)
    own = signs[:, None] * centre_labels.astype(signs.dtype)[None, :] > 0
    chosen = jnp.argmax(jnp.where(own, ticket, -jnp.ones_like(ticket)), axis=1)
    return (centres / row_norms(centres)[:, None])[chosen]
