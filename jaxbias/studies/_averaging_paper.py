"""Networks of the paper's size: what their neurons average, and what attacks leave.

Figures 2 and 3 (left) of li-2025-feature-averaging.
"""

import numpy as np
import xarray as xr

from jaxbias.experiments.averaging import Averaging
from jaxbias.studies import _averaging_laws as laws
from jaxbias.studies._averaging_runs import READOUTS, FreshRadii, trainings
from jaxbias.theory.averaging import own_cosine
from jaxbias.verification.evidence_reported import CURVES as REPORTED

ENDS = ("certified", "upper")
_REPORTED = {"averaged": "figure 3, 2-class", "max": "figure 3, 10-class"}


def cosines(recipe: Averaging, tables: dict[str, xr.Dataset]) -> xr.Dataset:
    """Cosines of neurons to centres, the neurons of a group together.

    Args:
        recipe: from which the trainings depart.
        tables: of each training, a run a seed.

    Returns:
        ``cosine`` (training, seed, neuron, cluster), ``own`` (training, neuron,
        cluster), 1 where a neuron speaks for a cluster, and ``predicted`` (training,
        neuron), the closed form of its own cosines. Trainings of fewer neurons end in
        NaN.
    """
    kinds = trainings(recipe)
    seeds = next(iter(tables.values())).seed.values
    neurons = max(table.sizes["neuron"] for table in tables.values())
    shape = (len(kinds), len(seeds), neurons, recipe.clusters)
    cosine, own = np.full(shape, np.nan), np.full((shape[0], *shape[2:]), np.nan)
    predicted = np.full((shape[0], neurons), np.nan)
    for t, (training, experiment) in enumerate(kinds.items()):
        mine = experiment.own.T
        order = np.argsort(np.argmax(mine, axis=1), kind="stable")
        mine = mine[order]
        last = tables[training].centre_cosines.values[:, -1]
        cosine[t, :, : len(mine)] = last.transpose(0, 2, 1)[:, order]
        own[t, : len(mine)] = mine
        predicted[t, : len(mine)] = [
            own_cosine(count, 0, recipe.dim, recipe.samples_per_cluster)
            for count in mine.sum(axis=1).tolist()
        ]
    return xr.Dataset(
        {
            "cosine": (("training", "seed", "neuron", "cluster"), cosine),
            "own": (("training", "neuron", "cluster"), own),
            "predicted": (("training", "neuron"), predicted),
        },
        {
            "training": list(kinds),
            "seed": seeds,
            "neuron": np.arange(1, neurons + 1),
            "cluster": np.arange(1, recipe.clusters + 1),
        },
        _about(recipe) | {"plot": "averaging_cosines"},
    )


def robust_accuracy(
    recipe: Averaging,
    tables: dict[str, xr.Dataset],
    measured: FreshRadii,
    largest: float,
) -> xr.Dataset:
    """What is left of accuracy on fresh samples: exact radii, the paper's attack.

    Args:
        recipe: from which the trainings depart.
        tables: of each training, with what was measured.
        measured: how.
        largest: radius at which the curves end.

    Returns:
        ``accuracy`` (readout, end, seed, radius), ``attack`` (readout, seed, budget),
        ``formula`` (readout, radius), ``reported`` (readout, reported_radius),
        ``ideal`` (readout), ``ceiling`` (radius), ``median_radius`` (readout, end,
        seed) and ``closed`` (readout, seed), the share of points whose ends meet.
    """
    radii = np.linspace(0.0, largest, 10 * int(largest) + 1)
    budgets = np.array(measured.budgets)

    def found(name: str) -> np.ndarray:
        # Of two labels, then of cluster numbers: in the order of READOUTS.
        parts = [tables[training][name].values for training in ("labels", "clusters")]
        return np.moveaxis(np.concatenate(parts, axis=1)[: measured.seeds], 0, 1)

    ends = np.stack([found("radius_lower"), found("radius_upper")], axis=1)
    accuracy = (ends[..., None, :] > radii[:, None]).mean(axis=-1)
    drawn = sorted({r for name in _REPORTED.values() for r in REPORTED[name]})
    reported = [
        [REPORTED.get(_REPORTED.get(name, ""), {}).get(r, np.nan) for r in drawn]
        for name in READOUTS
    ]
    ideal = laws.ideal_radii(*sorted(recipe.split))
    by = ("readout", "end", "seed")
    return xr.Dataset(
        {
            "accuracy": ((*by, "radius"), accuracy),
            "attack": (("readout", "seed", "budget"), found("attack")),
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
            "median_radius": (by, np.median(ends, axis=-1)),
            "closed": (("readout", "seed"), found("closed")),
        },
        {
            "readout": list(READOUTS),
            "end": list(ENDS),
            "seed": np.arange(measured.seeds),
            "radius": radii,
            "budget": budgets,
            "reported_radius": np.array(drawn, float),
        },
        _about(recipe)
        | {
            "plot": "readout_accuracy",
            "points": measured.points,
            "attack_steps": measured.steps,
        },
    )


def _about(recipe: Averaging) -> dict[str, int | float]:
    return {
        "dim": recipe.dim,
        "clusters": recipe.clusters,
        "positive": recipe.split[0],
        "each": recipe.samples_per_cluster,
    }
