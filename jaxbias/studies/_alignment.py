"""Early alignment from a random and from a nudged start (min-vidal-2025, Fig. 5, 6)."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import equinox as eqx
import jax.numpy as jnp
import numpy as np
import xarray as xr
from jaxtyping import Float

from jaxbias import _draws, losses
from jaxbias._checks import InputError
from jaxbias.data.clusters import OrthonormalClusters
from jaxbias.dynamics.descent import Descent, descend
from jaxbias.dynamics.flow import GradientFlow, Problem
from jaxbias.dynamics.snapshot import Snapshot, snapshot_of
from jaxbias.dynamics.status import Status
from jaxbias.networks.activations import PReLU
from jaxbias.networks.constructions import per_centre_classifier
from jaxbias.networks.initialization import balanced
from jaxbias.networks.two_layer import TwoLayer
from jaxbias.observables.alignment import centre_cosines
from jaxbias.observables.distance import distance
from jaxbias.observables.margin import loss
from jaxbias.sweeps.keys import run_key
from jaxbias.theory.solvable import alignment_time

STARTS = ("random", "nudged")
QUARTILES = (0.25, 0.5, 0.75)
# The paper's loss is (y - f)^2, twice ours: its slope at 0 and each of its steps, too.
_PLAIN = 2.0
_ALIGNED = 0.5


class _Path(NamedTuple):
    """What one descent came to: (neuron, iteration), then one number a record."""

    largest: np.ndarray
    loss: np.ndarray
    distance: np.ndarray
    finished: bool


def alignment(
    clusters: OrthonormalClusters,
    *,
    samples: int,
    width: int,
    scale: float,
    nudge: float,
    rate: float,
    iterations: int,
    every: int,
    searched: int,
    exponent: float = 3.0,
    dtype: str = "float32",
    seeds: Sequence[int],
    root: str,
    tick: Callable[[str], None],
) -> xr.Dataset:
    r"""Gradient descent on the mean of $(y-f)^2$ from both starts, side by side.

    Both starts share data and Gaussian shapes; the second moves each shape, taken at
    unit norm, toward a random centre of its own class, $w \leftarrow w + \nu(\mu-w)$,
    and both are scaled to entries of size ``scale`` afterwards. That reading is a
    reconstruction: the paper does not give the norm at which it nudges, and its curves
    fit this one.

    Args:
        clusters: the data model.
        samples: training samples.
        width: hidden neurons.
        scale: size of the initial entries; the start is balanced.
        nudge: $\nu$ of the second start.
        rate: step size on the plain mean square loss.
        iterations: steps; a multiple of ``searched``.
        every: steps between records of cosines and loss; divides ``searched``.
        searched: steps between searches of the distance.
        exponent: p.
        dtype: precision of the descent.
        seeds: one descent from each start for each.
        root: of the runs' keys.
        tick: called before each part.

    Returns:
        Over (start, seed): quartiles over the neurons of $\max_k\cos(\mu_k, w_j)$, the
        loss, the searched $\sup_{\|x\|=1}|f - F^{(p)}|$, and the iteration at which
        the median neuron reaches cosine 1/2, ``predicted`` and ``observed``.

    Raises:
        InputError: for counts of steps that do not divide each other.

    References:
        min-vidal-2025, appendix B.1.
    """
    if iterations % searched or searched % every:
        raise InputError(
            f"iterations={iterations}, searched={searched}, every={every}",
            "a descent goes in equal blocks, and a block from record to record",
            "iterations=500, searched=20, every=5",
        )
    iteration = np.arange(0, iterations + 1, every)
    search = np.arange(0, iterations + 1, searched)
    runs = (len(STARTS), len(seeds))
    cosine = np.full((*runs, len(QUARTILES), len(iteration)), np.nan)
    mean_loss = np.full((*runs, len(iteration)), np.nan)
    far = np.full((*runs, len(search)), np.nan)
    predicted, observed = np.full(runs, np.nan), np.full(runs, np.nan)
    marks = tuple(range(every, searched + 1, every))
    follow = _follower(clusters, exponent, rate, marks, dtype, root)
    failed = 0
    for i, pushed in enumerate((0.0, nudge)):
        network = TwoLayer(width, PReLU(exponent), balanced(scale, pushed))
        flow = GradientFlow(network, clusters, samples, losses.squared)
        draw = eqx.filter_jit(lambda key, flow=flow: flow.problem(key, dtype=dtype))
        for j, seed in enumerate(seeds):
            tick(f"alignment from a {STARTS[i]} start, seed {seed}")
            problem = draw(run_key(root, seed))
            path = follow(problem, len(search) - 1, seed)
            failed += not path.finished
            cosine[i, j] = np.quantile(path.largest, QUARTILES, axis=0)
            mean_loss[i, j], far[i, j] = path.loss, path.distance
            moments = predicted_iterations(
                own_cosines(problem), exponent, clusters.clusters, rate
            )
            predicted[i, j] = np.median(moments)
            observed[i, j] = first_crossing(iteration, cosine[i, j, 1], _ALIGNED)
    dims = ("start", "seed")
    return xr.Dataset(
        {
            "cosine": ((*dims, "quantile", "iteration"), cosine),
            "loss": ((*dims, "iteration"), mean_loss),
            "distance": ((*dims, "search"), far),
            "predicted": (dims, predicted),
            "observed": (dims, observed),
        },
        {
            "start": list(STARTS),
            "seed": list(seeds),
            "quantile": list(QUARTILES),
            "iteration": iteration,
            "search": search,
        },
        {
            "exponent": exponent,
            "aligned": _ALIGNED,
            "nudge": nudge,
            "rate": rate,
            "descent_precision": dtype,
            "unfinished": failed,
        },
    )


def predicted_iterations(
    cosines: Float[np.ndarray, " neuron"], exponent: float, clusters: int, rate: float
) -> Float[np.ndarray, " neuron"]:
    r"""Iterations to cosine 1/2 of each neuron: $(T_p(1/2)-T_p(c_0))\,K/(s_0\eta)$.

    The alignment time of a single active centre at noise 0, in steps of size $\eta$ on
    the mean of $(y-f)^2$, whose $s_0$ is 2; infinite for a neuron without active
    centre, 0 for one that starts aligned.

    Args:
        cosines: each neuron's largest initial cosine to a centre of its own class.
        exponent: p.
        clusters: K.
        rate: $\eta$.
    """
    moving = (cosines > 0) & (cosines < _ALIGNED)
    start = np.where(moving, cosines, _ALIGNED)
    time = alignment_time(_ALIGNED, exponent) - alignment_time(start, exponent)
    steps = time * clusters / (_PLAIN * rate)
    return np.where(cosines > 0, steps, np.inf)


def own_cosines(problem: Problem) -> Float[np.ndarray, " neuron"]:
    """Each neuron's largest initial cosine to a centre of its own class."""
    cosines = np.asarray(centre_cosines(_start(problem)), float)
    labels = np.asarray(problem.dataset.centre_labels)
    own = labels[:, None] * np.asarray(problem.initial.output)[None, :] > 0
    return np.where(own, cosines, -1.0).max(axis=0)


def first_crossing(x: np.ndarray, y: np.ndarray, level: float) -> float:
    """Where a curve first reaches a level, linearly between its points; NaN if never.

    A curve that starts above the level reaches it at its first point.
    """
    reached = np.flatnonzero(y >= level)
    if reached.size == 0:
        return float("nan")
    last = int(reached[0])
    if last == 0:
        return float(x[0])
    share = (level - y[last - 1]) / (y[last] - y[last - 1])
    return float(x[last - 1] + share * (x[last] - x[last - 1]))


def _start(problem: Problem) -> Snapshot:
    return snapshot_of(
        problem.initial,
        problem.activation,
        problem.dataset,
        problem.loss,
        problem.sample_weights,
    )


def _follower(
    clusters: OrthonormalClusters,
    exponent: float,
    rate: float,
    marks: tuple[int, ...],
    dtype: str,
    root: str,
) -> Callable[[Problem, int, int], _Path]:
    """A descent in equal blocks, with the distance searched after each of them."""
    observe = {
        "largest": lambda s: jnp.max(centre_cosines(s), axis=0),
        "loss": lambda s: _PLAIN * loss(s),
    }
    centres = clusters.centres(dtype=dtype)
    labels = jnp.asarray(clusters.labels, dtype)
    target, activation = per_centre_classifier(centres, labels, exponent)

    @eqx.filter_jit
    def first(problem):
        return {name: measure(_start(problem)) for name, measure in observe.items()}

    @eqx.filter_jit
    def block(problem):
        # Without minibatches the key is not used.
        whole = Descent(_PLAIN * rate)
        run = descend(problem, whole, marks, observe, key=_draws.seed_key(0))
        moved = eqx.tree_at(lambda p: p.initial, problem, run.final)
        return run.observables, moved, run.status

    def follow(problem: Problem, blocks: int, seed: int) -> _Path:
        key = run_key(root, seed, "search")

        def far(problem: Problem) -> float:
            nets = (problem.initial, activation), (target, activation)
            return float(distance(*nets, key=key, fitted=False).value)

        records = [{name: v[None] for name, v in first(problem).items()}]
        distances, finished = [far(problem)], True
        for _ in range(blocks):
            values, problem, status = block(problem)
            records.append(values)
            distances.append(far(problem))
            finished &= int(status) == Status.FINISHED
        joined = {
            name: np.concatenate([np.asarray(record[name]) for record in records])
            for name in observe
        }
        return _Path(joined["largest"].T, joined["loss"], np.array(distances), finished)

    return follow
