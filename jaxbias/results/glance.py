"""A few numbers of each run out of a file, without opening the table."""

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import xarray as xr

from jaxbias._axes import RUN
from jaxbias.results.store import BROKEN, corrupt, same_sweep

_ABOUT = ("spec_hash", "generator", "created", "wall_seconds")
_FLAGS = ("flag_values", "flag_meanings")


def glance(path: Path, names: tuple[str, ...], manifest: dict[str, Any]) -> xr.Dataset:
    """Some numbers of the runs in one file of a sweep; what it lacks is left out.

    Of a thousand files the whole tables take xarray half a minute to open, and these
    numbers a second.

    Args:
        path: The file.
        names: Variables with the dimension ``run`` alone.
        manifest: Of the folder.

    Raises:
        InputError: The file is corrupt, or belongs to another sweep.
    """
    try:
        with h5py.File(path, "r") as file:
            columns = {name: _column(file[name]) for name in names if name in file}
            attrs = {
                key: _plain(file.attrs[key]) for key in _ABOUT if key in file.attrs
            }
        table = xr.Dataset(columns, attrs=attrs)
    except BROKEN as error:
        raise corrupt(path, error) from error
    same_sweep(path, table, manifest)
    return table


def _column(stored: Any) -> tuple[str, np.ndarray, dict[str, Any]]:
    values = stored[...]
    if stored.attrs.get("dtype") == "bool":
        # netCDF has no truth values.
        values = values.astype(bool)
    return (
        RUN,
        values,
        {key: stored.attrs[key] for key in _FLAGS if key in stored.attrs},
    )


def _plain(value: Any) -> Any:
    return value.item() if isinstance(value, np.ndarray) else value
