"""How the runs of a table ended."""

from collections import Counter

import numpy as np
import xarray as xr
from jaxtyping import Bool

from jaxbias._axes import RUN
from jaxbias._checks import InputError

FINISHED = "finished"


def is_finished(dataset: xr.Dataset) -> Bool[np.ndarray, " run"]:
    """Whether each run reached its last time.

    Raises:
        InputError: There is no ``status``.
    """
    names = status_names(dataset)
    codes = [code for code, name in names.items() if name == FINISHED]
    return np.isin(dataset["status"].values, codes or [0])


def outcomes(dataset: xr.Dataset) -> Counter[str]:
    """How many runs ended in which way, by the names of their statuses.

    Raises:
        InputError: There is no ``status``.
    """
    names = status_names(dataset)
    codes, counts = np.unique(dataset["status"].values, return_counts=True)
    return Counter(
        {
            names.get(code, f"status {code}"): count
            for code, count in zip(codes.tolist(), counts.tolist(), strict=True)
        }
    )


def status_names(dataset: xr.Dataset) -> dict[int, str]:
    """What the codes of ``status`` stand for.

    Raises:
        InputError: There is no ``status``.
    """
    if "status" not in dataset or RUN not in dataset["status"].dims:
        raise InputError(
            "a table without 'status'",
            "nothing tells a finished run from one that stopped early",
            "a table from jaxbias.sweep or jaxbias.open",
        )
    attrs = dataset["status"].attrs
    names = str(attrs.get("flag_meanings", FINISHED)).split()
    codes = np.atleast_1d(attrs.get("flag_values", 0)).tolist()
    return dict(zip(codes, names, strict=False))
