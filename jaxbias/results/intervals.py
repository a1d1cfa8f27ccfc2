"""How sure a median over seeds is: intervals from order statistics."""

from collections.abc import Sequence

import numpy as np
import xarray as xr
from scipy.special import bdtr

from jaxbias._checks import InputError, told
from jaxbias.results.outcomes import FINISHED
from jaxbias.results.summaries import median, over_seeds


def confidence(
    dataset: xr.Dataset,
    name: str,
    *,
    level: float = 0.95,
    by: Sequence[str] | None = None,
) -> xr.Dataset:
    r"""An interval that holds the median over all seeds, from the seeds that ran.

    The ends are the k-th smallest and k-th largest of n values, with the largest k such
    that $2\,P(\mathrm{Bin}(n, 1/2) < k) \le 1 - $ ``level``. Nothing is assumed of how
    the values are distributed, and the probability is exact for continuous ones.

    Args:
        dataset: A table with the dimension ``run`` and the variable ``status``.
        name: The variable.
        level: Probability with which the interval is to hold the median, at least.
        by: As in ``median``.

    Returns:
        ``median``, ``lower`` and ``upper``, laid out as ``median`` does, with the
        coordinates ``finished`` and ``coverage`` (the probability that is reached) for
        each point. A point with too few finished seeds has infinite ends and a coverage
        of 1; ``attrs["too_few"]`` counts these.

    Raises:
        InputError: As ``median``; for a level outside (0, 1), and where no point has
            seeds enough.
    """
    check_level(level)
    middle = median(dataset, name, by=by)
    counts = middle[FINISHED]
    enough(int(counts.max()), level, name)
    ends = over_seeds(
        dataset, name, by, lambda v: _ends(v, level), {"end": np.arange(2)}
    )
    rank = xr.apply_ufunc(lambda n: _rank(n, level), counts)
    reached = xr.where(rank > 0, 1 - 2 * bdtr(rank - 1, counts, 0.5), 1.0)
    found = {"median": middle, "lower": ends[..., 0], "upper": ends[..., 1]}
    table = xr.Dataset(
        {key: array.drop_vars("end", errors="ignore") for key, array in found.items()}
    )
    return table.assign_coords(coverage=reached).assign_attrs(
        {**middle.attrs, "level": level, "too_few": int((rank == 0).sum())}
    )


def check_level(level: float) -> None:
    """Refuse what is no probability between 0 and 1."""
    if not (isinstance(level, float) and 0 < level < 1):
        raise InputError(
            f"level={told(level)}",
            "it is a probability between 0 and 1",
            "level=0.95",
        )


def _rank(count: np.ndarray, level: float) -> np.ndarray:
    """The k of the k-th smallest and largest; 0 where there are too few values."""
    count = np.asarray(count)
    ranks = np.arange(1, int(count.max(initial=1)) + 1)
    # Of k values on one side the probability is that of at most k - 1 heads.
    outside = 2 * bdtr(ranks - 1, count[..., None], 0.5)
    fits = (outside <= 1 - level) & (2 * ranks <= count[..., None])
    return np.asarray(fits.sum(axis=-1))


def _ends(values: np.ndarray, level: float) -> np.ndarray:
    rank = int(_rank(np.asarray(len(values)), level))
    if rank == 0:
        infinite = np.full(values.shape[1:], np.inf)
        pair = (-infinite, infinite)
    else:
        ordered = np.sort(values, axis=0)
        pair = (ordered[rank - 1], ordered[-rank])
    undefined = np.isnan(values).any(axis=0)
    return np.stack([np.where(undefined, np.nan, end) for end in pair], axis=-1)


def enough(count: int, level: float, name: str) -> None:
    """Refuse so few seeds that not even their extremes are an interval.

    Args:
        count: Finished seeds at a point.
        level: Probability with which the median is to be held.
        name: The variable, for the message.
    """
    needed = int(np.ceil(1 - np.log2(1 - level)))
    if count < needed:
        reached = 1 - 2.0 ** (1 - count) if count else 0.0
        raise InputError(
            f"{name!r} with {count} finished seeds at a point and level={level:g}",
            f"the lowest and the highest of {count} values hold the median with "
            f"probability {max(reached, 0.0):.4g} only",
            f"{needed} seeds or more, or a lower level",
        )
