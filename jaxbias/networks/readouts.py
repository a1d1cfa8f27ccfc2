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


class _OwnAgainstOthers(Readout):
    """A total over the classes of the label, minus the same over the others."""

    #: Of what does not count.
    _nothing: float = -jnp.inf

    @abc.abstractmethod
    def _own(self, outputs: Array, labels: Array) -> Array:
        """Which outputs speak for the label."""

    def _total(self, outputs: Array) -> Array:
        return jnp.max(outputs, axis=1)

    def margin(
        self,
        outputs: Float[Array, "sample class"],
        labels: Shaped[Array, " sample"],
    ) -> Float[Array, " sample"]:
        """The total of the label's classes minus that of the others."""
        own = self._own(outputs, labels)
        return self._total(jnp.where(own, outputs, self._nothing)) - self._total(
            jnp.where(own, self._nothing, outputs)
        )


@dataclass(frozen=True)
class Argmax(_OwnAgainstOthers):
    r"""The largest output: $f_y(x) - \max_{k \ne y} f_k(x)$, labels are classes."""

    name = "argmax"

    def _own(self, outputs: Array, labels: Array) -> Array:
        return jnp.arange(outputs.shape[1])[None] == labels[:, None]


@dataclass(frozen=True)
class GroupArgmax(_OwnAgainstOthers):
    r"""The label of the largest output: $\max_{J_y} f_j - \max_{J_{-y}} f_j$.

    Attributes:
        groups: +1 or -1 for every class, both present.
    """

    groups: tuple[int, ...]
    name = "group argmax"

    def __post_init__(self):
        groups = tuple(int(group) for group in self.groups)
        object.__setattr__(self, "groups", groups)
        if set(groups) != {1, -1}:
            raise InputError(
                f"groups={self.groups!r}",
                "every class stands for label +1 or -1, and both occur",
                "groups=(1, 1, 1, -1, -1)",
            )

    def _own(self, outputs: Array, labels: Array) -> Array:
        return (jnp.asarray(self.groups) > 0)[None] == (labels > 0)[:, None]


@dataclass(frozen=True)
class SummedLogits(GroupArgmax):
    r"""Outputs summed by label: $y(\sum_{J_+} f_j - \sum_{J_-} f_j)$."""

    name = "summed logits"
    _nothing = 0.0

    def _total(self, outputs: Array) -> Array:
        return jnp.sum(outputs, axis=1)


@dataclass(frozen=True)
class ProbabilitySum(GroupArgmax):
    r"""Softmax probabilities summed by label, as the difference of logsumexps."""

    name = "probability sum"

    def _total(self, outputs: Array) -> Array:
        return jax.nn.logsumexp(outputs, axis=1)
