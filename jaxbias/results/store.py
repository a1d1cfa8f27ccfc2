"""Files of results: atomic writes, one labelled table from a file or a folder."""

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from jaxbias._axes import RUN
from jaxbias._checks import InputError, reason
from jaxbias._files import replace_whole
from jaxbias._paths import exists, shown
from jaxbias.results.tables import combine

MANIFEST = "sweep.json"
BROKEN = (OSError, ValueError, KeyError, RuntimeError, TypeError, EOFError)


class CorruptFile(InputError):
    """A file of results that cannot be read, ``path``."""

    def __init__(self, path: Path, error: Exception, fix: str):
        why = f"it is corrupt or cut short ({reason(error)})"
        super().__init__(f"file {str(path)!r}", why, fix)
        self.path = path


def write(dataset: xr.Dataset, path: str | os.PathLike[str]) -> Path:
    """Write a table as netCDF, whole or not at all.

    The bytes go to a hidden file in the same folder, are synced to the disk and
    renamed, so a reader never sees half a file, and an older file of that name
    stays until the new one is complete. Every variable carries a checksum.

    Args:
        dataset: The table; it is not changed, and a failed write loses nothing.
        path: The file, by custom ``*.nc``. Missing folders are made.

    Returns:
        The path.

    Raises:
        InputError: The disk is full, the folder cannot be written, or the table
            holds something netCDF cannot.
    """
    path = Path(path)
    return _replace(path, _serialise(dataset, path))


def open(path: str | os.PathLike[str]) -> xr.Dataset:  # noqa: A001
    """Read a results file, or every finished batch of a sweep folder, as one table.

    Batches are put in the order of their runs; where they differ in width,
    per-neuron variables are padded with NaN to the widest and ``neuron_mask``
    says which entries are neurons. All is read into memory, without dask.

    Args:
        path: A netCDF file or a folder written by ``jaxbias.sweep``.

    Returns:
        The table. For a folder, ``attrs["batches"]`` and
        ``attrs["batches_missing"]`` count what the sweep planned and lacks.

    Raises:
        InputError: Nothing is there, or a file is corrupt, cut short or belongs to
            another sweep; the message names the file.
    """
    path = Path(path)
    there = exists(path)
    if path.is_dir():
        return _open_folder(path)
    if not there:
        raise InputError(
            f"path {str(path)!r}",
            "there is no such file or folder",
            f"jaxbias.open({str(path.parent)!r}) or the folder given to --out",
        )
    return _read(path)


def set_aside(path: Path) -> Path:
    """Rename a file that cannot be read, so that it is neither read nor lost.

    The manifest of a sweep is never set aside: without it nobody knows whose runs the
    files beside it hold.

    Returns:
        Its new path.
    """
    for number in range(1, 1000):
        aside = path.with_name(f"{path.name}.corrupt-{number}")
        if not aside.exists():
            break
    path.rename(aside)
    return aside


def write_manifest(folder: Path, manifest: dict[str, Any]) -> None:
    """Write the plan of a sweep into its folder, whole or not at all.

    A plan that is there already, byte for byte, is left alone.
    """
    path = Path(folder) / MANIFEST
    content = json.dumps(manifest, indent=1, sort_keys=True).encode()
    if not (path.is_file() and path.read_bytes() == content):
        _replace(path, content)


def read_manifest(folder: Path) -> dict[str, Any] | None:
    """The plan of the sweep in a folder, or None where no sweep has begun.

    Raises:
        InputError: The plan is there and cannot be read.
    """
    path = Path(folder) / MANIFEST
    if not exists(path, f"folder {shown(folder)!r}"):
        return None
    try:
        manifest = json.loads(path.read_text())
        return {**manifest, "files": list(manifest["files"])}
    except BROKEN as error:
        # Without the plan nobody knows whose runs the batches beside it hold.
        raise corrupt(
            path,
            error,
            "the same command with a new folder; jaxbias.open of a batch's file still "
            "reads what is in this one",
        ) from error


def same_data(first: xr.Dataset, second: xr.Dataset) -> bool:
    """Whether two tables are identical: the same specification and the same bits.

    Names, dimensions, dtypes and every bit of every variable and coordinate are
    compared (NaN equals NaN); wall time, host, date and versions are not.
    """
    if first.attrs.get("spec_hash") != second.attrs.get("spec_hash"):
        return False
    if set(first.variables) != set(second.variables):
        return False
    return all(
        first[name].dims == second[name].dims
        and _bits(first[name].values) == _bits(second[name].values)
        for name in first.variables
    )


def _bits(values: np.ndarray) -> tuple[Any, ...]:
    # A string's dtype depends on whether it has been through a file.
    if values.dtype.kind not in "biufc":
        return values.shape, tuple(map(str, values.ravel()))
    values = np.where(values != values, np.nan, values).astype(values.dtype)
    return values.shape, values.dtype.str, values.tobytes()


def _serialise(dataset: xr.Dataset, path: Path) -> bytes:
    # Serialised in memory: a full disk then fails in a plain write, not inside HDF5.
    encoding = {
        name: {"zlib": True, "complevel": 1, "fletcher32": True}
        for name, variable in dataset.variables.items()
        if variable.size > 1 and variable.dtype.kind in "biuf"
    }
    clean = dataset.drop_encoding()
    try:
        return bytes(clean.to_netcdf(engine="h5netcdf", encoding=encoding))  # type: ignore[arg-type]
    except (TypeError, ValueError) as error:
        raise InputError(
            f"a table to write to {str(path)!r}",
            f"netCDF cannot hold it ({error})",
            "numbers, strings and arrays of them as variables and attributes",
        ) from error


def _replace(path: Path, content: bytes) -> Path:
    try:
        replace_whole(path, content)
    except OSError as error:
        raise InputError(
            f"path {shown(path)!r}",
            f"{len(content)} bytes cannot be written there ({error.strerror or error});"
            " complete files are untouched",
            "a folder that can be written and has room, or the same call again "
            "once it has",
        ) from error
    return path


def _read(path: Path) -> xr.Dataset:
    try:
        with xr.open_dataset(path, engine="h5netcdf") as lazy:
            return lazy.load()
    except BROKEN as error:
        raise corrupt(path, error) from error


def corrupt(
    path: Path,
    error: Exception,
    fix: str = "deleting it and running the same command again, which computes only it",
) -> CorruptFile:
    """What to say of a file that cannot be read.

    Args:
        path: The file.
        error: Why.
        fix: What to do about it.
    """
    return CorruptFile(path, error, fix)


def same_sweep(file: Path, table: xr.Dataset, manifest: dict[str, Any]) -> None:
    """Refuse a file that the sweep of its folder has not written.

    Args:
        file: For the message.
        table: What is in it.
        manifest: Of the folder.
    """
    if table.attrs.get("spec_hash") != manifest.get("spec_hash"):
        raise InputError(
            f"file {str(file)!r}",
            "it was written by another sweep than the rest of its folder",
            "moving it away and running the sweep again",
        )
    if table.attrs.get("generator") != manifest.get("generator"):
        raise InputError(
            f"file {str(file)!r}",
            f"its numbers were drawn by {table.attrs.get('generator')}, those of "
            f"its folder by {manifest.get('generator')}",
            "moving it away and running the sweep again",
        )


def _open_folder(folder: Path) -> xr.Dataset:
    manifest = read_manifest(folder)
    found = sorted(folder.glob("*.nc"))
    names = manifest["files"] if manifest else [file.name for file in found]
    files = [folder / name for name in names if (folder / name).exists()]
    if not files:
        raise InputError(
            f"folder {str(folder)!r}",
            "no results are in it"
            + (" yet: its sweep has finished no batch" if manifest else ""),
            f"jaxbias.sweep(..., out={str(folder)!r})",
        )
    tables = [_read(file) for file in files]
    for file, table in zip(files, tables, strict=True):
        if manifest:
            same_sweep(file, table, manifest)
        if len(files) > 1 and RUN not in table.dims:
            raise InputError(
                f"file {str(file)!r}",
                f"a table without the dimension {RUN!r} cannot be joined to others",
                f"jaxbias.open({str(file)!r})",
            )
    table = combine(tables) if RUN in tables[0].dims else tables[0]
    counts = {"batches": len(names), "batches_missing": len(names) - len(files)}
    return table.assign_attrs(counts)
