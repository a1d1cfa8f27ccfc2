"""The problem: loss, data, network and clock, as a specification and as arrays.

The flow is ``theta' = -grad L(theta)`` with ``L = sum_i omega_i l(f(x_i), y_i)``.
At a kink the derivative of the activation is taken as 0 (``jax.nn.relu``). For
exponent 1 solutions are those of the Filippov differential inclusion, which on
this problem is the Clarke one: attractive sliding is unique, repelling crossings
are not, and a trajectory reports the fraction of both.
"""

import dataclasses
from typing import Any, Protocol, runtime_checkable

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Key

from jaxbias import _draws
from jaxbias._checks import InputError, one_of, positive_int, told
from jaxbias.data.clusters import OrthonormalClusters
from jaxbias.data.dataset import Dataset, cluster_labelled
from jaxbias.data.mixtures import ClusterMixture
from jaxbias.losses import Loss, exponential
from jaxbias.networks.activations import Activation
from jaxbias.networks.initialization import Balanced
from jaxbias.networks.two_layer import TwoLayer
from jaxbias.networks.weights import Weights

_CLOCKS = ("mean", "sum", "per_cluster_mean")
_DATA_STREAM, _NETWORK_STREAM = 0, 1


class Problem(eqx.Module):
    """A gradient flow as arrays: what an integrator needs and nothing else.

    Attributes:
        dataset: Training rows, labels and (where known) clusters and centres.
        sample_weights: omega, the weight of each row in the loss.
        initial: Weights at time 0.
        activation: Activation of the hidden neurons.
        loss: Loss of one row.
        output_trained: Whether the output weights move.
        balanced: Whether ``|v_j| = |w_j|`` holds at time 0 (and hence always,
            where units are normalised).
    """

    dataset: Dataset
    sample_weights: Float[Array, " sample"]
    initial: Weights
    activation: Activation = eqx.field(static=True)
    loss: Loss = eqx.field(static=True)
    output_trained: bool = eqx.field(static=True)
    balanced: bool = eqx.field(static=True)


@runtime_checkable
class RandomData(Protocol):
    """A data model of one's own: a frozen dataclass that says what a key draws."""

    def draw(self, key: Key[Array, ""]) -> Dataset:
        """The rows of this key, as many for every key; may be called under jit."""
        ...


@dataclasses.dataclass(frozen=True)
class GradientFlow:
    """Gradient flow of a two-layer network on a data model or a data set.

    Args:
        network: The network and its initialisation.
        data: A data model to draw from, a model of one's own with
            ``draw(key) -> Dataset``, or a fixed data set. Of a data model of this
            package a network of several classes is trained on the cluster numbers, of
            others on the labels as they are.
        samples: Number of training rows to draw; of a model of this package only.
        loss: Loss of one row.
        clock: ``mean`` weights every row by 1/n, ``sum`` by 1 and
            ``per_cluster_mean`` by clusters/n, the clock of most theorems here:
            ``t_mean = n t_sum = clusters t_cluster``.

    Raises:
        InputError: If samples, clock or classes cannot work with this data.
    """

    network: TwoLayer
    data: OrthonormalClusters | ClusterMixture | RandomData | Dataset
    samples: int | None = None
    loss: Loss = exponential
    clock: str = "mean"

    def __post_init__(self):
        one_of("clock", self.clock, _CLOCKS)
        if isinstance(self.data, OrthonormalClusters | ClusterMixture):
            if self.samples is None:
                raise InputError(
                    "samples=None with a data model",
                    "the number of training rows to draw is not known",
                    f"samples={20 * self.data.clusters}",
                )
            positive_int("samples", self.samples)
        elif isinstance(self.data, Dataset):
            if self.samples not in (None, self.data.samples):
                raise InputError(
                    f"samples={self.samples} with a data set of {self.data.samples}",
                    "a fixed data set is used whole",
                    "samples=None",
                )
        elif not isinstance(self.data, RandomData):
            raise InputError(
                f"data={told(self.data)}",
                "it is neither a data set nor has it draw(key), which would give one",
                "data=jaxbias.data.from_arrays(inputs, labels)",
            )
        elif self.samples is not None:
            raise InputError(
                f"samples={self.samples} with a data model of one's own",
                "what it draws says how many there are",
                "samples=None",
            )
        if self.network.normalise_inputs:
            raise InputError(
                "normalise_inputs=True in a gradient flow",
                "the flow is written for f itself, and |x| f(x/|x|) on rows x is f on"
                " rows x/|x| up to the factor |x|",
                "rows of norm 1, or jaxbias.dynamics.train_module for such a network",
            )
        multi_class = self.network.classes is not None
        if multi_class != (self.loss.name == "cross_entropy"):
            raise InputError(
                f"classes={self.network.classes} with loss={self.loss.name!r}",
                "cross entropy is for several classes, the other losses for two",
                "loss=jaxbias.losses.cross_entropy"
                if multi_class
                else "classes=10 or loss=jaxbias.losses.logistic",
            )
        if isinstance(self.data, Dataset):
            self._check(self.data)
        elif (
            multi_class
            and isinstance(self.data, OrthonormalClusters | ClusterMixture)
            and self.network.classes != self.data.clusters
        ):
            raise InputError(
                f"classes={self.network.classes} with clusters={self.data.clusters}",
                "the classes of a data model are its clusters",
                f"classes={self.data.clusters}",
            )

    def _check(self, dataset: Dataset) -> None:
        """Refuse rows without what clock and classes need."""
        if self.clock == "per_cluster_mean" and dataset.centres is None:
            raise InputError(
                "clock='per_cluster_mean' with a data set without centres",
                "the number of clusters sets this clock",
                "clock='mean'",
            )
        if self.network.classes is not None and dataset.binary:
            raise InputError(
                f"classes={self.network.classes} with labels +1 and -1",
                "cross entropy needs class numbers",
                "data=jaxbias.data.cluster_labelled(dataset)",
            )

    @property
    def shapes(self) -> Dataset:
        """The training rows as shapes and types; nothing is drawn to know them.

        Floating-point types are JAX's default, or those of a data set.
        """
        if isinstance(self.data, Dataset):
            shape = lambda a: jax.ShapeDtypeStruct(a.shape, a.dtype)
            return jax.tree.map(shape, self.data)
        return jax.eval_shape(lambda: self.rows(_draws.seed_key(0)))

    def rows(
        self,
        key: Key[Array, ""],
        *,
        noise: Float[Array, ""] | float | None = None,
        dtype: str | None = None,
        dataset: Dataset | None = None,
    ) -> Dataset:
        """The training rows of a run; arguments as of :meth:`problem`.

        Raises:
            InputError: A model of one's own draws no data set, or none that clock and
                classes can work with.
        """
        dtype = dtype or jnp.zeros(()).dtype.name
        if isinstance(self.data, Dataset):
            return cast(self.data if dataset is None else dataset, dtype)
        own = _draws.fold_in(key, _DATA_STREAM)
        if isinstance(self.data, OrthonormalClusters | ClusterMixture):
            assert self.samples is not None
            drawn = self.data.sample(self.samples, key=own, noise=noise, dtype=dtype)
            return drawn if self.network.classes is None else cluster_labelled(drawn)
        drawn: Any = self.data.draw(own)
        if not isinstance(drawn, Dataset):
            raise InputError(
                f"draw(key) of {type(self.data).__name__} gives {told(drawn)}",
                "a flow is trained on a data set",
                "jaxbias.data.Dataset(inputs, labels, clusters)",
            )
        self._check(drawn)
        return cast(drawn, dtype)

    def problem(
        self,
        key: Key[Array, ""],
        *,
        noise: Float[Array, ""] | float | None = None,
        scale: Float[Array, ""] | float | None = None,
        width: Array | int | None = None,
        padded: int | None = None,
        dtype: str | None = None,
        dataset: Dataset | None = None,
    ) -> Problem:
        """Draw data and initial weights.

        Draws are made in float32 and cast, so that the same key gives the same
        problem in either precision. Everything but ``padded`` and ``dtype`` may
        be traced, so that seeds, noises, scales and widths ride in one vmap.

        Args:
            key: The run's key; data and network take separate streams of it.
            noise: Replaces the noise of a data model of this package.
            scale: Replaces the initialisation's scale.
            width: Replaces the network's width; at most ``padded``.
            padded: Number of neurons in the arrays; the width if not given.
            dtype: ``float32`` or ``float64``; JAX's default float if not given.
            dataset: Stands for a fixed data set, as an argument of a program that is
                not to hold it.
        """
        dtype = dtype or jnp.zeros(()).dtype.name
        dataset = self.rows(key, noise=noise, dtype=dtype, dataset=dataset)
        weights = self.network.draw(
            _draws.fold_in(key, _NETWORK_STREAM),
            dataset.dim,
            width=width,
            scale=scale,
            centres=dataset.centres,
            centre_labels=dataset.centre_labels,
            padded=padded,
            dtype=dtype,
        )
        trained = self.network.output_trained
        return Problem(
            dataset=dataset,
            sample_weights=self.sample_weights(dataset),
            initial=weights,
            activation=self.network.activation,
            loss=self.loss,
            output_trained=trained,
            balanced=trained and isinstance(self.network.init, Balanced),
        )

    def sample_weights(self, dataset: Dataset) -> Float[Array, " sample"]:
        """Weight of each row in the loss, as the clock says."""
        count = dataset.samples
        if self.clock == "sum":
            weight = 1.0
        elif self.clock == "mean":
            weight = 1.0 / count
        else:
            assert dataset.centres is not None
            weight = dataset.centres.shape[0] / count
        return jnp.full((count,), weight, dataset.inputs.dtype)


def with_rows(
    problem: Problem,
    chosen: Int[Array, " row"],
    sample_weights: Float[Array, " row"],
) -> Problem:
    """The problem on these rows of its data set, with these weights in the loss."""
    dataset = problem.dataset
    return eqx.tree_at(
        lambda p: (
            p.dataset.inputs,
            p.dataset.labels,
            p.dataset.clusters,
            p.sample_weights,
        ),
        problem,
        (
            dataset.inputs[chosen],
            dataset.labels[chosen],
            dataset.clusters[chosen],
            sample_weights,
        ),
    )


def cast(tree, dtype: str):
    """The same pytree with its floating arrays in another precision."""

    def convert(leaf):
        floating = eqx.is_array(leaf) and jnp.issubdtype(leaf.dtype, jnp.floating)
        return leaf.astype(dtype) if floating else leaf

    return jax.tree.map(convert, tree)
