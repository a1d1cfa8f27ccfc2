"""Numerical error of an observable from three tolerances."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float

# The three runs: tolerance, a third and a ninth of it.
REFINEMENTS = (1.0, 1.0 / 3.0, 1.0 / 9.0)
_CONTRACTION = 0.7


class Refined(NamedTuple):
    """The finest value, its error and whether the three runs converge."""

    value: Float[np.ndarray, "*shape"]
    error: Float[np.ndarray, "*shape"]
    converged: Bool[np.ndarray, "*shape"]


def refine(
    coarse: Float[np.ndarray, "*shape"],
    middle: Float[np.ndarray, "*shape"],
    fine: Float[np.ndarray, "*shape"],
    rounding: float = 1e-12,
) -> Refined:
    """Error of the finest of three runs at tol, tol/3 and tol/9.

    With d1 = |coarse - middle| and d2 = |middle - fine| the error is 2 d2 where
    d2 <= 0.7 d1 or both are at rounding; elsewhere the runs do not converge and the
    error is infinite.

    Args:
        coarse: The observable at tol.
        middle: The same at tol/3.
        fine: The same at tol/9.
        rounding: Relative size below which differences are rounding.
    """
    coarse, middle, fine = (np.asarray(a, float) for a in (coarse, middle, fine))
    first, second = np.abs(coarse - middle), np.abs(middle - fine)
    floor = rounding * np.maximum(np.abs(fine), 1.0)
    at_rounding = (first <= floor) & (second <= floor)
    converged = (second <= _CONTRACTION * first) | at_rounding
    error = np.where(converged, 2.0 * second, np.inf)
    return Refined(fine, error, converged)
