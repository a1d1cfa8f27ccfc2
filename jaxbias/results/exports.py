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

from jaxbias._checks import InputError, one_of
from jaxbias._files import replace_whole
from jaxbias._paths import shown
from jaxbias.results.columns import columns

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
