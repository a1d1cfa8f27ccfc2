"""Section 5.1 of min-vidal-2024 from its runs: a labelled table for each figure."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import xarray as xr
from scipy.optimize import brentq
from scipy.special import expi

from jaxbias.data.clusters import OrthonormalClusters
from jaxbias.dynamics.status import Status
from jaxbias.robustness.ceilings import attack_failed, population_ceiling
from jaxbias.robustness.closed_form import averaged_at_centre, per_centre_at_centre
from jaxbias.studies._cells import cell
from jaxbias.studies._section_runs import CURVES, Run, Section, measure, trainer
from jaxbias.studies._threads import side_by_side

Tick = Callable[[str], None]
AXES = ("training", "exponent", "noise", "seed")


def compute(
    section: Section, runs: Sequence[Run], folder: Path | None, tick: Tick
) -> dict[Run, xr.Dataset]:
    """Every run's table; those whose files are in the folder are read from there.

    Methods and exponents go side by side, since each is a program of its own.
    """
    groups: dict[tuple[str, float], list[Run]] = {}
    for run in runs:
        groups.setdefault((run.training, run.exponent), []).append(run)

    def one_group(group: tuple[str, float]) -> list[tuple[Run, xr.Dataset]]:
        train, found = trainer(section, *group), []
        for run in groups[group]:
            tick(
                f"{run.training}, p = {run.exponent:g}, noise {run.noise:g}, {run.seed}"
            )
            work = lambda run=run: measure(section, run, train)
            if folder is None:
                found.append((run, work()))
            else:
                found.append((run, cell(folder, (section, run), section.dtype, work)))
        return found

    return dict(pair for part in side_by_side(one_group, groups) for pair in part)


def failed(tables: Mapping[Run, xr.Dataset]) -> int:
    """How many runs did not finish."""
    return sum(int(table.status) != Status.FINISHED for table in tables.values())


def _arranged(
    tables: Mapping[Run, xr.Dataset], names: Sequence[str], shown: bool
) -> xr.Dataset:
    """These variables over training, exponent, noise and seed; NaN where no run is."""
    runs = [run for run in tables if run.shown or not shown]
    axes = {
        name: sorted({getattr(run, name) for run in runs}, key=_rank(runs, name))
        for name in AXES
    }
    shape = tuple(map(len, axes.values()))
    first = tables[runs[0]]
    values = {
        name: np.full((*shape, *first[name].shape), np.nan, first[name].dtype)
        for name in names
    }
    for run in runs:
        place = tuple(axes[name].index(getattr(run, name)) for name in AXES)
        for name in names:
            values[name][place] = tables[run][name].values
    return xr.Dataset(
        {name: ((*AXES, *first[name].dims), values[name]) for name in names}, axes
    )


def _rank(runs: Sequence[Run], name: str):
    """Methods in the order of the runs, numbers by size."""
    order = list(dict.fromkeys(run.training for run in runs))
    return order.index if name == "training" else lambda value: value


def distances(section: Section, tables: Mapping[Run, xr.Dataset]) -> xr.Dataset:
    """Searched distance of every network to its ideal classifier, and the paper's."""
    names = ("distance", "scale", "paper_distance", "coreset_gap", "evaluations")
    clusters = section.clusters
    table = _arranged(tables, names, shown=False)
    main = str(table.training.values[0])
    rows = section.coreset if main == "coreset" else section.samples
    return table.assign_attrs(
        samples_per_cluster=section.samples // clusters.clusters,
        rows_per_cluster=rows // clusters.clusters,
        late_floor=late_floor(clusters, section.time / clusters.clusters),
    )


def coreset_errors(distances: xr.Dataset) -> list[str]:
    """What two independent coresets say of the outputs, for the page; else nothing."""
    gaps = distances.coreset_gap
    lines = []
    for exponent in distances.exponent.values:
        found = gaps.sel(exponent=exponent).values.ravel()
        found = found[np.isfinite(found)]
        if len(found):
            lines.append(
                f"Relative distance of the outputs of two independent coresets, "
                f"p = {exponent:g}: median {np.median(found):.2g}, worst "
                f"{np.max(found):.2g} of {len(found)} runs."
            )
    return lines


def ceiling_errors(accuracies: xr.Dataset) -> list[str]:
    """How often each curve stands where no classifier can, for the page."""
    found = accuracies.above_ceiling.max(("training", "exponent", "seed"))
    counts = {name: int(found.sel(curve=name)) for name in CURVES}
    return [
        "Above the ceiling by more than chance (level 0.001 a radius), in the worst "
        f"run: the upper bound at {counts['upper']} radii, the certificate at "
        f"{counts['certified']}, the paper's attack at {counts['paper']} of those it "
        "is run at. An attack that stands there has missed adversarial points: the "
        "paper's starts where the gradient towards inactive opposite centres is 0."
    ]


def late_floor(clusters: OrthonormalClusters, time: float) -> float:
    r"""Distance to F at noise 0, p = 1, exponential loss, time on the cluster clock.

    A class of m centres grows as $\mathrm{Ei}(u) = 2\sqrt m\,t$, so the two classes
    differ by about $\ln(K_1/K_2)/2$ while u grows like $\ln t$: the distance
    $\min_c \sqrt{K_1 (c u_+ - 1)^2 + K_2 (c u_- - 1)^2}$ falls only like $1/\ln t$.
    """
    sizes = np.array([clusters.positive, clusters.clusters - clusters.positive])
    reached = 2.0 * np.sqrt(sizes) * time
    u = np.array([brentq(lambda u, r=r: expi(u) - r, 1e-6, 500.0) for r in reached])
    scale = (sizes @ u) / (sizes @ u**2)
    return float(np.sqrt(sizes @ (scale * u - 1.0) ** 2))


def contributions(section: Section, tables: Mapping[Run, xr.Dataset]) -> xr.Dataset:
    """Contributions |v||w| of every neuron of the runs that are shown."""
    table = np.abs(_shown(tables, "contribution"))
    return table.assign_attrs(dominant=section.dominant, noise=_noise(tables))


def cosines(section: Section, tables: Mapping[Run, xr.Dataset]) -> xr.Dataset:
    """Cosines of the dominant neurons of the first seed to the centres."""
    table = xr.merge([_shown(tables, name) for name in ("cosine", "contribution")])
    table = table.isel(seed=0, drop=True).rename(contribution="amplitude")
    large = table.cosine.notnull().any("cluster")
    return table.assign(amplitude=table.amplitude.where(large)).assign_attrs(
        positive=section.clusters.positive,
        width=section.width,
        noise=_noise(tables),
    )


def robust_accuracy(section: Section, tables: Mapping[Run, xr.Dataset]) -> xr.Dataset:
    """The three curves of robust accuracy on fresh samples, and the ceiling."""
    clusters, noise = section.clusters, _noise(tables)
    radii = np.array(section.radii)
    table = _shown(tables, "accuracy")
    ceiling = population_ceiling(
        radii, clusters.clusters, clusters.positive, clusters.dim, noise
    )
    points = {**dict.fromkeys(CURVES, section.points), "paper": section.pgd_points}
    above = np.stack(
        [
            _above(table.accuracy.values[..., i, :], points[name], ceiling)
            for i, name in enumerate(CURVES)
        ],
        axis=-1,
    )
    attributes = {
        "clusters": clusters.clusters,
        "positive": clusters.positive,
        "noise": noise,
        "points": section.points,
    }
    return (
        table.assign(
            ceiling=("radius", ceiling),
            above_ceiling=((*table.accuracy.dims[:-2], "curve"), above),
        )
        .assign_coords(curve=list(CURVES), radius=radii)
        .assign_attrs(attributes | ideal_radii(clusters, table.exponent.values))
    )


def _above(accuracy: np.ndarray, points: int, ceiling: np.ndarray) -> np.ndarray:
    """Radii at which an accuracy (..., radius) of so many points is impossible."""
    known = np.nan_to_num(accuracy)
    failed = np.vectorize(lambda a, top: attack_failed(round(a * points), points, top))
    return failed(known, ceiling).sum(axis=-1)


def ideal_radii(clusters: OrthonormalClusters, exponents) -> dict[str, float]:
    """Closed-form radius at a centre of each exponent's ideal classifier."""
    opposite = clusters.clusters - clusters.positive
    return {
        f"ideal_radius_{p:g}": averaged_at_centre(clusters.clusters)
        if p < 2
        else per_centre_at_centre(p, opposite)
        for p in exponents
    }


def _shown(tables: Mapping[Run, xr.Dataset], name: str) -> xr.Dataset:
    return _arranged(tables, (name,), shown=True).isel(noise=0, drop=True)


def _noise(tables: Mapping[Run, xr.Dataset]) -> float:
    """The one noise of the runs that are shown."""
    [noise] = {run.noise for run in tables if run.shown}
    return noise
