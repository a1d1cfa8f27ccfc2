r"""Fast minimum-norm on any differentiable score, from several starts.

From the clean point a gradient does not see opposing neurons that are off there; on the
way to a point of the other class they are on. Starts are therefore cut where that way
crosses the boundary, and the search goes on from there. Like every attack it gives
upper ends of radii; nothing here certifies.
Source: pintor-2021, algorithm 1 with an adversarial initialisation.
"""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Key

from jaxbias import _draws
from jaxbias._checks import InputError, finite_array, positive_int, unmasked
from jaxbias.robustness._ascent import random_step
from jaxbias.robustness._inputs import check_order
from jaxbias.robustness.fast_minimum_norm import follow, lengths

# Of a segment, until its crossing is known to rounding.
_HALVINGS = 48


def shortest(
    score: Callable[[Array], Array],
    inputs: Any,
    labels: Any,
    starts: Any,
    *,
    order: float | int | str = 2,
    steps: int = 100,
) -> tuple[Float[np.ndarray, "sample feature"], Bool[np.ndarray, " sample"]]:
    r"""The shortest perturbation that breaks $y f(x + \delta) > 0$, from any start.

    A start that breaks its point is cut where its segment crosses the boundary, and
    what the steps of :func:`fast_minimum_norm.perturb` find is cut likewise. Everything
    is computed in float64; the score's arrays are cast.

    Args:
        score: from (sample, feature) to one output a sample, differentiable by JAX; a
            pytree with arrays (an equinox module) is compiled once for its shapes.
        inputs: points, (sample, feature).
        labels: +1 and -1, (sample,).
        starts: perturbations, (start, sample, feature); see :func:`towards` and
            :func:`scattered`.
        order: 2 or infinity.
        steps: iterates that are looked at from every start, itself among them.

    Returns:
        The perturbations, 0 where none was found, and which of them break; a score of 0
        is broken.

    Raises:
        InputError: for undefined inputs, labels or starts that do not fit, another
            order.

    References:
        pintor-2021, algorithm 1.
    """
    positive_int("steps", steps)
    power = check_order(order)
    points, names = _labelled(inputs, labels)
    unmasked("starts", starts)
    begin = np.asarray(starts, np.float64)
    finite_array("starts", begin)
    if begin.ndim != 3 or begin.shape[1:] != points.shape or not len(begin):
        raise InputError(
            f"starts of shape {begin.shape}",
            f"every start is a perturbation of points of shape {points.shape}",
            "starts=numpy.zeros((1, *inputs.shape))",
        )
    with jax.enable_x64(True):
        arrays, rest = eqx.partition(score, eqx.is_inexact_array_like)
        doubles = jax.tree.map(lambda array: jnp.asarray(array, jnp.float64), arrays)
        moved, length = _search_all(
            eqx.combine(doubles, rest),
            jnp.asarray(points),
            jnp.asarray(names),
            jnp.asarray(begin),
            power,
            steps,
        )
        return np.asarray(moved), np.isfinite(np.asarray(length))


def towards(
    inputs: Any, labels: Any, places: Any, place_labels: Any, picks: int
) -> Float[np.ndarray, "start sample feature"]:
    """Perturbations that lead to the nearest places of another label, nearest first.

    Args:
        inputs: points, (sample, feature).
        labels: +1 and -1, (sample,).
        places: centres or samples, (place, feature).
        place_labels: their labels, both present.
        picks: starts wanted; as many as a class has places, where that is fewer.

    Raises:
        InputError: for no picks, and for points or places that do not fit.
    """
    positive_int("picks", picks)
    points, names = _labelled(inputs, labels)
    goals, marks = _labelled(places, place_labels)
    if goals.shape[1] != points.shape[1] or len(set(marks)) < 2:
        raise InputError(
            f"places of shape {goals.shape}, labels {sorted(set(marks))}",
            f"points of {points.shape[1]} features are led to either class",
            "places of both labels, of the points' features",
        )
    square = (goals**2).sum(1)[None, :] - 2 * points @ goals.T
    square[marks[None, :] == names[:, None]] = np.inf
    count = min(picks, *(int((marks == sign).sum()) for sign in (-1, 1)))
    nearest = np.argsort(square, axis=1, kind="stable")[:, :count]
    return goals[nearest.T] - points[None]


def scattered(
    inputs: Any, length: float | int, count: int, *, key: Key[Array, ""]
) -> Float[np.ndarray, "start sample feature"]:
    """Perturbations of one length in directions drawn uniformly.

    Args:
        inputs: points, (sample, feature).
        length: of every perturbation.
        count: starts wanted.
        key: consumed.

    Raises:
        InputError: for no starts.
    """
    positive_int("count", count)
    unmasked("inputs", inputs)
    with jax.enable_x64(True):
        points = jnp.asarray(np.asarray(inputs), jnp.float64)
        budget = jnp.asarray(length, points.dtype)
        draw = lambda key: random_step(key, points, budget, 2.0)
        return np.stack([np.asarray(draw(one)) for one in _draws.split(key, count)])


def _labelled(inputs: Any, labels: Any) -> tuple[np.ndarray, np.ndarray]:
    unmasked("inputs", inputs)
    unmasked("labels", labels)
    points, names = np.asarray(inputs, np.float64), np.asarray(labels, np.float64)
    fits = points.ndim == 2 and points.size > 0 and names.shape == points.shape[:1]
    if not (fits and np.isin(names, (-1, 1)).all()):
        raise InputError(
            f"points of shape {points.shape} with labels of shape {names.shape}",
            "every point is a row and has a label, +1 or -1",
            "labels=numpy.where(labels > 0, 1.0, -1.0)",
        )
    finite_array("points", points)
    return points, names


@eqx.filter_jit
def _search_all(score, points, labels, starts, power, steps) -> tuple[Array, Array]:
    margin = lambda x: labels * score(x)

    def one(start: Array) -> tuple[Array, Array]:
        moved, length = follow(
            margin, points, _cut(margin, points, start), None, power, steps
        )
        moved = _cut(margin, points, moved)
        return moved, jnp.where(jnp.isfinite(length), lengths(moved, power), jnp.inf)

    moved, length = jax.lax.map(one, starts)
    best = jnp.argmin(length, axis=0)
    moved = jnp.take_along_axis(moved, best[None, :, None], axis=0)[0]
    return moved, jnp.min(length, axis=0)


def _cut(margin: Callable[[Array], Array], points: Array, moved: Array) -> Array:
    """Perturbations that break, shortened to where their segment crosses over."""

    def halve(_, ends: tuple[Array, Array]) -> tuple[Array, Array]:
        low, high = ends
        middle = (low + high) / 2
        broken = margin(points + middle[:, None] * moved) <= 0
        return jnp.where(broken, low, middle), jnp.where(broken, middle, high)

    one = jnp.ones_like(moved[:, 0])
    _, share = jax.lax.fori_loop(0, _HALVINGS, halve, (jnp.zeros_like(one), one))
    broken = margin(points + moved) <= 0
    share = jnp.where(margin(points) <= 0, jnp.zeros_like(one), share)
    return jnp.where(broken, share, one)[:, None] * moved
