"""Small networks: own cosines over everything, radii against the number of clusters."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import xarray as xr

from jaxbias.experiments.averaging import Averaging
from jaxbias.studies import Progress
from jaxbias.studies import _averaging_laws as laws
from jaxbias.studies._averaging_paper import ENDS
from jaxbias.studies._averaging_runs import READOUTS, CentreRadii, run_sweep, single


@dataclass(frozen=True)
class Scans:
    """Scans about one small experiment.

    Attributes:
        base: the experiment, with half of the clusters positive.
        rates: those of the scan of rates.
        init_scales: of the first weights.
        counts: of clusters, even.
        dims: input dimensions.
        samples: of a cluster.
        exact: the most clusters at which radii are exact; bounds beyond.
        seeds: data sets and starts.
    """

    base: Averaging = Averaging()
    rates: tuple[float, ...] = (0.01, 0.03, 0.1, 0.3, 1.0, 3.0)
    init_scales: tuple[float, ...] = (1e-6, 1e-5, 1e-4, 3e-4, 1e-3, 3e-3)
    counts: tuple[int, ...] = (2, 4, 8, 16, 32)
    dims: tuple[int, ...] = (128, 256, 512, 1024)
    samples: tuple[int, ...] = (5, 10, 20, 40)
    exact: int = 16
    seeds: int = 3

    @property
    def axes(self) -> dict[str, tuple[str, tuple[float | int, ...]]]:
        """The field and the values of each scan, by its name in figures."""
        return {
            "rate": ("rate", self.rates),
            "deviation": ("init_scale", self.init_scales),
            "clusters": ("clusters", self.counts),
            "dim": ("dim", self.dims),
            "samples": ("samples_per_cluster", self.samples),
        }


def by_count(
    scans: Scans, *, root: str, cells: Path | None, progress: Progress
) -> dict[str, xr.Dataset]:
    """Networks over the number of clusters, with radii at their centres.

    Args:
        scans: the points.
        root: names the experiment.
        cells: where runs are kept, if they are.
        progress: told what is being done.

    Returns:
        Tables of those trained on ``labels`` and on ``clusters``.
    """
    return {
        one.trained_on: run_sweep(
            f"radii, trained on {one.trained_on}",
            one,
            {"clusters": scans.counts},
            scans.seeds,
            measure=[CentreRadii(scans.exact)],
            root=root,
            cells=cells,
            progress=progress,
        )
        for one in (scans.base, single(scans.base))
    }


def sweeps(
    scans: Scans,
    counted: xr.Dataset,
    *,
    root: str,
    cells: Path | None,
    progress: Progress,
) -> xr.Dataset:
    """Own cosines of networks of two labels about the base experiment.

    Args:
        scans: the points.
        counted: of these networks over the number of clusters, see :func:`by_count`.
        root: names the experiment.
        cells: where runs are kept, if they are.
        progress: told what is being done.

    Returns:
        ``cosine`` (axis, point, seed, quantile) over all neurons and their own
        clusters, ``predicted`` (axis, point, quantile) and ``value`` (axis, point);
        scans of fewer points end in NaN.
    """
    shape = (len(scans.axes), max(len(values) for _, values in scans.axes.values()))
    value = np.full(shape, np.nan)
    cosine = np.full((*shape, scans.seeds, len(laws.QUANTILES)), np.nan)
    predicted = np.full((*shape, len(laws.QUANTILES)), np.nan)
    for row, (axis, (field, values)) in enumerate(scans.axes.items()):
        table = counted
        if axis != "clusters":
            table = run_sweep(
                f"own cosines, {axis}",
                scans.base,
                {field: values},
                scans.seeds,
                root=root,
                cells=cells,
                progress=progress,
            )
        value[row, : len(values)] = values
        last = table.centre_cosines.values[:, -1]
        last = last.reshape(len(values), scans.seeds, *last.shape[1:])
        for place, each in enumerate(values):
            point = replace(scans.base, **{field: each})
            # Points of fewer clusters end in NaN.
            own = last[place][:, : len(point.own)][:, point.own]
            cosine[row, place] = np.quantile(own, laws.QUANTILES, axis=1).T
            predicted[row, place] = laws.own_cosines(point)
    by = ("axis", "point")
    return xr.Dataset(
        {
            "value": (by, value),
            "cosine": ((*by, "seed", "quantile"), cosine),
            "predicted": ((*by, "quantile"), predicted),
        },
        {
            "axis": list(scans.axes),
            "seed": np.arange(scans.seeds),
            "quantile": list(laws.QUANTILES),
        },
        _about(scans) | {"plot": "averaging_sweeps"},
    )


def phase(scans: Scans, counted: dict[str, xr.Dataset]) -> xr.Dataset:
    r"""Radii at the centres against the number of clusters, over $\sqrt d$.

    Args:
        scans: the points.
        counted: as :func:`by_count` returns them.

    Returns:
        ``radius`` (readout, end, seed, clusters) of the least centre, 0 where one is
        not learned, ``middle`` (readout, seed, clusters), the median over centres of
        the upper ends, ``ideal`` (readout, clusters), closed forms, and ``tails``
        (seed, clusters), that of sums with what the network answers to other centres.
    """
    counts = len(scans.counts), scans.seeds

    def ends(name: str) -> np.ndarray:
        # (readout, cluster, seed, count): read-outs in the order of READOUTS.
        tables = [counted[trained_on][name].values for trained_on in counted]
        joined = np.concatenate(tables, axis=1) / scans.base.dim**0.5
        return np.moveaxis(joined.reshape(*counts, *joined.shape[1:]), (0, 1), (3, 2))

    lower, upper = ends("radius_lower"), ends("radius_upper")
    least = np.stack([np.nanmin(lower, axis=1), np.nanmin(upper, axis=1)], axis=1)
    tail = counted["clusters"]["tail"].values.reshape(counts).T
    per, halves = scans.base.samples_per_cluster, [k // 2 for k in scans.counts]
    tails = [
        [
            laws.summed_with_tails(h, h, float(t), per)
            for h, t in zip(halves, row, strict=True)
        ]
        for row in tail
    ]
    ideal = [laws.ideal_radii(half, half) for half in halves]
    return xr.Dataset(
        {
            "radius": (("readout", "end", "seed", "clusters"), least),
            "ideal": (
                ("readout", "clusters"),
                np.array([[one[name] for one in ideal] for name in READOUTS]),
            ),
            "middle": (("readout", "seed", "clusters"), np.nanmedian(upper, axis=1)),
            "tails": (("seed", "clusters"), np.array(tails)),
        },
        {
            "readout": list(READOUTS),
            "end": list(ENDS),
            "seed": np.arange(scans.seeds),
            "clusters": list(scans.counts),
        },
        _about(scans) | {"plot": "phase"},
    )


def _about(scans: Scans) -> dict[str, int | float]:
    base = scans.base
    return {
        "dim": base.dim,
        "clusters": base.clusters,
        "each": base.samples_per_cluster,
        "deviation": base.init_scale,
        "pace": base.rate,
        "neurons": base.neurons_per_class,
        "steps": base.steps[-1],
    }
