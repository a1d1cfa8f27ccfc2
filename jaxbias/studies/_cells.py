"""Parts of a long study as files: what is there already is not computed again."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import xarray as xr

from jaxbias.results import open as open_results
from jaxbias.results import provenance, write
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
        InputError: the file is corrupt, or cannot be written.
    """
    path = folder / f"{spec_hash(spec)}.nc"
    if path.exists():
        return open_results(path)
    table = compute()
    write(table.assign_attrs(**provenance(spec, precision=precision)), path)
    return table
