"""Parts of a long study as files: what is there already is not computed again."""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import xarray as xr

from jaxbias.results import open as open_results
from jaxbias.results import provenance, write
from jaxbias.results.provenance import same_generator
from jaxbias.results.specs import spec_hash


def cell(
    folder: Path, spec: Any, precision: str, compute: Callable[[], xr.Dataset]
) -> xr.Dataset:
    """The table of a specification: read where it is, else computed and written.

    Args:
        folder: holds one file a specification, named by its hash.
        spec: whatever the table depends on.
        precision: of the computation, for the file's provenance.
        compute: makes the table.

    Raises:
        InputError: the file is corrupt, holds numbers of another generator, or
            cannot be written.
    """
    path = _file(folder, spec)
    if path.exists():
        table = open_results(path)
        same_generator(table.attrs.get("generator"), f"file {str(path)!r}")
        return table
    table = compute()
    write(table.assign_attrs(**provenance(spec, precision=precision)), path)
    return table


def kept(folder: Path, specs: Iterable[Any]) -> int:
    """How many of these specifications have their file already."""
    return sum(_file(folder, spec).exists() for spec in specs)


def _file(folder: Path, spec: Any) -> Path:
    return folder / f"{spec_hash(spec)}.nc"
