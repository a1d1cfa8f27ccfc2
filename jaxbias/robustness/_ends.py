"""Upper ends: every witness goes through the real forward pass in float64."""

import functools
import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import jax
import numpy as np
from jaxtyping import Float, Int, Shaped

from jaxbias.networks.readouts import Readout
from jaxbias.networks.weights import Weights, predict
from jaxbias.robustness._blocks import blocks
from jaxbias.robustness._normal_form import NormalForm, Sites, scaled

# Last resorts when the real forward pass rounds a point back over the boundary.
_NUDGES = (1e-14, 1e-12, 1e-10, 1e-8, 1e-6, 1e-4, 1e-2, 0.1, 0.3)
_FINE = 1e-8
# Steps that are shorter by less than projections are good for are not looked at.
_GAIN = 1e-10

Forward = Callable[[np.ndarray, np.ndarray], np.ndarray]
#: Lowest and highest inputs, one row a point.
Box = tuple[Float[np.ndarray, "sample feature"], Float[np.ndarray, "sample feature"]]


def lengths(vectors: np.ndarray, order: float | int) -> np.ndarray:
    """Norms of rows."""
    if math.isinf(order):
        return np.abs(vectors).max(-1, initial=0.0)
    return np.sqrt(np.einsum("...i,...i->...", vectors, vectors))


@functools.partial(jax.jit, static_argnames=("activation", "normalise", "readout"))
def _margins(weights, activation, normalise, readout, points, constants, labels):
    outputs = predict(weights, activation, points, normalise_inputs=normalise)
    return readout.margin(outputs + constants, labels)


def margins(
    weights: Weights,
    form: NormalForm,
    readout: Readout,
    sites: Sites,
    labels: Shaped[np.ndarray, " sample"],
) -> Forward:
    """The real forward pass in float64, up to the margin of the read-out.

    Layers are divided by powers of two and inputs are in the units of their points,
    with the hidden bias as one input more; so nothing overflows, and no sign changes.
    The function takes points and the row of the site each of them belongs to.
    """
    first, second = form.layers
    whole = lambda a, e: scaled(a, -e)
    hidden = whole(weights.hidden, first)
    level = scaled(np.ones(len(labels)), -sites.exponent)[:, None]
    if weights.hidden_bias is not None:
        bias = whole(weights.hidden_bias, first)
        hidden = np.concatenate([hidden, bias[:, None]], axis=1)
    else:
        level = level[:, :0]
    output = whole(weights.output, second)
    power = 1.0 if form.activation.normalised else form.activation.degree
    # What the outputs of the divided layers are smaller by.
    down = second + power * first - form.exponent
    # Of all outputs, those included that the form has folded into one.
    constant = np.zeros(output.shape[1:])
    if weights.output_bias is not None:
        constant = np.asarray(weights.output_bias, np.float64)
    levels = replace(form, constant=constant).levels(sites.exponent)
    constants = scaled(levels, -down)
    with jax.enable_x64(True):
        arrays = [jax.device_put(a) for a in (hidden, output, np.asarray(weights.mask))]
        arrays = Weights(arrays[0], arrays[1], None, None, arrays[2])

    def forward(
        points: Float[np.ndarray, "point feature"], rows: Int[np.ndarray, " point"]
    ) -> Float[np.ndarray, " point"]:
        found = []
        with jax.enable_x64(True):
            # All are under way before the first is waited for.
            for where, index in blocks(len(points)):
                row = rows[index]
                inputs = np.concatenate([points[index], level[row]], axis=1)
                block = _margins(
                    arrays,
                    form.activation,
                    form.scaled_constant,
                    readout,
                    inputs,
                    constants[row],
                    labels[row],
                )
                found.append((block, where.stop - where.start))
        return np.concatenate([np.zeros(0), *(np.asarray(b)[:n] for b, n in found)])

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
        short = size < (1 - _GAIN) * self.upper[rows]
        hope = np.isfinite(size) if coarse else short
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

    def _inside(self, points: np.ndarray, rows: np.ndarray) -> np.ndarray:
        if self._box is None:
            return points
        return np.clip(points, self._box[0][rows], self._box[1][rows])

    def _confirm(
        self, steps: np.ndarray, rows: np.ndarray, coarse: bool
    ) -> tuple[np.ndarray, np.ndarray]:
        """Points that the real forward pass finds broken, and their distances."""
        clean = self._points[rows]
        reached = self._inside(clean + steps, rows)
        good = self._wrong(self._forward(reached, rows))
        sizes = np.where(good, 0.0, np.inf)
        if coarse:
            self._shorten(reached, clean, rows, np.flatnonzero(good))
        waiting = np.flatnonzero(~good)
        before, size = 0.0, lengths(steps, self._order)
        for nudge in _NUDGES:
            if not coarse:
                # What the last nudge has made too long, the next ones cannot mend.
                hope = (1 + before) * size[waiting] < self.upper[rows[waiting]]
                waiting, before = waiting[hope], nudge
            if not len(waiting):
                break
            trial = clean[waiting] + (1 + nudge) * steps[waiting]
            trial = self._inside(trial, rows[waiting])
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
