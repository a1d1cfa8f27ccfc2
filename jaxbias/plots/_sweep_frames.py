"""What a figure of a sweep holds: medians, bands, worst seeds and closed forms."""

import inspect
from collections.abc import Callable
from typing import Any

import numpy as np

from jaxbias._axes import TIME
from jaxbias._checks import InputError, told
from jaxbias.plots._marks import Mark
from jaxbias.plots._sweep_choice import Choice
from jaxbias.results import summaries
from jaxbias.results.outcomes import FINISHED

ALL = "all runs"
_POINTS = 200
# Below this, a logarithm would show little that an even axis does not.
_LEAST_SPAN = 3.0


def sweep(choice: Choice, band: tuple[float, float], law: Any = None) -> list[Mark]:
    """For each colour the median, the band and the worst seed, then the closed form.

    The panel of every mark is the variable, its series the value of the hue.

    Args:
        choice: The runs.
        band: Two probabilities, of the quantiles between which the band lies.
        law: ``y`` as a function of ``x``, or of ``x`` and the value of the hue.
    """
    by = [name for name in (choice.x, choice.hue) if name not in (None, TIME)]
    names = [str(name) for name in by]
    ends = summaries.quantiles(choice.table, choice.y, band, by=names)
    middle = summaries.median(choice.table, choice.y, by=names)
    worst = summaries.worst(choice.table, choice.y, largest=choice.largest, by=names)
    marks = []
    for value in hues(choice):
        pick = lambda array, value=value: np.asarray(
            (array if value is None else array.sel({choice.hue: value})).transpose(
                choice.x, ...
            ),
            float,
        )
        x = positions(choice)
        series = ALL if value is None else str(value)
        spread = pick(ends)
        marks += [
            Mark(choice.y, series, "band", x, spread[:, 0], spread[:, 1]),
            Mark(choice.y, series, "worst", x, pick(worst)),
            Mark(choice.y, series, "median", x, pick(middle)),
        ]
    return marks if law is None else marks + _laws(choice, law)


def hues(choice: Choice) -> list[Any]:
    """The values that have colours; None alone where all runs have the same one."""
    if choice.hue is None:
        return [None]
    return np.unique(choice.table[choice.hue].values).tolist()


def values(choice: Choice) -> np.ndarray:
    """The values of the abscissa, in increasing order."""
    return np.unique(choice.table[choice.x].values)


def positions(choice: Choice) -> np.ndarray:
    """Where those values stand: words stand side by side."""
    found = values(choice)
    if found.dtype.kind in "iuf":
        return found.astype(float)
    return np.arange(len(found), dtype=float)


def log_spaced(values: Any) -> bool:
    """Whether numbers are spaced more evenly in their logarithms than in themselves.

    Example:
        >>> log_spaced([8, 16, 32]), log_spaced([0.1, 0.2, 0.3, 0.4])
        (True, False)
    """
    values = np.unique(np.asarray(values, float))
    if len(values) < 2 or values[0] <= 0 or values[-1] < _LEAST_SPAN * values[0]:
        return False
    if len(values) == 2:
        return bool(values[1] >= 10 * values[0])
    unevenness = [
        np.std(steps) / np.mean(steps)
        for steps in map(np.diff, (np.log(values), values))
    ]
    return bool(unevenness[0] < unevenness[1])


def seeds_of(choice: Choice) -> tuple[int, int]:
    """The least and the largest number of seeds behind one point of the figure."""
    by = [str(n) for n in (choice.x, choice.hue) if n not in (None, TIME)]
    counts = summaries.median(choice.table, choice.y, by=by)[FINISHED].values
    return int(counts[counts > 0].min()), int(counts.max())


def _laws(choice: Choice, law: Callable[..., Any]) -> list[Mark]:
    x = positions(choice)
    if values(choice).dtype.kind not in "iuf":
        raise InputError(
            f"law over {choice.x!r}, whose values are words",
            "a closed form is a function of numbers",
            "plots.sweep without law",
        )
    between = np.geomspace if log_spaced(x) else np.linspace
    # The ends of a spaced grid are the ends themselves only up to rounding.
    fine = np.clip(between(x[0], x[-1], _POINTS), x[0], x[-1])
    if choice.hue is not None and _takes_two(law):
        pairs = [(str(value), law(fine, value)) for value in hues(choice)]
    else:
        pairs = [(ALL, law(fine))]
    return [Mark(choice.y, name, "fit", fine, _numbers(y)) for name, y in pairs]


def _takes_two(law: Callable[..., Any]) -> bool:
    try:
        parameters = inspect.signature(law).parameters.values()
    except (TypeError, ValueError):
        # NumPy's own functions have no signature.
        return False
    needed = [
        p
        for p in parameters
        if p.default is p.empty
        and p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)
    ]
    return len(needed) == 2


def _numbers(found: Any) -> np.ndarray:
    try:
        numbers = np.broadcast_to(np.asarray(found, float), (_POINTS,))
    except (TypeError, ValueError):
        numbers = np.full(_POINTS, np.nan)
    if not np.isfinite(numbers).any():
        raise InputError(
            f"law that returned {told(found)}",
            "it is called with an array and has to return as many numbers",
            "law=lambda width: 3 / numpy.sqrt(width)",
        )
    return numbers
