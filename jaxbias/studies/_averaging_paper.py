"""Networks of the paper's size: what their neurons average, and what attacks leave.

Figures 2 and 3 (left) of li-2025-feature-averaging.
"""

from collections.abc import Sequence

import numpy as np
import xarray as xr

from jaxbias.networks.activations import ReLU
from jaxbias.robustness import sphere_pgd
from jaxbias.studies import _averaging_laws as laws
from jaxbias.studies._averaging_runs import (
    READOUTS,
    TRAININGS,
    Recipe,
    Trained,
    fresh_points,
    train,
)
from jaxbias.studies._classifiers import Tick
from jaxbias.studies._threads import side_by_side
from jaxbias.sweeps.keys import run_key
from jaxbias.theory.averaging import own_cosine
from jaxbias.verification.evidence_reported import CURVES as REPORTED

Networks = dict[tuple[str, int], Trained]

ENDS = ("certified", "upper")
_REPORTED = {"averaged": "figure 3, 2-class", "max": "figure 3, 10-class"}
# The network behind each read-out: the paper's own of two labels.
_NETWORK = {"averaged": "labels", "max": "clusters", "sum": "clusters"}


def train_all(
    recipe: Recipe, seeds: Sequence[int], *, root: str, tick: Tick
) -> Networks:
    """Every training of every seed, by (training, seed)."""
    networks: Networks = {}

    def one_kind(training: str) -> None:
        for seed in seeds:
            tick(f"training, {training}, seed {seed}")
            networks[training, seed] = train(recipe, training, seed, root=root)

    side_by_side(one_kind, TRAININGS)
    return networks


def cosines(recipe: Recipe, networks: Networks) -> xr.Dataset:
    """Cosines of neurons to centres, the neurons of a group together.

    Returns:
        ``cosine`` (training, seed, neuron, cluster), ``own`` (training, neuron,
        cluster), 1 where a neuron speaks for a cluster, and ``predicted`` (training,
        neuron), the closed form of its own cosines. Trainings of fewer neurons end in
        NaN.
    """
    seeds = sorted({seed for _, seed in networks})
    neurons = max(len(trained.cosines) for trained in networks.values())
    shape = (len(TRAININGS), len(seeds), neurons, recipe.clusters)
    cosine, own = np.full(shape, np.nan), np.full((shape[0], *shape[2:]), np.nan)
    predicted = np.full((shape[0], neurons), np.nan)
    for t, training in enumerate(TRAININGS):
        for s, seed in enumerate(seeds):
            trained = networks[training, seed]
            order = np.argsort(np.argmax(trained.own, axis=1), kind="stable")
            mine = trained.own[order]
            cosine[t, s, : len(mine)] = trained.cosines[order]
            own[t, : len(mine)] = mine
            counts = mine.sum(axis=1).tolist()
            predicted[t, : len(mine)] = [
                own_cosine(count, 0, recipe.dim, recipe.each) for count in counts
            ]
    return xr.Dataset(
        {
            "cosine": (("training", "seed", "neuron", "cluster"), cosine),
            "own": (("training", "neuron", "cluster"), own),
            "predicted": (("training", "neuron"), predicted),
        },
        {
            "training": list(TRAININGS),
            "seed": seeds,
            "neuron": np.arange(1, neurons + 1),
            "cluster": np.arange(1, recipe.clusters + 1),
        },
        _about(recipe) | {"plot": "averaging_cosines"},
    )


def robust_accuracy(
    recipe: Recipe,
    networks: Networks,
    *,
    points: int,
    radii: np.ndarray,
    budgets: np.ndarray,
    steps: int,
    root: str,
    tick: Tick,
) -> xr.Dataset:
    """What is left of accuracy on fresh samples: exact radii, the paper's attack.

    Args:
        recipe: of the networks.
        networks: by training and seed.
        points: fresh samples.
        radii: increasing, of the curves.
        budgets: increasing, of the paper's attack.
        steps: its iterations.
        root: names the experiment.
        tick: told what is being done.

    Returns:
        ``accuracy`` (readout, end, seed, radius), ``attack`` (readout, seed, budget),
        ``formula`` (readout, radius), ``reported`` (readout, reported_radius),
        ``ideal`` (readout), ``ceiling`` (radius), ``median_radius`` (readout, end,
        seed) and ``closed`` (readout, seed), the share of points whose ends meet.
    """
    seeds = sorted({seed for _, seed in networks})
    shape = (len(READOUTS), len(seeds))
    accuracy = np.full((len(READOUTS), 2, len(seeds), len(radii)), np.nan)
    attack = np.full((*shape, len(budgets)), np.nan)
    median, closed = (
        np.full((len(READOUTS), 2, len(seeds)), np.nan),
        np.full(shape, 0.0),
    )

    def measure(r: int) -> None:
        name = READOUTS[r]
        for s, seed in enumerate(seeds):
            tick(f"exact radii, {name}, seed {seed}")
            trained = networks[_NETWORK[name], seed]
            inputs, labels, clusters = fresh_points(
                recipe, trained, points, seed, root=root
            )
            found = trained.radii(name, inputs, labels)
            for e, end in enumerate((found.lower, found.upper)):
                accuracy[r, e, s] = (end > radii[:, None]).mean(axis=1)
                median[r, e, s] = np.median(end)
            closed[r, s] = np.mean(np.isin(found.status, _CLOSED))
            scored = trained.readout(name)
            kept = ~sphere_pgd.broken(
                trained.weights,
                ReLU(),
                inputs,
                labels if scored is None else clusters,
                budgets,
                key=run_key(root, seed, "attack"),
                scored=None if scored is None else (scored, labels),
                steps=steps,
            )
            attack[r, s] = kept.mean(axis=1)

    side_by_side(measure, range(len(READOUTS)))
    drawn = sorted({r for name in _REPORTED.values() for r in REPORTED[name]})
    reported = [
        [REPORTED.get(_REPORTED.get(name, ""), {}).get(r, np.nan) for r in drawn]
        for name in READOUTS
    ]
    split = sorted((recipe.positive, recipe.clusters - recipe.positive))
    ideal = laws.ideal_radii(*split)
    by = ("readout", "end", "seed")
    return xr.Dataset(
        {
            "accuracy": ((*by, "radius"), accuracy),
            "attack": (("readout", "seed", "budget"), attack),
            "formula": (
                ("readout", "radius"),
                np.stack([laws.accuracies(recipe, name, radii) for name in READOUTS]),
            ),
            "reported": (
                ("readout", "reported_radius"),
                np.array(reported, float) / 100,
            ),
            "ideal": (
                "readout",
                [ideal[name] * recipe.dim**0.5 for name in READOUTS],
            ),
            "ceiling": ("radius", laws.ceiling(recipe, radii)),
            "median_radius": (by, median),
            "closed": (("readout", "seed"), closed),
        },
        {
            "readout": list(READOUTS),
            "end": list(ENDS),
            "seed": seeds,
            "radius": radii,
            "budget": budgets,
            "reported_radius": np.array(drawn, float),
        },
        _about(recipe)
        | {"plot": "readout_accuracy", "points": points, "attack_steps": steps},
    )


_CLOSED = ("exact", "broken when clean")


def _about(recipe: Recipe) -> dict[str, int | float]:
    return {
        "dim": recipe.dim,
        "clusters": recipe.clusters,
        "positive": recipe.positive,
        "each": recipe.each,
    }
