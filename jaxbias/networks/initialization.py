"""Small random starts: balanced, unbalanced, and nudged toward the centres."""

import abc
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Real

from jaxbias._checks import InputError, at_least, is_concrete, nonnegative, one_of
from jaxbias.networks.weights import row_norms


class Gaussians(NamedTuple):
    """Standard Gaussian numbers, all that is random in a start.

    Attributes:
        rows: for the hidden weights.
        votes: for the sign of the readout, or its direction over the classes.
        tickets: for the choice of a centre; None where nothing is nudged.
        width: neurons of the network; rows beyond are padding.
    """

    rows: Float[Array, "neuron feature"]
    votes: Float[Array, " neuron"] | Float[Array, "neuron class"]
    tickets: Float[Array, "neuron cluster"] | None
    width: int | Int[Array, ""]


class Initialization(abc.ABC):
    """Turns Gaussian numbers into weights."""

    scale: float | int

    @property
    def nudged(self) -> bool:
        """Whether the start depends on the centres."""
        return False

    @abc.abstractmethod
    def hidden(
        self,
        gauss: Gaussians,
        scale: float | int | Real[Array, ""],
        centres: Float[Array, "cluster feature"] | None,
        centre_labels: Float[Array, " cluster"] | None,
    ) -> Float[Array, "neuron feature"]:
        """Hidden weights, one row a neuron."""

    @abc.abstractmethod
    def output(
        self,
        gauss: Gaussians,
        scale: float | int | Real[Array, ""],
        hidden: Float[Array, "neuron feature"],
    ) -> Float[Array, " neuron"] | Float[Array, "neuron class"]:
        """Output weights."""


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
        object.__setattr__(self, "nudge", float(self.nudge))
        one_of("shape", self.shape, ("entries", "unit"))

    @property
    def nudged(self) -> bool:
        """Whether the nudge is positive."""
        return self.nudge > 0

    def hidden(self, gauss, scale, centres, centre_labels):
        """Gaussian rows, nudged at unit size, then scaled."""
        rows = gauss.rows
        root = float(np.sqrt(rows.shape[1]))
        size = jnp.asarray(scale).astype(rows.dtype)
        rows = rows / root
        if self.nudged:
            own = _own_centres(gauss, centres, centre_labels)
            rows = rows + self.nudge * (own - rows)
        return rows * (size if self.shape == "unit" else size * root)

    def output(self, gauss, scale, hidden):
        """Signs (or unit vectors) times the norms of the hidden rows."""
        norms = row_norms(hidden)
        if gauss.votes.ndim == 1:
            return signs(gauss.votes) * norms
        return gauss.votes * (norms / row_norms(gauss.votes))[:, None]


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

    def hidden(self, gauss, scale, centres, centre_labels):
        """Gaussian rows."""
        return gauss.rows * jnp.asarray(scale).astype(gauss.rows.dtype)

    def output(self, gauss, scale, hidden):
        """Gaussian votes."""
        size = scale if self.output_scale is None else self.output_scale
        return gauss.votes * jnp.asarray(size).astype(hidden.dtype)


@dataclass(frozen=True)
class TorchUniform(Initialization):
    """PyTorch's uniform starts; see :func:`torch_uniform`."""

    scale: float | int = 1.0

    def __post_init__(self):
        positive_scale("scale", self.scale)
        object.__setattr__(self, "scale", float(self.scale))

    def hidden(self, gauss, scale, centres, centre_labels):
        """Uniform entries of variance 2/width."""
        bound = jnp.sqrt(jnp.asarray(6.0 / gauss.width).astype(gauss.rows.dtype))
        return _uniform(gauss.rows) * bound * jnp.asarray(scale).astype(bound.dtype)

    def output(self, gauss, scale, hidden):
        """Uniform entries of variance 1/(3 width)."""
        bound = jnp.sqrt(jnp.asarray(1.0 / gauss.width).astype(hidden.dtype))
        return _uniform(gauss.votes) * bound * jnp.asarray(scale).astype(bound.dtype)


def _uniform(gauss: Array) -> Array:
    """Standard Gaussian numbers as uniform ones in (-1, 1)."""
    return 2 * jax.scipy.special.ndtr(gauss) - 1


def torch_uniform(scale: float | int = 1.0) -> TorchUniform:
    r"""The start of min-vidal-2024's image experiments, in PyTorch's conventions.

    Their hidden weights are ``kaiming_uniform_`` of a tensor of shape (dim, width),
    whose ``fan_in`` PyTorch takes to be the *width*: entries are
    $U(-\sqrt{6/h}, \sqrt{6/h})$. The readout is ``Linear``'s default,
    $U(-1/\sqrt{h}, 1/\sqrt{h})$; its bias starts at 0 here.

    Args:
        scale: multiplies both layers.

    Raises:
        InputError: for a scale that is not positive.

    References:
        min-vidal-2024, released code.
    """
    return TorchUniform(scale)


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
    at_least(name, scale, 0.0, "it must be a finite number above 0", fix=1e-7)
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


def signs(
    votes: Float[Array, " neuron"],
) -> Float[Array, " neuron"]:
    """+1 and -1, never 0."""
    return jnp.where(votes > 0, 1, -1).astype(votes.dtype)


def _own_centres(gauss: Gaussians, centres: Any, centre_labels: Any) -> Array:
    votes, tickets = gauss.votes, gauss.tickets
    if centre_labels is None or tickets is None or votes.ndim != 1:
        raise InputError(
            "nudge > 0 without labelled centres of two classes",
            "neurons are moved toward a centre of their own class",
            "nudge=0.0, or draw(..., centres=..., centre_labels=...)",
        )
    own = signs(votes)[:, None] * centre_labels.astype(votes.dtype)[None, :] > 0
    # The largest of independent tickets is a fair choice among the centres that own.
    chosen = jnp.argmax(jnp.where(own, tickets, -jnp.inf), axis=1)
    return (centres / row_norms(centres)[:, None]).astype(votes.dtype)[chosen]
