"""Radius and amplitude over width and noise, from one sweep."""

from collections.abc import Sequence

import xarray as xr

from jaxbias.data.clusters import OrthonormalClusters
from jaxbias.dynamics.adaptive import Adaptive
from jaxbias.dynamics.flow import GradientFlow
from jaxbias.dynamics.status import Status
from jaxbias.studies import Progress
from jaxbias.studies._section_tables import ideal_radii
from jaxbias.sweeps import sweep


def widths_and_noises(
    flow: GradientFlow,
    exponents: Sequence[float],
    widths: Sequence[int],
    noises: Sequence[float],
    seeds: int,
    time: float,
    rtol: float,
    root: str,
    progress: Progress,
) -> tuple[xr.Dataset, int]:
    r"""Sweep the flow and reduce each run to its worst centre and its amplitude.

    The amplitude $\sum_{v_j>0} |v_j|\|w_j\|$ is divided by its closed form at the end
    of a square-loss flow, $\sqrt{K_1}$ for p = 1 and $K_1$ for p > 2.

    Returns:
        The table over (exponent, noise, width, seed), and how many runs failed.
    """
    runs = sweep(
        flow,
        {"exponent": list(exponents), "noise": list(noises), "width": list(widths)},
        seeds,
        times=[time],
        observe=["amplitudes"],
        radius_at="centres",
        integrator=Adaptive(rtol, accuracy="final outputs"),
        root=root,
        progress=progress,
    )
    finished = runs.status == Status.FINISHED
    clusters = flow.data
    assert isinstance(clusters, OrthonormalClusters)
    forms = {p: clusters.positive ** (0.5 if p < 2 else 1.0) for p in exponents}
    form = xr.DataArray([forms[float(p)] for p in runs.exponent.values], dims="run")
    positive = runs.amplitudes.isel(time=-1, side=0)
    reduced = xr.Dataset(
        {
            "radius_lower": runs.radius_lower.min("cluster"),
            "radius_upper": runs.radius_upper.min("cluster"),
            "amplitude": positive / form,
        }
    ).where(finished)
    axes = ["exponent", "noise", "width", "seed"]
    table = reduced.set_index(run=axes).unstack("run").transpose(*axes)
    table = table.assign_attrs(ideal_radii(clusters, exponents))
    return table, int((~finished).sum())
