"""Small networks over recipes: own cosines, and radii against the number of clusters.

One part a point of a scan, which a longer study keeps as a file.
"""

from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from jaxbias.studies import _averaging_laws as laws
from jaxbias.studies._averaging_paper import ENDS
from jaxbias.studies._averaging_runs import READOUTS, Recipe, Trained, train
from jaxbias.studies._cells import cell
from jaxbias.studies._classifiers import Tick
from jaxbias.studies._threads import side_by_side

#: What is varied.
AXES = ("rate", "deviation", "clusters", "dim", "samples")


@dataclass(frozen=True)
class Scans:
    r"""Scans about one small recipe.

    Attributes:
        base: the recipe; its rate is replaced by ``pace``.
        pace: $\eta d/(mk)$, which sets how far a cluster is learned.
        paces: those of the scan of rates.
        deviations: of the first weights.
        counts: of clusters, even; half of them are positive.
        dims: input dimensions.
        samples: of a cluster.
        exact: the most clusters at which radii are exact; bounds beyond.
        seeds: data sets and starts.
    """

    base: Recipe = Recipe(1024, 8, 4, 40, 4, 1.0, 200)
    pace: float = 0.1
    paces: tuple[float, ...] = (0.01, 0.03, 0.1, 0.3, 1.0, 3.0)
    deviations: tuple[float, ...] = (1e-6, 1e-5, 1e-4, 3e-4, 1e-3, 3e-3)
    counts: tuple[int, ...] = (2, 4, 8, 16, 32)
    dims: tuple[int, ...] = (128, 256, 512, 1024)
    samples: tuple[int, ...] = (5, 10, 20, 40)
    exact: int = 16
    seeds: int = 3

    def recipe(self, axis: str, value: float | int) -> Recipe:
        """The recipe of one point of a scan; all but rates keep the pace."""
        if axis == "rate":
            return at_pace(self.base, float(value))
        found = replace(self.base, **{"each" if axis == "samples" else axis: value})
        if axis == "clusters":
            found = replace(found, positive=found.clusters // 2)
        return at_pace(found, self.pace)

    def values(self, axis: str) -> tuple[float | int, ...]:
        """The values of one scan."""
        return {
            "rate": self.paces,
            "deviation": self.deviations,
            "clusters": self.counts,
            "dim": self.dims,
            "samples": self.samples,
        }[axis]


def at_pace(recipe: Recipe, pace: float) -> Recipe:
    r"""The recipe with $\eta d/(mk)$ equal to the pace."""
    neurons = recipe.neurons * recipe.clusters
    return replace(recipe, rate=pace * neurons / recipe.dim)


def parts(scans: Scans) -> int:
    """How often the ticks of both figures are called."""
    points = sum(len(scans.values(axis)) for axis in AXES)
    return points + len(scans.counts) * 2


def sweeps(scans: Scans, *, root: str, cells: Path | None, tick: Tick) -> xr.Dataset:
    """Own cosines of networks of two labels about the base recipe.

    Args:
        scans: the points.
        root: names the experiment.
        cells: where parts are kept, if they are.
        tick: told what is being done.

    Returns:
        ``cosine`` (axis, point, seed, quantile) over all neurons and their own
        clusters, ``predicted`` (axis, point, quantile) and ``value`` (axis, point);
        scans of fewer points end in NaN.
    """
    jobs = [(axis, place) for axis in AXES for place in range(len(scans.values(axis)))]
    longest = max(len(scans.values(axis)) for axis in AXES)
    shape = (len(AXES), longest)
    value = np.full(shape, np.nan)
    cosine = np.full((*shape, scans.seeds, len(laws.QUANTILES)), np.nan)
    predicted = np.full((*shape, len(laws.QUANTILES)), np.nan)

    def measure(job: tuple[str, int]) -> None:
        axis, place = job
        given = scans.values(axis)[place]
        recipe = scans.recipe(axis, given)
        tick(f"own cosines, {axis} {given:g}")
        row = AXES.index(axis), place
        value[row] = given
        predicted[row] = laws.own_cosines(recipe)
        spec = {"part": "cosines", "root": root, "seeds": scans.seeds} | asdict(recipe)
        found = _kept(cells, spec, lambda: _own(recipe, scans.seeds, root))
        cosine[row] = found.cosine.transpose("seed", "quantile").values

    side_by_side(measure, jobs)
    by = ("axis", "point")
    return xr.Dataset(
        {
            "value": (by, value),
            "cosine": ((*by, "seed", "quantile"), cosine),
            "predicted": ((*by, "quantile"), predicted),
        },
        {
            "axis": list(AXES),
            "seed": np.arange(scans.seeds),
            "quantile": list(laws.QUANTILES),
        },
        _about(scans) | {"plot": "averaging_sweeps"},
    )


def phase(scans: Scans, *, root: str, cells: Path | None, tick: Tick) -> xr.Dataset:
    r"""Radii at the centres against the number of clusters, over $\sqrt d$.

    Returns:
        ``radius`` (readout, end, seed, clusters) of the least centre, 0 where one is
        not learned, ``middle`` (readout, seed, clusters), the median over centres of
        the upper ends, ``ideal`` (readout, clusters), closed forms, and ``tails``
        (seed, clusters), that of sums with what the network answers to other centres.
    """
    jobs = [(name, k) for k in scans.counts for name in ("labels", "clusters")]
    shape = (scans.seeds, len(scans.counts))
    radius = np.full((len(READOUTS), len(ENDS), *shape), np.nan)
    middle = np.full((len(READOUTS), *shape), np.nan)
    tails = np.full(shape, np.nan)

    def measure(job: tuple[str, int]) -> None:
        training, count = job
        tick(f"radii, {count} clusters, trained on {training}")
        recipe = scans.recipe("clusters", count)
        spec = {"part": "radii", "root": root, "seeds": scans.seeds, "on": training}
        spec |= asdict(recipe) | {"exact": scans.exact}
        found = _kept(cells, spec, lambda: _radii(recipe, training, scans, root))
        place = scans.counts.index(count)
        for name in map(str, found.readout.values):
            one, row = found.sel(readout=name), READOUTS.index(name)
            radius[row, :, :, place] = one.radius.transpose("end", "seed")
            middle[row, :, place] = one.middle
        if training == "clusters":
            tails[:, place] = found.tails

    side_by_side(measure, jobs)
    ideal = [laws.ideal_radii(k // 2, k // 2) for k in scans.counts]
    return xr.Dataset(
        {
            "radius": (("readout", "end", "seed", "clusters"), radius),
            "ideal": (
                ("readout", "clusters"),
                np.array([[one[name] for one in ideal] for name in READOUTS]),
            ),
            "middle": (("readout", "seed", "clusters"), middle),
            "tails": (("seed", "clusters"), tails),
        },
        {
            "readout": list(READOUTS),
            "end": list(ENDS),
            "seed": np.arange(scans.seeds),
            "clusters": list(scans.counts),
        },
        _about(scans) | {"plot": "phase"},
    )


def _kept(cells: Path | None, spec: dict[str, Any], compute: Any) -> xr.Dataset:
    return compute() if cells is None else cell(cells, spec, "float32", compute)


def _own(recipe: Recipe, seeds: int, root: str) -> xr.Dataset:
    found = []
    for seed in range(seeds):
        trained = train(recipe, "labels", seed, root=root)
        found.append(np.quantile(trained.cosines[trained.own], laws.QUANTILES))
    return xr.Dataset({"cosine": (("seed", "quantile"), np.array(found))})


def _radii(recipe: Recipe, training: str, scans: Scans, root: str) -> xr.Dataset:
    names = ["averaged"] if training == "labels" else ["max", "sum"]
    if training == "clusters":
        # A cluster has one neuron instead of m: the same pace at a smaller rate.
        recipe = replace(recipe, rate=recipe.rate / recipe.neurons)
    # With more clusters there are too many sets of active neurons to search.
    few = training == "labels" or recipe.clusters <= scans.exact
    effort = "exact" if few else "bounds"
    radius = np.full((len(names), len(ENDS), scans.seeds), np.nan)
    middle = np.full((len(names), scans.seeds), np.nan)
    tails = np.full(scans.seeds, np.nan)
    for seed in range(scans.seeds):
        trained = train(recipe, training, seed, root=root)
        for r, name in enumerate(names):
            found = trained.radii(name, trained.centres, trained.labels, effort)
            radius[r, :, seed] = found.lower.min(), found.upper.min()
            middle[r, seed] = np.median(found.upper)
        if training == "clusters":
            tails[seed] = _with_tails(trained, recipe.each)
    unit = recipe.dim**0.5
    return xr.Dataset(
        {
            "radius": (("readout", "end", "seed"), radius / unit),
            "middle": (("readout", "seed"), middle / unit),
            "tails": ("seed", tails),
        },
        {"readout": names},
    )


def _with_tails(trained: Trained, each: int) -> float:
    """The closed form at the mean answer to other centres, as a share of the own."""
    hidden = np.asarray(trained.weights.hidden, float)
    scores = hidden @ np.asarray(trained.centres, float).T
    tail = -scores[~trained.own].mean() / scores[trained.own].mean()
    positive = int((trained.labels > 0).sum())
    few, many = sorted((positive, len(trained.labels) - positive))
    return laws.summed_with_tails(few, many, float(tail), each)


def _about(scans: Scans) -> dict[str, int | float]:
    base = scans.base
    return {
        "dim": base.dim,
        "clusters": base.clusters,
        "each": base.each,
        "deviation": base.deviation,
        "pace": scans.pace,
        "neurons": base.neurons,
        "steps": base.steps,
    }
