r"""From network outputs to a decision: the read-outs in circulation.

A network trained on k clusters decides between two labels in several ways, which are
not equivalent: their robustness radii differ by factors. Each read-out turns outputs
and labels into margins, positive where the label stands; a margin of 0 is a tie.

References:
    li-2025-feature-averaging, section 4 and code.
"""

import abc
from dataclasses import dataclass

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Shaped

from jaxbias._checks import InputError


class Readout(abc.ABC):
    """How outputs decide on a label."""

    name: str

    @abc.abstractmethod
    def margin(
        self,
        outputs: Float[Array, " sample"] | Float[Array, "sample class"],
        labels: Shaped[Array, " sample"],
    ) -> Float[Array, " sample"]:
        """Positive where the label stands."""


@dataclass(frozen=True)
class Score(Readout):
    r"""The sign of one output: $y f(x)$, labels +1 and -1."""

    name = "score"

    def margin(
        self,
        outputs: Float[Array, " sample"],
        labels: Shaped[Array, " sample"],
    ) -> Float[Array, " sample"]:
        """The output times the label."""
        return labels.astype(outputs.dtype) * outputs


@dataclass(frozen=True)
class Argmax(Readout):
    r"""The largest output: $f_y(x) - \max_{k \ne y} f_k(x)$, labels are classes."""

    name = "argmax"

    def margin(
        self,
        outputs: Float[Array, "sample class"],
        labels: Shaped[Array, " sample"],
    ) -> Float[Array, " sample"]:
        """The label's output minus the best other one."""
        own = jnp.arange(outputs.shape[1])[None] == labels[:, None]
        return _best(outputs, own) - _best(outputs, ~own)


@dataclass(frozen=True)
class _Grouped(Readout):
    """Classes that stand for +1 or -1.

    Attributes:
        groups: +1 or -1 for every class, both present.
    """

    groups: tuple[int, ...]

    def __post_init__(self):
        groups = tuple(int(group) for group in self.groups)
        object.__setattr__(self, "groups", groups)
        if set(groups) != {1, -1}:
            raise InputError(
                f"groups={self.groups!r}",
                "every class stands for label +1 or -1, and both occur",
                "groups=(1, 1, 1, -1, -1)",
            )

    def _own(self, labels: Array) -> Array:
        return jnp.asarray(self.groups)[None] == jnp.sign(labels)[:, None]


@dataclass(frozen=True)
class GroupArgmax(_Grouped):
    r"""The label of the largest output: $\max_{J_y} f_j - \max_{J_{-y}} f_j$."""

    name = "group argmax"

    def margin(
        self,
        outputs: Float[Array, "sample class"],
        labels: Shaped[Array, " sample"],
    ) -> Float[Array, " sample"]:
        """The best output of the label's classes minus the best of the others."""
        own = self._own(labels)
        return _best(outputs, own) - _best(outputs, ~own)


@dataclass(frozen=True)
class SummedLogits(_Grouped):
    r"""Outputs summed by label: $y(\sum_{J_+} f_j - \sum_{J_-} f_j)$."""

    name = "summed logits"

    def margin(
        self,
        outputs: Float[Array, "sample class"],
        labels: Shaped[Array, " sample"],
    ) -> Float[Array, " sample"]:
        """The sum over the label's classes minus that over the others."""
        signs = jnp.asarray(self.groups, outputs.dtype)
        total = jnp.matmul(outputs, signs, precision=jax.lax.Precision.HIGHEST)
        return labels.astype(outputs.dtype) * total


@dataclass(frozen=True)
class ProbabilitySum(_Grouped):
    r"""Softmax probabilities summed by label, as the difference of logsumexps."""

    name = "probability sum"

    def margin(
        self,
        outputs: Float[Array, "sample class"],
        labels: Shaped[Array, " sample"],
    ) -> Float[Array, " sample"]:
        """The logsumexp over the label's classes minus that over the others."""
        own = self._own(labels)
        total = lambda on: jax.nn.logsumexp(jnp.where(on, outputs, -jnp.inf), axis=1)
        return total(own) - total(~own)


def _best(outputs: Array, which: Array) -> Array:
    return jnp.max(jnp.where(which, outputs, -jnp.inf), axis=1)
