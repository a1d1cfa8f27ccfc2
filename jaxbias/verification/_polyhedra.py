"""Exact radii of small ReLU networks: the nearest of finitely many polyhedra.

Where a summed score errs is one polyhedron for each pattern of active neurons; where
the largest output errs, one for each rival class. The distance to each is a
least-distance program, solved in l_2 by nonnegative least squares and in l_inf by a
linear program.
"""

import itertools
import math
from typing import NamedTuple

import numpy as np
from scipy import optimize, sparse


class Piece(NamedTuple):
    """The points x with ``rows @ x <= limits``; rows of norm 1."""

    rows: np.ndarray
    limits: np.ndarray


def _piece(rows: np.ndarray, limits: np.ndarray) -> Piece:
    lengths = np.linalg.norm(rows, axis=1)
    return Piece(rows / lengths[:, None], limits / lengths)


def summed(
    hidden: np.ndarray, bias: np.ndarray, amplitudes: np.ndarray, *, strict: bool
) -> list[Piece]:
    """Where ``sum_j a_j s(<x, w_j> + b_j)`` is at most 0, or below it.

    Args:
        hidden: w, (neuron, feature), linearly independent.
        bias: b, (neuron,).
        amplitudes: a, (neuron,), none of them 0.
        strict: a score of 0 is no error; then a pattern without a negative neuron,
            where the score is nonnegative, has none.
    """
    found = []
    for pattern in itertools.product((False, True), repeat=len(bias)):
        active = np.array(pattern)
        if strict and not np.any(active & (amplitudes < 0)):
            continue
        sides = np.where(active, -1.0, 1.0)
        rows, limits = sides[:, None] * hidden, -sides * bias
        if np.any(active):
            on = amplitudes * active
            rows = np.vstack([rows, on @ hidden])
            limits = np.append(limits, -(on @ bias))
        found.append(_piece(rows, limits))
    return found


def largest(hidden: np.ndarray, own: np.ndarray, *, strict: bool) -> list[Piece]:
    """Where the largest own ``s(<x, w_j>)`` is at most the largest other, or below it.

    Args:
        hidden: w, (class, feature).
        own: which classes are the label's, (class,).
        strict: that all are 0 is no error.
    """
    found = []
    if not strict:
        found.append(_piece(hidden[own], np.zeros(int(own.sum()))))
    for rival in np.flatnonzero(~own):
        rows = np.vstack([hidden[own] - hidden[rival], -hidden[rival]])
        found.append(_piece(rows, np.zeros(len(rows))))
    return found


def nearest(
    pieces: list[Piece], point: np.ndarray, order: float | int
) -> tuple[float, np.ndarray]:
    """Distance from a point to the nearest piece, and the step to it.

    The distance to the farthest of a piece's half-spaces bounds that to the piece:
    pieces are taken in the order of these bounds, until one exceeds the best distance.
    """
    slacks = [piece.limits - piece.rows @ point for piece in pieces]
    duals = [_dual_lengths(piece.rows, order) for piece in pieces]
    bounds = [float(np.max(-s / d)) for s, d in zip(slacks, duals, strict=True)]
    best, step = math.inf, np.full(point.shape, math.nan)
    for index in np.argsort(bounds):
        if bounds[index] >= best:
            break
        found = _shortest(pieces[index].rows, slacks[index], duals[index], order)
        length = float(np.linalg.norm(found, ord=order))
        if length < best:
            best, step = length, found
    return best, step


def _dual_lengths(rows: np.ndarray, order: float | int) -> np.ndarray:
    return np.ones(len(rows)) if order == 2 else np.abs(rows).sum(axis=1)


def _shortest(
    rows: np.ndarray, slack: np.ndarray, duals: np.ndarray, order: float | int
) -> np.ndarray:
    """Shortest step with ``rows @ step <= slack``; infinite where there is none."""
    violations = -slack / duals
    worst = int(np.argmax(violations))
    if violations[worst] <= 0:
        return np.zeros(rows.shape[1])
    normal = rows[worst] if order == 2 else np.sign(rows[worst])
    step = -violations[worst] * normal
    if np.all(rows @ step <= slack + 1e-12 * abs(slack[worst])):
        return step
    return _l2(rows, slack) if order == 2 else _linf(rows, slack)


def _l2(rows: np.ndarray, slack: np.ndarray) -> np.ndarray:
    """Lawson and Hanson's program in units of the largest violation."""
    scale = float(np.max(-slack))
    system = np.vstack([-rows.T, -slack[None] / scale])
    target = np.zeros(len(system))
    target[-1] = 1.0
    weights, residual = optimize.nnls(system, target)
    # The residual is 1/sqrt(1 + distance^2): a piece without points is at infinity.
    if residual < 1e-6:
        return np.full(rows.shape[1], math.inf)
    rest = system @ weights - target
    return -scale * rest[:-1] / rest[-1]


def _linf(rows: np.ndarray, slack: np.ndarray) -> np.ndarray:
    count = rows.shape[1]
    ones, eye = np.ones((count, 1)), sparse.identity(count)
    inside = sparse.hstack([sparse.csr_matrix(rows), np.zeros((len(rows), 1))])
    box = sparse.vstack([sparse.hstack([side * eye, -ones]) for side in (1, -1)])
    found = optimize.linprog(
        np.append(np.zeros(count), 1.0),
        A_ub=sparse.vstack([inside, box]).tocsr(),
        b_ub=np.append(slack, np.zeros(2 * count)),
        bounds=[(None, None)] * count + [(0, None)],
    )
    if found.status == 2:
        return np.full(count, math.inf)
    if not found.success:
        raise RuntimeError(found.message)
    return found.x[:-1]
