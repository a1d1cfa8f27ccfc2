"""Class labels against cluster labels on real images: li-2025-feature-averaging, 6.

The same images, start and minibatches, once with two labels and once with all classes,
which are read out to the two labels afterwards.
"""

from typing import NamedTuple

import equinox as eqx
import jax.numpy as jnp
import numpy as np
import xarray as xr
from jaxtyping import Array, Int

from jaxbias.networks.readouts import GroupArgmax, Readout, SummedLogits
from jaxbias.networks.two_layer import TwoLayerNetwork
from jaxbias.observables.averaging import group_cosines
from jaxbias.robustness import sphere_pgd
from jaxbias.robustness.image_attacks import ends, upper_ends
from jaxbias.studies._classifiers import (
    CURVES,
    Classifiers,
    Tick,
    class_means,
    refined_radii,
)
from jaxbias.studies._report import Folder
from jaxbias.studies._supervised import (
    CLUSTERS,
    EXPONENT,
    Supervision,
    classes_of,
    sides,
    train_supervised,
)
from jaxbias.studies._threads import side_by_side
from jaxbias.sweeps.keys import run_key

#: Two labels; all classes, by the largest output or by sums of outputs.
READOUTS = ("class", "max", "sum")
ENDS = ("certified", "upper")
# Those that share compiled programs: one thread each, so that none is compiled twice.
_TOGETHER = (("class", "sum"), ("max",))


class _Reader(NamedTuple):
    """A network, how it decides, and the labels of the test set.

    ``own`` are those of its own training, ``labels`` the +1 and -1 it is scored by.
    """

    network: TwoLayerNetwork
    readout: Readout
    own: Int[Array, " sample"]
    labels: Int[Array, " sample"]


def _reader(trained: Classifiers, task: str, name: str, seed: int) -> _Reader:
    both = trained.data[CLUSTERS]
    side = sides(task, classes_of(both))
    labels = jnp.asarray(1 - 2 * side)[both[1].labels]
    if name == "class":
        network = trained.networks[task, EXPONENT, seed]
        # Of two outputs the larger is the sign of their difference.
        return _Reader(
            network, SummedLogits((1, -1)), trained.data[task][1].labels, labels
        )
    # With +1 first, read-outs of all tasks are one, and so are their programs.
    order = np.argsort(side, kind="stable")
    groups = tuple((1 - 2 * side[order]).tolist())
    network = _reordered(trained.networks[CLUSTERS, EXPONENT, seed], order)
    own = jnp.asarray(np.argsort(order), jnp.int32)[both[1].labels]
    readout = GroupArgmax(groups) if name == "max" else SummedLogits(groups)
    return _Reader(network, readout, own, labels)


def _reordered(network: TwoLayerNetwork, order: np.ndarray) -> TwoLayerNetwork:
    weights = network.weights()
    assert weights.output_bias is not None
    outputs = weights.output[:, order], weights.output_bias[order]
    where = lambda w: (w.output, w.output_bias)
    return TwoLayerNetwork(
        eqx.tree_at(where, weights, outputs),
        network.activation,
        normalise_inputs=network.normalise_inputs,
    )


def read_out(
    trained: Classifiers, settings: Supervision, *, root: str, tick: Tick
) -> xr.Dataset:
    r"""Clean and robust accuracy of every read-out, and medians of the radii.

    Clean accuracy is of the whole test set. Curve ``paper`` is the attack of
    li-2025-feature-averaging, which climbs the loss of training (for a network of all
    classes that of the class) and is scored by the binary label; it stands at its
    budgets alone. ``upper`` counts a point as broken by it or by the minimum-norm
    attack, ``certified`` counts what is proven. A misclassified point has radius 0.

    Args:
        trained: as :func:`train_supervised` gives them.
        settings: their protocol.
        root: names the experiment.
        tick: told what is being done.

    Returns:
        ``accuracy`` (task, readout, seed), ``robust_accuracy`` (task, readout, curve,
        seed, radius), ``median_radius`` (task, readout, end, seed).
    """
    inputs, classes = trained.data[CLUSTERS][1].inputs, trained.data[CLUSTERS][1].labels
    chosen = _evenly(np.asarray(classes), settings.points)
    budgets = np.linspace(0.0, settings.largest, settings.budgets)
    fine, coarse = refined_radii(budgets)
    shape = (len(settings.tasks), len(READOUTS))
    accuracy = np.full((*shape, settings.seeds), np.nan)
    robust = np.full((*shape, len(CURVES), settings.seeds, len(fine)), np.nan)
    median = np.full((*shape, len(ENDS), settings.seeds), np.nan)

    def measure(t: int, r: int, seed: int) -> None:
        network, readout, own, labels = _reader(
            trained, settings.tasks[t], READOUTS[r], seed
        )
        margin = readout.margin(network(inputs), labels)
        kept = ~sphere_pgd.broken(
            network.weights(),
            network.activation,
            inputs[chosen],
            own[chosen],
            budgets,
            key=run_key(root, seed, "attack"),
            scored=(readout, labels[chosen]),
            steps=settings.steps,
            normalise_inputs=network.normalise_inputs,
        )
        rows = inputs[chosen], labels[chosen]
        found = ends(network, *rows, order=2, readout=readout)
        upper = upper_ends(found, kept, budgets)
        accuracy[t, r, seed] = np.mean(np.asarray(margin) > 0)
        robust[t, r, 0, seed, coarse] = kept.mean(axis=1)
        robust[t, r, 1, seed] = (upper > fine[:, None]).mean(axis=1)
        robust[t, r, 2, seed] = found.certified(fine)
        median[t, r, :, seed] = np.median(found.lower), np.median(upper)

    def measure_all(names: tuple[str, ...]) -> None:
        for name in names:
            for t, seed in np.ndindex(len(settings.tasks), settings.seeds):
                tick(f"attacks, {settings.tasks[t]}, read-out {name}, seed {seed}")
                measure(t, READOUTS.index(name), seed)

    side_by_side(measure_all, _TOGETHER)
    by = ("task", "readout")
    return xr.Dataset(
        {
            "accuracy": ((*by, "seed"), accuracy),
            "robust_accuracy": ((*by, "curve", "seed", "radius"), robust),
            "median_radius": ((*by, "end", "seed"), median),
        },
        {
            "task": list(settings.tasks),
            "readout": list(READOUTS),
            "curve": list(CURVES),
            "end": list(ENDS),
            "seed": np.arange(settings.seeds),
            "radius": fine,
        },
        _about(trained, settings) | {"plot": "supervision", "points": len(chosen)},
    )


def averages(trained: Classifiers, settings: Supervision) -> xr.Dataset:
    r"""Cosines of the mean weight of every group of neurons to the class means.

    A neuron belongs to the output that it raises most above the mean of the outputs.
    Class means are of the training rows, which are centred. Averaging shows as several
    like cosines in a row of ``cosine``, decoupling as a single large one.

    Args:
        trained: as :func:`train_supervised` gives them.
        settings: their protocol.

    Returns:
        ``cosine`` (training, seed, group, cluster), NaN for groups that a network lacks
        or that have no neuron, and ``owner`` (training, cluster), the group of each
        class.

    References:
        li-2025-feature-averaging, figure 2.
    """
    classes, means = class_means(trained.data[CLUSTERS][0])
    count = len(classes)
    trainings = [*settings.tasks, CLUSTERS]
    cosine = np.full((len(trainings), settings.seeds, count, count), np.nan)
    for t, seed in np.ndindex(len(trainings), settings.seeds):
        weights = trained.networks[trainings[t], EXPONENT, seed].weights()
        output = np.asarray(weights.output)
        votes = np.argmax(output - output.mean(axis=1, keepdims=True), axis=1)
        groups = np.unique(votes)
        found, _ = group_cosines(
            weights.hidden,
            jnp.asarray(votes == groups[:, None]),
            jnp.asarray(means).astype(weights.hidden.dtype),
        )
        cosine[t, seed, groups] = np.asarray(found)
    owner = [*(sides(task, count) for task in settings.tasks), classes]
    return xr.Dataset(
        {
            "cosine": (("training", "seed", "group", "cluster"), cosine),
            "owner": (("training", "cluster"), np.stack(owner)),
        },
        {
            "training": trainings,
            "seed": np.arange(settings.seeds),
            "group": np.arange(count),
            "cluster": classes,
        },
        _about(trained, settings) | {"plot": "supervision_cosines"},
    )


def parts(settings: Supervision) -> int:
    """How often a tick is called: for every training, then for every read-out."""
    tasks = len(settings.tasks)
    return settings.seeds * (1 + tasks + len(READOUTS) * tasks)


def supervision(settings: Supervision, *, root: str, tick: Tick) -> xr.Dataset:
    """The table of :func:`read_out`, from training on.

    Args:
        settings: the protocol.
        root: names the experiment.
        tick: told what is being done, :func:`parts` times.

    Raises:
        InputError: as :func:`jaxbias.studies._supervised.images`.
    """
    trained = train_supervised(settings, root=root, tick=tick)
    return read_out(trained, settings, root=root, tick=tick)


def draw(settings: Supervision, folder: Folder, *, root: str, tick: Tick) -> None:
    """Figures ``supervision_<data>`` and ``supervision_<data>_cosines``.

    Args:
        settings: the protocol.
        folder: where they go.
        root: names the experiment.
        tick: told what is being done, :func:`parts` times.

    Raises:
        InputError: as :func:`jaxbias.studies._supervised.images`.
    """
    trained = train_supervised(settings, root=root, tick=tick)
    name = f"supervision_{settings.data}"
    folder.figure(name, read_out(trained, settings, root=root, tick=tick))
    folder.figure(f"{name}_cosines", averages(trained, settings))


def _evenly(labels: np.ndarray, points: int) -> np.ndarray:
    """The first rows of every class, equally many of each, in their own order."""
    classes = np.unique(labels)
    each = max(1, points // len(classes))
    first = [np.flatnonzero(labels == one)[:each] for one in classes]
    return np.sort(np.concatenate(first))


def _about(trained: Classifiers, settings: Supervision) -> dict[str, int | str]:
    train, test = trained.data[CLUSTERS]
    return {
        **trained.about,
        "data": settings.data,
        "classes": classes_of(trained.data[CLUSTERS]),
        "attack_steps": settings.steps,
        "samples": train.samples,
        "test_samples": test.samples,
    }
