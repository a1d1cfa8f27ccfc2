"""When observables are recorded: increasing times, all of them positive."""

import numpy as np

from jaxbias._checks import InputError, at_least, positive_int, unmasked


def logarithmic(
    final: float, *, count: int = 40, first: float | None = None
) -> np.ndarray:
    """Log-spaced times from ``first`` to ``final``.

    Args:
        final: Last time, in the flow's clock.
        count: Number of times.
        first: First time; a thousandth of ``final`` if not given.

    Returns:
        ``count`` increasing times, the last one exactly ``final``.

    Raises:
        InputError: If a time is not positive or ``first`` is not below ``final``.
    """
    first = final / 1000.0 if first is None else first
    at_least("final", final, np.finfo(float).tiny, "time runs forward from 0")
    at_least("first", first, np.finfo(float).tiny, "a logarithm needs a positive start")
    positive_int("count", count)
    if count == 1:
        return np.asarray([float(final)])
    if not first < final:
        raise InputError(
            f"first={first!r} with final={final!r}",
            "the times must increase",
            f"first={final / 1000.0:g}",
        )
    times = np.geomspace(first, final, count)
    times[-1] = final
    return times


def linear(final: float, *, count: int = 40) -> np.ndarray:
    """Evenly spaced times ``final/count, 2 final/count, ..., final``.

    Args:
        final: Last time, in the flow's clock.
        count: Number of times.

    Raises:
        InputError: If ``final`` is not positive or ``count`` is below 1.
    """
    at_least("final", final, np.finfo(float).tiny, "time runs forward from 0")
    positive_int("count", count)
    return np.linspace(final / count, final, count)


def checked(times) -> np.ndarray:
    """The times as an array, or an error that names what is wrong with them."""
    unmasked("times", times)
    times = np.atleast_1d(np.asarray(times, float))
    ordered = times.ndim == 1 and times.size > 0 and np.all(np.isfinite(times))
    if not (ordered and times[0] > 0 and np.all(np.diff(times) > 0)):
        raise InputError(
            f"times={times!r}",
            "observables are recorded at increasing, positive, finite times",
            "times=jaxbias.times.logarithmic(500.0)",
        )
    return times
