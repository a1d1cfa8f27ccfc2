"""Input-normalised pReLU classifiers on labelled rows: trained, measured, attacked."""

import itertools
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import jax
import numpy as np
import xarray as xr

from jaxbias.data.dataset import Dataset
from jaxbias.dynamics.image_training import train_on_images
from jaxbias.losses import correct
from jaxbias.networks.two_layer import TwoLayerNetwork
from jaxbias.networks.weights import features
from jaxbias.observables.rank import stable_rank
from jaxbias.robustness.image_attacks import ends, upper_ends, withstood
from jaxbias.studies._threads import side_by_side
from jaxbias.sweeps.keys import run_key

Tick = Callable[[str], None]
CURVES = ("paper", "upper", "certified")
RATE = 1e-3
# The paper's radii are far apart; both ends of a radius are known at every one.
_BETWEEN = 8


class Classifiers(NamedTuple):
    """Trained networks by (task, exponent, seed), and training and test set by task."""

    networks: dict[tuple[str, float, int], TwoLayerNetwork]
    data: Mapping[str, tuple[Dataset, Dataset]]
    about: dict[str, int]

    def axes(self) -> tuple[list[str], list[float], list[int]]:
        """Tasks, exponents and seeds, each in the order of training."""
        tasks, exponents, seeds = (
            list(dict.fromkeys(axis)) for axis in zip(*self.networks, strict=True)
        )
        return tasks, exponents, seeds


def train_classifiers(
    data: Mapping[str, tuple[Dataset, Dataset]],
    *,
    exponents: Sequence[float],
    seeds: Sequence[int],
    width: int,
    epochs: int,
    batch: int,
    output_bias: bool,
    root: str,
    tick: Tick,
) -> Classifiers:
    """One network a task, exponent and seed; a smaller training set is one batch.

    Args:
        data: training and test set of each task, labelled by class numbers.
        exponents: p of each family.
        seeds: of weights and minibatches, the same for every exponent.
        width: hidden neurons.
        epochs: passes over the data.
        batch: samples a minibatch.
        output_bias: whether outputs have a bias.
        root: names the experiment.
        tick: told what is being done.
    """

    def one_family(family: tuple[str, float]) -> list[TwoLayerNetwork]:
        task, exponent = family
        train, _ = data[task]
        trained = []
        for seed in seeds:
            tick(f"training, {task}, p = {exponent:g}, seed {seed}")
            network = train_on_images(
                train,
                exponent,
                classes=int(np.max(np.asarray(train.labels))) + 1,
                width=width,
                epochs=epochs,
                batch=min(batch, train.samples),
                rate=RATE,
                output_bias=output_bias,
                key=run_key(root, seed),
                batch_key=run_key(root, seed, "batches"),
            )
            jax.block_until_ready(network.weights())
            trained.append(network)
        return trained

    families = list(itertools.product(data, exponents))
    found = side_by_side(one_family, families)
    networks = {
        (*family, seed): network
        for family, trained in zip(families, found, strict=True)
        for seed, network in zip(seeds, trained, strict=True)
    }
    about = {"width": width, "epochs": epochs, "batch": batch}
    return Classifiers(networks, data, about)


def class_means(data: Dataset) -> tuple[np.ndarray, np.ndarray]:
    """The classes that ``clusters`` names, and their mean rows, (class, feature)."""
    rows, names = np.asarray(data.inputs, float), np.asarray(data.clusters)
    classes = np.unique(names)
    return classes, np.stack([rows[names == one].mean(axis=0) for one in classes])


def refined_radii(radii: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The radii with others between them, and the places of the given ones."""
    coarse = np.arange(len(radii)) * _BETWEEN
    return np.interp(np.arange(coarse[-1] + 1), coarse, radii), coarse


def robust_accuracies(
    trained: Classifiers,
    *,
    points: int,
    radii: np.ndarray,
    steps: int,
    root: str,
    tick: Tick,
) -> xr.Dataset:
    r"""Clean accuracy, stable ranks, and what is left in $\ell_\infty$ balls.

    Clean accuracy and the stable rank of the hidden features are of the whole test
    set. Its first ``points`` rows are attacked: curve ``paper`` is APGD on the
    cross-entropy, at ``radii`` alone; ``upper`` counts a point as broken by APGD or by
    the minimum-norm attack, whichever needs less; ``certified`` counts what is proven.
    A misclassified point is broken at radius 0.

    Args:
        trained: the networks and their data.
        points: test rows attacked.
        radii: increasing budgets of the paper's attack, from 0.
        steps: its iterations.
        root: names the experiment.
        tick: told what is being done.

    Returns:
        ``accuracy``, ``weight_rank`` and ``feature_rank`` (task, exponent, seed),
        ``robust_accuracy`` (task, exponent, curve, seed, radius), where the radii have
        others between them, at which ``paper`` is NaN.
    """
    tasks, exponents, seeds = trained.axes()
    shape = (len(tasks), len(exponents), len(seeds))
    accuracy, weight_rank = np.full(shape, np.nan), np.full(shape, np.nan)
    feature_rank = accuracy.copy()
    fine, coarse = refined_radii(radii)
    robust = np.full((*shape[:2], len(CURVES), len(seeds), len(fine)), np.nan)

    def measure(place: tuple[int, int]) -> None:
        t, e = place
        test = trained.data[tasks[t]][1]
        rows, labels = test.inputs[:points], test.labels[:points]
        for s, seed in enumerate(seeds):
            network = trained.networks[tasks[t], exponents[e], seed]
            right = correct(network(test.inputs), test.labels)
            accuracy[t, e, s] = np.mean(np.asarray(right))
            weights, activation = network.weights(), network.activation
            hidden = features(weights, activation, test.inputs, normalise_inputs=True)
            weight_rank[t, e, s] = stable_rank(weights.hidden)
            feature_rank[t, e, s] = stable_rank(hidden)
            tick(f"attacks, {tasks[t]}, p = {exponents[e]:g}, seed {seed}")
            key = run_key(root, seed, "attack")
            kept = withstood(network, rows, labels, radii, key=key, steps=steps)
            found = ends(network, rows, labels)
            upper = upper_ends(found, kept, radii)
            robust[t, e, 0, s, coarse] = kept.mean(axis=1)
            robust[t, e, 1, s] = (upper > fine[:, None]).mean(axis=1)
            robust[t, e, 2, s] = found.certified(fine)

    side_by_side(measure, list(np.ndindex(shape[:2])))
    first = trained.data[tasks[0]]
    dims = ("task", "exponent", "seed")
    return xr.Dataset(
        {
            "accuracy": (dims, accuracy),
            "weight_rank": (dims, weight_rank),
            "feature_rank": (dims, feature_rank),
            "robust_accuracy": (
                ("task", "exponent", "curve", "seed", "radius"),
                robust,
            ),
        },
        {
            "task": tasks,
            "exponent": exponents,
            "curve": list(CURVES),
            "seed": seeds,
            "radius": fine,
        },
        trained.about
        | {
            "samples": first[0].samples,
            "test_samples": first[1].samples,
            "points": min(points, first[1].samples),
            "attack_steps": steps,
        },
    )
