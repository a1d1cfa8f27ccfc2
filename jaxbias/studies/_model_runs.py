"""Networks of several kinds: trained by gradient descent, attacked alike."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx
from jaxtyping import Array, Float

from jaxbias.data.clusters import OrthonormalClusters
from jaxbias.data.dataset import Dataset
from jaxbias.dynamics.training import train_module
from jaxbias.losses import correct
from jaxbias.networks.activations import Activation
from jaxbias.networks.initialization import unbalanced
from jaxbias.networks.two_layer import TwoLayer, TwoLayerNetwork
from jaxbias.robustness import radius_batch
from jaxbias.robustness.multistart import scattered, shortest, towards
from jaxbias.studies._model_scores import FeedForward, Score, bayes_rule, score_of
from jaxbias.sweeps.keys import run_key

LOSS = "logistic"
CURVES = ("gradient", "witness", "attacked", "certified")
_PICKS, _SCATTERED, _STEPS = 4, 2, 100
_COUNTS = 1e-2


@dataclass(frozen=True)
class Model:
    """How a network starts and how fast it learns.

    Attributes:
        layers: the activation of a two-layer network, or the number of hidden layers
            of a :class:`FeedForward` and their nonlinearity.
        scale: standard deviation of every entry at the start.
        rate: learning rate.
    """

    layers: Activation | tuple[int, Callable[[Array], Array]]
    scale: float
    rate: float

    def build(self, key: Array, dim: int, width: int) -> nnx.Module:
        """The untrained network, in float32."""
        if isinstance(self.layers, Activation):
            start = unbalanced(self.scale)
            spec = TwoLayer(width, activation=self.layers, init=start)
            return spec.build(key, dim, dtype="float32")
        hidden, nonlinearity = self.layers
        return FeedForward((dim, *[width] * hidden), nonlinearity, self.scale, key)


class Fit(NamedTuple):
    """A trained network, or None, and what it came to on its training set."""

    network: nnx.Module | None
    status: str
    accuracy: float
    loss: float


def train(
    model: Model,
    sets: Sequence[Dataset],
    width: int,
    epochs: int,
    batch: int,
    root: str,
    seeds: Sequence[int],
) -> list[Fit]:
    """One network a data set by stochastic gradient descent.

    ``status`` is ``"fitted"`` where every training sample is classified correctly,
    ``"not fitted"`` where not, ``"diverged"`` (and no network) for undefined weights.
    """
    # One optimiser, so that the seeds share a compiled program.
    optimiser, fits = optax.sgd(model.rate), []
    for data, seed in zip(sets, seeds, strict=True):
        start = model.build(run_key(root, seed, "weights"), data.dim, width)
        network, history = train_module(
            start,
            data,
            optimiser=optimiser,
            loss=LOSS,
            epochs=epochs,
            batch=batch,
            key=run_key(root, seed, "batches"),
        )
        loss = float(history.loss[-1])
        arrays = jax.tree.leaves(nnx.state(network, nnx.Param))
        if not all(bool(jnp.isfinite(array).all()) for array in arrays):
            fits.append(Fit(None, "diverged", float("nan"), loss))
            continue
        right = correct(network(data.inputs), data.labels)
        status = "fitted" if bool(right.all()) else "not fitted"
        fits.append(Fit(network, status, float(np.mean(right)), loss))
    return fits


def own_cosines(
    network: nnx.Module | None, clusters: OrthonormalClusters
) -> Float[np.ndarray, " cluster"]:
    r"""Largest cosine of a neuron of the class to each centre; NaN for other models.

    Neurons that contribute less than a hundredth of the largest do not count. A cubed
    ReLU of cosine $1/\sqrt2$ to two centres serves both with an amplitude $2^{3/2}$
    times that of a neuron of one, which leaves the other class a radius of
    $1/\sqrt3$ instead of $\sqrt2/2$.
    """
    if not isinstance(network, TwoLayerNetwork):
        return np.full(clusters.clusters, np.nan)
    weights, activation = network.weights(), network.activation
    norms, output = np.asarray(weights.norms()), np.asarray(weights.output)
    power = 1.0 if activation.normalised else activation.degree
    size = np.abs(output) * norms**power
    rows = np.asarray(weights.hidden) / np.where(norms > 0, norms, 1)[:, None]
    cosines = rows @ np.asarray(clusters.centres(dtype="float32")).T
    counts = size[:, None] > _COUNTS * size.max()
    ours = np.sign(output)[:, None] == clusters.labels
    return np.where(counts & ours, cosines, 0.0).max(axis=0)


def attack(
    scores: Sequence[Score],
    fresh: Dataset,
    root: str,
) -> Float[np.ndarray, "seed sample"]:
    """Shortest perturbations by the multi-start attack, in the span of each model.

    It begins at the point, at the crossings on the way to the nearest centres of the
    other class, and at random points half a cluster distance away.
    """
    labels, found = np.asarray(fresh.labels), []
    for score in scores:
        inner, basis = score.in_span()
        points, places = np.asarray(fresh.inputs) @ basis, fresh.centres @ basis
        key = run_key(root, 0, "starts")
        starts = (
            np.zeros((1, *points.shape)),
            towards(points, labels, places, fresh.centre_labels, _PICKS),
            scattered(points, np.sqrt(0.5), _SCATTERED, key=key),
        )
        moved, broken = shortest(
            inner, points, labels, np.concatenate(starts), steps=_STEPS
        )
        length = np.linalg.norm(moved, axis=1)
        found.append(np.where(broken, length, np.inf))
    return np.stack(found)


def closed_ends(
    scores: Sequence[Score], networks: Sequence[Any], fresh: Dataset
) -> tuple[np.ndarray, np.ndarray]:
    r"""Certified lower ends and witnessed upper ends, (seed, sample); NaN for none.

    Two-layer networks: :func:`jaxbias.robustness.radius_batch`. A linear model:
    $y\langle w, x\rangle/\|w\|$, both ends. The Bayes rule: its score is the log-odds
    times the variance, $\sqrt2$-Lipschitz on orthonormal centres.
    """
    inputs, labels = np.asarray(fresh.inputs), np.asarray(fresh.labels)
    if isinstance(networks[0], TwoLayerNetwork):
        together = jax.tree.map(
            lambda *arrays: np.stack(arrays), *(one.weights() for one in networks)
        )
        found = radius_batch(
            together,
            networks[0].activation,
            inputs,
            labels,
            centres=np.asarray(fresh.centres),
        )
        return found.lower, found.upper
    margins = np.stack([labels * np.asarray(_outputs(s, fresh.inputs)) for s in scores])
    margins = np.maximum(margins, 0.0)
    nothing = np.full_like(margins, np.nan)
    if networks[0] is None:
        return margins / np.sqrt(2.0), nothing
    norms = np.stack([np.linalg.norm(score.rows) for score in scores])
    if len(scores[0].rows) == 1:
        return margins / norms[:, None], margins / norms[:, None]
    return nothing, nothing


@eqx.filter_jit
def _outputs(score: Score, inputs: Array) -> Array:
    return score(inputs)


def ends(
    fits: Sequence[Fit], clusters: OrthonormalClusters, fresh: Dataset, root: str
) -> Float[np.ndarray, "curve seed sample"]:
    """Ends of the radius of every point behind each of :data:`CURVES`, NaN for none."""
    found = np.full((len(CURVES), len(fits), fresh.samples), np.nan)
    there = [i for i, fit in enumerate(fits) if fit.status != "diverged"]
    if there:
        networks = [fits[i].network for i in there]
        scores = [
            bayes_rule(clusters, fresh.centres) if one is None else score_of(one)
            for one in networks
        ]
        searched = attack(scores, fresh, root)
        lower, upper = closed_ends(scores, networks, fresh)
        found[:, there] = searched, upper, np.fmin(searched, upper), lower
    return found
