"""Upper ends: every witness goes through the real forward pass in float64."""

import functools
import math
from collections.abc import Callable
from typing import Any

import jax
import numpy as np
from jaxtyping import Float, Int, Shaped

from jaxbias.networks.activations import Activation
from jaxbias.networks.readouts import Readout
from jaxbias.networks.weights import Weights, predict
from jaxbias.robustness._ascent import in_double

# Last resorts when the real forward pass rounds a point back over the boundary.
_NUDGES = (1e-14, 1e-12, 1e-10, 1e-8, 1e-6, 1e-4, 1e-2, 0.1, 0.3)
_FINE = 1e-8

Forward = Callable[[np.ndarray, np.ndarray], np.ndarray]
Box = tuple[Float[np.ndarray, " feature"], Float[np.ndarray, " feature"]]


def lengths(vectors: np.ndarray, order: float | int) -> np.ndarray:
    """Norms of rows."""
    if math.isinf(order):
        return np.abs(vectors).max(-1, initial=0.0)
    return np.sqrt(np.einsum("...i,...i->...", vectors, vectors))


@functools.partial(jax.jit, static_argnames=("activation", "normalise", "readout"))
def _margins(weights, activation, normalise, readout, points, labels):
    outputs = predict(weights, activation, points, normalise_inputs=normalise)
    return readout.margin(outputs, labels)


def margins(
    weights: Weights,
    activation: Activation,
    normalise: bool,
    readout: Readout,
    labels: Shaped[np.ndarray, " sample"],
) -> Forward:
    """The real forward pass in float64, up to the margin of the read-out.

    The weights are converted here, once; the function then takes points and the row
    whose label each of them has.
    """
    with jax.enable_x64(True):
        arrays = in_double(weights)

    def forward(
        points: Float[np.ndarray, "point feature"], rows: Int[np.ndarray, " point"]
    ) -> Float[np.ndarray, " point"]:
        # All points, or powers of two, so that few heights are compiled.
        height, padded = len(labels), points
        if len(points) != height:
            height = 1 << max(len(points) - 1, 0).bit_length()
            padded = np.zeros((height, points.shape[1]))
            padded[: len(points)] = points
        names = np.resize(labels[rows] if len(rows) else labels[:1], height)
        with jax.enable_x64(True):
            found = _margins(arrays, activation, normalise, readout, padded, names)
            return np.asarray(found)[: len(points)]

    return forward


class Ends:
    """The shortest confirmed witness of every point so far.

    Attributes:
        clean: margins of the clean points.
        broken: points that are wrong without any step.
        upper: lengths of the witnesses, infinite without one.
        witness: the witnesses; the clean point without one.
        source: what found them.
    """

    def __init__(
        self,
        points: Float[np.ndarray, "sample feature"],
        forward: Forward,
        order: float | int,
        tie: str = "<=",
        box: Box | None = None,
    ):
        self._points, self._forward, self._order = points, forward, order
        self._tie, self._box = tie, box
        self.clean = forward(points, np.arange(len(points)))
        self.broken = self._wrong(self.clean)
        self.upper = np.where(self.broken, 0.0, np.inf)
        self.witness = points.copy()
        self.source = np.full(len(points), "nothing", dtype=object)

    def _wrong(self, margins: np.ndarray) -> np.ndarray:
        return margins <= 0 if self._tie == "<=" else margins < 0

    def offer(
        self,
        rows: Int[np.ndarray, " offer"],
        steps: Float[np.ndarray, "offer feature"],
        source: Any,
        coarse: bool = False,
    ) -> None:
        """Take the steps that are confirmed and shorter than what there is.

        Args:
            rows: which point each step starts from; a point may occur several times.
            steps: perturbations.
            source: what found them, one name or one a step.
            coarse: walk back along each step to where the point breaks first.
        """
        source = np.broadcast_to(np.asarray(source, dtype=object), len(rows))
        # What is longer already cannot win, unless it may be shortened.
        with np.errstate(over="ignore", invalid="ignore"):
            size = lengths(steps, self._order)
        hope = np.isfinite(size) if coarse else size < self.upper[rows]
        hope &= ~self.broken[rows]
        rows, steps, source = rows[hope], steps[hope], source[hope]
        if not len(rows):
            return
        reached, length = self._confirm(steps, rows, coarse)
        # The shortest of each point: later assignments win.
        sequence = np.argsort(-length, kind="stable")
        sequence = sequence[length[sequence] < self.upper[rows[sequence]]]
        chosen = rows[sequence]
        self.upper[chosen] = length[sequence]
        self.witness[chosen] = reached[sequence]
        self.source[chosen] = source[sequence]

    def _inside(self, points: np.ndarray) -> np.ndarray:
        return points if self._box is None else np.clip(points, *self._box)

    def _confirm(
        self, steps: np.ndarray, rows: np.ndarray, coarse: bool
    ) -> tuple[np.ndarray, np.ndarray]:
        """Points that the real forward pass finds broken, and their distances."""
        clean = self._points[rows]
        reached = self._inside(clean + steps)
        good = self._wrong(self._forward(reached, rows))
        sizes = np.where(good, 0.0, np.inf)
        if coarse:
            self._shorten(reached, clean, rows, np.flatnonzero(good))
        waiting = np.flatnonzero(~good)
        for nudge in _NUDGES:
            if not len(waiting):
                break
            trial = self._inside(clean[waiting] + (1 + nudge) * steps[waiting])
            good = self._wrong(self._forward(trial, rows[waiting]))
            done = waiting[good]
            reached[done], sizes[done] = trial[good], 0.0
            if coarse or nudge > _FINE:
                self._shorten(reached, clean, rows, done)
            waiting = waiting[~good]
        # The witness is exact; its distance is rounded upwards.
        terms = clean.shape[1] + 8
        distance = lengths(reached - clean, self._order) * (1 + terms * 2.0**-52)
        return reached, sizes + distance

    def _shorten(
        self, reached: np.ndarray, clean: np.ndarray, rows: np.ndarray, done: np.ndarray
    ) -> None:
        """Walk broken points back to where their ways break first, by bisection."""
        if not len(done):
            return
        start, rows = clean[done], rows[done]
        step = reached[done] - start
        low, high = np.zeros(len(done)), np.ones(len(done))
        for _ in range(50):
            middle = (low + high) / 2
            wrong = self._wrong(self._forward(start + middle[:, None] * step, rows))
            low, high = np.where(wrong, low, middle), np.where(wrong, middle, high)
        reached[done] = start + high[:, None] * step

    def fall_back(self, places: Float[np.ndarray, "place feature"]) -> None:
        """For points without a witness: the places, and their rays from the origin."""
        if np.isfinite(self.upper).all():
            return
        found = self.witness[np.isfinite(self.upper) & ~self.broken]
        places = np.concatenate([places, found])
        rows, steps = [], []
        for row in np.flatnonzero(np.isinf(self.upper)):
            squares = (places**2).sum(1)
            scale = places @ self._points[row] / np.where(squares > 0, squares, 1.0)
            trial = np.concatenate([places, np.maximum(scale, 0)[:, None] * places])
            trial = self._inside(trial)
            wrong = self._wrong(self._forward(trial, np.full(len(trial), row)))
            if wrong.any():
                there = trial[wrong] - self._points[row]
                rows.append(row)
                steps.append(there[np.argmin(lengths(there, self._order))])
        if rows:
            self.offer(np.array(rows), np.stack(steps), "broken anchor", coarse=True)
