"""The two-layer network: its specification, and its trained form as a flax module."""

from dataclasses import dataclass, field
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float, Int, Key, Real

from jaxbias import _draws
from jaxbias._checks import InputError, is_concrete, one_of, positive_int
from jaxbias._precision import float_dtype
from jaxbias.networks._own_activation import check_activation
from jaxbias.networks.activations import Activation, ReLU
from jaxbias.networks.initialization import (
    Gaussians,
    Initialization,
    balanced,
    positive_scale,
    representable_scale,
    signs,
)
from jaxbias.networks.weights import Weights, predict


class TwoLayerNetwork(nnx.Module):
    """A two-layer network as a flax module; a frozen readout is not an nnx.Param."""

    def __init__(
        self,
        weights: Weights,
        activation: Activation,
        *,
        frozen: bool = False,
        normalise_inputs: bool = False,
    ):
        check_activation(activation)
        self.activation = activation
        self.normalise_inputs = normalise_inputs
        self.hidden = nnx.Param(weights.hidden)
        self.output = (nnx.Variable if frozen else nnx.Param)(weights.output)
        self.hidden_bias = _parameter(weights.hidden_bias)
        self.output_bias = _parameter(weights.output_bias)
        self.mask = nnx.Variable(weights.mask)

    def weights(self) -> Weights:
        """The arrays of the network."""
        return Weights(
            hidden=self.hidden[...],
            output=self.output[...],
            hidden_bias=None if self.hidden_bias is None else self.hidden_bias[...],
            output_bias=None if self.output_bias is None else self.output_bias[...],
            mask=self.mask[...],
        )

    def __call__(
        self, inputs: Float[Array, "sample feature"]
    ) -> Float[Array, " sample"] | Float[Array, "sample class"]:
        """Network outputs, one row a sample."""
        return predict(
            self.weights(),
            self.activation,
            inputs,
            normalise_inputs=self.normalise_inputs,
        )


def _parameter(array: Array | None) -> nnx.Param | None:
    return None if array is None else nnx.Param(array)


@dataclass(frozen=True)
class TwoLayer:
    r"""Specification of $f(x) = \sum_j v_j \phi(x; w_j)$.

    Attributes:
        width: number of hidden neurons.
        activation: an :class:`Activation`.
        init: an :class:`Initialization`.
        output: ``"trained"``, or ``"frozen"`` at $v_j = \pm 1/\text{width}$ (with
            several classes: neuron j votes $1/\text{width}$ for one random class), or
            ``"grouped"``, frozen likewise but dealt out in turn: neuron j votes for
            label +1 where j is even and -1 where it is odd (with several classes: for
            class j mod classes) with the weight 1/(neurons of its group).
        classes: None for binary labels, else the number of classes.
        hidden_bias: add a bias to every neuron, starting at 0.
        output_bias: add a bias to every output, starting at 0.
        normalise_inputs: divide every hidden unit by $\|x\|^{p-1}$.
        output_size: replaces the modulus of grouped output weights.

    Raises:
        InputError: for a network without neurons, fewer than 2 classes, an unknown
            ``output``, an activation or initialisation of the wrong kind, groups of
            different sizes, an output size that is not positive or not needed, and
            an activation of one's own whose degree or slope is not that of its value.

    References:
        min-vidal-2024; min-vidal-2025; li-2025-feature-averaging (grouped; its code
        has the output size 1).
    """

    width: int
    activation: Activation = field(default_factory=ReLU)
    init: Initialization = field(default_factory=lambda: balanced(1e-7))
    output: str = "trained"
    classes: int | None = None
    hidden_bias: bool = False
    output_bias: bool = False
    normalise_inputs: bool = False
    output_size: float | int | None = None

    def __post_init__(self):
        positive_int("width", self.width)
        one_of("output", self.output, ("trained", "frozen", "grouped"))
        if self.classes is not None:
            positive_int("classes", self.classes)
            if self.classes < 2:
                raise InputError(
                    f"classes={self.classes}",
                    "one class leaves nothing to tell apart",
                    "classes=None for labels +1 and -1",
                )
        for name, kind, fix in (
            ("activation", Activation, "activation=PReLU(3)"),
            ("init", Initialization, "init=balanced(1e-7)"),
        ):
            value = getattr(self, name)
            if not isinstance(value, kind):
                raise InputError(f"{name}={value!r}", f"not an {kind.__name__}", fix)
        check_activation(self.activation)
        self._whole_groups(self.width)
        if self.output_size is not None:
            if self.output != "grouped":
                raise InputError(
                    f"output_size={self.output_size!r} with output={self.output!r}",
                    "only the output weights of groups have a size of their own",
                    "output='grouped'",
                )
            positive_scale("output_size", self.output_size)
            object.__setattr__(self, "output_size", float(self.output_size))

    @property
    def groups(self) -> int:
        """The number of groups of neurons that vote alike; 1 where there are none."""
        if self.output != "grouped":
            return 1
        return 2 if self.classes is None else self.classes

    @property
    def output_trained(self) -> bool:
        """Whether the output weights are trained."""
        return self.output == "trained"

    def _whole_groups(self, width: Any) -> None:
        if is_concrete(width) and width % self.groups:
            whole = -(-width // self.groups) * self.groups
            raise InputError(
                f"width={width} in groups={self.groups}",
                "every label or class has the same number of neurons",
                f"width={whole}",
            )

    def draw(
        self,
        key: Key[Array, ""],
        dim: int,
        *,
        width: int | Int[Array, ""] | None = None,
        scale: float | int | Real[Array, ""] | None = None,
        centres: Float[Array, "cluster feature"] | None = None,
        centre_labels: Float[Array, " cluster"] | None = None,
        padded: int | None = None,
        dtype: Any = None,
    ) -> Weights:
        """Draw initial weights; neuron j depends on ``fold_in(key, j)`` alone.

        Args:
            key: consumed.
            dim: input dimension.
            width: replaces the field, and may be traced if ``padded`` bounds it.
            scale: replaces the initialisation's, and may be traced.
            centres: needed by a nudged initialisation.
            centre_labels: +1 or -1 for each centre, likewise.
            padded: number of rows of the arrays; rows from ``width`` on are 0.
            dtype: float32 or float64. Draws are made in float32 and cast.

        Raises:
            InputError: for a dimension or width below 1, a width above ``padded`` or of
                groups of different sizes, a scale that is not positive or underflows,
                a nudge without centres.
        """
        positive_int("dim", dim)
        width = self.width if width is None else width
        positive_int("width", width)
        self._whole_groups(width)
        if padded is None:
            padded = int(width) if is_concrete(width) else self.width
        positive_int("padded", padded)
        if is_concrete(width) and width > padded:
            raise InputError(
                f"width={width} in padded={padded} rows",
                "every neuron needs a row",
                f"padded={width}",
            )
        dtype = float_dtype(dtype)
        scale = self.init.scale if scale is None else scale
        positive_scale("scale", scale)
        representable_scale(scale, dtype)
        gauss = self._gaussians(key, width, padded, dim, centres, dtype)
        hidden = self.init.hidden(gauss, scale, centres, centre_labels)
        if self.output == "frozen":
            output = _votes(gauss.votes) / jnp.asarray(width).astype(dtype)
        elif self.output == "grouped":
            output = self._group_votes(padded, width, dtype)
        else:
            output = self.init.output(gauss, scale, hidden)
        mask = jnp.arange(padded) < width
        classes = () if self.classes is None else (self.classes,)
        return Weights(
            hidden=jnp.where(mask[:, None], hidden, jnp.zeros_like(hidden)),
            output=jnp.where(
                mask if output.ndim == 1 else mask[:, None],
                output,
                jnp.zeros_like(output),
            ),
            hidden_bias=jnp.zeros(padded, dtype) if self.hidden_bias else None,
            output_bias=jnp.zeros(classes, dtype) if self.output_bias else None,
            mask=mask,
        )

    def _group_votes(self, padded: int, width: Any, dtype: Any) -> Array:
        """Output weights by the rank of a neuron in the order of the groups."""
        size = self.output_size
        if size is None:
            size = self.groups / jnp.asarray(width).astype(dtype)
        group = jnp.arange(padded) % self.groups
        if self.classes is None:
            return size * (1 - 2 * group).astype(dtype)
        return size * jax.nn.one_hot(group, self.classes, dtype=dtype)

    def _gaussians(
        self,
        key: Array,
        width: int | Array,
        padded: int,
        dim: int,
        centres: Array | None,
        dtype: Any,
    ) -> Gaussians:
        """One draw a neuron: compiling a random draw costs more than running it."""
        columns = self.classes or 1
        tickets = 0
        if self.init.nudged and centres is not None:
            tickets = len(centres)
        total = dim + columns + tickets

        def draw(neuron):
            own = _draws.fold_in(key, neuron)
            return _draws.normal(own, (total,), jnp.float32)

        gauss = jax.vmap(draw)(jnp.arange(padded)).astype(dtype)
        votes = gauss[:, dim : dim + columns]
        return Gaussians(
            rows=gauss[:, :dim],
            votes=votes[:, 0] if self.classes is None else votes,
            tickets=gauss[:, dim + columns :] if tickets else None,
            width=width,
        )

    def module(self, weights: Weights) -> TwoLayerNetwork:
        """The flax module of this specification that holds ``weights``."""
        return TwoLayerNetwork(
            weights,
            self.activation,
            frozen=not self.output_trained,
            normalise_inputs=self.normalise_inputs,
        )

    def build(self, key: Key[Array, ""], dim: int, **options: Any) -> TwoLayerNetwork:
        """Draw weights and hold them in a flax module; options as in :meth:`draw`."""
        return self.module(self.draw(key, dim, **options))


def _votes(
    votes: Float[Array, " neuron"] | Float[Array, "neuron class"],
) -> Float[Array, " neuron"] | Float[Array, "neuron class"]:
    if votes.ndim == 1:
        return signs(votes)
    winner = jnp.argmax(votes, axis=1)
    return jax.nn.one_hot(winner, votes.shape[1], dtype=votes.dtype)
