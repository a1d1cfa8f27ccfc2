"""Tables of runs as plain columns, for programs that read CSV or Parquet."""

import csv
import io
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from jaxbias._axes import RUN, SEED
from jaxbias._checks import InputError, one_of
from jaxbias._files import replace_whole
from jaxbias._paths import shown
from jaxbias.results.summaries import status_names

_FORMATS = (".csv", ".parquet")


def export(
    table: xr.Dataset,
    path: str | os.PathLike[str],
    *,
    variables: Sequence[str] | None = None,
) -> Path:
    """Write a table of runs as CSV or Parquet: long form, one row a run.

    Variables with further axes (time, cluster, ...) make a row for each run and entry,
    and the variables without them are repeated on these rows. Rows beyond a run's own
    width are left out. All runs are rows, the unfinished ones too: ``status`` says in
    words how each ended.

    Args:
        table: As ``jaxbias.open`` or ``jaxbias.sweep`` returns it; it is not changed.
        path: ``*.csv``, whose floats are written such that reading gives the same
            ones, or ``*.parquet`` (the extra ``parquet``), which also keeps the table's
            attributes. It is written whole or not at all.
        variables: Which ones, to which ``status`` is added; all if not given.

    Returns:
        The path.

    Raises:
        InputError: Variables have different further axes, a name or the ending is
            unknown, pyarrow is missing, or nothing can be written there.

    Example:
        >>> jb.results.export(table, "runs.csv", variables=["loss"])  # doctest: +SKIP
    """
    path = Path(path)
    one_of("ending", path.suffix.lower(), _FORMATS)
    write = _csv if path.suffix.lower() == ".csv" else _parquet
    content = write(columns(table, variables), table.attrs)
    try:
        replace_whole(path, content)
    except OSError as error:
        raise InputError(
            f"path {shown(path)!r}",
            f"{len(content)} bytes cannot be written there ({error.strerror or error})",
            "a file in a folder that can be written and has room",
        ) from error
    return path


def columns(
    table: xr.Dataset, variables: Sequence[str] | None = None
) -> dict[str, np.ndarray]:
    """The columns of the long form, all of one length.

    Args:
        table: As ``export`` takes it.
        variables: Likewise.

    Raises:
        InputError: As ``export``, of variables.
    """
    if RUN not in table.dims:
        raise InputError(
            "a table without the dimension 'run'",
            "a row is a run",
            "a table from jaxbias.sweep or jaxbias.open",
        )
    names = _chosen(table, variables)
    further = _further_axes(table, names)
    dims = (RUN, *further)
    sizes = [table.sizes[dim] for dim in dims]
    keep = np.ones(sizes, bool)
    for dim in further:
        if f"{dim}_mask" in table:
            keep &= _spread(table[f"{dim}_mask"], dims, table)
    shown_names = [
        str(name)
        for name in table.coords
        if set(table[name].dims) <= set(dims) and not str(name).endswith("_mask")
    ]
    first = [name for name in (RUN, SEED) if name in shown_names]
    order = [*first, *(name for name in shown_names if name not in (*first, *further))]
    made = {}
    for name in (*order, *further, *names):
        if name in table.variables:
            array = _in_words(table) if name == "status" else table[name]
        else:
            array = xr.DataArray(np.arange(table.sizes[name]), dims=name)
        made[name] = _spread(array, dims, table)[keep]
    return made


def _chosen(table: xr.Dataset, variables: Sequence[str] | None) -> list[str]:
    known = [str(n) for n, v in table.data_vars.items() if RUN in v.dims]
    if variables is None:
        return known
    if isinstance(variables, str):
        raise InputError(
            f"variables={variables!r}",
            "a list of names is needed",
            f"variables=[{variables!r}]",
        )
    for name in variables:
        one_of("variables", name, known)
    # Without it nobody could tell an unfinished run from the others.
    return list(dict.fromkeys([*variables, *(n for n in known if n == "status")]))


def _further_axes(table: xr.Dataset, names: Sequence[str]) -> tuple[str, ...]:
    """The axes beside ``run`` that variables have, which must be the same ones."""
    groups: dict[tuple[str, ...], list[str]] = {}
    for name in names:
        axes = tuple(sorted(str(dim) for dim in table[name].dims if dim != RUN))
        if axes:
            groups.setdefault(axes, []).append(name)
    if len(groups) > 1:
        told = [
            f"{', '.join(group)} one for each {' and '.join(axes)}"
            for axes, group in groups.items()
        ]
        plain = [name for name in names if set(table[name].dims) == {RUN}]
        choices = [group for group in (*groups.values(), plain) if group]
        raise InputError(
            f"variables with different axes: {'; '.join(told)}",
            "in one long table each number would stand on the rows of all others",
            " or ".join(f"variables={group!r}" for group in choices)
            + " (on the command line, --variable NAME for each)",
        )
    axes = next(iter(groups), ())
    # In the order in which the table has them.
    return tuple(str(dim) for dim in table.dims if dim in axes)


def _spread(
    array: xr.DataArray, dims: tuple[str, ...], table: xr.Dataset
) -> np.ndarray:
    """An array repeated along the dimensions that it lacks."""
    here = [dim for dim in dims if dim in array.dims]
    shape = [table.sizes[dim] if dim in here else 1 for dim in dims]
    values = array.transpose(*here).values.reshape(shape)
    return np.broadcast_to(values, [table.sizes[dim] for dim in dims])


def _in_words(table: xr.Dataset) -> xr.DataArray:
    names = status_names(table)
    status = table["status"]
    words = [names.get(code, str(code)) for code in status.values.ravel().tolist()]
    return status.copy(data=np.asarray(words).reshape(status.shape))


def _csv(made: dict[str, np.ndarray], _: Any) -> bytes:
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(made)
    # Python's own numbers print such that reading them gives the same ones.
    writer.writerows(zip(*(column.tolist() for column in made.values()), strict=True))
    return text.getvalue().encode()


def _parquet(made: dict[str, np.ndarray], attrs: Any) -> bytes:
    try:
        import pyarrow  # pyright: ignore[reportMissingImports]
        from pyarrow import parquet  # pyright: ignore[reportMissingImports]
    except ImportError as error:
        raise InputError(
            "an ending of .parquet without pyarrow",
            "it needs the extra 'parquet'",
            "pip install 'jaxbias[parquet]', or a file that ends in .csv",
        ) from error
    arrays = {
        name: column.astype(object) if column.dtype.kind == "U" else column
        for name, column in made.items()
    }
    about = {str(name): json.dumps(_plain(value)) for name, value in attrs.items()}
    held = pyarrow.table(arrays).replace_schema_metadata(about)
    content = io.BytesIO()
    parquet.write_table(held, content)
    return content.getvalue()


def _plain(value: Any) -> Any:
    return value.tolist() if hasattr(value, "tolist") else value
