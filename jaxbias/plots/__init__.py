"""Figures from their data files; never imports jax.

Every figure lies beside the netCDF file it was drawn from. The file's ``plot``
attribute names its kind, so :func:`draw` redraws any of them. The table of any sweep is
drawn by :func:`sweep`.
"""

import importlib
from pathlib import Path

import xarray as xr
from matplotlib.figure import Figure

from jaxbias._checks import InputError, one_of
from jaxbias._paths import exists
from jaxbias.plots.style import write as write
from jaxbias.plots.sweep import sweep as sweep

KINDS = (
    "alignment",
    "averaging_cosines",
    "averaging_sweeps",
    "contributions",
    "cosine_map",
    "digits",
    "distance",
    "error_against_time",
    "geometry",
    "mnist",
    "mnist_cosines",
    "models",
    "parametrisations",
    "phase",
    "readout_accuracy",
    "robust_accuracy",
    "scales",
    "separable",
    "supervision",
    "supervision_cosines",
    "two_phases",
    "widths",
)

__all__ = ["KINDS", "draw", "figure", "sweep", "write"]


def figure(data: xr.Dataset) -> Figure:
    """The figure of one labelled table; ``data.attrs["plot"]`` names the kind.

    Raises:
        InputError: the table names no known kind of plot.
    """
    kind = data.attrs.get("plot")
    one_of("plot", kind, KINDS)
    style = importlib.import_module("jaxbias.plots.style")
    with style.paper():
        return importlib.import_module(f"jaxbias.plots.{kind}").figure(data)


def draw(path: str | Path, out: str | Path | None = None) -> list[Path]:
    """Redraw a figure from its data file, as PDF and PNG.

    Args:
        path: A ``data/<figure>.nc`` file that a study wrote.
        out: Folder for the two files; beside the file's ``data`` folder by default.

    Returns:
        The paths written.

    Raises:
        InputError: no such file, or the file is not the data of a figure.

    Example:
        >>> draw("figures/neuron_alignment/data/distance.nc")  # doctest: +SKIP
    """
    path = Path(path)
    if not exists(path) or not path.is_file():
        raise InputError(
            f"path={str(path)!r}",
            "there is no such file",
            "a data/<figure>.nc file below figures/",
        )
    style = importlib.import_module("jaxbias.plots.style")
    with xr.open_dataset(path, engine="h5netcdf") as opened:
        data = opened.load()
    folder = Path(out) if out is not None else path.parent.parent
    with style.paper():
        return style.save(figure(data), folder / path.stem)
