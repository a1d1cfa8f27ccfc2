r"""Distance of two classifiers up to scaling, as a searched supremum.

$$\mathrm{dist}(f, g) = \inf_{c > 0}\ \sup_{\|x\|=1} |c f(x) - g(x)|$$

The supremum is searched by ascent on the sphere, so a value returned here is a lower
bound: it is reached at the maximiser, and the scale is the best one for all points the
search has seen. The scale and the points are improved in turn (cutting planes).
"""

from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from jaxbias import _draws
from jaxbias.networks.activations import Activation
from jaxbias.networks.weights import Weights, predict, row_norms

_FIRST_STEP, _LAST_STEP = 0.3, 1e-4
_SCALE_HALVINGS = 80
_GOLDEN = 0.6180339887498949


class Distance(NamedTuple):
    """A searched distance.

    Attributes:
        value: the distance found, a lower bound of the true one.
        scale: the factor c that makes the first classifier fit best.
        maximiser: the unit vector where the difference is ``value``.
    """

    value: Float[Array, ""]
    scale: Float[Array, ""]
    maximiser: Float[Array, " feature"]


def _unit(rows: Array) -> Array:
    norms = row_norms(rows)
    return rows / jnp.where(norms > 0, norms, jnp.ones_like(norms))[:, None]


def best_scale(
    first: Float[Array, " point"], second: Float[Array, " point"]
) -> tuple[Float[Array, ""], Float[Array, ""]]:
    r"""$\arg\min_{c \ge 0} \max_i |c\,a_i - b_i|$ and the minimum: convex in c.

    Golden-section search on $[0, 2 \max|b| / \max|a|]$, beyond which c = 0 is better.
    """
    largest = jnp.max(jnp.abs(first))
    top = 2 * jnp.max(jnp.abs(second)) / jnp.where(largest > 0, largest, 1)

    def worst(c):
        return jnp.max(jnp.abs(c * first - second))

    def narrow(_, ends):
        low, high = ends
        width = high - low
        left, right = high - _GOLDEN * width, low + _GOLDEN * width
        keep_left = worst(left) <= worst(right)
        return (
            jnp.where(keep_left, low, left),
            jnp.where(keep_left, right, high),
        )

    low, high = jax.lax.fori_loop(
        0, _SCALE_HALVINGS, narrow, (jnp.zeros_like(top), top)
    )
    c = 0.5 * (low + high)
    return c, worst(c)


def _span(first: Weights, second: Weights) -> tuple[Weights, Weights, Array | None]:
    """Both networks in an orthonormal basis of their neurons' span, and the basis.

    A difference of degree p > 0 sees nothing outside that span, so its supremum over
    the sphere is reached inside. No basis where the span is everything.
    """
    rows = jnp.concatenate([first.hidden, second.hidden])
    if rows.shape[0] >= rows.shape[1]:
        return first, second, None
    # Rows of norm 1, since those of dead neurons are too small to be told from 0.
    basis = jnp.linalg.qr(_unit(rows).T)[0]
    inside = lambda w: eqx.tree_at(lambda w: w.hidden, w, w.hidden @ basis)
    return inside(first), inside(second), basis


def _starts(key: Key[Array, ""], rows: list[Array], random: int) -> Array:
    """Given directions with both signs, their random sums, and random directions."""
    known = jnp.concatenate([_unit(row) for row in rows])
    known = jnp.concatenate([known, -known])
    mix, free = _draws.split(key)
    shape = (random, known.shape[0])
    # Few summands each: supports of a maximiser are small or the whole class.
    chosen = _draws.normal(mix, shape, known.dtype) ** 5
    gauss = _draws.normal(free, (random, known.shape[1]), known.dtype)
    return jnp.concatenate([known, _unit(chosen @ known), _unit(gauss)])


@eqx.filter_jit
def distance(
    first: tuple[Weights, Activation],
    second: tuple[Weights, Activation],
    *,
    key: Key[Array, ""],
    fitted: bool = True,
    neurons: int = 16,
    random: int = 24,
    steps: int = 60,
    rounds: int = 4,
) -> Distance:
    """Search the distance of two bias-free networks of the same degree.

    Starts: both signs of the second network's neurons (for an ideal classifier: the
    centres or the class averages) and of the first's largest ones, random
    combinations of these, random directions. Steps are normalised for each point on
    its own and shrink geometrically; nothing is added to a gradient's norm, so small
    gradients do not stall the search.

    Args:
        first: weights and activation of the trained network.
        second: weights and activation of the ideal classifier.
        key: for the random starts; consumed.
        fitted: whether the best factor is searched, too; else it is 1.
        neurons: how many of the first network's neurons are starts.
        random: how many random combinations, and as many random directions.
        steps: ascent steps in each round.
        rounds: how often the scale is refitted and the ascent continued.

    Returns:
        Value, scale and maximiser.

    References:
        min-vidal-2024, section 5.1 (the definition; its own search adds a constant to
        the gradient's norm and stalls for p >= 3, see :func:`paper_distance`).
    """
    activation, ideal_activation = first[1], second[1]
    weights, ideal, basis = _span(first[0], second[0])
    amplitudes = jnp.abs(weights.output) * weights.norms()
    count = min(neurons, amplitudes.shape[0])
    largest = jax.lax.top_k(amplitudes, count)[1]
    start = _starts(key, [ideal.hidden, weights.hidden[largest]], random)

    def values(points):
        trained = predict(weights, activation, points)
        return trained, predict(ideal, ideal_activation, points)

    def fit(trained, target):
        if fitted:
            return best_scale(trained, target)
        return jnp.ones_like(trained[0]), jnp.max(jnp.abs(trained - target))

    def gap(points, scale):
        trained, target = values(points)
        gaps = jnp.abs(scale * trained - target)
        return jnp.sum(gaps), gaps

    ascend = jax.grad(gap, has_aux=True)
    ratio = (_LAST_STEP / _FIRST_STEP) ** (1 / max(steps - 1, 1))

    def climb(points, scale):
        def step(carry, t):
            points, best, best_gaps = carry
            slope, gaps = ascend(points, scale)
            better = gaps > best_gaps
            best = jnp.where(better[:, None], points, best)
            best_gaps = jnp.maximum(gaps, best_gaps)
            along = jnp.sum(slope * points, axis=1, keepdims=True)
            move = _unit(slope - along * points)
            size = _FIRST_STEP * ratio**t
            return (_unit(points + size * move), best, best_gaps), None

        times = jnp.arange(steps, dtype=points.dtype)
        none = jnp.full(points.shape[:1], -1.0, points.dtype)
        (last, best, best_gaps), _ = jax.lax.scan(step, (points, points, none), times)
        better = gap(last, scale)[1] > best_gaps
        return jnp.where(better[:, None], last, best)

    def improve(seen, slot):
        # The starts again, not the last maximisers: another scale has other peaks.
        scale, _ = fit(*values(seen.reshape(-1, seen.shape[-1])))
        return seen.at[slot].set(climb(start, scale)), None

    # Slots not yet filled repeat the starts, so that the loop is compiled once.
    seen = jnp.tile(start[None], (rounds, 1, 1))
    seen, _ = jax.lax.scan(improve, seen, jnp.arange(rounds))
    points = jnp.concatenate([start, seen.reshape(-1, seen.shape[-1])])
    trained, target = values(points)
    scale, value = fit(trained, target)
    witness = points[jnp.argmax(jnp.abs(scale * trained - target))]
    return Distance(value, scale, witness if basis is None else basis @ witness)


@eqx.filter_jit
def paper_distance(
    first: tuple[Weights, Activation],
    second: tuple[Weights, Activation],
    inputs: Float[Array, "sample feature"],
    *,
    key: Key[Array, ""],
    points: int = 128,
    batch: int = 1000,
    steps: int = 200,
    step: float = 0.01,
) -> Float[Array, ""]:
    r"""The distance as the paper's code searches it, kept to show where it stalls.

    $x \leftarrow x + \text{step}\; g / (\|g\| + 10^{-7})$ with g the gradient of a
    batch *mean* of squared differences: where gradients are small (p >= 3 at random
    points) the constant and the 1/batch keep the points where they started.

    Args:
        first: the trained network.
        second: the ideal classifier.
        inputs: fresh data; the scale is the least-squares fit on it.
        key: for the random points; consumed.
        points: points that are moved (they do not interact).
        batch: the batch size whose mean the paper's gradient belongs to.
        steps: number of steps (2,000 in the paper).
        step: length of a step.

    References:
        min-vidal-2024, section 5.1 and its released code.
    """
    weights, activation = first
    ideal, ideal_activation = second
    fitted = predict(weights, activation, inputs)
    target = predict(ideal, ideal_activation, inputs)
    scale = jnp.sum(fitted * target) / jnp.sum(fitted * fitted)

    def difference(x):
        return scale * predict(weights, activation, x) - predict(
            ideal, ideal_activation, x
        )

    def move(x, _):
        slope = jax.grad(lambda x: jnp.sum(difference(x) ** 2) / batch)(x)
        lengths = row_norms(slope)[:, None] + 1e-7
        return _unit(x + step * slope / lengths), None

    gauss = _draws.normal(key, (points, inputs.shape[1]), inputs.dtype)
    last, _ = jax.lax.scan(move, _unit(gauss), length=steps)
    return jnp.max(jnp.abs(difference(last)))
